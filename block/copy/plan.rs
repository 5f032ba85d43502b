// SPDX-License-Identifier: GPL-2.0

//! Cuts a copy into chunks that one command each can take.
//!
//! Source and destination are lists of ranges, of unequal shapes but equal sums. A chunk is the
//! longest piece of the copy that the limits allow, from where the last one ended: greedy, and
//! optimal, because whatever one command can take, another one can take any part of.
//!
//! Pure: plain values, no FFI, no locks, no allocation. Compiled on the host too.

use super::{
    batch::Batch,
    range::Range, //
};
use kernel::block::units::Sectors;

/// What one command can take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Sectors in all: a multiple of the logical blocks of both sides.
    pub(crate) max: Sectors,
    /// Sectors in one source range: such a multiple too, or zero for no limit of its own.
    pub(crate) segment: Sectors,
    /// Source ranges.
    pub(crate) src_segments: usize,
    /// Destination ranges.
    pub(crate) dst_segments: usize,
}

impl Limits {
    /// The least that every device that copies can take.
    pub(crate) fn one_range(self) -> Self {
        let (src_segments, dst_segments) = (1, 1);
        Self {
            src_segments,
            dst_segments,
            ..self
        }
    }

    /// The same, but no more than `len` sectors in all.
    pub(crate) fn at_most(self, len: Sectors) -> Self {
        let max = self.max.min(len);
        Self { max, ..self }
    }

    /// At most `max` sectors, in one piece.
    pub(crate) fn one_piece(max: Sectors) -> Self {
        let (src_segments, dst_segments) = (1, 1);
        let segment = Sectors::ZERO;
        Self {
            max,
            segment,
            src_segments,
            dst_segments,
        }
    }

    /// Whether nothing can be copied.
    pub(crate) fn is_none(self) -> bool {
        self.max.is_zero() || self.src_segments == 0 || self.dst_segments == 0
    }
}

/// A list of ranges, which may have to be converted as they are asked for.
pub(crate) trait Ranges {
    /// The range at `index`; [`None`] past the end.
    fn get(&self, index: usize) -> Option<Range>;

    /// All ranges.
    fn iter(&self) -> impl Iterator<Item = Range> {
        (0..).map_while(|index| self.get(index))
    }

    /// The sum of all lengths; [`None`] if it overflows.
    fn total(&self) -> Option<Sectors> {
        let mut total = Sectors::ZERO;
        for range in self.iter() {
            total = total.checked_add(range.len())?;
        }
        Some(total)
    }
}

impl Ranges for &[Range] {
    fn get(&self, index: usize) -> Option<Range> {
        <[Range]>::get(self, index).copied()
    }
}

/// A place in a list of ranges.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Cursor {
    index: usize,
    offset: Sectors,
}

impl Cursor {
    /// What is left of the range that the cursor is in.
    fn rest(self, list: &impl Ranges) -> Option<Range> {
        let range = list.get(self.index)?;
        Range::new(
            range.start().checked_add(self.offset)?,
            range.len().checked_sub(self.offset)?,
        )
    }

    /// The cursor `taken` sectors further on, of the `rest` that it was in.
    fn after(self, rest: Range, taken: Sectors) -> Self {
        match self.offset.checked_add(taken) {
            Some(offset) if taken < rest.len() => Self { offset, ..self },
            _ => Self {
                index: self.index + 1,
                offset: Sectors::ZERO,
            },
        }
    }
}

/// The pieces of a list that one chunk takes.
pub(crate) struct Pieces<L> {
    list: L,
    cursor: Cursor,
    left: Sectors,
}

impl<L: Ranges> Iterator for Pieces<L> {
    type Item = Range;

    fn next(&mut self) -> Option<Range> {
        if self.left.is_zero() {
            return None;
        }
        let rest = self.cursor.rest(&self.list)?;
        let (piece, _) = rest.split_at_most(self.left);
        self.left = self.left.checked_sub(piece.len())?;
        self.cursor = self.cursor.after(rest, piece.len());
        Some(piece)
    }
}

/// One chunk: what one command copies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Chunk {
    /// Where the chunk begins, counted from the start of the copy.
    pub(crate) offset: Sectors,
    /// How long it is.
    pub(crate) len: Sectors,
    src: Cursor,
    dst: Cursor,
}

/// Hands out the chunks of a copy, from its start and without a gap.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<L> {
    src_list: L,
    dst_list: L,
    src: Cursor,
    dst: Cursor,
    offset: Sectors,
}

impl<L: Ranges + Copy> Plan<L> {
    /// Plans the copy of one list to the other, as far as the shorter one goes.
    pub(crate) fn new(src_list: L, dst_list: L) -> Self {
        Self {
            src_list,
            dst_list,
            src: Cursor::default(),
            dst: Cursor::default(),
            offset: Sectors::ZERO,
        }
    }

    /// The next chunk, which the plan does not go past before [`Plan::advance`]; [`None`] at the
    /// end of the copy, or if nothing can be copied.
    pub(crate) fn peek(&self, limits: &Limits) -> Option<Chunk> {
        let src = reach(
            self.src_list,
            self.src,
            limits.max,
            limits.src_segments,
            limits.segment,
        );
        let dst = reach(
            self.dst_list,
            self.dst,
            src,
            limits.dst_segments,
            Sectors::ZERO,
        );
        if dst.is_zero() {
            return None;
        }
        Some(Chunk {
            offset: self.offset,
            len: dst,
            src: self.src,
            dst: self.dst,
        })
    }

    /// The next chunk, and those behind it, at most `most` in all, that can share a source with it.
    /// They are the chunks that [`Plan::peek`] would return one after the other.
    pub(crate) fn batch(&self, limits: &Limits, most: usize) -> Option<Batch> {
        let first = self.peek(limits)?;
        // A chunk of several ranges is longer than the first of them. One that was cut off in the
        // middle of a range is as long as the limits allow, and so are those behind it.
        let src = self.src.rest(&self.src_list)?.len();
        let dst = self.dst.rest(&self.dst_list)?.len();
        let fit = usize::try_from(src.min(dst).get() / first.len.get()).unwrap_or(most);
        let chunks = fit.min(most).max(1);
        Some(Batch::new(first, chunks))
    }

    /// What a chunk of this plan reads.
    pub(crate) fn sources(&self, chunk: &Chunk) -> Pieces<L> {
        pieces(self.src_list, chunk.src, chunk.len)
    }

    /// What a chunk of this plan writes.
    pub(crate) fn destinations(&self, chunk: &Chunk) -> Pieces<L> {
        pieces(self.dst_list, chunk.dst, chunk.len)
    }

    /// How far it has come, counted from the start of the copy.
    pub(crate) fn offset(&self) -> Sectors {
        self.offset
    }

    /// Goes on `len` sectors, at most to the end of both lists.
    pub(crate) fn advance(&mut self, len: Sectors) {
        let mut src = pieces(self.src_list, self.src, len);
        let mut dst = pieces(self.dst_list, self.dst, len);
        src.by_ref().for_each(drop);
        dst.by_ref().for_each(drop);
        (self.src, self.dst) = (src.cursor, dst.cursor);
        self.offset = self.offset.checked_add(len).unwrap_or(self.offset);
    }
}

fn pieces<L>(list: L, cursor: Cursor, left: Sectors) -> Pieces<L> {
    Pieces { list, cursor, left }
}

/// How far a command can reach into a list: at most `max` sectors in at most `segments` ranges of
/// at most `segment` sectors.
fn reach<L: Ranges + Copy>(
    list: L,
    cursor: Cursor,
    max: Sectors,
    mut segments: usize,
    segment: Sectors,
) -> Sectors {
    let mut taken = Sectors::ZERO;
    for rest in pieces(list, cursor, max) {
        let mut len = rest.len();
        let mut used = 1;
        if !segment.is_zero() {
            let room = segment.get().saturating_mul(segments as u64);
            len = len.min(Sectors::new(room));
            used = usize::try_from(len.get().div_ceil(segment.get())).unwrap_or(usize::MAX);
        }
        if segments == 0 || len.is_zero() {
            break;
        }
        taken = taken.checked_add(len).unwrap_or(taken);
        segments = segments.saturating_sub(used);
        if len < rest.len() {
            break;
        }
    }
    taken
}

#[cfg_attr(CONFIG_BLK_COPY_KUNIT_TEST, kernel::macros::kunit_tests(blk_copy_plan))]
#[cfg(any(test, CONFIG_BLK_COPY_KUNIT_TEST))]
mod tests {
    use super::*;
    use kernel::block::units::Sector;

    const LIMITS: Limits = Limits {
        max: Sectors::new(64),
        segment: Sectors::ZERO,
        src_segments: 4,
        dst_segments: 1,
    };

    fn range(start: u64, len: u64) -> Option<Range> {
        Range::new(Sector::new(start), Sectors::new(len))
    }

    /// Lengths of the chunks, zero after the last one.
    fn lengths(src: &[Range], dst: &[Range], limits: &Limits) -> [u64; 8] {
        let mut plan = Plan::new(src, dst);
        core::array::from_fn(|_| {
            let len = plan.peek(limits).map_or(Sectors::ZERO, |chunk| chunk.len);
            plan.advance(len);
            len.get()
        })
    }

    #[test]
    fn one_range_in_the_fewest_chunks() {
        let done = range(1000, 200).zip(range(0, 200)).map(|(src, dst)| {
            assert_eq!(
                lengths(&[src], &[dst], &LIMITS),
                [64, 64, 64, 8, 0, 0, 0, 0]
            );
        });
        assert!(done.is_some());
    }

    #[test]
    fn many_sources_up_to_the_limit() {
        let sources = [
            range(0, 8),
            range(16, 8),
            range(32, 8),
            range(48, 8),
            range(64, 8),
        ];
        let done = range(1000, 40).map(|dst| {
            let src: [Range; 5] = sources.map(|range| range.unwrap_or(dst));
            assert_eq!(lengths(&src, &[dst], &LIMITS), [32, 8, 0, 0, 0, 0, 0, 0]);
            let limits = Limits {
                src_segments: 2,
                ..LIMITS
            };
            assert_eq!(lengths(&src, &[dst], &limits), [16, 16, 8, 0, 0, 0, 0, 0]);
        });
        assert!(done.is_some());
    }

    #[test]
    fn a_long_source_takes_several_segments() {
        let limits = Limits {
            segment: Sectors::new(8),
            ..LIMITS
        };
        let done = range(1000, 72).zip(range(0, 72)).map(|(src, dst)| {
            assert_eq!(lengths(&[src], &[dst], &limits), [32, 32, 8, 0, 0, 0, 0, 0]);
        });
        assert!(done.is_some());
    }

    #[test]
    fn several_destinations_are_several_chunks() {
        let done = range(1000, 40)
            .zip(range(0, 8))
            .zip(range(100, 32))
            .map(|((src, a), b)| {
                assert_eq!(lengths(&[src], &[a, b], &LIMITS), [8, 32, 0, 0, 0, 0, 0, 0]);
                let limits = Limits {
                    dst_segments: 2,
                    ..LIMITS
                };
                assert_eq!(lengths(&[src], &[a, b], &limits), [40, 0, 0, 0, 0, 0, 0, 0]);
            });
        assert!(done.is_some());
    }

    #[test]
    fn nothing_without_limits() {
        let done = range(1000, 8).zip(range(0, 8)).map(|(src, dst)| {
            for limits in [
                Limits {
                    max: Sectors::ZERO,
                    ..LIMITS
                },
                Limits {
                    src_segments: 0,
                    ..LIMITS
                },
                Limits {
                    dst_segments: 0,
                    ..LIMITS
                },
            ] {
                assert!(limits.is_none());
                assert_eq!(lengths(&[src], &[dst], &limits)[0], 0);
            }
        });
        assert!(done.is_some());
    }
}
