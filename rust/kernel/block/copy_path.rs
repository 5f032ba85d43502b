// SPDX-License-Identifier: GPL-2.0

//! Bios of copies on devices with several paths.
//!
//! C header: [`include/linux/blk-copy.h`](srctree/include/linux/blk-copy.h)

use super::{
    bdev::BlockDevice,
    bio::OwnedBio, //
};
use crate::bindings;
use core::ptr::NonNull;

impl BlockDevice {
    /// The device that this one is a path to, if it is one. It may go away at any time, while the
    /// other one is open.
    pub fn path_to(&self) -> Option<NonNull<bindings::block_device>> {
        let domain = self.copy_domain()?.as_ptr();
        let tag = bindings::BLK_COPY_PATH as usize;
        if domain.addr() & tag == 0 {
            return None;
        }
        // What has the tag is the other device, by `blk_copy_path_domain()`.
        NonNull::new(domain.map_addr(|addr| addr & !tag).cast())
    }
}

impl OwnedBio {
    /// Submits a bio again that was checked, accounted and throttled before.
    ///
    /// Context: task; may sleep, but while a stacking driver passes on a bio.
    pub fn resubmit(self) {
        // SAFETY: By the type invariant the bio is ours to pass on.
        unsafe { bindings::blk_copy_resubmit(self.into_raw()) };
    }
}
