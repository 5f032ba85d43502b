// SPDX-License-Identifier: GPL-2.0

//! `copy_file_range(2)` between two block devices.
//!
//! Two files that were opened with `O_DIRECT` are copied as an `O_DIRECT` write writes, and the
//! page cache is as coherent as after such a write: dirty pages of the source are written back
//! before the device reads; pages of the destination are written back and dropped before it writes,
//! and dropped again afterwards, also after an error. In all other cases the data goes through a
//! pipe in the kernel.
//!
//! # Why no lock is held
//!
//! No lock of an inode or of its page cache is held while I/O is in flight, or pages are written
//! back. One of the devices may serve its I/O through the page cache of the other one, as a loop
//! device does, or a target on this machine. Its I/O may then need the lock that we would hold. And
//! a copy may take long, because it is throttled or has no path: everybody else who uses the device
//! would wait. A direct write holds no lock either (`blkdev_direct_write()` in `block/fops.c`).

use crate::{
    job::{
        Interrupt,
        Pool, //
    },
    request::{
        larger_block,
        refusal,
        List,
        Request, //
    }, //
};
use kernel::{
    block::{
        copy::{
            CopyRange,
            Way, //
        },
        file::{
            BlockFile,
            MAX_RW_COUNT, //
        },
        units::{
            Sector,
            Sectors, //
        }, //
    },
    prelude::*, //
};

/// Where pages of the destination cannot be dropped, so many bytes around them go through the page
/// cache, or one block if that is more.
const DETOUR: u64 = 1 << 20;

/// The bytes of dirty pages that are written back before the next look at signals.
const WRITE_BACK: u64 = 8 << 20;

/// Returns the number of bytes that can be written from `pos` on, at least one. As with `write(2)`,
/// limits on the size of files are not for devices.
///
/// # Errors
///
/// - `EPERM`: the device is read-only.
/// - `ENOSPC`: `pos` is at or past its end.
/// - `ENODEV`: the device is gone.
pub(crate) fn room(dst: &BlockFile, pos: u64) -> Result<u64> {
    if dst.bdev().is_read_only() {
        return Err(EPERM);
    }
    match size(dst)?.checked_sub(pos) {
        None | Some(0) => Err(if dst.bdev().is_gone() { ENODEV } else { ENOSPC }),
        Some(room) => Ok(room),
    }
}

/// The size of the device in bytes.
fn size(file: &BlockFile) -> Result<u64> {
    file.bdev().size().to_bytes().ok_or(EINVAL)
}

/// Copies `len` bytes from `src_pos` of `src` to `dst_pos` of `dst`. Returns the number of bytes
/// that were copied from the start without a gap. That is less than `len` at the end of a device,
/// after an error or a signal that came later, and if `len` is more than [`MAX_RW_COUNT`]. The VFS
/// has cut `len` to the end of the source and to the [`room`] of the destination.
///
/// Context: task; may sleep.
///
/// # Errors
///
/// - `EINVAL`: both files are `O_DIRECT`, and an offset or the length is not on a boundary of the
///   larger logical block; or the ranges overlap on the disk.
/// - `ERESTARTSYS`: a signal came before anything was copied.
/// - Others: the error of the device, if nothing was copied before it.
pub(crate) fn copy(
    src: &BlockFile,
    src_pos: u64,
    dst: &BlockFile,
    dst_pos: u64,
    len: usize,
) -> Result<usize> {
    let whole = Span {
        from: src_pos,
        to: dst_pos,
        len: u64::try_from(len)?,
    };
    if src.bdev().same_disk(dst.bdev()) && whole.overlaps_on_disk(src, dst).ok_or(EINVAL)? {
        return Err(EINVAL);
    }
    if !src.is_direct() || !dst.is_direct() {
        return src.splice_to(src_pos, dst, dst_pos, len);
    }
    let block = larger_block(src.bdev(), dst.bdev());
    let block = block.to_bytes().ok_or(EINVAL)?;
    let span = whole.for_direct(block, (size(src)?, size(dst)?));
    let direct = Direct {
        src,
        dst,
        block,
        span: span.ok_or_else(|| refusal(src.bdev(), dst.bdev()))?,
    };
    // This checks the whole copy before it changes anything.
    direct.request(&direct.span, |_| ())?;
    dst.update_time()?;
    let (copied, result) = direct.copy();
    src.accessed();
    if copied == 0 {
        return result.map(|()| 0);
    }
    dst.sync_written(&(dst_pos..dst_pos.saturating_add(copied)))?;
    usize::try_from(copied).map_err(Error::from)
}

/// So many bytes from one place to another.
#[derive(Clone, Copy)]
struct Span {
    from: u64,
    to: u64,
    len: u64,
}

impl Span {
    /// Whether the ranges meet on the disk, where a partition and the disk itself do. [`None`] if
    /// an end overflows.
    fn overlaps_on_disk(&self, src: &BlockFile, dst: &BlockFile) -> Option<bool> {
        let start = |file: &BlockFile, pos: u64| {
            let start = file.bdev().start().to_bytes()?;
            start.checked_add(pos)
        };
        let (from, to) = (start(src, self.from)?, start(dst, self.to)?);
        Some(from < to.checked_add(self.len)? && to < from.checked_add(self.len)?)
    }

    /// What one call copies between `O_DIRECT` files of these sizes. [`None`] if it is not on
    /// boundaries of `block`, a power of two.
    fn for_direct(self, block: u64, (src_size, dst_size): (u64, u64)) -> Option<Self> {
        let (src_end, dst_end) = (
            self.from.checked_add(self.len)?,
            self.to.checked_add(self.len)?,
        );
        let rest = block.checked_sub(1)?;
        let mut len = self.len;
        if len >= MAX_RW_COUNT || src_end == src_size || dst_end == dst_size {
            // The VFS has cut it there, or would have. Neither need be a boundary of a block.
            len = len.min(MAX_RW_COUNT) & !rest;
        }
        let aligned = (self.from | self.to | len) & rest == 0;
        (aligned && len > 0).then_some(Self { len, ..self })
    }

    /// The first `len` bytes.
    fn first(self, len: u64) -> Self {
        let len = len.min(self.len);
        Self { len, ..self }
    }

    /// What is behind the first `len` bytes.
    fn behind(self, len: u64) -> Self {
        let len = len.min(self.len);
        Self {
            from: self.from.saturating_add(len),
            to: self.to.saturating_add(len),
            len: self.len - len,
        }
    }

    fn source(&self) -> core::ops::Range<u64> {
        self.from..self.from.saturating_add(self.len)
    }

    fn destination(&self) -> core::ops::Range<u64> {
        self.to..self.to.saturating_add(self.len)
    }
}

/// A copy between two `O_DIRECT` files.
struct Direct<'a> {
    src: &'a BlockFile,
    dst: &'a BlockFile,
    block: u64,
    span: Span,
}

impl Direct<'_> {
    /// Copies. Returns how many bytes were copied from the start without a gap, and why not all of
    /// them were.
    fn copy(&self) -> (u64, Result) {
        let (mut copied, mut reach) = (0, self.span.len);
        while copied < self.span.len {
            let next = self.span.behind(copied).first(reach);
            let (part, more, result) = match self.part(next) {
                Ok(done) => done,
                Err(error) => return (copied, Err(error)),
            };
            copied += more;
            if result.is_err() || more == 0 {
                return (copied, result);
            }
            // Where pages are in use, others may be in use as well. Behind them the parts grow
            // again.
            reach = part.len.saturating_mul(2);
        }
        (copied, Ok(()))
    }

    /// Copies the longest first part of `next` that can be copied in one way. Returns that part,
    /// how much of it was copied, and why not all of it was.
    fn part(&self, next: Span) -> Result<(Span, u64, Result)> {
        let (part, is_clean) = self.drop_pages(next)?;
        if !is_clean {
            return Ok((part, self.through_cache(part)?, Ok(())));
        }
        let outcome = self.request(&part, |request| {
            Ok::<_, Error>(Pool::common()?.run(*request, Way::Any, Interrupt::Any))
        })??;
        self.dst.invalidate_written(&part.destination())?;
        let copied = outcome.copied.to_bytes().ok_or(EINVAL)?;
        match outcome.result {
            // Neither can the devices copy this, nor may it be written in any order: the
            // destination is zoned. What was copied before that is a part of its own.
            Err(error) if error == EOPNOTSUPP && copied == 0 => {
                Ok((part, self.through_cache(part)?, Ok(())))
            }
            Err(error) if error == EOPNOTSUPP => Ok((part, copied, Ok(()))),
            result => Ok((part, copied, result)),
        }
    }

    /// Writes back dirty pages, and drops pages of the destination. Returns the longest first part
    /// of `next` for which that was possible. If somebody uses a page near its start, this returns
    /// a short part, and that its pages were not dropped.
    fn drop_pages(&self, next: Span) -> Result<(Span, bool)> {
        let short = DETOUR.max(self.block);
        let mut part = next;
        self.write_back(part)?;
        loop {
            match self.dst.invalidate(&part.destination()) {
                Ok(()) => return Ok((part, true)),
                Err(error) if error != EBUSY => return Err(error),
                Err(_) if part.len <= short => return Ok((part, false)),
                Err(_) => part = part.first(((part.len / 2) & !(self.block - 1)).max(short)),
            }
        }
    }

    /// Writes back dirty pages on both sides. Whole pages are dropped, and their other blocks may
    /// be dirty.
    fn write_back(&self, part: Span) -> Result {
        let mut done = 0;
        while done < part.len {
            if let Some(error) = Interrupt::Any.pending() {
                return Err(error);
            }
            let slice = part.behind(done).first(WRITE_BACK);
            self.src.write_back(&slice.source())?;
            self.dst.write_back(&slice.destination())?;
            done += slice.len;
        }
        Ok(())
    }

    /// Copies through the page cache, which stays coherent so. Returns how many bytes.
    fn through_cache(&self, part: Span) -> Result<u64> {
        let len = usize::try_from(part.len)?;
        match self.src.splice_to(part.from, self.dst, part.to, len) {
            // A device that is gone has no size.
            Ok(0) if self.is_gone() => Err(ENODEV),
            Err(error) if error == ENOSPC && self.is_gone() => Err(ENODEV),
            copied => Ok(u64::try_from(copied?)?),
        }
    }

    fn is_gone(&self) -> bool {
        self.src.bdev().is_gone() || self.dst.bdev().is_gone()
    }

    /// Calls `f` with the checked request for a part.
    fn request<R>(&self, part: &Span, f: impl FnOnce(&Request<'_>) -> R) -> Result<R> {
        let range = |pos: u64| {
            let start = Sector::from_bytes(pos).ok_or(EINVAL)?;
            let len = Sectors::from_bytes(part.len).ok_or(EINVAL)?;
            Ok::<_, Error>([CopyRange::new(start, len)])
        };
        let (src, dst) = (range(part.from)?, range(part.to)?);
        let request = Request::new(
            (self.src.bdev(), List::new(&src)),
            (self.dst.bdev(), List::new(&dst)),
        )?;
        Ok(f(&request))
    }
}

#[cfg_attr(CONFIG_BLK_COPY_KUNIT_TEST, kernel::macros::kunit_tests(blk_copy_file))]
#[cfg(CONFIG_BLK_COPY_KUNIT_TEST)]
mod tests {
    use super::*;

    const BLOCK: u64 = 64 << 10;
    const SIZE: u64 = 8 << 30;

    /// What a call copies of a device and behind it, with blocks of 64 KiB.
    fn direct(from: u64, to: u64, len: u64) -> Option<u64> {
        let span = Span { from, to, len };
        span.for_direct(BLOCK, (SIZE, SIZE + 4096))
            .map(|span| span.len)
    }

    #[test]
    fn a_long_call_is_cut_to_a_block() {
        let most = MAX_RW_COUNT & !(BLOCK - 1);
        assert!(most < MAX_RW_COUNT);
        // The VFS cuts a call of a 32-bit program to this.
        assert_eq!(direct(0, SIZE / 2, MAX_RW_COUNT), Some(most));
        assert_eq!(direct(0, SIZE / 2, 3 << 30), Some(most));
        assert_eq!(direct(0, SIZE / 2, most), Some(most));
    }

    #[test]
    fn only_the_end_of_a_device_need_not_be_a_boundary() {
        assert_eq!(direct(0, BLOCK, BLOCK + 512), None);
        assert_eq!(direct(512, BLOCK, BLOCK), None);
        assert_eq!(direct(0, 512, BLOCK), None);
        let to = SIZE - BLOCK;
        assert_eq!(direct(0, to, BLOCK + 4096), Some(BLOCK));
        assert_eq!(direct(0, SIZE, 4096), None);
    }
}
