// SPDX-License-Identifier: GPL-2.0
//! Where things are on the disks of the demo.

use std::path::PathBuf;

use anyhow::{bail, Context, Result};
use evidence::disk::Disk;

const MIB: u64 = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Bytes to copy.
    pub size: u64,
    /// Where the source begins.
    pub src: u64,
    /// Where the destination, which is also the partition, begins.
    pub dst: u64,
    /// The size that a disk needs.
    pub disk: u64,
}

impl Layout {
    /// A free first MiB, the source, the destination.
    pub fn new(size: u64) -> Result<Self> {
        if size == 0 || size % MIB != 0 {
            bail!("--size must be a multiple of 1 MiB, and not 0");
        }
        let disk = size.checked_mul(2).and_then(|both| both.checked_add(MIB));
        let disk = disk.context("--size is too large")?;
        Ok(Self {
            size,
            src: MIB,
            dst: MIB + size,
            disk,
        })
    }

    /// Makes a partition of the destination.
    pub fn partition(self, disk: &Disk) -> Result<PathBuf> {
        disk.add_partition(1, self.dst, self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_and_destination_do_not_touch() {
        let layout = Layout::new(256 * MIB).unwrap();
        assert!(layout.src + layout.size <= layout.dst);
        assert_eq!(layout.dst + layout.size, layout.disk);
        assert_eq!(layout.disk, 513 * MIB);
    }

    #[test]
    fn odd_sizes_are_refused() {
        for size in [0, 1, MIB + 512, u64::MAX - (MIB - 1)] {
            assert!(Layout::new(size).is_err(), "{size}");
        }
    }
}
