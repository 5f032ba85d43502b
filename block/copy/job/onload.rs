// SPDX-License-Identifier: GPL-2.0

//! Copies by reading and writing, where no device can do it.
//!
//! The data goes through buffers. Each buffer is read into and then written from on its own, so as
//! many reads and writes are in flight as there are buffers. They are sent under a plug: the block
//! layer merges neighbours to requests as large as the devices take.
//!
//! A copy needs one buffer to go on, which its pool has in reserve. It takes more as long as there
//! is memory.

use super::{
    buffers::{
        Buffer,
        BufferList,
        Use,
        MAX, //
    },
    interrupt::Interrupt,
    link::{
        error_of_io,
        Link, //
    }, //
};
use crate::{
    plan::{
        gap::Gap,
        CommandLimits,
        Plan, //
    },
    request::{
        List,
        WriteOrder, //
    },
    stats,
    trace,
    verdict::Counter, //
};
use kernel::{
    block::{
        buffer::Direction,
        units::Sectors, //
    },
    prelude::*, //
};

/// A signal that is not fatal stops only what lies behind this first part of a copy. If the part
/// were smaller, a program with a timer would read most of its data again and again.
const FIRST: Sectors = Sectors::from_bytes_floor(1 << 20);

/// What is read and written.
///
/// Where it has to be written in order, a buffer that was read waits until those before it are
/// written. None of them waits for memory, so it does not wait for long. If one of them fails there
/// is a gap, and nothing behind that is written.
pub(super) struct Onload {
    /// So much is still to be read, from where the plan has come to.
    extent: Sectors,
    /// Buffers that are not in flight.
    free: BufferList,
    /// All buffers of the copy.
    buffers: usize,
    in_flight: usize,
    order: WriteOrder,
    /// Buffers that were read before others that come first.
    early: BufferList,
    /// The number of the buffer that is read next.
    next_read: usize,
    /// The number of the buffer that is written next.
    next_write: usize,
}

impl Onload {
    pub(super) fn new(order: WriteOrder) -> Self {
        Self {
            extent: Sectors::ZERO,
            free: BufferList::new(),
            buffers: 0,
            in_flight: 0,
            order,
            early: BufferList::new(),
            next_read: 0,
            next_write: 0,
        }
    }

    /// So much is to be read and written.
    pub(super) fn begin(&mut self, len: Sectors) {
        self.extent = len;
    }

    /// Whether nothing is left to be read. What was read may not be written yet.
    pub(super) fn has_read_all(&self) -> bool {
        self.extent.is_zero()
    }

    /// Buffers in flight.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Reads as much of the extent as there are buffers for, and goes past it in the plan. Stops
    /// early when `interrupted`. Returns whether it read anything.
    ///
    /// Context: task; may sleep.
    pub(super) fn read_ahead<'a>(
        &mut self,
        behind: &mut Plan<List<'a>>,
        link: &Link<'a>,
        interrupted: impl Fn() -> bool,
    ) -> bool {
        let mut read = false;
        while !(self.extent.is_zero() || read && interrupted()) {
            let limits = CommandLimits::one_to_one(link.request().buffer_len(self.extent));
            let Some(chunk) = behind.peek(&limits) else {
                break;
            };
            let Some((from, to)) = behind.first_ranges(&chunk) else {
                break;
            };
            let Some(buffer) = self.buffer(link) else {
                break;
            };
            let of = Use {
                direction: Direction::Read,
                offset: chunk.offset,
                number: self.next_read,
                to,
            };
            self.next_read = self.next_read.wrapping_add(1);
            link.transfer(buffer, of, from);
            self.in_flight += 1;
            behind.advance(chunk.len);
            self.extent = self.extent.checked_sub(chunk.len).unwrap_or_default();
            read = true;
        }
        read
    }

    /// A buffer that is free, or a new one.
    fn buffer(&mut self, link: &Link<'_>) -> Option<Buffer> {
        if let Some(buffer) = self.free.pop() {
            return Some(buffer);
        }
        if self.buffers >= MAX {
            return None;
        }
        let buffer = link.stock.buffers.get(self.buffers, None)?;
        self.buffers += 1;
        Some(buffer)
    }

    /// Buffers have come back. What was read is written, unless it lies behind the gap or the copy
    /// has to end because of `interrupt`. Returns whether there were any buffers.
    ///
    /// Context: task; may sleep.
    pub(super) fn take_back(
        &mut self,
        mut back: BufferList,
        gap: &mut Gap<Error>,
        interrupt: Interrupt,
        link: &Link<'_>,
    ) -> bool {
        let start = interrupt.at_start();
        let mut any = false;
        while let Some(buffer) = back.pop() {
            any = true;
            self.in_flight = self.in_flight.saturating_sub(1);
            let result = buffer
                .status()
                .map_or(Ok(()), |status| Err(error_of_io(status)));
            match buffer.tag() {
                // A gap is noted before its buffer comes back.
                Some(of) if of.direction == Direction::Read && gap.allows(of.offset) => {
                    let interrupt = if of.offset < FIRST { start } else { interrupt };
                    if let Some(error) = interrupt.pending() {
                        gap.note(of.offset, error);
                        link.tracker()
                            .progress(|progress| progress.note(of.offset, error));
                    } else {
                        self.write_in_order(buffer, of, link);
                        continue;
                    }
                }
                Some(of) if result.is_err() || of.direction == Direction::Write => {
                    report(of, result, link);
                }
                _ => {}
            }
            self.free.push(buffer);
        }
        self.look_at_early(gap, link);
        any
    }

    /// Writes a buffer that was read, or keeps it until its turn has come.
    fn write_in_order(&mut self, buffer: Buffer, of: Use, link: &Link<'_>) {
        if self.order == WriteOrder::AsRead && of.number != self.next_write {
            return self.early.push(buffer);
        }
        self.next_write = of.number.wrapping_add(1);
        let direction = Direction::Write;
        link.transfer(buffer, Use { direction, ..of }, of.to);
        self.in_flight += 1;
    }

    /// Writes the buffers whose turn has come by now. Those behind the gap are free.
    fn look_at_early(&mut self, gap: &Gap<Error>, link: &Link<'_>) {
        let mut before = None;
        while before.replace(self.next_write) != Some(self.next_write) {
            let mut early = core::mem::take(&mut self.early);
            while let Some(buffer) = early.pop() {
                match buffer.tag().filter(|of| gap.allows(of.offset)) {
                    Some(of) => self.write_in_order(buffer, of, link),
                    None => self.free.push(buffer),
                }
            }
        }
    }

    /// Gives all buffers back. None is in flight.
    ///
    /// Context: task; does not sleep.
    pub(super) fn give_back(&mut self, link: &Link<'_>) {
        while let Some(buffer) = self.free.pop() {
            link.stock.buffers.put(buffer);
        }
    }
}

/// What a buffer was used for is over: it was written, or has failed.
fn report(of: Use, result: Result, link: &Link<'_>) {
    let counter = result.map_or(Counter::Failed, |()| Counter::Onloaded);
    let dst = link.request().dst_bdev;
    stats::count(dst, counter, 1, of.to.len());
    trace::done(dst.dev(), of.to, counter, result);
}
