// SPDX-License-Identifier: GPL-2.0

//! Copies within the file that a namespace lies on.

use crate::{
    request::Request,
    wire::Durability, //
};
use kernel::{
    bindings,
    block::{
        copy::CopyRange,
        units::Sectors, //
    },
    error::to_result,
    prelude::*,
    task, //
};

/// A namespace that a file is served as.
struct File(*mut bindings::file);

/// A position in a file, or a length, in bytes.
fn offset(bytes: u64) -> Result<bindings::loff_t> {
    bindings::loff_t::try_from(bytes).map_err(|_| EIO)
}

/// Copies ranges, one after the other. File systems that can share blocks do that; others read and
/// write. After an error it says how far it came.
///
/// Context: task; may sleep.
pub(crate) fn copy(
    request: &Request,
    sources: &[CopyRange],
    to: CopyRange,
    durability: Durability,
) -> Result<(), (Error, Sectors)> {
    let file = File(request.file());
    let mut done = 0;
    let mut all = || {
        let to = to.start().to_bytes().ok_or(EIO)?;
        for source in sources {
            let from = source.start().to_bytes().ok_or(EIO)?;
            let len = source.len().to_bytes().ok_or(EIO)?;
            let mut at = 0;
            while at < len {
                let more = file.copy(from + at, to + done, len - at)?;
                at += more;
                done += more;
                task::cond_resched();
            }
        }
        match durability {
            Durability::Cached => Ok(()),
            Durability::Durable => file.sync(to, done),
        }
    };
    all().map_err(|error| (error, Sectors::from_bytes_floor(done)))
}

impl File {
    /// Copies a range, or its start. Returns how much of it: at least a byte.
    fn copy(&self, from: u64, to: u64, len: u64) -> Result<u64> {
        let end = offset(to.checked_add(len).ok_or(EIO)?)?;
        // A file that somebody has cut is not made longer.
        // SAFETY: The namespace keeps the file open.
        if unsafe { bindings::i_size_read((*(*self.0).f_mapping).host) } < end {
            return Err(ENOSPC);
        }
        let (from, to) = (offset(from)?, offset(to)?);
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        // SAFETY: As above; the caller may sleep.
        let copied = unsafe { bindings::vfs_copy_file_range(self.0, from, self.0, to, len, 0) };
        match u64::try_from(copied) {
            // The source has been cut.
            Ok(0) => Err(EIO),
            Ok(copied) => Ok(copied),
            Err(_) => Err(c_int::try_from(copied).map_or(EIO, Error::from_errno)),
        }
    }

    /// Waits until so many bytes are on the medium.
    fn sync(&self, start: u64, len: u64) -> Result {
        let (start, end) = (offset(start)?, offset((start + len).saturating_sub(1))?);
        // SAFETY: The namespace keeps the file open; the caller may sleep.
        to_result(unsafe { bindings::vfs_fsync_range(self.0, start, end, 1) })
    }
}
