// SPDX-License-Identifier: GPL-2.0
//! null_blk disks in memory, made for a benchmark and removed after it.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};
use blkcopy::aligned::AlignedBuf;
use blkcopy::size::human;
use rustix::fs::OFlags;

use crate::system;

const CONFIGFS: &str = "/sys/kernel/config";
const NULLB: &str = "/sys/kernel/config/nullb";
const MIB: u64 = 1 << 20;

/// What everything else in the guest needs beside the disks.
const SPARE_MEMORY: u64 = 128 * MIB;

pub struct Disk {
    pub name: String,
    pub path: PathBuf,
    config: PathBuf,
}

impl Disk {
    /// Makes a disk of whole MiB, with further attributes of null_blk.
    pub fn create(size: u64, attributes: &[(&str, &str)]) -> Result<Self> {
        if size == 0 || size % MIB != 0 {
            bail!("a size must be a multiple of 1 MiB, and not 0");
        }
        system::mounted(CONFIGFS, "configfs")?;
        system::module("null_blk", &["nr_devices=0"], Path::new(NULLB))?;
        let name = free_name()?;
        let config = Path::new(NULLB).join(&name);
        fs::create_dir(&config).with_context(|| format!("cannot create {}", config.display()))?;
        let path = Path::new("/dev").join(&name);
        let disk = Self { name, path, config };
        let mib = (size / MIB).to_string();
        let first = [("memory_backed", "1"), ("size", &mib)];
        for (attribute, value) in first.iter().chain(attributes).chain(&[("power", "1")]) {
            system::set(&disk.config.join(attribute), value)?;
        }
        appears(&disk.path)?;
        Ok(disk)
    }

    /// The same, with data everywhere: what was never written is not copied, but forgotten.
    pub fn filled(size: u64, attributes: &[(&str, &str)]) -> Result<Self> {
        enough_memory(size, system::available_memory()?)?;
        let disk = Self::create(size, attributes)?;
        let mut buf = AlignedBuf::new(1 << 20);
        let file = disk.open(true)?;
        for offset in (0..size).step_by(buf.len()) {
            buf.fill(u8::try_from(offset / MIB % 255).unwrap_or(0) + 1);
            file.write_all_at(&buf, offset)
                .with_context(|| format!("cannot fill {}", disk.path.display()))?;
        }
        Ok(disk)
    }

    /// Opens it past the page cache.
    pub fn open(&self, write: bool) -> Result<File> {
        let direct = i32::try_from(OFlags::DIRECT.bits()).context("O_DIRECT does not fit")?;
        OpenOptions::new()
            .read(!write)
            .write(write)
            .custom_flags(direct)
            .open(&self.path)
            .with_context(|| format!("cannot open {} with O_DIRECT", self.path.display()))
    }

    /// Sets the limit that an administrator sets.
    pub fn set_copy_max_bytes(&self, bytes: u64) -> Result<()> {
        system::set(&self.queue("copy_max_bytes"), &bytes.to_string())
    }

    /// The largest limit that can be set.
    pub fn copy_max_hw_bytes(&self) -> Result<u64> {
        let file = self.queue("copy_max_hw_bytes");
        if !file.exists() {
            bail!(
                "this kernel has no copy offload: there is no {}",
                file.display()
            );
        }
        match system::get(&file)?.trim().parse() {
            Ok(0) | Err(_) => bail!("null_blk does not copy: {} says 0", file.display()),
            Ok(bytes) => Ok(bytes),
        }
    }

    fn queue(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/sys/block/{}/queue/{file}", self.name))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Err(err) = fs::remove_dir(&self.config) {
            eprintln!("copybench: {} stays behind: {err}", self.config.display());
        }
    }
}

/// A guest that runs out of memory kills its init; so ask before.
fn enough_memory(size: u64, available: u64) -> Result<()> {
    let needed = size + size / 32 + SPARE_MEMORY;
    if available < needed {
        bail!(
            "a disk of {} in memory needs {} free, but there are {}: add --memory to ./x bench",
            human(size),
            human(needed),
            human(available),
        );
    }
    Ok(())
}

/// The first name that no disk has: null_blk names a disk after its folder.
fn free_name() -> Result<String> {
    let used = |name: &String| {
        Path::new("/sys/block").join(name).exists() || Path::new(NULLB).join(name).exists()
    };
    (0..1000)
        .map(|n| format!("nullb{n}"))
        .find(|name| !used(name))
        .context("all names nullb0 to nullb999 are taken")
}

fn appears(path: &Path) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !path.exists() {
        if Instant::now() > deadline {
            bail!(
                "{} does not appear; is devtmpfs mounted on /dev?",
                path.display()
            );
        }
        sleep(Duration::from_millis(10));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_asked_for_first() {
        assert!(enough_memory(512 * MIB, 1 << 30).is_ok());
        let err = enough_memory(1 << 30, 1 << 30).unwrap_err();
        assert!(err.to_string().contains("--memory"), "{err}");
    }

    #[test]
    fn odd_sizes_are_refused() {
        for size in [0, 1, MIB + 512] {
            assert!(Disk::create(size, &[]).is_err(), "{size}");
        }
    }
}
