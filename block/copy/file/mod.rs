// SPDX-License-Identifier: GPL-2.0

//! `copy_file_range(2)` between two block devices.
//!
//! | files | way |
//! |---|---|
//! | both `O_DIRECT` | by the device, or else read and written by the copy engine |
//! | others, on one device that can copy | whole pages by the device, the rest as below |
//! | others | through the page cache |
//!
//! What a device or the engine copies is copied as an `O_DIRECT` write writes, and the page cache
//! is as coherent as after such a write: dirty pages of the source are written back before the
//! device reads; pages of the destination are written back and dropped before it writes, and
//! dropped again afterwards, also after an error. [`steps`] has that, and [`span`] which bytes go
//! which way. What goes through the page cache goes through a pipe in the kernel.
//!
//! # Why no lock is held
//!
//! No lock of an inode or of its page cache is held while I/O is in flight, or pages are written
//! back. One of the devices may serve its I/O through the page cache of the other one, as a loop
//! device does, or a target on this machine. Its I/O may then need the lock that we would hold. And
//! a copy may take long, because it is throttled or has no path: everybody else who uses the device
//! would wait. A direct write holds no lock either (`blkdev_direct_write()` in `block/fops.c`).

use crate::request::{
    command_limits,
    larger_block,
    refusal, //
};
use kernel::{
    block::{
        copy::Way,
        file::{
            BlockFile,
            MAX_RW_COUNT, //
        }, //
    },
    prelude::*, //
};
use span::{
    Pace,
    Span, //
};
use steps::Steps;

mod span;
mod steps;

/// The least that a device is asked to copy for files that are not both `O_DIRECT`. From here on it
/// was not slower than the page cache in any case that was measured, whatever of the source was
/// cached or dirty, and with commands of some 0.3 ms. With such commands the page cache is up to
/// twice as fast for 64 KiB, as it lets the caller go on before anything is written.
const LEAST: u64 = 256 << 10;

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

/// Where the device begins on its disk, in bytes.
fn start(file: &BlockFile) -> Result<u64> {
    file.bdev().start().to_bytes().ok_or(EINVAL)
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
    if src.bdev().same_sectors(dst.bdev()) {
        let starts = (start(src)?, start(dst)?);
        if whole.overlaps(starts).ok_or(EINVAL)? {
            return Err(EINVAL);
        }
    }
    let copied = match src.is_direct() && dst.is_direct() {
        true => direct(src, dst, whole)?,
        false => buffered(src, dst, whole)?,
    };
    usize::try_from(copied).map_err(Error::from)
}

/// Copies between two `O_DIRECT` files.
fn direct(src: &BlockFile, dst: &BlockFile, whole: Span) -> Result<u64> {
    let block = block(src, dst)?;
    let span = whole.for_direct(block, (size(src)?, size(dst)?), MAX_RW_COUNT);
    let span = span.ok_or_else(|| refusal(src.bdev(), dst.bdev()))?;
    let steps = Steps {
        src,
        dst,
        block,
        way: Way::Any,
    };
    // This checks the whole copy before it changes anything.
    steps.request(span, |_| ())?;
    finish(src, dst, span, || steps.copy(span, Pace::FAST))
}

/// Copies between two files that are not both `O_DIRECT`.
fn buffered(src: &BlockFile, dst: &BlockFile, whole: Span) -> Result<u64> {
    let block = block(src, dst)?;
    let page = block.max(dst.cache_unit());
    let whole = whole.first(MAX_RW_COUNT & !(page - 1));
    let steps = Steps {
        src,
        dst,
        block,
        way: Way::Offload,
    };
    let parts = whole.for_device(block, page);
    let parts = parts.filter(|(_, body)| *body >= LEAST);
    let Some(((head, body), pace)) = parts.and_then(|parts| Some((parts, pace(src, dst)?))) else {
        return steps.through_cache(whole);
    };
    finish(src, dst, whole, || {
        let (mut copied, mut result) = (0, Ok(()));
        // Up to the first whole page, whole pages, and what is left.
        for (end, by_device) in [(head, false), (head + body, true), (whole.len, false)] {
            let part = whole.first(end).behind(copied);
            if part.len == 0 {
                continue;
            }
            let (more, outcome) = match by_device {
                true => steps.copy(part, pace),
                false => match steps.through_cache(part) {
                    Ok(more) => (more, Ok(())),
                    Err(error) => (0, Err(error)),
                },
            };
            copied += more;
            result = outcome;
            if more < part.len {
                break;
            }
        }
        (copied, result)
    })
}

/// Copies what `copy` copies, and does what is due before and after it.
fn finish(
    src: &BlockFile,
    dst: &BlockFile,
    span: Span,
    copy: impl FnOnce() -> (u64, Result),
) -> Result<u64> {
    dst.update_time()?;
    let (copied, result) = copy();
    src.accessed();
    if copied == 0 {
        return result.map(|()| 0);
    }
    dst.sync_written(&span.first(copied).destination())?;
    Ok(copied)
}

/// The larger logical block in bytes.
fn block(src: &BlockFile, dst: &BlockFile) -> Result<u64> {
    larger_block(src.bdev(), dst.bdev())
        .to_bytes()
        .ok_or(EINVAL)
}

/// How to ask the device, if one may hold both places and can copy. Whether the places below
/// stacking drivers are on one device is only known when they were asked.
fn pace(src: &BlockFile, dst: &BlockFile) -> Option<Pace> {
    let (src, dst) = (src.bdev(), dst.bdev());
    let pace = match src.copy_domain().zip(dst.copy_domain()) {
        None => Pace::CAREFUL,
        Some((src, dst)) if src == dst => Pace::FAST,
        Some(_) => return None,
    };
    (!command_limits(src, dst).is_none()).then_some(pace)
}
