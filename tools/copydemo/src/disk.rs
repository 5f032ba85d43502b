// SPDX-License-Identifier: GPL-2.0
//! A memory-backed null_blk disk with one partition, made for the demo and
//! removed after it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};
use blkcopy::size::human;
use blkcopy::sysfs::{BlockDevice, DevNo, Sysfs};

use crate::system;
use crate::trace::buffer_size;

const CONFIGFS: &str = "/sys/kernel/config";
const NULLB: &str = "/sys/kernel/config/nullb";
const MIB: u64 = 1 << 20;

/// What null_blk itself and the rest of the demo need beside the data.
const SPARE_MEMORY: u64 = 96 * MIB;

/// Where things are on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Bytes to copy.
    pub size: u64,
    /// Where the source begins.
    pub src: u64,
    /// Where the destination, which is also the partition, begins.
    pub dst: u64,
    /// The disk's size.
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
}

pub struct Disk {
    pub name: String,
    pub layout: Layout,
    pub path: PathBuf,
    pub partition: PathBuf,
    config: PathBuf,
}

impl Disk {
    pub fn create(layout: Layout) -> Result<Self> {
        enough_memory(layout, system::available_memory()?)?;
        system::mounted(CONFIGFS, "configfs")?;
        if !Path::new(NULLB).exists() {
            system::command("modprobe", &["null_blk", "nr_devices=0"])?;
        }
        let name = free_name()?;
        let config = Path::new(NULLB).join(&name);
        fs::create_dir(&config).with_context(|| {
            format!(
                "cannot create {}; null_blk with configfs is needed",
                config.display()
            )
        })?;
        let path = Path::new("/dev").join(&name);
        let partition = Path::new("/dev").join(format!("{name}p1"));
        let disk = Self {
            name,
            layout,
            path,
            partition,
            config,
        };
        disk.power_on()?;
        Ok(disk)
    }

    fn power_on(&self) -> Result<()> {
        let size = (self.layout.disk / MIB).to_string();
        for (attribute, value) in [
            ("memory_backed", "1"),
            ("blocksize", "512"),
            ("size", &size),
            ("power", "1"),
        ] {
            system::set(&self.config.join(attribute), value)?;
        }
        appears(&self.path)?;
        let sectors = |bytes: u64| (bytes / 512).to_string();
        let (start, len) = (sectors(self.layout.dst), sectors(self.layout.size));
        let path = self.path.to_string_lossy();
        // Newer releases of util-linux come without addpart, so there a table is written. The data
        // of the demo overwrites it, but the kernel has read it by then.
        let table = r#"echo "start=$1, size=$2" | sfdisk --quiet --label dos "$0""#;
        system::command("addpart", &[&path, "1", &start, &len])
            .or_else(|_| system::command("sh", &["-c", table, &path, &start, &len]))?;
        appears(&self.partition)
    }

    /// What sysfs says of it now.
    pub fn sysfs(&self) -> Result<BlockDevice> {
        let meta = fs::metadata(&self.path)
            .with_context(|| format!("cannot look at {}", self.path.display()))?;
        Sysfs::default().device(DevNo::from_raw(meta.rdev()))
    }

    /// Bytes read from it since it was made, by its statistics.
    pub fn bytes_read(&self) -> Result<u64> {
        let path = format!("/sys/block/{}/stat", self.name);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        read_in(&text).with_context(|| format!("{path} has an unexpected content: {text:?}"))
    }

    /// Sets the limit that an administrator sets.
    pub fn set_copy_max_bytes(&self, bytes: u64) -> Result<()> {
        let file = format!("/sys/block/{}/queue/copy_max_bytes", self.name);
        system::set(Path::new(&file), &bytes.to_string())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let off = system::set(&self.config.join("power"), "0");
        let removed = off.and_then(|()| fs::remove_dir(&self.config).context("cannot remove it"));
        if let Err(err) = removed {
            eprintln!("copydemo: {} stays behind: {err:#}", self.config.display());
        }
    }
}

/// The third number counts sectors read.
fn read_in(stat: &str) -> Option<u64> {
    let sectors: u64 = stat.split_whitespace().nth(2)?.parse().ok()?;
    sectors.checked_mul(512)
}

/// A guest that runs out of memory kills its init; so ask before.
fn enough_memory(layout: Layout, available: u64) -> Result<()> {
    let needed = layout.disk + layout.disk / 32 + buffer_size(layout.size) + SPARE_MEMORY;
    if available < needed {
        bail!(
            "a disk of {} in memory needs {} free, but there are {}: give the guest more memory, or use a smaller --size",
            human(layout.disk),
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
    fn source_and_destination_do_not_touch() {
        let layout = Layout::new(256 * MIB).unwrap();
        assert!(layout.src + layout.size <= layout.dst);
        assert_eq!(layout.dst + layout.size, layout.disk);
        assert_eq!(layout.disk, 513 * MIB);
    }

    #[test]
    fn statistics() {
        assert_eq!(read_in("  10 0  2048 5 1 2 3"), Some(1 << 20));
        assert_eq!(read_in("10 0"), None);
    }

    #[test]
    fn odd_sizes_are_refused() {
        for size in [0, 1, MIB + 512, u64::MAX - (MIB - 1)] {
            assert!(Layout::new(size).is_err(), "{size}");
        }
    }

    #[test]
    fn memory_is_asked_for_first() {
        let layout = Layout::new(256 * MIB).unwrap();
        assert!(enough_memory(layout, 1 << 30).is_ok());
        let err = enough_memory(layout, 512 * MIB).unwrap_err();
        assert!(err.to_string().contains("--size"), "{err}");
    }
}
