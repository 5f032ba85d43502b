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
    types::Opaque, //
};
use core::ptr::NonNull;

/// `major:minor`, as C has it.
pub type Dev = bindings::dev_t;

/// A `struct block_device`: a whole disk or one of its partitions.
///
/// # Invariants
///
/// The device was registered, and its disk and queue exist while the reference lives.
///
/// # Examples
///
/// ```
/// use kernel::block::{
///     bdev::BlockDevice,
///     units::Sectors, //
/// };
///
/// /// Returns whether `len` sectors can be written to the end of the device.
/// fn has_room(bdev: &BlockDevice, len: Sectors) -> bool {
///     !bdev.is_read_only() && len <= bdev.size() && len.is_aligned(bdev.limits().logical_block())
/// }
/// ```
#[repr(transparent)]
pub struct BlockDevice(Opaque<bindings::block_device>);

// SAFETY: What a shared reference reaches is constant or is read with one access.
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
        // INVARIANT: An open device, or one with a bio in flight, keeps its disk and its queue.
        // SAFETY: `BlockDevice` is transparent, and the caller guarantees the rest.
        unsafe { &*bdev.cast() }
    }

    /// Returns the raw pointer.
    pub fn as_raw(&self) -> *mut bindings::block_device {
        self.0.get()
    }

    /// Returns the queue, which exists as long as the device.
    pub(super) fn queue(&self) -> *mut bindings::request_queue {
        // SAFETY: By the type invariant, the device is valid. The field never changes.
        unsafe { (*self.as_raw()).bd_queue }
    }

    /// Returns the device for the whole of a disk.
    ///
    /// # Safety
    ///
    /// `disk` was added, and it stays for `'a`.
    pub unsafe fn of_disk<'a>(disk: *mut bindings::gendisk) -> &'a Self {
        // SAFETY: The caller guarantees that the disk stays, and its device lives as long.
        unsafe { Self::from_raw((*disk).part0) }
    }

    /// Returns `major:minor`, for tracing.
    pub fn dev(&self) -> Dev {
        // SAFETY: By the type invariant, the device is valid. The field never changes.
        unsafe { (*self.as_raw()).bd_dev }
    }

    /// Returns `major:minor` of the whole disk, for tracing where partitions have been resolved.
    pub fn disk_dev(&self) -> Dev {
        // SAFETY: By the type invariant, the device is valid and so is its disk, which has a device
        // for the whole of it. Neither pointer ever changes.
        unsafe { (*(*(*self.as_raw()).bd_disk).part0).bd_dev }
    }

    /// Returns the size. It may change at any time.
    pub fn size(&self) -> Sectors {
        // SAFETY: By the type invariant, the device is valid.
        Sectors::new(unsafe { core::ptr::addr_of!((*self.as_raw()).bd_nr_sectors).read_volatile() })
    }

    /// Returns where the device begins on its disk. That is zero unless it is a partition.
    pub fn start(&self) -> Sector {
        // SAFETY: By the type invariant, the device is valid.
        Sector::new(unsafe { core::ptr::addr_of!((*self.as_raw()).bd_start_sect).read_volatile() })
    }

    /// Returns whether writing is forbidden.
    pub fn is_read_only(&self) -> bool {
        // SAFETY: By the type invariant, the device is valid.
        unsafe { bindings::bdev_read_only(self.as_raw()) }
    }

    /// Returns how much of a zoned disk, from a sector of it on, is in the same zone. Returns
    /// [`None`] for a disk that has no zones.
    pub fn rest_of_zone(&self, sector: Sector) -> Option<Sectors> {
        let zone = self.limits().zone();
        if !self.limits().is_zoned() || zone.is_zero() {
            return None;
        }
        let into = Sectors::new(sector.get() & (zone.get() - 1));
        zone.checked_sub(into)
    }

    /// Returns whether the zone of a zoned disk that a sector is in has to be written in order.
    ///
    /// Context: any. Does not sleep.
    pub fn is_sequential(&self, sector: Sector) -> bool {
        // SAFETY: By the type invariant, the device is valid.
        unsafe { bindings::bdev_zone_is_seq(self.as_raw(), sector.get()) }
    }

    /// Returns whether the driver takes bios and passes them on (a stacking driver), or requests.
    #[inline]
    pub fn has_submit_bio(&self) -> bool {
        // SAFETY: By the type invariant, the device is valid.
        unsafe { bindings::bdev_has_submit_bio(self.as_raw()) }
    }

    /// Returns whether the device was removed. It stays so while somebody has it open, but it has
    /// no size any more, and all I/O to it fails.
    pub fn is_gone(&self) -> bool {
        // SAFETY: By the type invariant, the device is valid.
        unsafe { bindings::bdev_is_gone(self.as_raw()) }
    }

    /// Returns whether both devices are on the same disk.
    pub fn same_disk(&self, other: &Self) -> bool {
        // SAFETY: By the type invariant, both devices are valid. The field never changes.
        unsafe { (*self.as_raw()).bd_disk == (*other.as_raw()).bd_disk }
    }

    /// Returns the limits of the queue. They may change at any time.
    pub fn limits(&self) -> &QueueLimits {
        // SAFETY: By the type invariant, the queue is valid while `self` lives.
        unsafe { QueueLimits::from_raw(&raw mut (*self.queue()).limits) }
    }
}

/// What an [`OpenDevice`] is opened for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// To be read.
    Read,
    /// To be read and written.
    ReadWrite,
}

/// A block device that the kernel has opened for itself. Dropping it closes the device.
///
/// # Invariants
///
/// The pointer is a file of a block device that `bdev_file_open_by_path()` has opened, and that
/// belongs to this value.
///
/// # Examples
///
/// ```
/// use kernel::block::bdev::{Access, OpenDevice};
///
/// fn report() -> Result {
///     let device = OpenDevice::open(c"/dev/nullb0", Access::Read)?;
///     pr_info!("it has {} sectors\n", device.bdev().size().get());
///     Ok(())
/// }
///
/// // There is no such device.
/// assert!(OpenDevice::open(c"/no/such/device", Access::Read).is_err());
/// ```
pub struct OpenDevice(NonNull<bindings::file>);

impl OpenDevice {
    /// Opens a device by its path. It is not opened exclusively: others may have it open, or
    /// mounted.
    ///
    /// Context: task; may sleep.
    pub fn open(path: &CStr, access: Access) -> Result<Self> {
        let mode = match access {
            Access::Read => bindings::BLK_OPEN_READ,
            Access::ReadWrite => bindings::BLK_OPEN_READ | bindings::BLK_OPEN_WRITE,
        };
        let no_holder = core::ptr::null_mut();
        // SAFETY: The path is a C string. Without a holder, nothing else is asked of the caller.
        let file = from_err_ptr(unsafe {
            bindings::bdev_file_open_by_path(path.as_char_ptr(), mode, no_holder, core::ptr::null())
        })?;
        // INVARIANT: The file was opened just now.
        NonNull::new(file).map(Self).ok_or(ENXIO)
    }

    /// Returns the device.
    pub fn bdev(&self) -> &BlockDevice {
        // SAFETY: By the type invariant, the file is open, and that keeps the device.
        unsafe { BlockDevice::from_raw(bindings::file_bdev(self.0.as_ptr())) }
    }
}

// SAFETY: Any task may use and close the file.
unsafe impl Send for OpenDevice {}
// SAFETY: A shared reference gives access to the device only, which is `Sync`.
unsafe impl Sync for OpenDevice {}

impl AsRef<BlockDevice> for OpenDevice {
    fn as_ref(&self) -> &BlockDevice {
        self.bdev()
    }
}

impl Drop for OpenDevice {
    fn drop(&mut self) {
        // SAFETY: By the type invariant, the file belongs to `self`.
        unsafe { bindings::bdev_fput(self.0.as_ptr()) };
    }
}
