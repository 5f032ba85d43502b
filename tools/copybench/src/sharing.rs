// SPDX-License-Identifier: GPL-2.0
//! A file on a file system that shares blocks, and the loop device that it can be.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use evidence::disk::{appears, Disk, Driver};
use evidence::system::{self, command, output};

use crate::benchmarks::SPARE_MEMORY;

/// XFS does not want to be smaller than 300 MiB.
const LEAST: u64 = 320 << 20;

/// XFS with one file on a disk in memory. It is unmounted when dropped.
pub struct SharedFile {
    pub path: PathBuf,
    /// What the file system is on.
    pub disk: Disk,
    dir: PathBuf,
}

impl SharedFile {
    /// With so many bytes in the file, which is a hole, and as many left.
    pub fn new(bytes: u64) -> Result<Self> {
        let disk = Disk::in_memory(LEAST + 2 * bytes, &[], SPARE_MEMORY)?;
        let device = disk.path.to_string_lossy();
        command("mkfs.xfs", &["-q", "-m", "reflink=1", &device])?;
        command("modprobe", &["xfs"])?;
        let dir = std::env::temp_dir().join(format!("copybench-{}", std::process::id()));
        fs::create_dir(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let mounted = command("mount", &["-t", "xfs", &device, &dir.to_string_lossy()]);
        if mounted.is_err() {
            let _ = fs::remove_dir(&dir);
        }
        mounted?;
        let found = Self {
            path: dir.join("file"),
            disk,
            dir,
        };
        let file = File::create(&found.path).context("cannot create a file on XFS")?;
        file.set_len(bytes)?;
        Ok(found)
    }
}

impl Drop for SharedFile {
    fn drop(&mut self) {
        let unmounted = command("umount", &[&self.dir.to_string_lossy()]);
        let removed = unmounted.and_then(|()| Ok(fs::remove_dir(&self.dir)?));
        if let Err(error) = removed {
            eprintln!("{} stays behind: {error:#}", self.dir.display());
        }
    }
}

/// A file as a block device, past the page cache. It is removed when dropped.
pub struct Loop {
    pub disk: Disk,
}

impl Loop {
    pub fn new(file: &Path) -> Result<Self> {
        system::module("loop", &[], Path::new("/sys/module/loop"))?;
        let file = file.to_string_lossy();
        let path = output("losetup", &["--find", "--show", "--direct-io=on", &file])?;
        let path = PathBuf::from(path.trim_end());
        appears(&path)?;
        let name = path.file_name().context("a loop device has no name")?;
        let name = name.to_string_lossy().into_owned();
        // Nobody copies on it, and the trace of null_blk shows that.
        Ok(Self {
            disk: Disk::found(name, path, Driver::NullBlk),
        })
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let path = self.disk.path.to_string_lossy();
        if let Err(error) = command("losetup", &["--detach", &path]) {
            eprintln!("{path} stays behind: {error:#}");
        }
    }
}
