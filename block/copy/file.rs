// SPDX-License-Identifier: GPL-2.0

//! `copy_file_range(2)` between two block devices.
//!
//! The page cache is as coherent as it is with writes to an `O_DIRECT` file, and a little more so:
//! dirty pages of the source are written back before the device reads, pages of the destination are
//! written back and dropped before it writes, and until it has written nobody can make new ones.

use super::offload::{
    larger_block,
    Outcome,
    Request,
    Stop, //
};
use core::ops::Range;
use kernel::{
    block::{
        file::{
            BlockFile,
            Locked, //
        },
        units::{
            Sector,
            Sectors, //
        }, //
    },
    prelude::*, //
};

/// Bytes copied under the locks at a time. Bounds how long buffered readers and writers, and a
/// second copy, have to wait for them.
const STEP: u64 = 64 << 20;

/// Bytes that can be written from `pos` on, at least one. As with `write(2)`, limits on the size of
/// files are not for devices.
///
/// # Errors
///
/// - `EPERM`: the device is read-only.
/// - `ENOSPC`: `pos` is at or past its end.
pub(crate) fn room(dst: &BlockFile, pos: u64) -> Result<u64> {
    if dst.bdev().is_read_only() {
        return Err(EPERM);
    }
    let room = size(dst)?.checked_sub(pos).filter(|room| *room != 0);
    room.ok_or(ENOSPC)
}

/// The size of the device in bytes.
fn size(file: &BlockFile) -> Result<u64> {
    file.bdev().size().to_bytes().ok_or(EINVAL)
}

/// Copies `len` bytes from `src_pos` of `src` to `dst_pos` of `dst`. Returns how many were copied
/// from the start without a gap, which is less than asked for at the end of a device or after an
/// error that came later. The VFS has cut `len` to the end of the source and to the [`room`] of the
/// destination.
///
/// Context: task; may sleep.
///
/// # Errors
///
/// - `EINVAL`: both files are `O_DIRECT` and an offset or the length is not on a boundary of the
///   larger logical block; or the ranges overlap on the disk.
/// - `EINTR`, or the error of the device, if nothing was copied before it.
pub(crate) fn copy(
    src: &BlockFile,
    src_pos: u64,
    dst: &BlockFile,
    dst_pos: u64,
    len: usize,
) -> Result<usize> {
    if !src.is_direct() || !dst.is_direct() {
        return src.splice_to(src_pos, dst, dst_pos, len);
    }

    let mut todo = Todo::new((src, src_pos), (dst, dst_pos), len)?;
    dst.update_time()?;
    let result = todo.run();
    src.accessed();
    if todo.done > 0 {
        dst.sync_written(&(dst_pos..todo.dst_pos))?;
        return Ok(todo.done);
    }
    result.map(|()| 0)
}

/// What is left of a copy between two `O_DIRECT` files.
struct Todo<'a> {
    src: &'a BlockFile,
    src_pos: u64,
    dst: &'a BlockFile,
    dst_pos: u64,
    left: u64,
    /// Bytes copied so far.
    done: usize,
}

impl<'a> Todo<'a> {
    fn new(
        (src, src_pos): (&'a BlockFile, u64),
        (dst, dst_pos): (&'a BlockFile, u64),
        len: usize,
    ) -> Result<Self> {
        let block = larger_block(src.bdev(), dst.bdev())
            .to_bytes()
            .ok_or(EINVAL)?;
        let mut left = len as u64;
        let src_end = src_pos.checked_add(left).ok_or(EINVAL)?;
        let dst_end = dst_pos.checked_add(left).ok_or(EINVAL)?;
        if src_end == size(src)? || dst_end == size(dst)? {
            // A device need not end on a boundary of the other one's, larger blocks.
            left -= left % block;
        }
        if left == 0 || src_pos % block != 0 || dst_pos % block != 0 || left % block != 0 {
            return Err(EINVAL);
        }
        let done = 0;
        Ok(Self {
            src,
            src_pos,
            dst,
            dst_pos,
            left,
            done,
        })
    }

    fn run(&mut self) -> Result {
        // Before any lock is taken, and for the whole of it: no overlap.
        let mut offload = self
            .request(self.left)?
            .is_some_and(|request| request.is_possible());
        while self.left > 0 {
            let len = self.left.min(STEP);
            let copied = if offload {
                let (copied, stop) = self.step(len)?;
                match stop {
                    Some(Stop::Failed(error)) => {
                        self.advance(copied)?;
                        return Err(error);
                    }
                    Some(Stop::Unsupported) => offload = false,
                    None => {}
                }
                copied
            } else {
                let len = usize::try_from(self.left)?;
                let copied = self
                    .src
                    .splice_to(self.src_pos, self.dst, self.dst_pos, len)?;
                if copied == 0 {
                    return Ok(());
                }
                copied as u64
            };
            self.advance(copied)?;
        }
        Ok(())
    }

    fn advance(&mut self, copied: u64) -> Result {
        self.src_pos += copied;
        self.dst_pos += copied;
        self.left = self.left.saturating_sub(copied);
        self.done += usize::try_from(copied)?;
        Ok(())
    }

    fn request(&self, len: u64) -> Result<Option<Request<'a>>> {
        Request::new(
            (
                self.src.bdev(),
                Sector::from_bytes(self.src_pos).ok_or(EINVAL)?,
            ),
            (
                self.dst.bdev(),
                Sector::from_bytes(self.dst_pos).ok_or(EINVAL)?,
            ),
            Sectors::from_bytes(len).ok_or(EINVAL)?,
        )
    }

    /// Offloads the next `len` bytes under the locks. Returns how many were copied, and why not
    /// all of them.
    fn step(&self, len: u64) -> Result<(u64, Option<Stop>)> {
        let from: Range<u64> = self.src_pos..self.src_pos + len;
        let to: Range<u64> = self.dst_pos..self.dst_pos + len;

        let locked = Locked::new(self.src, self.dst);
        // The devices may have changed before they were locked, so the request is made anew.
        let Some(request) = self.request(len)? else {
            return Ok((0, None));
        };
        self.src.write_back(&from)?;
        // Whole pages are dropped, and their other blocks may be dirty.
        self.dst.write_back(&to)?;
        match self.dst.invalidate(&to) {
            // Somebody holds a page. Writing through the page cache keeps it coherent.
            Err(error) if error == EBUSY => return Ok((0, Some(Stop::Unsupported))),
            result => result?,
        }
        let Outcome { copied, stop } = request.run();
        // A page that was mapped while it was being written back may have come back.
        let _ = self.dst.invalidate(&to);
        drop(locked);

        Ok((copied.to_bytes().ok_or(EINVAL)?, stop))
    }
}
