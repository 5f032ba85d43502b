// SPDX-License-Identifier: GPL-2.0
//! Opening devices, reading and writing.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{ensure, Context, Result};
use blkcopy::aligned::AlignedBuf;
use clap::ValueEnum;
use nix::fcntl::OFlag;

/// Bytes moved by one read or write of `fill`, `check` and `sum`. The buffer is used again and again: a page
/// touched for the first time is dear in a User Mode Linux guest.
pub const BUFFER: usize = 1 << 20;

/// What a descriptor may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Access {
    R,
    W,
    Rw,
}

/// How to open a file.
#[derive(Clone, Copy, Debug)]
pub struct How {
    pub access: Access,
    pub direct: bool,
    pub append: bool,
    pub dsync: bool,
}

impl How {
    pub fn new(access: Access, direct: bool) -> Self {
        How {
            access,
            direct,
            append: false,
            dsync: false,
        }
    }
}

/// Opens `path`, with O_DIRECT if `how.direct`.
pub fn open(path: &Path, how: How) -> Result<File> {
    let mut flags = OFlag::empty();
    if how.direct {
        flags |= OFlag::O_DIRECT;
    }
    if how.dsync {
        flags |= OFlag::O_DSYNC;
    }
    if how.append {
        flags |= OFlag::O_APPEND;
    }
    OpenOptions::new()
        .read(how.access != Access::W)
        .write(how.access != Access::R)
        .custom_flags(flags.bits())
        .open(path)
        .with_context(|| format!("cannot open {} ({how:?})", path.display()))
}

/// Size of a regular file or block device.
pub fn size(file: &mut File) -> Result<u64> {
    file.seek(SeekFrom::End(0))
        .context("cannot find out the size (is it a block device?)")
}

/// A buffer for moving `len` bytes, by pieces of [`BUFFER`]. What is not touched costs nothing.
pub fn buffer_for(len: u64) -> AlignedBuf {
    AlignedBuf::new(usize::try_from(len).map_or(BUFFER, |len| len.min(BUFFER)))
}

/// The pieces of `len` bytes that fit into a buffer of `step`, as (offset from the start, length).
pub fn pieces(len: u64, step: usize) -> impl Iterator<Item = (u64, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let now = usize::try_from(len - done).map_or(step, |rest| rest.min(step));
        let at = done;
        done += now as u64;
        (now > 0).then_some((at, now))
    })
}

/// Reads exactly `buf.len()` bytes.
pub fn read_exact(file: &File, buf: &mut [u8], offset: u64) -> Result<()> {
    file.read_exact_at(buf, offset)
        .with_context(|| format!("cannot read {} bytes at {offset}", buf.len()))
}

/// Writes all of `buf`.
pub fn write_all(file: &File, buf: &[u8], offset: u64) -> Result<()> {
    file.write_all_at(buf, offset)
        .with_context(|| format!("cannot write {} bytes at {offset}", buf.len()))
}

/// The range to work on: `len`, or from `offset` to the end.
pub fn range(file: &mut File, offset: u64, len: Option<u64>) -> Result<u64> {
    match len {
        Some(len) => Ok(len),
        None => {
            let size = size(file)?;
            ensure!(offset <= size, "offset {offset} is past the end ({size})");
            Ok(size - offset)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_the_range() {
        assert_eq!(pieces(0, 10).count(), 0);
        assert_eq!(
            pieces(25, 10).collect::<Vec<_>>(),
            [(0, 10), (10, 10), (20, 5)]
        );
    }
}
