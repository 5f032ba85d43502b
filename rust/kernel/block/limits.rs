// SPDX-License-Identifier: GPL-2.0

//! Limits of a request queue.
//!
//! C header: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h)

use super::units::Sectors;
use crate::{
    bindings,
    types::Opaque, //
};

/// A `struct queue_limits` that others may change at any time.
///
/// Each method reads one field, with one access. Two values that were read one after the other need
/// not belong together.
///
/// # Invariants
///
/// The memory is valid while the reference lives.
///
/// # Examples
///
/// ```
/// use kernel::block::{
///     bdev::BlockDevice,
///     units::Sectors, //
/// };
///
/// /// Returns how much one read or write of this device can cover, in whole blocks.
/// fn largest_write(bdev: &BlockDevice) -> Sectors {
///     let limits = bdev.limits();
///     limits.max_sectors().round_down(limits.logical_block())
/// }
/// ```
#[repr(transparent)]
pub struct QueueLimits(Opaque<bindings::queue_limits>);

/// Reads one field with one access.
macro_rules! read {
    ($this:expr, $($field:tt)+) => {
        // SAFETY: By the type invariant, the memory is valid. The access is volatile and the
        // integer aligned, so a value that is being changed is read either as it was or as it will
        // be.
        unsafe { core::ptr::addr_of!((*$this.as_raw()).$($field)+).read_volatile() }
    };
}

impl QueueLimits {
    /// Uses a raw pointer.
    ///
    /// # Safety
    ///
    /// `limits` is valid for `'a`.
    pub unsafe fn from_raw<'a>(limits: *mut bindings::queue_limits) -> &'a Self {
        // INVARIANT: The caller guarantees that the memory is valid.
        // SAFETY: `QueueLimits` is transparent, and the caller guarantees the rest.
        unsafe { &*limits.cast() }
    }

    /// Returns the raw pointer.
    pub fn as_raw(&self) -> *mut bindings::queue_limits {
        self.0.get()
    }

    /// Returns the logical block size, a power of two.
    pub fn logical_block(&self) -> Sectors {
        Sectors::from_bytes_floor(u64::from(read!(self, logical_block_size)))
    }

    /// Returns the most that one read or write may cover.
    pub fn max_sectors(&self) -> Sectors {
        Sectors::new(u64::from(read!(self, max_sectors)))
    }

    /// Returns how many write streams the device has. See [`WriteHint`](super::bio::WriteHint).
    pub fn max_write_streams(&self) -> u16 {
        read!(self, max_write_streams)
    }

    /// Returns whether the queue is zoned.
    pub fn is_zoned(&self) -> bool {
        read!(self, features) & bindings::BLK_FEAT_ZONED != 0
    }

    /// Returns how long the zones of a zoned queue are, a power of two.
    pub fn zone(&self) -> Sectors {
        Sectors::new(u64::from(read!(self, chunk_sectors)))
    }

    /// Returns whether the blocks have metadata beside their data.
    pub fn has_metadata(&self) -> bool {
        read!(self, integrity.metadata_size) != 0
    }
}

/// A `struct queue_limits` that belongs to the caller, who is about to commit it.
///
/// # Invariants
///
/// Nobody else uses the memory.
///
/// # Examples
///
/// ```
/// use kernel::{
///     bindings,
///     block::limits::QueueLimitsUpdate, //
/// };
///
/// let mut limits = bindings::queue_limits {
///     logical_block_size: 4096,
///     ..Default::default()
/// };
/// // SAFETY: `limits` is valid, and nobody else uses it while `update` lives.
/// let mut update = unsafe { QueueLimitsUpdate::from_raw(&raw mut limits) };
/// assert_eq!(update.get().logical_block().get(), 8);
/// assert!(!update.get().is_zoned());
/// ```
pub struct QueueLimitsUpdate<'a>(&'a mut bindings::queue_limits);

impl<'a> QueueLimitsUpdate<'a> {
    /// Uses a raw pointer.
    ///
    /// # Safety
    ///
    /// `limits` is valid, and nobody else uses it, for `'a`.
    pub unsafe fn from_raw(limits: *mut bindings::queue_limits) -> Self {
        // INVARIANT: The caller guarantees that nobody else uses the memory.
        // SAFETY: The caller guarantees that the memory is valid.
        Self(unsafe { &mut *limits })
    }

    /// Returns the structure, to change it.
    pub fn as_raw(&mut self) -> &mut bindings::queue_limits {
        self.0
    }

    /// Returns the limits as they are at this moment.
    pub fn get(&mut self) -> &QueueLimits {
        // SAFETY: The memory is valid while `self` is borrowed.
        unsafe { QueueLimits::from_raw(self.0) }
    }
}
