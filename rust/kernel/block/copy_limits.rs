// SPDX-License-Identifier: GPL-2.0

//! What one copy command may cover, from the top of a stack to its bottom.
//!
//! C header: [`include/linux/blk-copy.h`](srctree/include/linux/blk-copy.h)

use super::{
    bdev::BlockDevice,
    limits::QueueLimits,
    units::Sectors, //
};
use crate::bindings;

/// What one copy command may cover, from the top of a stack to its bottom.
#[derive(Clone, Copy)]
pub struct CopyLimits(bindings::blk_copy_limits);

impl CopyLimits {
    /// No limits: what everything narrows.
    pub fn unlimited() -> Self {
        Self(bindings::blk_copy_limits {
            max_sectors: u32::MAX,
            max_hw_sectors: u32::MAX,
            max_segment_sectors: 0,
            max_src_segments: u16::MAX,
            max_dst_segments: u16::MAX,
        })
    }

    /// Uses a raw pointer.
    ///
    /// # Safety
    ///
    /// `limits` is valid, and nobody else uses it, for `'a`.
    pub unsafe fn from_raw<'a>(limits: *mut bindings::blk_copy_limits) -> &'a mut Self {
        // SAFETY: Required of the caller; the layout is the same.
        unsafe { &mut *limits.cast() }
    }

    /// The raw pointer.
    pub fn as_raw(&mut self) -> *mut bindings::blk_copy_limits {
        &mut self.0
    }

    /// Narrows it to what a queue allows by itself.
    pub fn narrow(&mut self, queue: &QueueLimits) {
        let raw = &mut self.0;
        raw.max_sectors = raw.max_sectors.min(raw_of(queue.max_copy()));
        raw.max_hw_sectors = raw.max_hw_sectors.min(raw_of(queue.max_hw_copy()));
        raw.max_src_segments = raw.max_src_segments.min(queue.max_copy_src_segments());
        raw.max_dst_segments = raw.max_dst_segments.min(queue.max_copy_dst_segments());
        let segment = raw_of(queue.max_copy_segment());
        raw.max_segment_sectors = match (raw.max_segment_sectors, segment) {
            (0, one) | (one, 0) => one,
            (one, other) => one.min(other),
        };
    }

    /// Most that one copy command may cover; zero: nothing can be copied.
    pub fn max(&self) -> Sectors {
        QueueLimits::sectors(self.0.max_sectors)
    }

    /// The same, but for what administrators allow.
    pub fn max_hw(&self) -> Sectors {
        QueueLimits::sectors(self.0.max_hw_sectors)
    }

    /// Most in one source range; zero: no limit of its own.
    pub fn segment(&self) -> Sectors {
        QueueLimits::sectors(self.0.max_segment_sectors)
    }

    /// Source ranges of one command.
    pub fn src_segments(&self) -> u16 {
        self.0.max_src_segments
    }

    /// Destination ranges of one command.
    pub fn dst_segments(&self) -> u16 {
        self.0.max_dst_segments
    }
}

impl BlockDevice {
    /// Narrows limits to those of this device, and of what it lies on. They may change at any time.
    ///
    /// Context: task; may sleep.
    pub fn narrow_copy_limits(&self, limits: &mut CopyLimits) {
        limits.narrow(self.limits());
        // SAFETY: By the type invariant the device is valid, and so is its disk, whose operations
        // do not change.
        unsafe {
            let disk = (*self.as_raw()).bd_disk;
            if let Some(narrow) = (*(*disk).fops).copy_limits {
                narrow(disk, limits.as_raw());
            }
        }
    }
}

/// A limit as C has it.
fn raw_of(sectors: Sectors) -> u32 {
    u32::try_from(sectors.get()).unwrap_or(u32::MAX)
}
