// SPDX-License-Identifier: GPL-2.0

//! What was asked for: two devices, two lists of ranges, and the checks that come before anything
//! is submitted.

use crate::plan::{
    layout::{
        Below,
        Extent,
        Layout, //
    },
    order,
    CommandLimits,
    Range,
    Ranges,
    Side,
    MAX_SOURCES, //
};
use kernel::{
    alloc::flags::{
        __GFP_NOMEMALLOC,
        __GFP_NORETRY,
        __GFP_NOWARN, //
        GFP_NOIO,
    },
    block::{
        bdev::BlockDevice,
        bio::WriteHint,
        buffer::part_of,
        copy::{
            limits::CopyLimits,
            CopyDomain,
            CopyOp,
            CopyPlace,
            CopyRange, //
        },
        units::Sectors, //
    },
    num::casts::u32_as_usize,
    prelude::*,
    task, //
};

/// Ranges as C has them.
#[derive(Clone, Copy)]
pub(crate) struct List<'a>(&'a [CopyRange]);

impl<'a> List<'a> {
    /// The ranges of a slice.
    pub(crate) fn new(ranges: &'a [CopyRange]) -> Self {
        Self(ranges)
    }

    /// Whether two of the ranges overlap.
    ///
    /// Context: task; may sleep.
    fn overlaps_itself(self) -> bool {
        if let Some(sorted) = Sorted::new(self) {
            return order::overlap(sorted.iter());
        }
        self.iter().enumerate().any(|(index, range)| {
            task::cond_resched();
            self.iter().take(index).any(|other| range.overlaps(other))
        })
    }

    /// Whether a range of this list overlaps one of another list, on a disk where they lie `by` and
    /// `others` sectors further on. A range that cannot be moved so far counts as if it overlapped.
    ///
    /// Context: task; may sleep.
    fn overlaps(self, by: Sectors, list: Self, others: Sectors) -> bool {
        if self.0.is_empty() || list.0.is_empty() {
            return false;
        }
        let hull = |list: Self, by| {
            let mut moved = list.moved(by);
            let first = moved.next()??;
            moved.try_fold(first, |hull, range| Some(hull.hull(range?)))
        };
        let Some((ours, theirs)) = hull(self, by).zip(hull(list, others)) else {
            return true;
        };
        if !ours.overlaps(theirs) {
            // One list lies before the other.
            return false;
        }
        if let Some((ours, theirs)) = Sorted::new(self).zip(Sorted::new(list)) {
            return order::meet(
                ours.iter().filter_map(|range| range.moved(by)),
                theirs.iter().filter_map(|range| range.moved(others)),
            );
        }
        self.moved(by).flatten().any(|range| {
            task::cond_resched();
            let mut list = list.moved(others).flatten();
            list.any(|other| range.overlaps(other))
        })
    }

    /// The ranges `by` sectors further on; [`None`] for one that cannot be moved so far.
    fn moved(self, by: Sectors) -> impl Iterator<Item = Option<Range>> + 'a {
        (0..self.0.len()).map(move |index| self.get(index)?.moved(by))
    }

    /// Whether none of them is empty or overflows, and `f` says yes to all of them.
    fn all(self, f: impl Fn(Range) -> bool) -> bool {
        (0..self.0.len()).all(|index| self.get(index).is_some_and(&f))
    }
}

impl Ranges for List<'_> {
    fn get(&self, index: usize) -> Option<Range> {
        let range = self.0.get(index)?;
        Range::new(range.start(), range.len())
    }
}

/// A list in the order of the starts of its ranges.
///
/// Callers need not sort, so this takes memory for those who have not. Where there is none, every
/// pair of ranges is looked at instead: that gives the same answer, later.
struct Sorted<'a> {
    list: List<'a>,
    /// Indices of the ranges in their order, unless they are in order by themselves.
    indices: Option<KVVec<u32>>,
}

impl<'a> Sorted<'a> {
    /// Sorts a list; [`None`] if there is no memory.
    ///
    /// Context: task; may sleep, but starts no I/O.
    fn new(list: List<'a>) -> Option<Self> {
        let starts = || list.iter().map(|range| range.start());
        if starts().is_sorted() {
            let indices = None;
            return Some(Self { list, indices });
        }
        // The allocator should not try hard.
        let flags = GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN | __GFP_NOMEMALLOC;
        let count = u32::try_from(list.0.len()).ok()?;
        let mut indices = KVVec::with_capacity(list.0.len(), flags).ok()?;
        for index in 0..count {
            indices.push_within_capacity(index).ok()?;
        }
        indices.sort_unstable_by_key(|index| list.get(u32_as_usize(*index)).map(Range::start));
        Some(Self {
            list,
            indices: Some(indices),
        })
    }

    fn iter(&self) -> impl Iterator<Item = Range> + '_ {
        let index = |at| match &self.indices {
            Some(indices) => indices.get(at).map(|index| u32_as_usize(*index)),
            None => Some(at),
        };
        (0..self.list.0.len()).filter_map(move |at| self.list.get(index(at)?))
    }
}

/// An order of writes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum WriteOrder {
    /// It does not matter.
    Any,
    /// From the start of the copy to its end: the destination has zones.
    AsRead,
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
    /// Where the device should place what is written.
    pub(crate) hint: WriteHint,
    /// The length of either list.
    pub(crate) total: Sectors,
}

impl<'a> Request<'a> {
    /// Checks a copy.
    ///
    /// # Errors
    ///
    /// - `EPERM`: the destination is read-only.
    /// - `ENODEV`: it does not fit, and one of the devices is gone. A device that goes away loses
    ///   its size as well.
    /// - `EINVAL`: a range that is empty, not on block boundaries, or past the end of its device;
    ///   lists of unequal lengths; destinations that overlap a source, or each other; no such write
    ///   stream.
    pub(crate) fn new(
        (src_bdev, src): (&'a BlockDevice, &'a [CopyRange]),
        (dst_bdev, dst): (&'a BlockDevice, &'a [CopyRange]),
        hint: WriteHint,
    ) -> Result<Self> {
        if dst_bdev.is_read_only() {
            return Err(EPERM);
        }
        let (src, dst) = (List::new(src), List::new(dst));
        let total = src.total().filter(|total| dst.total() == Some(*total));
        let total = total.ok_or_else(|| refusal(src_bdev, dst_bdev))?;
        // INVARIANT: All of it is checked below.
        let request = Self {
            src_bdev,
            dst_bdev,
            src,
            dst,
            hint,
            total,
        };
        match request.is_valid() {
            true => Ok(request),
            false => Err(refusal(src_bdev, dst_bdev)),
        }
    }

    /// Whether the ranges are as the invariants say.
    ///
    /// Context: task; may sleep.
    fn is_valid(&self) -> bool {
        let block = self.block();
        let fits = |list: List<'_>, bdev: &BlockDevice| {
            let size = bdev.size();
            list.all(|range| range.is_aligned(block) && range.fits(size))
        };
        // On the disk, where a partition and the disk itself meet, and other disks of the device.
        let start = |bdev: &BlockDevice| Sectors::new(bdev.start().get());
        fits(self.src, self.src_bdev)
            && fits(self.dst, self.dst_bdev)
            && self.hint.fits(self.dst_bdev.limits().max_write_streams())
            && !self.dst.overlaps_itself()
            && !(self.src_bdev.same_sectors(self.dst_bdev)
                && self
                    .src
                    .overlaps(start(self.src_bdev), self.dst, start(self.dst_bdev)))
    }

    fn block(&self) -> Sectors {
        larger_block(self.src_bdev, self.dst_bdev)
    }

    /// Where a chunk is to be split of which `len` sectors are in one place: at the end of a block,
    /// and not before the end of the first one.
    pub(crate) fn split_at(&self, len: Sectors) -> Sectors {
        len.round_down(self.block()).max(self.block())
    }

    /// What one command can take. Nothing if the devices cannot copy, or must not.
    pub(crate) fn command_limits(&self) -> CommandLimits {
        command_limits(self.src_bdev, self.dst_bdev)
    }

    /// Most of `len` sectors that one buffer takes, so that some of them fill a request.
    pub(crate) fn buffer_len(&self, len: Sectors) -> Sectors {
        let (src, dst) = (self.src_bdev.limits(), self.dst_bdev.limits());
        let block = self.block();
        let request = src.max_sectors().min(dst.max_sectors()).min(len);
        part_of(request, block).max(block)
    }

    /// The order in which what was read has to be written.
    pub(crate) fn write_order(&self) -> WriteOrder {
        if self.dst_bdev.limits().is_zoned() {
            WriteOrder::AsRead
        } else {
            WriteOrder::Any
        }
    }
}

/// What the drivers of the devices say of where the ranges are.
impl Layout for Request<'_> {
    type Domain = CopyDomain;

    fn extent(&self, side: Side, range: Range) -> Extent<CopyDomain> {
        let (bdev, op) = match side {
            Side::Source => (self.src_bdev, CopyOp::Src),
            Side::Destination => (self.dst_bdev, CopyOp::Dst),
        };
        let mut place = CopyPlace::new(op, range);
        bdev.find_copy_place(&mut place);
        let below = match place.domain() {
            _ if place.is_barred() => Below::Nowhere,
            Some(domain) => Below::Domain(domain),
            None => Below::Unknown,
        };
        Extent {
            len: self.split_at(place.len()).min(range.len()),
            below,
        }
    }
}

/// The larger logical block of two devices.
pub(crate) fn larger_block(a: &BlockDevice, b: &BlockDevice) -> Sectors {
    a.limits().logical_block().max(b.limits().logical_block())
}

/// What one command can take from one device to another. Nothing if they cannot copy, or must not.
pub(crate) fn command_limits(src: &BlockDevice, dst: &BlockDevice) -> CommandLimits {
    let mut both = CopyLimits::unlimited();
    src.narrow_copy_limits(&mut both);
    dst.narrow_copy_limits(&mut both);
    let block = larger_block(src, dst);
    let limits = CommandLimits {
        max: both.max().round_down(block),
        segment: both.segment().round_down(block),
        src_segments: usize::from(both.src_segments()).min(MAX_SOURCES),
        // No driver takes more so far.
        dst_segments: usize::from(both.dst_segments()).min(1),
    };
    if limits.segment.is_zero() && !both.segment().is_zero() {
        // Less than one block.
        return CommandLimits {
            max: Sectors::ZERO,
            ..limits
        };
    }
    limits
}

/// The error for what does not fit these devices.
pub(crate) fn refusal(src: &BlockDevice, dst: &BlockDevice) -> Error {
    if src.is_gone() || dst.is_gone() {
        ENODEV
    } else {
        EINVAL
    }
}
