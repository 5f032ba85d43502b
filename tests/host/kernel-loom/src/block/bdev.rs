// SPDX-License-Identifier: GPL-2.0

//! Block devices. See `rust/kernel/block/bdev.rs`.

use super::{copy::CopyDomain, limits::QueueLimits};
use core::ptr::NonNull;

/// `major:minor`.
pub type Dev = u32;

/// A block device. It stays, and does not change.
#[derive(Debug)]
pub struct BlockDevice {
    pub dev: Dev,
    /// Whether it takes bios and passes them on.
    pub stacks: bool,
    pub domain: Option<CopyDomain>,
    /// The device that this one is a path to.
    pub head: Option<&'static BlockDevice>,
    pub limits: QueueLimits,
}

impl BlockDevice {
    pub fn dev(&self) -> Dev {
        self.dev
    }

    pub fn disk_dev(&self) -> Dev {
        self.dev
    }

    pub fn has_submit_bio(&self) -> bool {
        self.stacks
    }

    pub fn copy_domain(&self) -> Option<CopyDomain> {
        self.domain
    }

    pub fn path_to(&self) -> Option<NonNull<BlockDevice>> {
        self.head.map(NonNull::from)
    }

    pub fn limits(&self) -> &QueueLimits {
        &self.limits
    }
}
