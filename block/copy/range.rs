// SPDX-License-Identifier: GPL-2.0

//! A piece of a block device, and what can be said of two of them.
//!
//! Pure: plain values, no FFI, no locks. Compiled on the host too.

use kernel::block::units::{
    Sector,
    Sectors, //
};

/// `len` sectors from `start` on. Never empty, and its end fits in a [`Sector`].
///
/// # Invariants
///
/// `len` is not zero and `start + len` does not overflow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Range {
    start: Sector,
    len: Sectors,
}

impl Range {
    /// Makes a range; [`None`] if it would be empty or would end past the largest [`Sector`].
    pub(crate) const fn new(start: Sector, len: Sectors) -> Option<Self> {
        if len.is_zero() || start.checked_add(len).is_none() {
            return None;
        }
        // INVARIANT: Both parts were just checked.
        Some(Self { start, len })
    }

    /// The first sector.
    pub(crate) const fn start(self) -> Sector {
        self.start
    }

    /// The length.
    pub(crate) const fn len(self) -> Sectors {
        self.len
    }

    /// Whether the range lies within a device of `size` sectors.
    pub(crate) fn fits(self, size: Sectors) -> bool {
        size.checked_sub(self.len)
            .is_some_and(|last_start| self.start.get() <= last_start.get())
    }

    /// Whether both ends are on a boundary of `block`, a power of two.
    pub(crate) const fn is_aligned(self, block: Sectors) -> bool {
        self.start.is_aligned(block) && self.len.is_aligned(block)
    }

    /// Whether a sector is in both ranges.
    pub(crate) fn overlaps(self, other: Self) -> bool {
        let (first, second) = if self.start <= other.start {
            (self, other)
        } else {
            (other, self)
        };
        second.start.get() - first.start.get() < first.len.get()
    }

    /// The smallest range that both are in.
    pub(crate) fn hull(self, other: Self) -> Self {
        let start = self.start.min(other.start);
        let end = |range: Self| range.start.get() + range.len.get();
        let len = Sectors::new(end(self).max(end(other)) - start.get());
        // INVARIANT: The end is that of one of them, so it fits; neither is empty.
        Self { start, len }
    }

    /// The range moved `by` sectors further on, as a partition's start moves it; [`None`] if its
    /// end would not fit any more.
    pub(crate) fn moved(self, by: Sectors) -> Option<Self> {
        Self::new(self.start.checked_add(by)?, self.len)
    }

    /// How many pieces of at most `max` sectors it takes; zero is no limit.
    pub(crate) const fn segments(self, max: Sectors) -> u64 {
        if max.is_zero() || self.len.get() <= max.get() {
            return 1;
        }
        self.len.get().div_ceil(max.get())
    }

    /// The piece of that index, if it is cut into pieces of at most `max` sectors; zero is no
    /// limit.
    pub(crate) fn segment(self, max: Sectors, index: u64) -> Option<Self> {
        let skip = Sectors::new(max.get().checked_mul(index)?);
        let max = if max.is_zero() { self.len } else { max };
        if index >= self.segments(max) {
            return None;
        }
        let rest = Self::new(self.start.checked_add(skip)?, self.len.checked_sub(skip)?)?;
        Some(rest.split_at_most(max).0)
    }

    /// What is left of the range after `skip` sectors, at most `len` of them; [`None`] if nothing
    /// is.
    pub(crate) fn part(self, skip: Sectors, len: Sectors) -> Option<Self> {
        let left = self.len.checked_sub(skip)?;
        Self::new(self.start.checked_add(skip)?, left.min(len))
    }

    /// Splits the range after `len` sectors: what comes before, and what remains. Nothing is
    /// split off a range that is not longer than `len`. A `len` of zero is taken as one sector,
    /// so that a loop that splits always ends.
    pub(crate) fn split_at_most(self, len: Sectors) -> (Self, Option<Self>) {
        let len = len.max(Sectors::ONE);
        let rest = self
            .len
            .checked_sub(len)
            .and_then(|rest| Self::new(self.start.checked_add(len)?, rest));
        match rest {
            // INVARIANT: `len` is at least one, and less than a length that did not overflow.
            Some(_) => (Self { len, ..self }, rest),
            None => (self, None),
        }
    }
}

#[cfg_attr(
    CONFIG_BLK_COPY_KUNIT_TEST,
    kernel::macros::kunit_tests(blk_copy_range)
)]
#[cfg(any(test, CONFIG_BLK_COPY_KUNIT_TEST))]
mod tests {
    use super::*;

    fn range(start: u64, len: u64) -> Option<Range> {
        Range::new(Sector::new(start), Sectors::new(len))
    }

    #[test]
    fn a_part_of_a_range() {
        let part = |skip, len| {
            let whole = range(100, 16)?;
            whole.part(Sectors::new(skip), Sectors::new(len))
        };
        assert_eq!(part(0, 16), range(100, 16));
        assert_eq!(part(4, 8), range(104, 8));
        assert_eq!(part(12, 8), range(112, 4));
        assert_eq!(part(16, 8), None);
        assert_eq!(part(17, 8), None);
        assert_eq!(part(4, 0), None);
    }

    #[test]
    fn refuses_empty_and_overflowing() {
        assert!(range(0, 0).is_none());
        assert!(range(1, u64::MAX).is_none());
        assert!(range(0, u64::MAX).is_some());
    }

    #[test]
    fn fits_up_to_the_last_sector() {
        assert!(range(90, 10).is_some_and(|r| r.fits(Sectors::new(100))));
        assert!(range(91, 10).is_some_and(|r| !r.fits(Sectors::new(100))));
        assert!(range(0, 101).is_some_and(|r| !r.fits(Sectors::new(100))));
        assert!(range(0, 1).is_some_and(|r| !r.fits(Sectors::ZERO)));
    }

    #[test]
    fn overlap_is_symmetric_and_exact() {
        for (a, b, expected) in [
            ((0, 8), (8, 8), false),
            ((0, 9), (8, 8), true),
            ((8, 8), (8, 8), true),
            ((0, 100), (50, 1), true),
            ((u64::MAX - 8, 8), (0, 8), false),
        ] {
            let pair = range(a.0, a.1).zip(range(b.0, b.1));
            assert!(pair.is_some_and(|(a, b)| a.overlaps(b) == expected));
            assert!(pair.is_some_and(|(a, b)| b.overlaps(a) == expected));
        }
    }

    #[test]
    fn segments_leave_nothing_out() {
        let done = range(8, 20).map(|whole| {
            let max = Sectors::new(8);
            assert_eq!(whole.segments(max), 3);
            assert_eq!(whole.segment(max, 0), range(8, 8));
            assert_eq!(whole.segment(max, 1), range(16, 8));
            assert_eq!(whole.segment(max, 2), range(24, 4));
            assert_eq!(whole.segment(max, 3), None);
            assert_eq!(whole.segments(Sectors::ZERO), 1);
            assert_eq!(whole.segment(Sectors::ZERO, 0), Some(whole));
            assert_eq!(whole.segment(Sectors::ZERO, 1), None);
        });
        assert!(done.is_some());
    }

    #[test]
    fn split_leaves_nothing_out() {
        assert!(range(8, 8).is_some_and(|r| r.split_at_most(Sectors::new(8)) == (r, None)));
        assert!(range(8, 8).is_some_and(|r| {
            let (head, tail) = r.split_at_most(Sectors::new(3));
            range(8, 3) == Some(head) && range(11, 5) == tail
        }));
        assert!(range(8, 8).is_some_and(|r| {
            let (head, tail) = r.split_at_most(Sectors::ZERO);
            range(8, 1) == Some(head) && range(9, 7) == tail
        }));
    }
}
