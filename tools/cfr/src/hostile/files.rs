// SPDX-License-Identifier: GPL-2.0
//! The files that copies are tried on: devices, opened in every way, and all that is no device.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::fcntl::OFlag;

use crate::device::{self, Access, How};
use crate::random::Random;

/// What happens to a device meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Steady,
    Shaky,
    Lost,
}

/// A device.
pub struct Target {
    pub kind: Kind,
    pub size: u64,
    path: PathBuf,
    /// With O_DIRECT, and without.
    open: [File; 2],
    readable: File,
    writable: File,
    append: File,
}

impl Target {
    /// Opens one. A shaky device has the size `whole`, since its own changes meanwhile.
    fn open(path: &Path, kind: Kind, whole: Option<u64>) -> Result<Self> {
        let open = |how| device::open(path, how);
        let mut direct = open(How::new(Access::Rw, true))?;
        let size = match (kind, whole) {
            (Kind::Shaky, Some(whole)) => whole,
            _ => device::size(&mut direct)?,
        };
        Ok(Self {
            kind,
            size,
            path: path.to_path_buf(),
            open: [direct, open(How::new(Access::Rw, false))?],
            readable: open(How::new(Access::R, true))?,
            writable: open(How::new(Access::W, true))?,
            append: open(How {
                append: true,
                ..How::new(Access::Rw, true)
            })?,
        })
    }

    /// The same for a device that may be away for a moment.
    fn open_once_there(path: &Path, kind: Kind, whole: Option<u64>) -> Result<Self> {
        let mut tries = if kind == Kind::Lost { 100 } else { 0 };
        loop {
            match Self::open(path, kind, whole) {
                Err(_) if tries > 0 => tries -= 1,
                // It went away while it was opened.
                Ok(target) if target.size == 0 && tries > 0 => tries -= 1,
                result => return result,
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A descriptor that reads and writes.
    pub fn any(&self, random: &mut Random) -> RawFd {
        self.open[random.index(2)].as_raw_fd()
    }

    pub fn buffered(&self) -> &File {
        &self.open[1]
    }

    /// One that does not write.
    pub fn no_destination(&self, random: &mut Random) -> RawFd {
        [&self.readable, &self.append][random.index(2)].as_raw_fd()
    }

    /// One with O_APPEND.
    pub fn appending(&self) -> RawFd {
        self.append.as_raw_fd()
    }

    /// One that does not read.
    pub fn no_source(&self) -> RawFd {
        self.writable.as_raw_fd()
    }
}

/// All of them.
pub struct Files {
    pub targets: Vec<Target>,
    /// No devices: they stay open until the end.
    odd: Vec<OwnedFd>,
}

impl Files {
    pub fn open(steady: &[PathBuf], shaky: &[PathBuf], lost: &[PathBuf]) -> Result<Self> {
        let kinds = [
            (steady, Kind::Steady),
            (shaky, Kind::Shaky),
            (lost, Kind::Lost),
        ];
        let mut targets: Vec<Target> = Vec::new();
        for (paths, kind) in kinds {
            for path in paths {
                // Shaky ones are as large as the first.
                let whole = targets.first().map(|first| first.size);
                targets.push(Target::open_once_there(path, kind, whole)?);
            }
        }
        let regular = regular().context("cannot make a file")?;
        let path_only = OFlag::O_PATH.bits();
        let path_only = File::options().read(true).custom_flags(path_only).open("/");
        let (reader, writer) = nix::unistd::pipe()?;
        let (socket, other) = UnixStream::pair()?;
        let odd = vec![
            regular.into(),
            File::open("/")?.into(),
            path_only?.into(),
            File::options()
                .read(true)
                .write(true)
                .open("/dev/null")?
                .into(),
            File::open("/proc/self/stat")?.into(),
            reader,
            writer,
            socket.into(),
            other.into(),
        ];
        Ok(Self { targets, odd })
    }

    /// A descriptor of something that is no device, or none at all.
    pub fn odd(&self, random: &mut Random) -> RawFd {
        let none = [-1, i32::MIN, i32::MAX, -100, 900];
        match random
            .index(self.odd.len() + none.len())
            .checked_sub(none.len())
        {
            Some(index) => self.odd[index].as_raw_fd(),
            None => none[random.index(none.len())],
        }
    }

    /// Opens again the devices that may have gone, or come back, now and then. Without one the old descriptors stay.
    pub fn renew(&mut self, random: &mut Random) {
        if !random.one_in(32) {
            return;
        }
        let lost = self.targets.iter_mut();
        for old in lost.filter(|target| target.kind == Kind::Lost) {
            match Target::open(&old.path, Kind::Lost, None) {
                Ok(new) if new.size > 0 => *old = new,
                _ => {}
            }
        }
    }
}

/// A regular file of 1 MiB without a name.
fn regular() -> std::io::Result<File> {
    let name = format!("cfr.{:?}", std::thread::current().id());
    let path = std::env::temp_dir().join(format!("{name}.{}", std::process::id()));
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)?;
    std::fs::remove_file(&path)?;
    file.set_len(1 << 20)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_files_of_all_kinds_and_none() {
        let files = Files::open(&[], &[], &[]).unwrap();
        let mut random = Random::new(1);
        let list: Vec<_> = (0..200).map(|_| files.odd(&mut random)).collect();
        assert!(list.contains(&-1) && list.contains(&i32::MAX));
        for fd in &files.odd {
            assert!(list.contains(&fd.as_raw_fd()));
        }
    }
}
