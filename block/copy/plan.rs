// SPDX-License-Identifier: GPL-2.0

//! Cuts a copy into chunks that one command each can take.
//!
//! Pure: plain values, no FFI, no locks, no allocation. Compiled on the host too.

use super::range::Range;
use kernel::block::units::Sectors;

/// One chunk: what one command copies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Piece {
    /// Where the chunk begins, counted from the start of the copy.
    pub(crate) offset: Sectors,
    /// What is read.
    pub(crate) src: Range,
    /// What is written. As long as `src`.
    pub(crate) dst: Range,
}

/// Iterates over the chunks of a copy, from its start and without a gap.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    next: Option<Piece>,
    max: Sectors,
}

impl Plan {
    /// Plans the copy of `src` to `dst` in chunks of at most `max` sectors, a multiple of the
    /// logical blocks of both sides. [`None`] if the lengths differ or `max` is zero.
    ///
    /// Greedy, and optimal: every chunk but the last is as large as one command can be.
    pub(crate) fn new(src: Range, dst: Range, max: Sectors) -> Option<Self> {
        if src.len() != dst.len() || max.is_zero() {
            return None;
        }
        let offset = Sectors::ZERO;
        Some(Self {
            next: Some(Piece { offset, src, dst }),
            max,
        })
    }
}

impl Iterator for Plan {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let Piece { offset, src, dst } = self.next.take()?;
        let (src, src_rest) = src.split_at_most(self.max);
        let (dst, dst_rest) = dst.split_at_most(self.max);
        self.next = offset
            .checked_add(src.len())
            .zip(src_rest.zip(dst_rest))
            .map(|(offset, (src, dst))| Piece { offset, src, dst });
        Some(Piece { offset, src, dst })
    }
}

#[cfg_attr(CONFIG_BLK_COPY_KUNIT_TEST, kernel::macros::kunit_tests(blk_copy_plan))]
#[cfg(any(test, CONFIG_BLK_COPY_KUNIT_TEST))]
mod tests {
    use super::*;
    use kernel::block::units::Sector;

    fn plan(len: u64, max: u64) -> Option<Plan> {
        let src = Range::new(Sector::new(1000), Sectors::new(len))?;
        let dst = Range::new(Sector::new(16), Sectors::new(len))?;
        Plan::new(src, dst, Sectors::new(max))
    }

    #[test]
    fn chunks_follow_each_other() {
        let mut offset = Sectors::ZERO;
        let mut chunks = 0;
        for piece in plan(100, 8).into_iter().flatten() {
            assert_eq!(piece.offset, offset);
            assert_eq!(piece.src.start().get(), 1000 + offset.get());
            assert_eq!(piece.dst.start().get(), 16 + offset.get());
            assert_eq!(piece.src.len(), piece.dst.len());
            assert!(piece.src.len() <= Sectors::new(8));
            offset = offset.checked_add(piece.src.len()).unwrap_or_default();
            chunks += 1;
        }
        assert_eq!(offset, Sectors::new(100));
        assert_eq!(chunks, 13);
    }

    #[test]
    fn refuses_what_cannot_be_planned() {
        assert!(plan(8, 0).is_none());
        let one = |len| Range::new(Sector::new(0), Sectors::new(len));
        let unequal = one(8).zip(one(16));
        assert!(unequal.is_some_and(|(a, b)| Plan::new(a, b, Sectors::new(8)).is_none()));
    }
}
