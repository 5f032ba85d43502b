// SPDX-License-Identifier: GPL-2.0

//! What was asked for: two devices, two lists of ranges, and the checks that come before anything
//! is submitted.

use super::{
    plan::{
        Limits,
        Ranges, //
    },
    protocol::MAX_SOURCES,
    range::Range, //
};
use kernel::{
    bindings,
    block::{
        bdev::BlockDevice,
        buffer,
        copy::limits::CopyLimits,
        units::{
            Sector,
            Sectors, //
        }, //
    },
    prelude::*,
    task::cond_resched, //
};

/// Ranges as C has them.
#[derive(Clone, Copy)]
pub(crate) struct List<'a>(&'a [bindings::blk_copy_range]);

impl<'a> List<'a> {
    /// The ranges of a slice.
    pub(crate) fn new(ranges: &'a [bindings::blk_copy_range]) -> Self {
        Self(ranges)
    }

    /// Whether two of the ranges overlap. Quick if they are in order.
    ///
    /// Context: task; may sleep.
    fn overlaps_itself(self) -> bool {
        let next = |range: Range| range.start().checked_add(range.len());
        let starts = self.iter().skip(1).map(Range::start);
        if Iterator::zip(self.iter(), starts).all(|(range, start)| next(range) <= Some(start)) {
            return false;
        }
        (1..self.0.len()).any(|index| {
            cond_resched();
            let range = self.get(index);
            let mut before = self.iter().take(index);
            before.any(|other| range.is_some_and(|range| range.overlaps(other)))
        })
    }

    /// Whether a range of this list, moved `by` sectors further on, overlaps one of another list,
    /// moved `others`. Quick if one list lies before the other. One that cannot be moved so far
    /// counts as if it did.
    ///
    /// Context: task; may sleep.
    fn overlaps(self, by: Sectors, list: Self, others: Sectors) -> bool {
        let hull = |list: Self, by: Sectors| {
            list.iter().try_fold(None, |hull: Option<Range>, range| {
                let range = range.moved(by)?;
                Some(Some(hull.map_or(range, |hull| hull.hull(range))))
            })
        };
        let (Some(own), Some(other)) = (hull(self, by), hull(list, others)) else {
            return true;
        };
        if !own
            .zip(other)
            .is_some_and(|(own, other)| own.overlaps(other))
        {
            return false;
        }
        self.iter().any(|range| {
            cond_resched();
            let moved = |range: Range, by| range.moved(by);
            let range = moved(range, by);
            list.iter().any(|other| {
                let pair = range.zip(moved(other, others));
                pair.is_some_and(|(range, other)| range.overlaps(other))
            })
        })
    }

    /// Whether none of them is empty or overflows.
    fn is_valid(self) -> bool {
        (0..self.0.len()).all(|index| self.get(index).is_some())
    }
}

impl Ranges for List<'_> {
    fn get(&self, index: usize) -> Option<Range> {
        let range = self.0.get(index)?;
        Range::new(Sector::new(range.sector), Sectors::new(range.nr_sects))
    }
}

/// A copy, which was checked.
///
/// # Invariants
///
/// The ranges of both lists lie within their devices and on boundaries of the logical blocks of
/// both. The lists are as long as each other, no range of one overlaps one of the other, no
/// destination another one, and the destination was writable.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) src_bdev: &'a BlockDevice,
    pub(crate) dst_bdev: &'a BlockDevice,
    pub(crate) src: List<'a>,
    pub(crate) dst: List<'a>,
    /// The length of either list.
    pub(crate) total: Sectors,
}

impl<'a> Request<'a> {
    /// Checks a copy.
    ///
    /// # Errors
    ///
    /// - `EPERM`: the destination is read-only.
    /// - `EINVAL`: a range that is empty, not on block boundaries, or past the end of its device;
    ///   lists of unequal lengths; destinations that overlap a source, or each other.
    pub(crate) fn new(
        (src_bdev, src): (&'a BlockDevice, List<'a>),
        (dst_bdev, dst): (&'a BlockDevice, List<'a>),
    ) -> Result<Self> {
        if dst_bdev.is_read_only() {
            return Err(EPERM);
        }
        let block = larger_block(src_bdev, dst_bdev);
        let fits = |list: List<'_>, bdev: &BlockDevice| {
            let size = bdev.size();
            let mut ranges = list.iter();
            list.is_valid() && ranges.all(|range| range.is_aligned(block) && range.fits(size))
        };
        if !fits(src, src_bdev) || !fits(dst, dst_bdev) {
            return Err(EINVAL);
        }
        let total = src.total().ok_or(EINVAL)?;
        if dst.total() != Some(total) {
            return Err(EINVAL);
        }
        if dst.overlaps_itself() {
            return Err(EINVAL);
        }
        if src_bdev.same_disk(dst_bdev) {
            // On the disk, where a partition and the disk itself meet.
            let start = |bdev: &BlockDevice| Sectors::new(bdev.start().get());
            if src.overlaps(start(src_bdev), dst, start(dst_bdev)) {
                return Err(EINVAL);
            }
        }
        // INVARIANT: All of it was checked above.
        Ok(Self {
            src_bdev,
            dst_bdev,
            src,
            dst,
            total,
        })
    }

    fn block(&self) -> Sectors {
        larger_block(self.src_bdev, self.dst_bdev)
    }

    /// Where a chunk is to be split of which so much is in one place: at the end of a block, and
    /// not before the first one.
    pub(crate) fn split_at(&self, len: Sectors) -> Sectors {
        len.round_down(self.block()).max(self.block())
    }

    /// What one command can take. Nothing if the devices cannot, or must not, copy.
    pub(crate) fn command_limits(&self) -> Limits {
        let mut both = CopyLimits::unlimited();
        self.src_bdev.narrow_copy_limits(&mut both);
        self.dst_bdev.narrow_copy_limits(&mut both);
        let block = self.block();
        let limits = Limits {
            max: both.max().round_down(block),
            segment: both.segment().round_down(block),
            src_segments: usize::from(both.src_segments()).min(MAX_SOURCES),
            // No driver takes more so far.
            dst_segments: usize::from(both.dst_segments()).min(1),
        };
        if limits.segment.is_zero() && !both.segment().is_zero() {
            // Less than one block.
            return Limits {
                max: Sectors::ZERO,
                ..limits
            };
        }
        limits
    }

    /// Most that one buffer takes: one request of either device.
    pub(crate) fn buffer_len(&self) -> Sectors {
        let (src, dst) = (self.src_bdev.limits(), self.dst_bdev.limits());
        let block = self.block();
        let most = src.max_sectors().min(dst.max_sectors());
        let buffer = Sectors::from_bytes_floor(buffer::SIZE as u64);
        most.min(buffer).round_down(block).max(block)
    }

    /// Whether what was read may be written in any order.
    pub(crate) fn is_writable_anywhere(&self) -> bool {
        !self.dst_bdev.limits().is_zoned()
    }
}

/// The larger logical block of two devices.
pub(crate) fn larger_block(a: &BlockDevice, b: &BlockDevice) -> Sectors {
    a.limits().logical_block().max(b.limits().logical_block())
}
