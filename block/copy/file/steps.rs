// SPDX-License-Identifier: GPL-2.0

//! How the devices copy what lies in the page cache of two files: step by step, each in one way.

use super::span::{
    Pace,
    Span,
    DETOUR, //
};
use crate::{
    job::{
        Interrupt,
        Pool, //
    },
    request::Request, //
};
use core::slice;
use kernel::{
    block::{
        copy::{
            CopyRange,
            Way, //
        },
        file::BlockFile, //
    },
    prelude::*, //
};

/// A copy between two files.
pub(super) struct Steps<'a> {
    pub(super) src: &'a BlockFile,
    pub(super) dst: &'a BlockFile,
    /// The larger logical block in bytes, a power of two.
    pub(super) block: u64,
    /// [`Way::Any`] for files that are both `O_DIRECT`. With [`Way::Offload`], what the device does
    /// not copy goes through the page cache, and pages that somebody changes meanwhile are made
    /// right, because others who use the page cache trust it.
    pub(super) way: Way,
}

impl Steps<'_> {
    /// Copies a span on boundaries of blocks. Returns how many bytes were copied from the start
    /// without a gap, and why not all of them were.
    ///
    /// Context: task; may sleep.
    pub(super) fn copy(&self, span: Span, mut pace: Pace) -> (u64, Result) {
        let mut copied = 0;
        while copied < span.len {
            let (more, result) = match self.step(span.behind(copied), &mut pace) {
                Ok(done) => done,
                Err(error) => return (copied, Err(error)),
            };
            copied += more;
            if result.is_err() || more == 0 {
                return (copied, result);
            }
        }
        (copied, Ok(()))
    }

    /// Copies a first part of `rest` in one way. Returns how much was copied, and why not all of
    /// that part was.
    fn step(&self, rest: Span, pace: &mut Pace) -> Result<(u64, Result)> {
        let (part, is_clean) = self.drop_pages(rest.first(pace.reach()))?;
        // Where pages are in use, others may be in use as well. Behind them the steps grow again.
        pace.went(part.len);
        if !is_clean {
            return Ok((self.through_cache(part)?, Ok(())));
        }
        let outcome = self.request(part, |request| {
            Ok::<_, Error>(Pool::common()?.run(*request, self.way, Interrupt::Any))
        })??;
        let copied = outcome.copied.to_bytes().ok_or(EINVAL)?;
        let copied = self.drop_again(part, copied)?;
        if copied > 0 {
            pace.was_offloaded();
        }
        if outcome.result != Err(EOPNOTSUPP) {
            return Ok((copied, outcome.result));
        }
        // The devices cannot copy this.
        let detour = pace.was_refused();
        if copied > 0 {
            // What was copied before that is a step of its own.
            return Ok((copied, Ok(())));
        }
        let detour = rest.first(detour.max(self.block));
        Ok((self.through_cache(detour)?, Ok(())))
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
        let go_on = || Interrupt::Any.pending().map_or(Ok(()), Err);
        self.src.write_back(&part.source(), go_on)?;
        self.dst.write_back(&part.destination(), go_on)
    }

    /// Drops pages that somebody made while the device copied the first `copied` bytes of a part.
    /// Returns how many of these bytes everybody sees.
    fn drop_again(&self, part: Span, copied: u64) -> Result<u64> {
        if self.way == Way::Any {
            // As after a direct write.
            self.dst.invalidate_written(&part.destination())?;
            return Ok(copied);
        }
        match self.dst.invalidate(&part.destination()) {
            Err(error) if error == EBUSY => self.correct(part.first(copied)),
            result => result.map(|()| copied),
        }
    }

    /// Some pages of the destination stay, as somebody has written to them. Some of what they show
    /// is of before the copy, and so is what they will be written back as: copies it once more,
    /// through them. Returns for how many bytes that was possible.
    fn correct(&self, part: Span) -> Result<u64> {
        let mut done = 0;
        while done < part.len {
            let slice = part.behind(done).first(DETOUR);
            let right = match self.dst.invalidate(&slice.destination()) {
                Err(error) if error == EBUSY => self.through_cache(slice),
                result => result.map(|()| slice.len),
            };
            match right {
                Ok(right) if right == slice.len => done += right,
                Err(error) if done == 0 => return Err(error),
                // The next step tries the rest once more.
                _ => return Ok(done + right.unwrap_or(0)),
            }
        }
        Ok(done)
    }

    /// Copies through the page cache, which stays coherent so. Returns how many bytes.
    ///
    /// Context: task; may sleep.
    pub(super) fn through_cache(&self, part: Span) -> Result<u64> {
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

    /// Checks a part, and calls `f` with the request for it.
    ///
    /// # Errors
    ///
    /// As [`Request::new`].
    pub(super) fn request<R>(&self, part: Span, f: impl FnOnce(&Request<'_>) -> R) -> Result<R> {
        let src = CopyRange::from_bytes(part.from, part.len).ok_or(EINVAL)?;
        let dst = CopyRange::from_bytes(part.to, part.len).ok_or(EINVAL)?;
        let request = Request::new(
            (self.src.bdev(), slice::from_ref(&src)),
            (self.dst.bdev(), slice::from_ref(&dst)),
            self.dst.write_hint(),
        )?;
        Ok(f(&request))
    }
}
