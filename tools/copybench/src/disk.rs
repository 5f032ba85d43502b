// SPDX-License-Identifier: GPL-2.0
//! Disks to measure on: null_blk's in memory, made for a benchmark and removed after it, and one of
//! NVMe, which is there.

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

/// What executes the copies, and tells of them in the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    NullBlk,
    Nvme,
}

pub struct Disk {
    pub name: String,
    pub path: PathBuf,
    pub driver: Driver,
    /// Where it is removed, if we have made it.
    config: Option<PathBuf>,
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
        let disk = Self {
            path: Path::new("/dev").join(&name),
            name,
            driver: Driver::NullBlk,
            config: Some(config.clone()),
        };
        let mib = (size / MIB).to_string();
        let first = [("memory_backed", "1"), ("size", &mib)];
        for (attribute, value) in first.iter().chain(attributes).chain(&[("power", "1")]) {
            system::set(&config.join(attribute), value)?;
        }
        appears(&disk.path)?;
        Ok(disk)
    }

    /// The same, with data everywhere: what was never written is not copied, but forgotten.
    pub fn filled(size: u64, attributes: &[(&str, &str)]) -> Result<Self> {
        enough_memory(size, system::available_memory()?)?;
        let disk = Self::create(size, attributes)?;
        disk.fill(size)?;
        Ok(disk)
    }

    /// The first NVMe disk that is there to be overwritten: its serial number begins with `copy`.
    pub fn nvme() -> Result<Self> {
        let class = Path::new("/sys/class/nvme");
        system::module("nvme", &[], class)?;
        let deadline = Instant::now() + Duration::from_secs(5);
        let name = loop {
            if let Some(name) = nvme_name(class)? {
                break name;
            }
            if Instant::now() > deadline {
                bail!(
                    "no NVMe device has a serial number that begins with `copy`: run `./x bench`"
                );
            }
            sleep(Duration::from_millis(50));
        };
        let path = Path::new("/dev").join(&name);
        appears(&path)?;
        Ok(Self {
            name,
            path,
            driver: Driver::Nvme,
            config: None,
        })
    }

    /// Writes data to the first bytes, of which there are whole MiB.
    pub fn fill(&self, size: u64) -> Result<()> {
        let mut buf = AlignedBuf::new(1 << 20);
        let file = self.open(true)?;
        for offset in (0..size).step_by(buf.len()) {
            buf.fill(u8::try_from(offset / MIB % 255).unwrap_or(0) + 1);
            file.write_all_at(&buf, offset)
                .with_context(|| format!("cannot fill {}", self.path.display()))?;
        }
        Ok(())
    }

    /// The size of the whole, in bytes.
    pub fn size(&self) -> Result<u64> {
        let file = PathBuf::from(format!("/sys/block/{}/size", self.name));
        let sectors: u64 = system::get(&file)?.trim().parse()?;
        sectors.checked_mul(512).context("the disk is too large")
    }

    /// The size of a logical block, in bytes.
    pub fn block(&self) -> Result<u64> {
        let block = system::get(&self.queue("logical_block_size"))?;
        Ok(block.trim().parse()?)
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
            Ok(0) | Err(_) => bail!("{} does not copy: {} says 0", self.name, file.display()),
            Ok(bytes) => Ok(bytes),
        }
    }

    fn queue(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/sys/block/{}/queue/{file}", self.name))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let Some(config) = &self.config else {
            return;
        };
        if let Err(err) = fs::remove_dir(config) {
            eprintln!("copybench: {} stays behind: {err}", config.display());
        }
    }
}

/// The namespace of a controller in `/sys/class/nvme`, unless it has several paths.
fn nvme_name(class: &Path) -> Result<Option<String>> {
    for controller in fs::read_dir(class).context("cannot list the NVMe controllers")? {
        let controller = controller?.path();
        let serial = system::get(&controller.join("serial")).unwrap_or_default();
        if !serial.starts_with("copy") {
            continue;
        }
        for entry in fs::read_dir(&controller)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let namespace = name
                .strip_prefix("nvme")
                .and_then(|rest| rest.split_once('n'));
            if namespace.is_some_and(|parts| [parts.0, parts.1].iter().all(|part| is_number(part)))
            {
                return Ok(Some(name));
            }
        }
    }
    Ok(None)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
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
    fn a_namespace_is_found_by_the_serial_number() {
        let dir = tempfile::tempdir().unwrap();
        for (serial, names) in [
            ("other", ["nvme0n1", "ng0n1"]),
            ("copy1  ", ["ng1n1", "nvme1n1"]),
        ] {
            let controller = dir.path().join(serial.trim());
            fs::create_dir(&controller).unwrap();
            fs::write(controller.join("serial"), format!("{serial}\n")).unwrap();
            for name in names.iter().chain(&["nvme1c1n1", "device"]) {
                fs::create_dir(controller.join(name)).unwrap();
            }
        }
        assert_eq!(nvme_name(dir.path()).unwrap().as_deref(), Some("nvme1n1"));
    }

    #[test]
    fn odd_sizes_are_refused() {
        for size in [0, 1, MIB + 512] {
            assert!(Disk::create(size, &[]).is_err(), "{size}");
        }
    }
}
