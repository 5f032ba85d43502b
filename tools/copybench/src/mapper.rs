// SPDX-License-Identifier: GPL-2.0
//! Devices of the device mapper, and whether its kcopyd asks our engine.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use evidence::disk::{Disk, Driver};
use evidence::system;

const PARAMETER: &str = "/sys/module/dm_mod/parameters/kcopyd_copy_offload";

/// Loads the device mapper.
pub fn load() -> Result<()> {
    system::module("dm-mod", &[], Path::new(PARAMETER))
}

/// Says whether kcopyd asks the device to copy, before it reads and writes.
pub fn kcopyd_asks(yes: bool) -> Result<()> {
    system::set(Path::new(PARAMETER), if yes { "1" } else { "0" })
}

/// Removed when dropped.
pub struct Mapped(String);

impl Mapped {
    pub fn new(name: &str, table: &str) -> Result<Self> {
        dmsetup(&["create", name, "--table", table])?;
        Ok(Self(name.into()))
    }

    pub fn message(&self, text: &str) -> Result<()> {
        dmsetup(&["message", &self.0, "0", text])
    }

    /// Where it is. No udev has made its other names.
    pub fn path(&self) -> Result<PathBuf> {
        let is_it = |block: &Path| {
            fs::read_to_string(block.join("dm/name")).is_ok_and(|name| name.trim_end() == self.0)
        };
        let blocks = fs::read_dir("/sys/block").context("cannot read /sys/block")?;
        let block = blocks.flatten().find(|block| is_it(&block.path()));
        let block = block.with_context(|| format!("sysfs has no device named {}", self.0))?;
        Ok(Path::new("/dev").join(block.file_name()))
    }

    /// The disk that it is, over null_blk's.
    pub fn disk(&self) -> Result<Disk> {
        let path = self.path()?;
        let name = path.file_name().context("a device has no name")?;
        let name = name.to_string_lossy().into_owned();
        Ok(Disk::found(name, path, Driver::NullBlk))
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        if let Err(error) = dmsetup(&["remove", "--retry", &self.0]) {
            eprintln!("{} stays behind: {error:#}", self.0);
        }
    }
}

/// Nobody waits for a udev.
fn dmsetup(words: &[&str]) -> Result<()> {
    system::command("dmsetup", &[words, &["--noudevsync"]].concat())
}
