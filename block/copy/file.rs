// SPDX-License-Identifier: GPL-2.0

//! `copy_file_range(2)` between two block devices.
//!
//! The page cache is as coherent as it is with writes to an `O_DIRECT` file: dirty pages of the
//! source are written back before the device reads, pages of the destination are written back and
//! dropped before it writes, and dropped again afterwards. Until the device refuses something it is
//! a little more so: before it has written, nobody can make new pages.
//!
//! # Why the locks are not held for reads and writes
//!
//! One of the devices may serve its I/O through the page cache of the other, as a loop device does,
//! or a server on this machine. Its reads and writes then need the inode of the other one, and wait
//! for whoever holds it, who must not wait for them. A device that copies by itself does not depend
//! on another one's page cache; what offers no copies is not locked at all.

use super::{
    job::{
        self,
        End, //
    },
    pool,
    request::{
        larger_block,
        List,
        Request, //
    },
    shared::Stop, //
};
use core::ops::Range;
use kernel::{
    bindings::blk_copy_range,
    block::{
        file::{
            BlockFile,
            Locked, //
        },
        units::Sectors, //
    },
    prelude::*,
    task::fatal_signal_pending, //
};

/// Bytes copied at a time, as far as that makes whole commands of the device; more if one command
/// copies more. Bounds how long buffered writers, and a second copy to the same device, have to
/// wait for the locks, and how long a killed task goes on.
const STEP: u64 = 8 << 20;

/// The step for commands of at most `command` bytes.
fn step_for(command: u64) -> u64 {
    match STEP.checked_div(command) {
        // No commands at all.
        None => STEP,
        Some(0) => command,
        Some(commands) => commands * command,
    }
}

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
    let mut todo = Todo::new((src, src_pos), (dst, dst_pos), len)?;
    if !src.is_direct() || !dst.is_direct() {
        return src.splice_to(src_pos, dst, dst_pos, len);
    }
    let engine = todo.check()?;
    dst.update_time()?;
    let result = todo.run(engine);
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
    /// Bytes copied at a time.
    step: u64,
}

impl<'a> Todo<'a> {
    fn new(
        (src, src_pos): (&'a BlockFile, u64),
        (dst, dst_pos): (&'a BlockFile, u64),
        len: usize,
    ) -> Result<Self> {
        let left = u64::try_from(len)?;
        let todo = Self {
            src,
            src_pos,
            dst,
            dst_pos,
            left,
            done: 0,
            step: STEP,
        };
        if src.bdev().same_disk(dst.bdev()) && todo.overlaps_on_disk().ok_or(EINVAL)? {
            return Err(EINVAL);
        }
        Ok(todo)
    }

    /// Whether the ranges meet on the disk, where a partition and the disk itself do.
    fn overlaps_on_disk(&self) -> Option<bool> {
        let start = |file: &BlockFile, pos: u64| {
            let start = file.bdev().start().to_bytes()?;
            start.checked_add(pos)
        };
        let (from, to) = (
            start(self.src, self.src_pos)?,
            start(self.dst, self.dst_pos)?,
        );
        let (from_end, to_end) = (from.checked_add(self.left)?, to.checked_add(self.left)?);
        Some(from < to_end && to < from_end)
    }

    /// Checks a copy between `O_DIRECT` files, before it changes anything. Returns whether the copy
    /// engine can do it.
    fn check(&mut self) -> Result<bool> {
        let block = larger_block(self.src.bdev(), self.dst.bdev());
        let block = block.to_bytes().ok_or(EINVAL)?;
        let src_end = self.src_pos.checked_add(self.left).ok_or(EINVAL)?;
        let dst_end = self.dst_pos.checked_add(self.left).ok_or(EINVAL)?;
        if src_end == size(self.src)? || dst_end == size(self.dst)? {
            // A device need not end on a boundary of the other one's, larger blocks.
            self.left -= self.left % block;
        }
        if self.left == 0 || (self.src_pos | self.dst_pos | self.left) % block != 0 {
            return Err(EINVAL);
        }
        let (src, dst) = self.ranges(self.left)?;
        let request = self.request(&src, &dst)?;
        let limits = request.command_limits();
        self.step = step_for(limits.max.to_bytes().unwrap_or(STEP));
        Ok(request.is_writable_anywhere() || !limits.is_none())
    }

    fn run(&mut self, mut engine: bool) -> Result {
        while self.left > 0 {
            if fatal_signal_pending() {
                return Err(EINTR);
            }
            let end = self.left - self.left.min(self.step);
            if engine {
                match self.step(self.left - end)? {
                    None => continue,
                    Some(Stop::Failed(error)) => return Err(error),
                    Some(Stop::Unsupported) => engine = false,
                    // The rest of this step goes the other way.
                    Some(Stop::Busy) => {}
                }
            }
            let len = usize::try_from(self.left - end)?;
            let copied = self
                .src
                .splice_to(self.src_pos, self.dst, self.dst_pos, len)?;
            if copied == 0 {
                return Ok(());
            }
            self.advance(u64::try_from(copied)?)?;
        }
        Ok(())
    }

    fn advance(&mut self, copied: u64) -> Result {
        let add = |pos: u64| pos.checked_add(copied).ok_or(EINVAL);
        self.src_pos = add(self.src_pos)?;
        self.dst_pos = add(self.dst_pos)?;
        self.left = self.left.saturating_sub(copied);
        self.done = self.done.saturating_add(usize::try_from(copied)?);
        Ok(())
    }

    /// The next `len` bytes of both devices.
    fn ranges(&self, len: u64) -> Result<([blk_copy_range; 1], [blk_copy_range; 1])> {
        let sectors = |bytes: u64| Sectors::from_bytes(bytes).ok_or(EINVAL);
        let range = |pos: u64| {
            Ok::<_, Error>([blk_copy_range {
                sector: sectors(pos)?.get(),
                nr_sects: sectors(len)?.get(),
            }])
        };
        Ok((range(self.src_pos)?, range(self.dst_pos)?))
    }

    fn request<'r>(
        &self,
        src: &'r [blk_copy_range],
        dst: &'r [blk_copy_range],
    ) -> Result<Request<'r>>
    where
        'a: 'r,
    {
        Request::new(
            (self.src.bdev(), List::new(src)),
            (self.dst.bdev(), List::new(dst)),
        )
    }

    /// Copies the next `len` bytes, under the locks as far as the device copies by itself. Returns
    /// why not all of them were copied.
    fn step(&mut self, len: u64) -> Result<Option<Stop>> {
        let bytes = |pos: u64| Ok::<_, Error>(pos..pos.checked_add(len).ok_or(EINVAL)?);
        let (from, to) = (bytes(self.src_pos)?, bytes(self.dst_pos)?);
        let (src, dst) = self.ranges(len)?;

        let limits = self.request(&src, &dst)?.command_limits();
        let mut locked = (!limits.is_none()).then(|| Locked::new(self.src, self.dst));
        // The devices may have changed before they were locked, so the request is made anew.
        let request = self.request(&src, &dst)?;
        match self.prepare(&from, &to) {
            // Somebody holds a page. Writing through the page cache keeps it coherent.
            Err(error) if error == EBUSY => return Ok(Some(Stop::Busy)),
            result => result?,
        }
        let pool = pool::shared().ok_or(ENODEV)?;
        let End { copied, stop } = job::run_held(request, pool, || match locked.take() {
            None => Ok(()),
            Some(locked) => {
                drop(locked);
                // There may be pages again.
                self.prepare(&from, &to)
            }
        });
        self.dst.invalidate_written(&to)?;
        drop(locked);

        self.advance(copied.to_bytes().ok_or(EINVAL)?)?;
        Ok(stop)
    }

    /// Prepares the page cache for a copy of these bytes past it.
    ///
    /// # Errors
    ///
    /// `EBUSY` if somebody uses a page of the destination.
    fn prepare(&self, from: &Range<u64>, to: &Range<u64>) -> Result {
        self.src.write_back(from)?;
        // Whole pages are dropped, and their other blocks may be dirty.
        self.dst.write_back(to)?;
        self.dst.invalidate(to)
    }
}
