// SPDX-License-Identifier: GPL-2.0
//! Who else uses a device: mounts, swap, and devices stacked on it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::sysfs::{BlockDevice, DevNo, Sysfs};

/// One reason not to write to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Use {
    Mounted { name: String, on: String },
    Swap { name: String },
    Held { name: String, by: String },
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mounted { name, on } => {
                write!(f, "{name} is mounted on {on}: umount {on} first, or use --force if it may be overwritten")
            }
            Self::Swap { name } => write!(f, "{name} is used as swap: swapoff /dev/{name} first"),
            Self::Held { name, by } => {
                write!(
                    f,
                    "{name} is part of {by}: write to /dev/{by}, or remove it first"
                )
            }
        }
    }
}

/// Mounts and swap areas of the running system, by device.
#[derive(Debug, Default)]
pub struct Users {
    mounts: BTreeMap<DevNo, String>,
    swaps: Vec<DevNo>,
}

impl Users {
    /// Asks `/proc`.
    pub fn of_this_system() -> Result<Self> {
        Self::read(Path::new("/proc"), &device_number)
    }

    fn read(proc: &Path, resolve: &dyn Fn(&Path) -> Option<DevNo>) -> Result<Self> {
        let mounts = text(&proc.join("self/mountinfo"))?;
        let mounts = mounts.with_context(|| format!("{} is not mounted", proc.display()))?;
        // A kernel without swap has no such file.
        let swaps = text(&proc.join("swaps"))?.unwrap_or_default();
        Ok(Self::parse(&mounts, &swaps, resolve))
    }

    /// `resolve` tells the number of a block device's path.
    pub fn parse(mountinfo: &str, swaps: &str, resolve: &dyn Fn(&Path) -> Option<DevNo>) -> Self {
        let mut users = Self::default();
        for mount in mountinfo.lines().filter_map(parse_mount) {
            // btrfs and others mount with a device number of their own: there
            // the source's path says which device it is.
            let devices = [Some(mount.devno), resolve(&mount.source)];
            for devno in devices.into_iter().flatten() {
                users
                    .mounts
                    .entry(devno)
                    .or_insert_with(|| mount.on.clone());
            }
        }
        let paths = swaps
            .lines()
            .skip(1)
            .filter_map(|line| line.split_whitespace().next());
        users.swaps = paths
            .filter_map(|path| resolve(Path::new(&unescape(path))))
            .collect();
        users
    }

    /// Everything that uses the bytes of `dev`.
    pub fn of(&self, dev: &BlockDevice, sysfs: &Sysfs) -> Result<Vec<Use>> {
        let mut uses = Vec::new();
        for relative in dev.relatives(sysfs)? {
            let name = || relative.name.clone();
            if let Some(on) = self.mounts.get(&relative.devno) {
                uses.push(Use::Mounted {
                    name: name(),
                    on: on.clone(),
                });
            }
            if self.swaps.contains(&relative.devno) {
                uses.push(Use::Swap { name: name() });
            }
            uses.extend(
                relative
                    .holders()?
                    .into_iter()
                    .map(|by| Use::Held { name: name(), by }),
            );
        }
        Ok(uses)
    }
}

/// What is in a file, if there is one. Paths in it may have bytes that are no UTF-8: these are replaced, so
/// that the other lines count.
fn text(path: &Path) -> Result<Option<String>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// The number of the block device at `path`, if it is one.
fn device_number(path: &Path) -> Option<DevNo> {
    let meta = fs::metadata(path).ok()?;
    meta.file_type()
        .is_block_device()
        .then(|| DevNo::from_raw(meta.rdev()))
}

struct Mount {
    devno: DevNo,
    on: String,
    source: PathBuf,
}

/// One line of mountinfo: `36 35 98:0 /root /on opts tags... - type source opts`.
fn parse_mount(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(2);
    let devno = left.next()?.parse().ok()?;
    let on = unescape(left.nth(1)?);
    let source = unescape(right.split(' ').nth(1)?);
    Some(Mount {
        devno,
        on,
        source: PathBuf::from(source),
    })
}

/// Undoes the octal escapes (`\040`) of `/proc`.
fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let octal = tail
            .get(..3)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if first == b'\\' => {
                out.push(byte);
                rest = &tail[3..];
            }
            _ => {
                out.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sysfs::tests::{devno, FakeSysfs};

    const MOUNTS: &str = "\
22 1 0:21 / /proc rw,nosuid - proc proc rw
36 22 259:0 / /mnt/with\\040space rw shared:1 master:2 - ext4 /dev/nullb0p1 rw
37 22 0:44 /sub /mnt/btrfs rw - btrfs /dev/sda rw
garbage
38 22 0:45 / /mnt/tmp rw - tmpfs none rw
";
    const SWAPS: &str = "\
Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority
/dev/nullb0p2                           partition\t8388604\t0\t-2
/swap\\040file                          file\t\t1024\t0\t-3
";

    fn resolve(path: &Path) -> Option<DevNo> {
        match path.to_str()? {
            "/dev/nullb0p1" => Some(devno("259:0")),
            "/dev/nullb0p2" => Some(devno("259:1")),
            "/dev/sda" => Some(devno("8:0")),
            _ => None,
        }
    }

    fn uses(mounts: &str, swaps: &str, dev: &str, fake: &FakeSysfs) -> Vec<Use> {
        let dev = fake.sysfs().device(devno(dev)).unwrap();
        Users::parse(mounts, swaps, &resolve)
            .of(&dev, &fake.sysfs())
            .unwrap()
    }

    fn mounted(name: &str, on: &str) -> Use {
        Use::Mounted {
            name: name.into(),
            on: on.into(),
        }
    }

    #[test]
    fn mounts_of_the_device_and_of_its_partitions() {
        let fake = FakeSysfs::new();
        let expected = [mounted("nullb0p1", "/mnt/with space")];
        assert_eq!(uses(MOUNTS, "", "259:0", &fake), expected);
        assert_eq!(uses(MOUNTS, "", "250:0", &fake), expected);
        assert_eq!(uses(MOUNTS, "", "259:1", &fake), []);
        // Found by the path of the source.
        assert_eq!(
            uses(MOUNTS, "", "8:0", &fake),
            [mounted("sda", "/mnt/btrfs")]
        );
    }

    #[test]
    fn a_mounted_disk_blocks_its_partitions() {
        let mounts = "36 22 250:0 / /mnt rw - ext4 /dev/nullb0 rw";
        assert_eq!(
            uses(mounts, "", "259:1", &FakeSysfs::new()),
            [mounted("nullb0", "/mnt")]
        );
    }

    #[test]
    fn swap_and_holders() {
        let fake = FakeSysfs::new();
        fake.write(
            "devices/virtual/block/nullb0/nullb0p1/holders/dm-0/dev",
            "253:0\n",
        );
        let held = Use::Held {
            name: "nullb0p1".into(),
            by: "dm-0".into(),
        };
        let swap = Use::Swap {
            name: "nullb0p2".into(),
        };
        assert_eq!(uses("", SWAPS, "250:0", &fake), [held, swap.clone()]);
        assert_eq!(uses("", SWAPS, "259:1", &fake), [swap]);
    }

    #[test]
    fn paths_that_are_no_text_hide_no_others() {
        let proc = tempfile::tempdir().unwrap();
        let path = |name: &str| proc.path().join(name);
        let read = || Users::read(proc.path(), &resolve);
        assert!(read().is_err());
        fs::create_dir(path("self")).unwrap();
        let mounts = [
            b"35 22 0:43 / /mnt/\xff rw - tmpfs none rw\n",
            MOUNTS.as_bytes(),
        ]
        .concat();
        fs::write(path("self/mountinfo"), mounts).unwrap();
        let users = read().unwrap();
        assert_eq!(users.mounts[&devno("259:0")], "/mnt/with space");
        assert_eq!(users.mounts[&devno("0:43")], "/mnt/\u{fffd}");
        assert_eq!(users.swaps, []);
        let swaps = [SWAPS.as_bytes(), b"/\xff file\t1024\t0\t-4\n"].concat();
        fs::write(path("swaps"), swaps).unwrap();
        assert_eq!(read().unwrap().swaps, [devno("259:1")]);
        fs::remove_file(path("swaps")).unwrap();
        fs::create_dir(path("swaps")).unwrap();
        assert!(read().is_err());
    }

    #[test]
    fn every_message_says_what_to_do() {
        let held = Use::Held {
            name: "sda".into(),
            by: "dm-0".into(),
        };
        let swap = Use::Swap { name: "sda".into() };
        for (usage, word) in [
            (mounted("sda", "/mnt"), "umount"),
            (swap, "swapoff"),
            (held, "/dev/dm-0"),
        ] {
            assert!(usage.to_string().contains(word));
        }
    }

    #[test]
    fn unescaping() {
        for (escaped, plain) in [
            ("a\\040b\\011", "a b\t"),
            ("\\", "\\"),
            ("\\04", "\\04"),
            ("\\999", "\\999"),
            ("040", "040"),
        ] {
            assert_eq!(unescape(escaped), plain);
        }
    }
}
