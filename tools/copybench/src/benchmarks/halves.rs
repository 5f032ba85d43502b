// SPDX-License-Identifier: GPL-2.0
//! A disk with two partitions of the same size. One is copied to the other, by programs that copy whole devices,
//! and by those that are told where the partitions are.

use std::path::PathBuf;

use anyhow::Result;
use evidence::disk::Disk;

use crate::peers::Place;

/// Before the first partition, and between the two.
const GAP: u64 = 1 << 20;

pub struct Halves {
    pub disk: Disk,
    pub src: PathBuf,
    pub dst: PathBuf,
}

impl Halves {
    /// A disk in memory with so much in each partition, if so much memory is left besides.
    pub fn new(bytes: u64, attributes: &[(&str, &str)], beside: u64) -> Result<Self> {
        let disk = Disk::in_memory(2 * (bytes + GAP), attributes, beside)?;
        let src = disk.add_partition(1, GAP, bytes)?;
        let dst = disk.add_partition(2, 2 * GAP + bytes, bytes)?;
        Ok(Self { disk, src, dst })
    }

    /// Where the source is on the disk.
    pub fn from(&self) -> Place<'_> {
        (&self.disk, GAP)
    }

    /// Where the destination is, if so much is in each.
    pub fn to(&self, bytes: u64) -> Place<'_> {
        (&self.disk, 2 * GAP + bytes)
    }
}
