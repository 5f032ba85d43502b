// SPDX-License-Identifier: GPL-2.0

//! What was asked for: two devices, two lists of ranges, and the checks that come before anything
//! is submitted.

use super::{
    plan::{
        Limits,
        Ranges, //
    },
    protocol::MAX_PARTS,
    range::Range, //
};
use kernel::{
    bindings,
    block::{
        bdev::BlockDevice,
        buffer,
        units::{
            Sector,
            Sectors, //
        }, //
    },
    prelude::*, //
};

/// Ranges as C has them.
#[derive(Clone, Copy)]
pub(crate) struct List<'a>(&'a [bindings::blk_copy_range]);

impl<'a> List<'a> {
    /// The ranges of a slice.
    pub(crate) fn new(ranges: &'a [bindings::blk_copy_range]) -> Self {
        Self(ranges)
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
/// both. The lists are as long as each other, no range of one overlaps one of the other, and the
/// destination was writable.
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
    ///   lists of unequal lengths, or that overlap.
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
        if src_bdev.same_disk(dst_bdev) {
            // On the disk, where a partition and the disk itself meet.
            let on_disk = |bdev: &BlockDevice, range: Range| {
                range.moved(Sectors::new(bdev.start().get())).ok_or(EINVAL)
            };
            for from in src.iter() {
                for to in dst.iter() {
                    if on_disk(src_bdev, from)?.overlaps(on_disk(dst_bdev, to)?) {
                        return Err(EINVAL);
                    }
                }
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

    /// What one command can take. Nothing if the devices cannot, or must not, copy.
    pub(crate) fn command_limits(&self) -> Limits {
        let (src, dst) = (self.src_bdev.limits(), self.dst_bdev.limits());
        let block = self.block();
        let segment = match (src.max_copy_segment(), dst.max_copy_segment()) {
            (Sectors::ZERO, one) | (one, Sectors::ZERO) => one,
            (one, other) => one.min(other),
        };
        let ranges = src.max_copy_src_segments().min(dst.max_copy_src_segments());
        let max = src.max_copy().min(dst.max_copy()).round_down(block);
        let limits = Limits {
            max,
            segment: segment.round_down(block),
            src_segments: usize::from(ranges).min(MAX_PARTS - 1),
            // No driver takes more so far.
            dst_segments: 1,
        };
        if limits.segment.is_zero() && !segment.is_zero() {
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
