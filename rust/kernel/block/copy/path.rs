// SPDX-License-Identifier: GPL-2.0

//! Between which queues a device can copy, and devices that have several paths.
//!
//! C header: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h) (`struct blk_copy_domain`)

use crate::{
    bindings,
    block::{
        bdev::BlockDevice,
        bio::OwnedBio, //
    }, //
};
use core::ptr::NonNull;

/// What can copy between queues. A device can copy between all queues that have the same domain,
/// and between no others.
///
/// A domain can only be compared. It means nothing after the devices that it came from were closed.
///
/// # Examples
///
/// ```
/// use kernel::block::bdev::BlockDevice;
///
/// /// Returns whether one command can read from `src` and write to `dst`.
/// fn reaches(src: &BlockDevice, dst: &BlockDevice) -> bool {
///     src.copy_domain().is_some() && src.copy_domain() == dst.copy_domain()
/// }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CopyDomain(NonNull<bindings::blk_copy_domain>);

impl CopyDomain {
    /// Takes what a queue has; [`None`] for NULL.
    pub(super) fn from_raw(domain: *const bindings::blk_copy_domain) -> Option<Self> {
        NonNull::new(domain.cast_mut()).map(Self)
    }
}

// SAFETY: The pointer is compared, and it is not followed.
unsafe impl Send for CopyDomain {}
// SAFETY: As above.
unsafe impl Sync for CopyDomain {}

impl BlockDevice {
    /// Returns what can copy between this device and others, or [`None`] if nothing can.
    ///
    /// A stacking driver has no domain. Where its bios go, there may be one.
    pub fn copy_domain(&self) -> Option<CopyDomain> {
        self.raw_copy_domain().map(CopyDomain)
    }

    /// Returns whether a sector of this device's disk is the same one of the other's: on one disk,
    /// and on two that one device appears as.
    pub fn same_sectors(&self, other: &Self) -> bool {
        let domain = self.copy_domain();
        self.same_disk(other) || domain.is_some() && domain == other.copy_domain()
    }

    fn raw_copy_domain(&self) -> Option<NonNull<bindings::blk_copy_domain>> {
        // SAFETY: By the type invariant, the queue is valid. Its driver has set the field before it
        // added the disk, and never changes it.
        NonNull::new(unsafe { (*self.queue()).copy_domain }.cast_mut())
    }
}

impl OwnedBio {
    /// Moves a bio that is on a path to the device that has the paths. A path may go away at any
    /// time, also while a bio waits there; the device stays open as long as it has bios.
    ///
    /// Context: task; does not sleep.
    pub fn leave_path(&mut self) {
        let Some(domain) = self.bdev().raw_copy_domain() else {
            return;
        };
        // SAFETY: The domain of a queue stays, and does not change, as long as somebody may submit
        // bios there, and one is there. The driver of the device with the paths has submitted it,
        // so the device stays open until the bio has ended.
        unsafe {
            if let Some(head) = NonNull::new((*domain.as_ptr()).head) {
                self.set_device(head);
            }
        }
    }
}
