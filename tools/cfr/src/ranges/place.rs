// SPDX-License-Identifier: GPL-2.0
//! Where the devices are: a partition shares the storage, the limits and the blocks of its disk.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Sectors of 512 bytes, as the kernel counts.
pub const SECTOR: usize = 512;

/// A piece of a device, in sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub start: usize,
    pub len: usize,
}

impl Range {
    pub fn end(self) -> usize {
        self.start + self.len
    }

    pub fn overlaps(self, other: Range) -> bool {
        self.start < other.end() && other.start < self.end()
    }

    pub fn is_aligned(self, block: usize) -> bool {
        self.start % block == 0 && self.len % block == 0
    }

    /// The same place, seen from a disk on which the device starts at `start`.
    pub fn moved(self, start: usize) -> Range {
        Range {
            start: self.start + start,
            ..self
        }
    }
}

/// A device, or a part of one.
#[derive(Clone, Debug)]
pub struct Place {
    /// Which of the disks it is on.
    pub disk: usize,
    /// Where it starts there.
    pub start: usize,
    pub len: usize,
    /// The logical block.
    pub block: usize,
}

/// The places of `devices`, and the queues of the disks they are on.
pub fn find(devices: &[PathBuf]) -> Result<(Vec<Place>, Vec<PathBuf>)> {
    let mut disks = Vec::new();
    let mut places = Vec::new();
    for device in devices {
        let name = device.file_name().context("this names no device")?;
        let class = Path::new("/sys/class/block").join(name);
        let node = fs::canonicalize(&class)
            .with_context(|| format!("{} is no block device", device.display()))?;
        let is_partition = node.join("partition").exists();
        let disk = if is_partition {
            node.parent().context("a partition without a disk")?.into()
        } else {
            node.clone()
        };
        let start = if is_partition {
            number(&node.join("start"))?
        } else {
            0
        };
        let queue = disk.join("queue");
        let block = number(&queue.join("logical_block_size"))? / SECTOR;
        let known = disks.iter().position(|other| *other == queue);
        let disk = known.unwrap_or_else(|| {
            disks.push(queue);
            disks.len() - 1
        });
        places.push(Place {
            disk,
            start,
            len: number(&node.join("size"))?,
            block,
        });
    }
    Ok((places, disks))
}

/// The number in a file of sysfs.
pub fn number(path: &Path) -> Result<usize> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let text = text.trim();
    text.parse()
        .with_context(|| format!("{} has {text}, no number", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_do_not_overlap() {
        let range = |start, len| Range { start, len };
        assert!(range(8, 8).overlaps(range(15, 1)));
        assert!(range(15, 1).overlaps(range(8, 8)));
        assert!(!range(8, 8).overlaps(range(16, 8)));
        assert!(!range(16, 8).overlaps(range(8, 8)));
        assert!(range(0, 8).moved(8).overlaps(range(8, 1)));
    }
}
