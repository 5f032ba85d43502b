// SPDX-License-Identifier: GPL-2.0

//! Block devices.
//!
//! C headers: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h),
//! [`include/linux/blk_types.h`](srctree/include/linux/blk_types.h)

use super::{
    limits::QueueLimits,
    units::{
        Sector,
        Sectors, //
    }, //
};
use crate::{
    bindings,
    error::from_err_ptr,
    prelude::*,
    str::CStrExt as _,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    types::Opaque, //
};
use core::ptr::NonNull;

/// `major:minor`, as C knows it.
pub type Dev = bindings::dev_t;

/// A `struct block_device`: a whole disk or a partition of one.
///
/// # Invariants
///
/// The device was registered, and its disk and queue exist as long as the reference.
#[repr(transparent)]
pub struct BlockDevice(Opaque<bindings::block_device>);

// SAFETY: Everything reachable by a shared reference is constant or read atomically.
unsafe impl Send for BlockDevice {}
// SAFETY: As above.
unsafe impl Sync for BlockDevice {}

impl BlockDevice {
    /// Uses a raw pointer.
    ///
    /// # Safety
    ///
    /// `bdev` is a block device that somebody keeps open, or has a bio in flight on, for `'a`.
    pub unsafe fn from_raw<'a>(bdev: *mut bindings::block_device) -> &'a Self {
        // INVARIANT: Required of the caller.
        // SAFETY: `BlockDevice` is transparent, the rest is required of the caller.
        unsafe { &*bdev.cast() }
    }

    /// The raw pointer.
    pub fn as_raw(&self) -> *mut bindings::block_device {
        self.0.get()
    }

    pub(super) fn queue(&self) -> *mut bindings::request_queue {
        // SAFETY: By the type invariant the device is valid; the field never changes.
        unsafe { (*self.as_raw()).bd_queue }
    }

    /// The device for the whole of a disk.
    ///
    /// # Safety
    ///
    /// `disk` was added, and stays for `'a`.
    pub unsafe fn of_disk<'a>(disk: *mut bindings::gendisk) -> &'a Self {
        // SAFETY: Required of the caller; the device lives as long as its disk.
        unsafe { Self::from_raw((*disk).part0) }
    }

    /// `major:minor`, for tracing.
    pub fn dev(&self) -> Dev {
        // SAFETY: By the type invariant the device is valid; the field never changes.
        unsafe { (*self.as_raw()).bd_dev }
    }

    /// `major:minor` of the whole disk, for tracing where partitions have been resolved.
    pub fn disk_dev(&self) -> Dev {
        // SAFETY: By the type invariant the device is valid, and so is its disk, which has a device
        // for the whole of it; neither pointer ever changes.
        unsafe { (*(*(*self.as_raw()).bd_disk).part0).bd_dev }
    }

    /// The size. It may change at any time.
    pub fn size(&self) -> Sectors {
        // SAFETY: By the type invariant the device is valid.
        Sectors::new(unsafe { core::ptr::addr_of!((*self.as_raw()).bd_nr_sectors).read_volatile() })
    }

    /// Where the device begins on its disk: zero unless it is a partition.
    pub fn start(&self) -> Sector {
        // SAFETY: By the type invariant the device is valid.
        Sector::new(unsafe { core::ptr::addr_of!((*self.as_raw()).bd_start_sect).read_volatile() })
    }

    /// Whether writing is forbidden.
    pub fn is_read_only(&self) -> bool {
        // SAFETY: By the type invariant the device is valid.
        unsafe { bindings::bdev_read_only(self.as_raw()) }
    }

    /// Whether the driver takes bios (a stacking driver, which passes them on) and not requests.
    #[inline]
    pub fn has_submit_bio(&self) -> bool {
        // SAFETY: By the type invariant the device is valid.
        unsafe { bindings::bdev_has_submit_bio(self.as_raw()) }
    }

    /// Whether both are on the same disk.
    pub fn same_disk(&self, other: &Self) -> bool {
        // SAFETY: By the type invariant both are valid; the field never changes.
        unsafe { (*self.as_raw()).bd_disk == (*other.as_raw()).bd_disk }
    }

    /// Adds to the counters of copies (`copy_stats`).
    pub fn count_copies(&self, outcome: u8, chunks: u32, len: Sectors) {
        // SAFETY: By the type invariant the queue is valid, and its counters are used by atomic
        // operations only.
        let stats = unsafe { copy_stats(self.queue()) };
        if let Some([count, sectors]) = stats.get(usize::from(outcome)) {
            count.add(i64::from(chunks), Relaxed);
            sectors.add(len.get().cast_signed(), Relaxed);
        }
    }

    /// The limits of the queue. They may change at any time.
    pub fn limits(&self) -> &QueueLimits {
        // SAFETY: By the type invariant the queue is valid.
        unsafe { QueueLimits::from_raw(&raw mut (*self.queue()).limits) }
    }
}

/// Chunks, and sectors.
type CopyCounter = [Atomic<i64>; 2];

/// The counters of copies.
///
/// # Safety
///
/// The queue is valid for `'a`.
unsafe fn copy_stats<'a>(
    queue: *mut bindings::request_queue,
) -> &'a [CopyCounter; bindings::BLK_COPY_NR_OUTCOMES as usize] {
    // SAFETY: Required of the caller; an `Atomic<i64>` is what C knows as `atomic64_t`.
    unsafe { &*(&raw const (*queue).copy_stats).cast() }
}

/// Reads one of the counters of copies: chunks, and sectors.
///
/// # Safety
///
/// The queue is valid.
pub unsafe fn read_copy_stats(
    queue: *mut bindings::request_queue,
    outcome: u8,
) -> Option<(u64, u64)> {
    // SAFETY: Required of the caller.
    let [count, sectors] = unsafe { copy_stats(queue) }.get(usize::from(outcome))?;
    let read = |counter: &Atomic<i64>| counter.load(Relaxed).cast_unsigned();
    Some((read(count), read(sectors)))
}

/// A block device that the kernel has opened for itself. Closed when it is dropped.
///
/// # Invariants
///
/// The pointer is a file of a block device that `bdev_file_open_by_path()` has opened.
pub struct OpenDevice(NonNull<bindings::file>);

impl OpenDevice {
    /// Opens a device by its path, for reading and, if `write`, for writing. Not exclusively:
    /// others may have it open, or mounted.
    ///
    /// Context: task; may sleep.
    pub fn open(path: &CStr, write: bool) -> Result<Self> {
        let mode = bindings::BLK_OPEN_READ | if write { bindings::BLK_OPEN_WRITE } else { 0 };
        let no_holder = core::ptr::null_mut();
        // SAFETY: The path is a C string; without a holder nothing else is asked of the caller.
        let file = from_err_ptr(unsafe {
            bindings::bdev_file_open_by_path(path.as_char_ptr(), mode, no_holder, core::ptr::null())
        })?;
        // INVARIANT: Just opened.
        NonNull::new(file).map(Self).ok_or(ENXIO)
    }

    /// The device.
    pub fn bdev(&self) -> &BlockDevice {
        // SAFETY: By the type invariant the file is open, which keeps the device.
        unsafe { BlockDevice::from_raw(bindings::file_bdev(self.0.as_ptr())) }
    }
}

// SAFETY: Any task may use and close the file.
unsafe impl Send for OpenDevice {}
// SAFETY: Shared access is access to the device.
unsafe impl Sync for OpenDevice {}

impl AsRef<BlockDevice> for OpenDevice {
    fn as_ref(&self) -> &BlockDevice {
        self.bdev()
    }
}

impl Drop for OpenDevice {
    fn drop(&mut self) {
        // SAFETY: By the type invariant we have opened the file.
        unsafe { bindings::bdev_fput(self.0.as_ptr()) };
    }
}
