// SPDX-License-Identifier: GPL-2.0

//! Copies by reading and writing, where no device can do it.
//!
//! The data goes through buffers, each of which is read into and then written from on its own, so
//! that as many reads and writes are under way as there are buffers. They are sent under a plug:
//! what follows each other becomes one request, as large as the devices take.
//!
//! A copy needs one buffer to go on, which the pool has in reserve; it takes more as long as there
//! is memory, up to [`MAX_BUFFERS`].

use super::{
    job::Job,
    plan::Limits,
    progress::Gap,
    range::Range,
    shared::{
        Shared,
        Stop, //
    },
    stats,
    trace,
    verdict::Outcome, //
};
use core::{
    pin::Pin,
    ptr::NonNull, //
};
use kernel::{
    block::{
        buffer::{
            self,
            Direction, //
        },
        units::Sectors, //
    },
    prelude::*, //
};

/// Buffers of one copy: 8 MiB.
const MAX_BUFFERS: usize = (8 << 20) / buffer::SIZE;

/// What a buffer is for.
#[derive(Clone, Copy)]
pub(crate) struct Piece {
    direction: Direction,
    /// Counted from the start of the copy.
    offset: Sectors,
    /// Where it is to be written.
    to: Range,
}

impl Piece {
    /// Where it begins, counted from the start of the copy.
    pub(crate) fn offset(&self) -> Sectors {
        self.offset
    }

    /// A buffer for nothing yet.
    pub(crate) const NONE: Option<Self> = None;
}

pub(crate) type Buffer = buffer::Buffer<Option<Piece>>;
pub(crate) type BufferList = buffer::BufferList<Option<Piece>>;

impl Job<'_> {
    /// Reads as much of the extent as there are buffers for. Returns whether it read anything.
    ///
    /// # Safety
    ///
    /// As for [`Job::turn`].
    pub(super) unsafe fn read_ahead(&mut self, shared: Pin<&Shared>) -> bool {
        let most = self.request.buffer_len();
        let mut read = false;
        while !self.extent.is_zero() {
            let limits = Limits::one_piece(most.min(self.extent));
            let Some(chunk) = self.behind.peek(&limits) else {
                break;
            };
            let source = self.behind.sources(&chunk).next();
            let Some((from, to)) = source.zip(self.behind.destinations(&chunk).next()) else {
                break;
            };
            let Some(buffer) = self.buffer() else { break };
            let piece = Piece {
                direction: Direction::Read,
                offset: chunk.offset,
                to,
            };
            // SAFETY: Required of the caller. The request was checked, so the range lies within the
            // device.
            unsafe {
                buffer.submit(
                    Direction::Read,
                    self.request.src_bdev,
                    (from.start(), from.len()),
                    Some(piece),
                    NonNull::from(shared.get_ref()),
                );
            }
            self.out += 1;
            self.behind.advance(chunk.len);
            self.extent = self.extent.checked_sub(chunk.len).unwrap_or_default();
            read = true;
        }
        read
    }

    /// A buffer that is free, or a new one.
    fn buffer(&mut self) -> Option<Buffer> {
        if let Some(buffer) = self.free.pop() {
            return Some(buffer);
        }
        if self.buffers >= MAX_BUFFERS {
            return None;
        }
        let buffer = self.pool.buffer(self.buffers)?;
        self.buffers += 1;
        Some(buffer)
    }

    /// Buffers have come back: what was read is written, unless it lies behind an error. Returns
    /// whether there were any.
    ///
    /// # Safety
    ///
    /// As for [`Job::turn`].
    pub(super) unsafe fn take_back(
        &mut self,
        mut back: BufferList,
        gap: &mut Gap<Stop>,
        killed: bool,
        shared: Pin<&Shared>,
    ) -> bool {
        let mut any = false;
        while let Some(buffer) = back.pop() {
            any = true;
            self.out = self.out.saturating_sub(1);
            let Some(piece) = buffer.tag() else {
                self.free.push(buffer);
                continue;
            };
            let error = buffer.status().map(|status| status.to_error());
            // A gap is noted before its buffer comes back.
            let write = piece.direction == Direction::Read && gap.allows(piece.offset);
            if write && !killed {
                // SAFETY: Required of the caller. The request was checked, so the range lies within
                // the device.
                unsafe { self.write(buffer, piece, shared) };
                continue;
            }
            if write {
                let stop = Stop::Failed(EINTR);
                gap.note(piece.offset, stop);
                shared.note(piece.offset, stop);
            }
            self.free.push(buffer);
            if error.is_some() || piece.direction == Direction::Write {
                self.ended(piece, error);
            }
        }
        any
    }

    /// # Safety
    ///
    /// As for [`Job::turn`].
    unsafe fn write(&mut self, buffer: Buffer, piece: Piece, shared: Pin<&Shared>) {
        let piece = Piece {
            direction: Direction::Write,
            ..piece
        };
        // SAFETY: Required of the caller.
        unsafe {
            buffer.submit(
                Direction::Write,
                self.request.dst_bdev,
                (piece.to.start(), piece.to.len()),
                Some(piece),
                NonNull::from(shared.get_ref()),
            );
        }
        self.out += 1;
    }

    /// A piece was written, or has failed.
    fn ended(&self, piece: Piece, error: Option<Error>) {
        let outcome = match error {
            Some(_) => Outcome::Failed,
            None => Outcome::Onloaded,
        };
        let dst = self.request.dst_bdev;
        stats::count(dst, outcome, 1, piece.to.len());
        trace::done(dst.dev(), piece.to, outcome, error);
    }
}
