// SPDX-License-Identifier: GPL-2.0
//! The two ends of a copy: looked at first, opened once all checks passed.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::aligned::AlignedBuf;
use crate::engine::{Broken, Mover};
use crate::failure::Failure;
use crate::plan::{End, Space};
use crate::sysfs::{BlockDevice, DevNo, Sysfs};

/// The buffer of the read and write loop.
pub const BUFFER: u64 = 1 << 20;

#[derive(Clone, Debug)]
pub enum Kind {
    Block(Box<BlockDevice>),
    File { dev: u64, ino: u64, size: u64 },
    New,
}

/// One end, not yet opened.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub path: PathBuf,
    pub kind: Kind,
}

impl Endpoint {
    /// Looks at what `path` is; it must exist.
    pub fn existing(path: &Path, sysfs: &Sysfs) -> Result<Self> {
        let meta =
            fs::metadata(path).with_context(|| format!("cannot look at {}", path.display()))?;
        let kind = if meta.file_type().is_block_device() {
            Kind::Block(Box::new(sysfs.device(DevNo::from_raw(meta.rdev()))?))
        } else if meta.is_file() {
            Kind::File {
                dev: meta.dev(),
                ino: meta.ino(),
                size: meta.len(),
            }
        } else {
            let text = format!(
                "{} is neither a block device nor a regular file",
                path.display()
            );
            return Err(Failure::Refused(text).into());
        };
        Ok(Self {
            path: path.to_path_buf(),
            kind,
        })
    }

    /// The same for a destination, which may be a file that does not exist
    /// yet, but not a mistyped device.
    pub fn destination(path: &Path, sysfs: &Sysfs) -> Result<Self> {
        if path.symlink_metadata().is_ok() {
            return Self::existing(path, sysfs);
        }
        if path.starts_with("/dev") || folder(path)?.starts_with("/dev") {
            let text = format!(
                "{} does not exist; a regular file is not created under /dev",
                path.display()
            );
            return Err(Failure::Refused(text).into());
        }
        Ok(Self {
            path: path.to_path_buf(),
            kind: Kind::New,
        })
    }

    pub fn block(&self) -> Option<&BlockDevice> {
        match &self.kind {
            Kind::Block(device) => Some(device),
            _ => None,
        }
    }

    /// What planning must know. A destination grows unless it is a device.
    pub fn end(&self, buffered: bool, grows: bool) -> End {
        let name = self.path.display().to_string();
        match &self.kind {
            Kind::Block(device) => End {
                name,
                space: Space::Disk {
                    major: device.disk_devno.major,
                    minor: device.disk_devno.minor,
                },
                base: device.start,
                size: Some(device.size),
                align: if buffered { 1 } else { device.logical_block },
            },
            Kind::File { dev, ino, size } => End {
                name,
                space: Space::File {
                    dev: *dev,
                    ino: *ino,
                },
                base: 0,
                size: (!grows).then_some(*size),
                align: 1,
            },
            Kind::New => End {
                name,
                space: Space::New,
                base: 0,
                size: None,
                align: 1,
            },
        }
    }

    /// `O_DIRECT` is for devices; a file's own file system knows best.
    fn flags(&self, buffered: bool) -> OFlags {
        if self.block().is_some() && !buffered {
            OFlags::DIRECT
        } else {
            OFlags::empty()
        }
    }

    pub fn open_for_reading(&self, buffered: bool) -> Result<File> {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .custom_flags(flag_bits(self.flags(buffered)));
        options
            .open(&self.path)
            .with_context(|| self.cannot_open("reading"))
    }

    /// `exclusive`: fail if anyone else has claimed the device.
    pub fn open_for_writing(&self, buffered: bool, exclusive: bool) -> Result<File> {
        let mut flags = self.flags(buffered);
        if exclusive && self.block().is_some() {
            flags |= OFlags::EXCL;
        }
        let mut options = OpenOptions::new();
        options
            .write(true)
            .create(matches!(self.kind, Kind::New))
            .custom_flags(flag_bits(flags));
        match options.open(&self.path) {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::BUSY) => {
                let text = format!(
                    "{} is in use (mounted, swap, or part of another device, maybe in another mount \
                     namespace); stop using it first: lsblk and fuser show by whom",
                    self.path.display()
                );
                Err(Failure::Refused(text).into())
            }
            opened => opened.with_context(|| self.cannot_open("writing")),
        }
    }

    fn cannot_open(&self, what: &str) -> String {
        let hint = match self.kind {
            Kind::Block(_) => {
                " (block devices need root, or membership in the group that owns them)"
            }
            _ => "",
        };
        format!("cannot open {} for {what}{hint}", self.path.display())
    }
}

/// The folder in which `path` lies, without links and dots.
fn folder(path: &Path) -> Result<PathBuf> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    folder
        .canonicalize()
        .with_context(|| format!("cannot look at {}", folder.display()))
}

/// The type that `custom_flags` wants; the flags used here are small.
fn flag_bits(flags: OFlags) -> i32 {
    i32::try_from(flags.bits()).unwrap_or(0)
}

/// The two open files, as the engine uses them.
pub struct Files<'a> {
    pub src: &'a File,
    pub dst: &'a File,
}

impl Mover for Files<'_> {
    fn copy(&self, src: u64, dst: u64, len: u64) -> io::Result<u64> {
        let (mut from, mut to) = (src, dst);
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let moved =
            rustix::fs::copy_file_range(self.src, Some(&mut from), self.dst, Some(&mut to), len)?;
        Ok(moved as u64)
    }

    fn read_write(
        &self,
        src: u64,
        dst: u64,
        len: u64,
        buf: &mut Option<AlignedBuf>,
    ) -> Result<u64, Broken> {
        let buf = buf.get_or_insert_with(|| AlignedBuf::new(BUFFER as usize));
        let want = usize::try_from(len).unwrap_or(usize::MAX).min(buf.len());
        let broken = |what, error| Broken {
            what,
            src,
            dst,
            error,
        };
        let got = self
            .src
            .read_at(&mut buf[..want], src)
            .map_err(|error| broken("reading", error))?;
        self.dst
            .write_all_at(&buf[..got], dst)
            .map_err(|error| broken("writing", error))?;
        Ok(got as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::exit_code;

    #[test]
    fn no_file_is_made_under_dev() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/dev", &link).unwrap();
        for path in [
            Path::new("/dev/no-such-disk"),
            Path::new("/dev/no-such-folder/disk"),
            Path::new("/tmp/../dev/no-such-disk"),
            Path::new("/dev/../dev/./no-such-disk"),
            &link.join("no-such-disk"),
        ] {
            let refused = Endpoint::destination(path, &Sysfs::default()).unwrap_err();
            assert_eq!(exit_code(&refused), 3, "{}", path.display());
        }
        let new = Endpoint::destination(&dir.path().join("new"), &Sysfs::default()).unwrap();
        assert!(matches!(new.kind, Kind::New));
    }

    #[test]
    fn a_name_alone_is_in_this_folder() {
        let here = std::env::current_dir().unwrap().canonicalize().unwrap();
        assert_eq!(folder(Path::new("new")).unwrap(), here);
        assert!(folder(Path::new("/no-such-folder/new")).is_err());
    }
}
