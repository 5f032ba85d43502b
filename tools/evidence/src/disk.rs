// SPDX-License-Identifier: GPL-2.0
//! Disks to copy on: null_blk's in memory, made for us and removed after it, and one of NVMe, which
//! is there.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};
use blkcopy::size::human;
use blkcopy::sysfs::{BlockDevice, DevNo, Offload, Sysfs};
use rustix::fs::OFlags;
use serde::Serialize;

use crate::activity::Tally;
use crate::controller;
use crate::system;

const CONFIGFS: &str = "/sys/kernel/config";
const NULLB: &str = "/sys/kernel/config/nullb";
const MIB: u64 = 1 << 20;

/// What executes the copies, and tells of them in the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Driver {
    NullBlk,
    Nvme,
    /// NVMe over TCP, to a target on this machine.
    NvmeTcp,
}

pub struct Disk {
    pub name: String,
    pub path: PathBuf,
    pub driver: Driver,
    /// Where it is removed, if we have made it.
    config: Option<PathBuf>,
}

impl Disk {
    /// Makes a disk of whole MiB in memory, with further attributes of null_blk. As much memory as
    /// `beside` has to be left for everything else.
    pub fn in_memory(size: u64, attributes: &[(&str, &str)], beside: u64) -> Result<Self> {
        if size == 0 || size % MIB != 0 {
            bail!("a size must be a multiple of 1 MiB, and not 0");
        }
        enough_memory(size, beside, system::available_memory()?)?;
        Self::unwritten(size, attributes)
    }

    /// The same, if it is not going to be written: what was never written takes no memory, so it may be as large as
    /// one likes.
    pub fn unwritten(size: u64, attributes: &[(&str, &str)]) -> Result<Self> {
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

    /// The first NVMe disk that is there to be overwritten: its serial number begins with `copy`.
    pub fn nvme() -> Result<Option<Self>> {
        if !has_nvme(Path::new("/sys/bus/pci/devices")) {
            return Ok(None);
        }
        controller::with_one_path()?;
        system::module("nvme", &[], Path::new("/sys/module/nvme"))?;
        let deadline = Instant::now() + Duration::from_secs(5);
        let name = loop {
            let class = Path::new(controller::CLASS);
            let found = controller::disk(class, "serial", |serial| serial.starts_with("copy"));
            if let Some(name) = found? {
                break name;
            }
            if Instant::now() > deadline {
                return Ok(None);
            }
            sleep(Duration::from_millis(50));
        };
        let path = Path::new("/dev").join(&name);
        appears(&path)?;
        Ok(Some(Self::found(name, path, Driver::Nvme)))
    }

    /// One that is there already, and stays. The driver is what is at its bottom.
    pub fn found(name: String, path: PathBuf, driver: Driver) -> Self {
        Self {
            name,
            path,
            driver,
            config: None,
        }
    }

    /// Makes the next partition, whose number is `number`, of so many bytes from `start` on.
    pub fn add_partition(&self, number: u32, start: u64, len: u64) -> Result<PathBuf> {
        let path = self.path.to_string_lossy();
        let number = number.to_string();
        let (start, len) = ((start / 512).to_string(), (len / 512).to_string());
        // Newer releases of util-linux come without addpart, so there a table is written. What the
        // disk gets later may overwrite it, but the kernel has read it by then.
        let table = r#"case $1 in 1) how="--label dos" ;; *) how=--append ;; esac
            echo "start=$2, size=$3" | sfdisk --quiet $how "$0""#;
        system::command("addpart", &[&path, &number, &start, &len])
            .or_else(|_| system::command("sh", &["-c", table, &path, &number, &start, &len]))?;
        let partition = PathBuf::from(format!("{path}p{number}"));
        appears(&partition)?;
        Ok(partition)
    }

    /// What sysfs says of it now.
    pub fn sysfs(&self) -> Result<BlockDevice> {
        let meta = fs::metadata(&self.path)
            .with_context(|| format!("cannot look at {}", self.path.display()))?;
        Sysfs::default().device(DevNo::from_raw(meta.rdev()))
    }

    /// Opens it past the page cache.
    pub fn open(&self, write: bool) -> Result<File> {
        open_direct(&self.path, write)
    }

    /// Read requests since it was made, and their bytes, by its statistics, which are always on.
    pub fn read(&self) -> Result<Tally> {
        let path = self.file("stat");
        let text = system::get(&path)?;
        read_in(&text)
            .with_context(|| format!("{} has an unexpected content: {text:?}", path.display()))
    }

    /// Bytes written to it, by the same statistics. What it has copied counts as well.
    pub fn bytes_written(&self) -> Result<u64> {
        let path = self.file("stat");
        let text = system::get(&path)?;
        written_in(&text)
            .with_context(|| format!("{} has an unexpected content: {text:?}", path.display()))
    }

    /// Discards that it has executed.
    pub fn discards(&self) -> Result<u64> {
        let path = self.file("stat");
        let text = system::get(&path)?;
        discards_in(&text)
            .with_context(|| format!("{} has an unexpected content: {text:?}", path.display()))
    }

    /// Sets how much one discard may be.
    pub fn set_discard_max_bytes(&self, bytes: u64) -> Result<()> {
        system::set(&self.file("queue/discard_max_bytes"), &bytes.to_string())
    }

    /// Sets the limit that an administrator sets.
    pub fn set_copy_max_bytes(&self, bytes: u64) -> Result<()> {
        system::set(&self.file("queue/copy_max_bytes"), &bytes.to_string())
    }

    /// The largest limit that can be set.
    pub fn copy_max_hw_bytes(&self) -> Result<u64> {
        match self.sysfs()?.offload {
            Offload::Possible { hw_bytes, .. } | Offload::SwitchedOff { hw_bytes } => Ok(hw_bytes),
            other => bail!("{}", other.explain(&self.name)),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/sys/block/{}/{name}", self.name))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let Some(config) = &self.config else {
            return;
        };
        if let Err(err) = fs::remove_dir(config) {
            eprintln!("{} stays behind: {err}", config.display());
        }
    }
}

/// Opens a device past the page cache.
pub fn open_direct(path: &Path, write: bool) -> Result<File> {
    let direct = i32::try_from(OFlags::DIRECT.bits()).context("O_DIRECT does not fit")?;
    OpenOptions::new()
        .read(!write)
        .write(write)
        .custom_flags(direct)
        .open(path)
        .with_context(|| format!("cannot open {} with O_DIRECT", path.display()))
}

/// Waits for the node of a device.
pub fn appears(path: &Path) -> Result<()> {
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

/// Whether one of the PCI functions is an NVMe controller.
fn has_nvme(functions: &Path) -> bool {
    let class = |dir: PathBuf| system::get(&dir.join("class")).unwrap_or_default();
    fs::read_dir(functions).is_ok_and(|mut found| {
        found.any(|entry| entry.is_ok_and(|entry| class(entry.path()).starts_with("0x010802")))
    })
}

/// The first number counts reads, the third sectors read.
fn read_in(stat: &str) -> Option<Tally> {
    let mut numbers = stat.split_whitespace().map(|word| word.parse::<u64>().ok());
    Some(Tally {
        requests: numbers.next()??,
        bytes: numbers.nth(1)??.checked_mul(512)?,
    })
}

/// The seventh number counts sectors written.
fn written_in(stat: &str) -> Option<u64> {
    let sectors: u64 = stat.split_whitespace().nth(6)?.parse().ok()?;
    sectors.checked_mul(512)
}

/// The number of discards in a `stat` file.
fn discards_in(stat: &str) -> Option<u64> {
    stat.split_whitespace().nth(11)?.parse().ok()
}

/// A guest that runs out of memory kills its init; so ask before.
fn enough_memory(size: u64, beside: u64, available: u64) -> Result<()> {
    let needed = size + size / 32 + beside;
    if available < needed {
        bail!(
            "a disk of {} in memory needs {} free, but there are {}: give the guest more memory \
             (./x bench has --memory), or use a smaller --size",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_asked_for_first() {
        assert!(enough_memory(512 * MIB, 128 * MIB, 1 << 30).is_ok());
        assert!(enough_memory(512 * MIB, 512 * MIB, 1 << 30).is_err());
        let err = enough_memory(1 << 30, 0, 1 << 30).unwrap_err().to_string();
        assert!(err.contains("--memory") && err.contains("--size"), "{err}");
    }

    #[test]
    fn odd_sizes_are_refused() {
        for size in [0, 1, MIB + 512] {
            assert!(Disk::in_memory(size, &[], 0).is_err(), "{size}");
        }
    }

    #[test]
    fn statistics() {
        let read = Tally {
            requests: 10,
            bytes: 1 << 20,
        };
        assert_eq!(read_in("  10 0  2048 5 1 2 3"), Some(read));
        assert_eq!(read_in("10 0"), None);
        assert_eq!(written_in("10 0 2048 5 1 2 8 4"), Some(4096));
        assert_eq!(written_in("10 0 2048 5 1 2"), None);
        assert_eq!(discards_in("1 2 3 4 5 6 7 8 9 10 11 12 13"), Some(12));
        assert_eq!(discards_in("1 2 3"), None);
    }

    #[test]
    fn a_controller_is_found_by_its_class() {
        let dir = tempfile::tempdir().unwrap();
        let functions = dir.path().join("devices");
        assert!(!has_nvme(&functions));
        for (slot, class) in [("00:01.0", "0x060100"), ("00:02.0", "0x010802")] {
            assert!(!has_nvme(&functions));
            let function = functions.join(slot);
            fs::create_dir_all(&function).unwrap();
            fs::write(function.join("class"), format!("{class}\n")).unwrap();
        }
        assert!(has_nvme(&functions));
    }
}
