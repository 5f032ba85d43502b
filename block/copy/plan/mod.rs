// SPDX-License-Identifier: GPL-2.0

//! Cuts a copy into chunks. One command copies one chunk.
//!
//! Source and destination are lists of ranges, with unequal shapes but equal sums. A chunk is the
//! longest part of the copy that the limits allow, from where the last chunk ended. That is greedy,
//! and optimal, because whatever one command can take, another one can take any part of.
//!
//! Pure: plain values, no FFI, no locks, no allocation, and no division of 64-bit values, which
//! 32-bit machines do not have. Compiled on the host too.

pub(crate) mod gap;
pub(crate) mod layout;
mod list;
pub(crate) mod order;
pub(crate) mod progress;
pub(crate) mod share;
pub(crate) mod window;

use crate::verdict::Reason;
use kernel::block::units::Sectors;
use layout::{
    Flat,
    Layout, //
};
use list::{
    taken,
    Taken, //
};

pub(crate) use kernel::block::units::SectorRange as Range;
pub(crate) use layout::Side;
pub(crate) use list::{
    Cursor,
    Ranges, //
};

/// The most source ranges that one command may have, whatever a device allows. It bounds the memory
/// of a chunk.
pub(crate) const MAX_SOURCES: usize = 512;

/// What one command can take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CommandLimits {
    /// Sectors in all: a multiple of the logical blocks of both devices.
    pub(crate) max: Sectors,
    /// Sectors in one source range: such a multiple too, or zero for no limit of its own.
    pub(crate) segment: Sectors,
    /// Source ranges.
    pub(crate) src_segments: usize,
    /// Destination ranges.
    pub(crate) dst_segments: usize,
}

impl CommandLimits {
    /// The least that every device that copies can take.
    pub(crate) fn one_source(self) -> Self {
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

    /// At most `max` sectors from one range to one range.
    pub(crate) fn one_to_one(max: Sectors) -> Self {
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

/// One chunk: what one command copies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Chunk {
    /// Where the chunk begins, counted from the start of the copy.
    pub(crate) offset: Sectors,
    /// How long it is.
    pub(crate) len: Sectors,
    /// Why no device would copy it, as far as is known.
    pub(crate) refused: Option<Reason>,
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
    pub(crate) fn peek(&self, limits: &CommandLimits) -> Option<Chunk> {
        self.peek_in(&Flat, limits)
    }

    /// The same, on devices of this layout: the chunk is in one place on either side.
    pub(crate) fn peek_in<F: Layout>(&self, layout: &F, limits: &CommandLimits) -> Option<Chunk> {
        if limits.is_none() {
            return None;
        }
        let head = |side, list, cursor| {
            let first = taken(list, cursor, limits.max).next()?;
            Some(layout.extent(side, first))
        };
        let src = head(Side::Source, self.src_list, self.src)?;
        let dst = head(Side::Destination, self.dst_list, self.dst)?;
        let refused = src.below.refuses(&dst.below);
        let reached = refused.is_none().then(|| {
            let place = dst.below.or(src.below);
            let within = |side, range| {
                let extent = layout.extent(side, range);
                extent.below.refuses(&place).is_none().then_some(extent.len)
            };
            let src = taken(self.src_list, self.src, limits.max);
            let src = reach(src, limits.src_segments, limits.segment, |range| {
                within(Side::Source, range)
            });
            let dst = taken(self.dst_list, self.dst, src);
            reach(dst, limits.dst_segments, Sectors::ZERO, |range| {
                within(Side::Destination, range)
            })
        });
        let (len, refused) = match reached.filter(|len| !len.is_zero()) {
            Some(len) => (len, None),
            // What is not refused has moved since the layout was asked first.
            None => (src.len.min(dst.len), refused.or(Some(Reason::Busy))),
        };
        Some(Chunk {
            offset: self.offset,
            len,
            refused,
            src: self.src,
            dst: self.dst,
        })
    }

    /// What a chunk of this plan reads.
    pub(crate) fn sources(&self, chunk: &Chunk) -> Taken<L> {
        taken(self.src_list, chunk.src, chunk.len)
    }

    /// What a chunk of this plan writes.
    pub(crate) fn destinations(&self, chunk: &Chunk) -> Taken<L> {
        taken(self.dst_list, chunk.dst, chunk.len)
    }

    /// The first range that a chunk of this plan reads, and the first one that it writes.
    pub(crate) fn first_ranges(&self, chunk: &Chunk) -> Option<(Range, Range)> {
        self.sources(chunk)
            .next()
            .zip(self.destinations(chunk).next())
    }

    /// How far it has come, counted from the start of the copy.
    pub(crate) fn offset(&self) -> Sectors {
        self.offset
    }

    /// Goes on `len` sectors, at most to the end of both lists.
    pub(crate) fn advance(&mut self, len: Sectors) {
        let mut src = taken(self.src_list, self.src, len);
        let mut dst = taken(self.dst_list, self.dst, len);
        src.by_ref().for_each(drop);
        dst.by_ref().for_each(drop);
        (self.src, self.dst) = (src.cursor(), dst.cursor());
        self.offset = self.offset.checked_add(len).unwrap_or(self.offset);
    }
}

/// How far a command can reach into ranges: at most `segments` of them, of at most `segment`
/// sectors, and as much of each as `within` says, if any. Zero for `segment` is no limit.
fn reach(
    ranges: impl Iterator<Item = Range>,
    mut segments: usize,
    segment: Sectors,
    within: impl Fn(Range) -> Option<Sectors>,
) -> Sectors {
    let mut reached = Sectors::ZERO;
    for range in ranges {
        let Some(most) = within(range).filter(|_| segments > 0) else {
            break;
        };
        // As much of the range as the segments that are left can hold.
        let room = segment.checked_mul(segments);
        let room = room.filter(|room| !room.is_zero()).unwrap_or(most);
        let (part, rest) = range.split_at_most(room.min(most));
        reached = reached.checked_add(part.len()).unwrap_or(reached);
        segments = segments.saturating_sub(part.segments(segment));
        if rest.is_some() {
            break;
        }
    }
    reached
}

#[cfg_attr(CONFIG_BLK_COPY_KUNIT_TEST, kernel::macros::kunit_tests(blk_copy_plan))]
#[cfg(any(test, CONFIG_BLK_COPY_KUNIT_TEST))]
mod tests {
    use super::*;
    use kernel::block::units::Sector;

    const LIMITS: CommandLimits = CommandLimits {
        max: Sectors::new(64),
        segment: Sectors::ZERO,
        src_segments: 4,
        dst_segments: 1,
    };

    fn range(start: u64, len: u64) -> Option<Range> {
        Range::new(Sector::new(start), Sectors::new(len))
    }

    /// Lengths of the chunks, zero after the last one.
    fn lengths(src: &[Range], dst: &[Range], limits: &CommandLimits) -> [u64; 8] {
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
            let limits = CommandLimits {
                src_segments: 2,
                ..LIMITS
            };
            assert_eq!(lengths(&src, &[dst], &limits), [16, 16, 8, 0, 0, 0, 0, 0]);
        });
        assert!(done.is_some());
    }

    #[test]
    fn a_long_source_takes_several_segments() {
        let limits = CommandLimits {
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
                let limits = CommandLimits {
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
                CommandLimits {
                    max: Sectors::ZERO,
                    ..LIMITS
                },
                CommandLimits {
                    src_segments: 0,
                    ..LIMITS
                },
                CommandLimits {
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
