// SPDX-License-Identifier: GPL-2.0
//! What sysfs says about a block device: where it lies, how large it is, and
//! whether it can copy.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{anyhow, Context, Result};
use serde::Serialize;

/// sysfs counts in these, whatever the logical block size is.
const SECTOR: u64 = 512;

/// What `copy_max_bytes` is at first at the most. Commands that take longer may be too long for a device's time limit.
const DEFAULT_MAX_BYTES: u64 = 32 << 20;

/// A device number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DevNo {
    pub major: u32,
    pub minor: u32,
}

impl DevNo {
    /// From `st_rdev` or `st_dev`.
    pub fn from_raw(dev: u64) -> Self {
        Self {
            major: rustix::fs::major(dev),
            minor: rustix::fs::minor(dev),
        }
    }
}

impl fmt::Display for DevNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

impl FromStr for DevNo {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let (major, minor) = text.trim().split_once(':')?;
            Some(Self {
                major: major.parse().ok()?,
                minor: minor.parse().ok()?,
            })
        };
        parse().ok_or_else(|| anyhow!("{text:?} is not a device number (MAJOR:MINOR)"))
    }
}

/// Whether a device can copy inside itself, and if not, why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Offload {
    /// The kernel has no such files.
    NoKernelSupport,
    /// The kernel could; the device cannot.
    NoDeviceSupport,
    /// The device could; an administrator said no.
    SwitchedOff { hw_bytes: u64 },
    /// One command copies up to `max_bytes`.
    Possible { max_bytes: u64, hw_bytes: u64 },
}

impl Offload {
    /// `None` stands for a file that does not exist.
    pub fn from_limits(max: Option<u64>, hw: Option<u64>) -> Self {
        match (max, hw) {
            (Some(_), Some(0)) => Self::NoDeviceSupport,
            (Some(0), Some(hw_bytes)) => Self::SwitchedOff { hw_bytes },
            (Some(max_bytes), Some(hw_bytes)) => Self::Possible {
                max_bytes,
                hw_bytes,
            },
            _ => Self::NoKernelSupport,
        }
    }

    pub fn is_possible(&self) -> bool {
        matches!(self, Self::Possible { .. })
    }

    /// One sentence: why, and what to do about it.
    pub fn explain(&self, disk: &str) -> String {
        match self {
            Self::NoKernelSupport => format!(
                "this kernel has no copy offload: /sys/block/{disk}/queue/copy_max_bytes does not \
                 exist; boot a kernel built with CONFIG_BLK_COPY_OFFLOAD"
            ),
            Self::NoDeviceSupport => {
                format!("{disk} cannot copy inside itself, or its driver does not offer it (copy_max_hw_bytes is 0)")
            }
            Self::SwitchedOff { hw_bytes } => format!(
                "switched off by the administrator; to switch it on: \
                 echo {} > /sys/block/{disk}/queue/copy_max_bytes",
                (*hw_bytes).min(DEFAULT_MAX_BYTES)
            ),
            Self::Possible { max_bytes, .. } => {
                format!(
                    "one command copies up to {}",
                    crate::size::human(*max_bytes)
                )
            }
        }
    }
}

/// A block device, whole or a partition, as sysfs shows it.
#[derive(Clone, Debug)]
pub struct BlockDevice {
    /// The kernel's name: `nullb0p1`.
    pub name: String,
    pub devno: DevNo,
    /// The whole disk: `nullb0`. The same as `name` unless a partition.
    pub disk: String,
    pub disk_devno: DevNo,
    /// The partition's number.
    pub partition: Option<u32>,
    /// Where it starts on the disk, in bytes.
    pub start: u64,
    /// In bytes.
    pub size: u64,
    pub read_only: bool,
    pub logical_block: u64,
    pub offload: Offload,
    dir: PathBuf,
    disk_dir: PathBuf,
}

/// The sysfs tree to ask; tests have one of their own.
#[derive(Clone, Debug)]
pub struct Sysfs {
    root: PathBuf,
}

impl Default for Sysfs {
    fn default() -> Self {
        Self::at("/sys")
    }
}

impl Sysfs {
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Looks up a device by its number.
    pub fn device(&self, devno: DevNo) -> Result<BlockDevice> {
        let link = self.root.join(format!("dev/block/{devno}"));
        let dir = link.canonicalize().with_context(|| {
            format!(
                "{} cannot be read; is sysfs mounted on /sys, and does the device still exist?",
                link.display()
            )
        })?;
        self.device_at(dir)
    }

    fn device_at(&self, dir: PathBuf) -> Result<BlockDevice> {
        let partition = read_opt(&dir.join("partition"))?;
        let disk_dir = match (partition, dir.parent()) {
            (Some(_), Some(parent)) => parent.to_path_buf(),
            _ => dir.clone(),
        };
        let limit = |file: &str| read_opt(&disk_dir.join("queue").join(file));
        let offload = Offload::from_limits(limit("copy_max_bytes")?, limit("copy_max_hw_bytes")?);
        let bytes = |file: &str| -> Result<Option<u64>> {
            Ok(read_opt::<u64>(&dir.join(file))?.map(|sectors| sectors.saturating_mul(SECTOR)))
        };
        Ok(BlockDevice {
            name: file_name(&dir)?,
            devno: read(&dir.join("dev"))?,
            disk: file_name(&disk_dir)?,
            disk_devno: read(&disk_dir.join("dev"))?,
            partition,
            start: bytes("start")?.unwrap_or(0),
            size: bytes("size")?.with_context(|| format!("{} has no size", dir.display()))?,
            // Either is enough to refuse writes.
            read_only: read_opt::<u8>(&dir.join("ro"))? == Some(1)
                || read_opt::<u8>(&disk_dir.join("ro"))? == Some(1),
            logical_block: read_opt(&disk_dir.join("queue/logical_block_size"))?.unwrap_or(SECTOR),
            offload,
            dir,
            disk_dir,
        })
    }
}

impl BlockDevice {
    /// The devices that share bytes with this one: itself, its partitions if
    /// it is a disk, its disk if it is a partition.
    pub fn relatives(&self, sysfs: &Sysfs) -> Result<Vec<BlockDevice>> {
        let mut found = vec![self.clone()];
        if self.partition.is_some() {
            found.push(sysfs.device_at(self.disk_dir.clone())?);
            return Ok(found);
        }
        for dir in subdirs(&self.disk_dir)? {
            if dir.join("partition").exists() {
                found.push(sysfs.device_at(dir)?);
            }
        }
        Ok(found)
    }

    /// The names of the devices stacked on this one (dm, md, ...).
    pub fn holders(&self) -> Result<Vec<String>> {
        let dir = self.dir.join("holders");
        if !dir.exists() {
            return Ok(Vec::new());
        }
        subdirs(&dir)?.iter().map(|path| file_name(path)).collect()
    }

    /// The names of the devices that the disk is stacked on; none if it is not.
    pub fn lower(&self) -> Result<Vec<String>> {
        let dir = self.disk_dir.join("slaves");
        if !dir.exists() {
            return Ok(Vec::new());
        }
        subdirs(&dir)?.iter().map(|path| file_name(path)).collect()
    }
}

fn subdirs(dir: &Path) -> Result<Vec<PathBuf>> {
    let list = || -> std::io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_dir() {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    };
    list().with_context(|| format!("cannot list {}", dir.display()))
}

fn file_name(path: &Path) -> Result<String> {
    let name = path
        .file_name()
        .with_context(|| format!("{} has no name", path.display()))?;
    Ok(name.to_string_lossy().into_owned())
}

/// Reads a file that may be missing.
fn read_opt<T: FromStr>(path: &Path) -> Result<Option<T>> {
    match fs::read_to_string(path) {
        Ok(text) => match text.trim().parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(anyhow!(
                "{} has an unexpected content: {:?}",
                path.display(),
                text.trim()
            )),
        },
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn read<T: FromStr>(path: &Path) -> Result<T> {
    read_opt(path)?.with_context(|| format!("{} does not exist", path.display()))
}

#[cfg(test)]
#[path = "sysfs_tests.rs"]
pub(crate) mod tests;
