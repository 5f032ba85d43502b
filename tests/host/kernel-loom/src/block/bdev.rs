// SPDX-License-Identifier: GPL-2.0

//! Block devices. See `rust/kernel/block/bdev.rs`.

use super::{
    copy::CopyDomain,
    limits::QueueLimits,
    units::{Sector, Sectors},
};
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

    /// No device here has zones.
    pub fn rest_of_zone(&self, _sector: Sector) -> Option<Sectors> {
        None
    }

    pub fn is_sequential(&self, _sector: Sector) -> bool {
        false
    }

    pub fn limits(&self) -> &QueueLimits {
        &self.limits
    }
}
