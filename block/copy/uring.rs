// SPDX-License-Identifier: GPL-2.0

//! Copies that io_uring asks for: `BLOCK_URING_CMD_COPY` and `BLOCK_URING_CMD_COPY_OFFLOAD`.
//!
//! The page cache is as coherent as with direct writes, whatever the files were opened with: dirty
//! pages of the sources are written back before the device reads; pages of the destination are
//! written back and dropped before it writes, and dropped again afterwards.
//!
//! # What waits for what
//!
//! The task that submits a copy waits for nothing. What was asked for is read, and the files are
//! held, before its call returns. Then it sends the copy by itself, if that is one command and
//! nothing has to be waited for: no pages, no memory, no tag. In all other cases a worker goes on:
//! it may wait for pages, and begins the copy in the background. [`ask`] has both.
//!
//! `-EAGAIN` would have io_uring issue the command again, by a worker of its own. That would look
//! up the descriptor and read the list a second time, when the program may have used both for
//! something else; and what is kept for a command that is cancelled in between would never be given
//! back.
//!
//! Whatever ends the I/O ends the copy as well, in any context, unless the page cache has pages of
//! the destination by then, or the data has to be on stable storage: a worker sees to that.

use kernel::{
    block::{
        bdev::Access,
        copy::Way,
        file::BlockFile, //
    },
    io_uring::Issue,
    prelude::*,
    sync::aref::ARef, //
};

mod ask;
mod wanted;

pub(crate) use ask::{
    init,
    Ask, //
};
use wanted::{
    Sources,
    Wanted, //
};

/// Takes up a copy. If this returns success, the copy was taken over, and will be ended later; if
/// an error, it was not.
///
/// The order of the checks is that of `BLOCK_URING_CMD_DISCARD`: fields, abilities, permissions,
/// ranges.
///
/// Context: task; does not wait for I/O.
///
/// # Errors
///
/// - `EINVAL`: the fields make no sense; or the source is not a block device; or a range is empty,
///   not on boundaries of both logical blocks, or past the end of its device; or the sum of the
///   sources is another length; or source and destination overlap.
/// - `EOPNOTSUPP`: the copy is for the device alone, and a device cannot copy.
/// - `EBADF`: a file was not opened for this, or there is no such descriptor.
/// - `EPERM`: the destination is read-only.
/// - `ETXTBSY`: a device is in use for swap.
/// - `EFAULT`: the list of sources cannot be read.
/// - `ENODEV`: a device is gone.
/// - `ENOMEM`.
pub(crate) fn take_up(issue: Issue<'_>, way: Way, dst: &BlockFile) -> Result {
    let wanted = Wanted::new(&issue.fields())?;
    if way == Way::Offload && !dst.bdev().can_copy() {
        return Err(EOPNOTSUPP);
    }
    if !dst.is_writable() {
        return Err(EBADF);
    }
    if dst.bdev().is_read_only() {
        return Err(EPERM);
    }
    let dst = ARef::from(dst);
    let src = match wanted.descriptor {
        Some(fd) => BlockFile::of_descriptor(fd)?,
        None => dst.clone(),
    };
    if !src.is_readable() {
        return Err(EBADF);
    }
    if src.is_swap() || dst.is_swap() {
        return Err(ETXTBSY);
    }
    if way == Way::Offload && !src.bdev().can_copy() {
        return Err(EOPNOTSUPP);
    }
    let from = Sources::read(&wanted)?;
    for bytes in from.bytes() {
        src.may(Access::Read, &bytes)?;
    }
    dst.may(Access::ReadWrite, &wanted.to)?;
    Ask::take(issue, way, (src, from), (dst, wanted.to))
}
