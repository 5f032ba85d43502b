// SPDX-License-Identifier: GPL-2.0

//! Queue limits, as far as copying is concerned.
//!
//! C header: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h)

use super::units::Sectors;
use crate::{
    bindings,
    types::Opaque, //
};

/// A `struct queue_limits`.
///
/// # Invariants
///
/// The memory is valid. It may be changed at any time by an update of the limits, so single fields
/// are read at once, and nothing is concluded from two of them that were read one after the other.
#[repr(transparent)]
pub struct QueueLimits(Opaque<bindings::queue_limits>);

/// Reads one field at once.
macro_rules! read {
    ($this:expr, $($field:tt)+) => {
        // SAFETY: By the type invariant the memory is valid; a torn read is excluded by volatile
        // access to an aligned integer.
        unsafe { core::ptr::addr_of!((*$this.0.get()).$($field)+).read_volatile() }
    };
}

impl QueueLimits {
    /// Uses a raw pointer.
    ///
    /// # Safety
    ///
    /// `limits` is valid for `'a`.
    pub unsafe fn from_raw<'a>(limits: *mut bindings::queue_limits) -> &'a Self {
        // INVARIANT: Required of the caller.
        // SAFETY: `QueueLimits` is transparent, the rest is required of the caller.
        unsafe { &*limits.cast() }
    }

    pub(super) fn sectors(raw: u32) -> Sectors {
        Sectors::new(u64::from(raw))
    }

    /// The logical block size, a power of two.
    pub fn logical_block(&self) -> Sectors {
        Sectors::from_bytes_floor(u64::from(read!(self, logical_block_size)))
    }

    /// Most that one read or write may cover.
    pub fn max_sectors(&self) -> Sectors {
        Self::sectors(read!(self, max_sectors))
    }

    /// Most that one copy command may cover; zero: nothing can be copied.
    pub fn max_copy(&self) -> Sectors {
        Self::sectors(read!(self, max_copy_sectors))
    }

    /// What the driver says that the device can.
    pub fn max_hw_copy(&self) -> Sectors {
        Self::sectors(read!(self, max_hw_copy_sectors))
    }

    /// What the administrator allows.
    pub fn max_user_copy(&self) -> Sectors {
        Self::sectors(read!(self, max_user_copy_sectors))
    }

    /// Most in one source range of a command; zero: no limit of its own.
    pub fn max_copy_segment(&self) -> Sectors {
        Self::sectors(read!(self, max_copy_segment_sectors))
    }

    /// Source ranges of one command.
    pub fn max_copy_src_segments(&self) -> u16 {
        read!(self, max_copy_src_segments)
    }

    /// Destination ranges of one command.
    pub fn max_copy_dst_segments(&self) -> u16 {
        read!(self, max_copy_dst_segments)
    }

    /// Whether the queue is zoned.
    pub fn is_zoned(&self) -> bool {
        read!(self, features) & bindings::BLK_FEAT_ZONED != 0
    }

    /// Whether the blocks have metadata beside them.
    pub fn has_metadata(&self) -> bool {
        read!(self, integrity.metadata_size) != 0
    }
}

/// A `struct queue_limits` that the caller is about to commit and may change.
///
/// # Invariants
///
/// Nobody else uses the memory.
pub struct QueueLimitsUpdate<'a>(&'a mut bindings::queue_limits);

impl<'a> QueueLimitsUpdate<'a> {
    /// Uses a raw pointer.
    ///
    /// # Safety
    ///
    /// `limits` is valid, and nobody else uses it, for `'a`.
    pub unsafe fn from_raw(limits: *mut bindings::queue_limits) -> Self {
        // INVARIANT: Required of the caller.
        // SAFETY: Required of the caller.
        Self(unsafe { &mut *limits })
    }

    /// What the limits are at this moment.
    pub fn get(&mut self) -> &QueueLimits {
        // SAFETY: The memory is valid while `self` is borrowed.
        unsafe { QueueLimits::from_raw(self.0) }
    }

    /// Sets what the device can do, as its driver knows it: sectors and ranges of one command. A
    /// driver whose device limits single ranges sets that as well.
    pub fn set_hw_copy(&mut self, hw: Sectors, src_segments: u16, dst_segments: u16) {
        self.0.max_hw_copy_sectors = u32::try_from(hw.get()).unwrap_or(u32::MAX);
        self.0.max_copy_src_segments = src_segments;
        self.0.max_copy_dst_segments = dst_segments;
    }

    /// Sets the most in one source range; zero for no limit of its own. What does not fit in 32
    /// bits is no limit.
    pub fn set_copy_segment(&mut self, max: Sectors) {
        self.0.max_copy_segment_sectors = u32::try_from(max.get()).unwrap_or(u32::MAX);
    }

    /// Sets what comes of the wishes of the driver and of the administrator. What does not fit in
    /// 32 bits means no limit. As with other limits, what the driver asked for is overwritten: one
    /// that changes the block size sets its limits for copying again.
    pub fn set_copy(&mut self, hw: Sectors, max: Sectors, segment: Sectors) {
        let raw = |sectors: Sectors| u32::try_from(sectors.get()).unwrap_or(u32::MAX);
        self.0.max_hw_copy_sectors = raw(hw);
        self.0.max_copy_sectors = raw(max);
        self.0.max_copy_segment_sectors = raw(segment);
    }

    /// Sets what the administrator allows, in sectors.
    pub fn set_max_user_copy(&mut self, sectors: u32) {
        self.0.max_user_copy_sectors = sectors;
    }
}
