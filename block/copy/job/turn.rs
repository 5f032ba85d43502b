// SPDX-License-Identifier: GPL-2.0

//! What a copy does next.

use super::{
    interrupt::Interrupt,
    link::{
        Link,
        NextChunk, //
    },
    onload::Onload,
    share::Share, //
};
use crate::{
    plan::{
        gap::Gap,
        progress::{
            Glance,
            Look,
            OnFallback, //
        },
        window::{
            Run,
            REFILL,
            WINDOW, //
        },
        CommandLimits,
        Plan, //
    },
    request::List,
    stats,
    trace,
    verdict::{
        Counter,
        Verdict, //
    }, //
};
use kernel::{
    block::{
        bio::Status,
        copy::{
            Outcome,
            Way, //
        },
        units::Sectors, //
    },
    prelude::*,
    task, //
};

/// What becomes of what no device copies, if a copy is made in this way.
pub(super) fn on_fallback(way: Way) -> OnFallback {
    if way == Way::Offload {
        OnFallback::Fail
    } else {
        OnFallback::Onload
    }
}

/// The error of a copy that ends with `error` where it is not complete. A chunk behind that may
/// have failed. Then nobody may be told that the device cannot copy this, which means to read and
/// write it instead: a device that did not answer may be at it still.
fn error_of_all(error: Error, failure: Option<Error>) -> Error {
    failure.filter(|_| error == EOPNOTSUPP).unwrap_or(error)
}

/// How a copy goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Turn {
    /// It is over: nothing is in flight, and nothing is left to do.
    Over,
    /// When something in flight has ended: when a buffer comes back, or when at most so many chunks
    /// are left.
    Wait(usize),
    /// When there is memory.
    Starved,
}

/// The most that is gone around at once.
const AROUND: Sectors = Sectors::from_bytes_floor(64 << 20);

/// What became of what comes next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sent {
    /// There is no room for it now.
    Nothing,
    /// Chunks of it went to the block layer, which holds them back until the turn ends.
    Chunks,
    /// The device does not copy it.
    Otherwise,
}

/// A copy that is under way.
pub(super) struct Job<'a> {
    link: Link<'a>,
    way: Way,
    interrupt: Interrupt,
    share: Share<'a>,
    /// What is sent to the device next.
    ahead: Plan<List<'a>>,
    /// Everything before this was copied, or is in a buffer.
    behind: Plan<List<'a>>,
    /// No chunk goes across this place, counted from the start of the copy.
    cut: Sectors,
    onload: Onload,
}

impl<'a> Job<'a> {
    /// Prepares a copy. Its tracker was made with [`on_fallback`] of the same way.
    pub(super) fn new(link: Link<'a>, way: Way, interrupt: Interrupt) -> Self {
        let plan = Plan::new(link.request().src, link.request().dst);
        Self {
            way,
            interrupt,
            share: Share::new(link.request().dst_bdev),
            ahead: plan,
            behind: plan,
            cut: Sectors::ZERO,
            onload: Onload::new(link.request().write_order()),
            link,
        }
    }

    /// What is left to be sent: up to the end, or to the gap.
    fn left(&self, gap: &Gap<Error>) -> Sectors {
        let end = gap.end(self.link.request().total);
        end.checked_sub(self.ahead.offset()).unwrap_or_default()
    }

    /// Does what can be done now, without waiting for anything in flight.
    ///
    /// Context: task; may sleep.
    pub(super) fn turn(&mut self) -> Turn {
        loop {
            let look = if self.onload.has_read_all() {
                Look::Take
            } else {
                // What was taken before is read first.
                Look::Keep
            };
            let (mut glance, back) = self.link.tracker().look(look);
            let start = self.interrupt.at_start();
            let begun = !self.behind.offset().is_zero() || glance.in_flight > 0;
            let interrupt = if begun { self.interrupt } else { start }.pending();
            self.share.settle(glance.in_flight_len);
            let mut acted = self.take_run(&glance);
            acted |= self
                .onload
                .take_back(back, &mut glance.gap, self.interrupt, &self.link);
            let stopped = interrupt.is_some() || !glance.gap.allows(self.behind.offset());
            let interrupted = || self.interrupt.pending().is_some();
            acted |= !stopped
                && self
                    .onload
                    .read_ahead(&mut self.behind, &self.link, interrupted);
            let idle = !acted && self.onload.has_read_all();
            if !stopped && idle && !self.left(&glance.gap).is_zero() {
                match self.send(&glance) {
                    Sent::Nothing => {}
                    // All of them were refused at once.
                    Sent::Chunks if self.is_idle() => acted = true,
                    Sent::Chunks => return Turn::Wait(self.low(&glance.gap)),
                    Sent::Otherwise => acted = true,
                }
            }
            if !acted {
                return self.pause(&glance, interrupt, stopped);
            }
            task::cond_resched();
        }
    }

    /// Nothing can be done now.
    fn pause(&self, glance: &Glance<Error>, interrupt: Option<Error>, stopped: bool) -> Turn {
        if glance.in_flight > 0 || self.onload.in_flight() > 0 {
            return Turn::Wait(if stopped { 0 } else { self.low(&glance.gap) });
        }
        let starved = !self.onload.has_read_all() && !stopped;
        // Any signal keeps a copy from waiting for memory.
        match interrupt.or_else(|| self.interrupt.pending().filter(|_| starved)) {
            Some(error) if self.behind.offset() < self.link.request().total => {
                self.fail(self.behind.offset(), error);
            }
            None if starved => return Turn::Starved,
            _ => {}
        }
        Turn::Over
    }

    /// Returns how few chunks must be in flight before the copy goes on.
    fn low(&self, gap: &Gap<Error>) -> usize {
        if self.left(gap).is_zero() {
            0
        } else {
            REFILL
        }
    }

    /// Chunks have ended. Returns whether any have.
    fn take_run(&mut self, glance: &Glance<Error>) -> bool {
        let Some(run) = glance.run else { return false };
        self.count(run);
        match run.counter {
            Counter::Offloaded => self.behind.advance(run.len),
            Counter::Split if glance.gap.allows(self.behind.offset()) => {
                self.split(run, glance.split);
            }
            // Nothing is done behind the gap.
            Counter::Split => self.behind.advance(run.len),
            _ => self.read_and_write(run.len),
        }
        true
    }

    /// A chunk has to be split, `len` sectors behind its start. It is sent anew, and so are those
    /// behind it, up to the gap.
    fn split(&mut self, run: Run, len: Sectors) {
        let start = self.behind.offset();
        let block = self.link.request().split_at(len);
        match start.checked_add(block).filter(|_| block < run.len) {
            Some(cut) => {
                // Without a length, the driver has to say it again.
                self.cut = if len.is_zero() { Sectors::ZERO } else { cut };
                self.ahead = self.behind;
                let tracker = self.link.tracker();
                tracker.progress(|progress| progress.restart(start, |run| self.count(run)));
            }
            None if self.way != Way::Offload => self.read_and_write(run.len),
            None => {
                self.fail(start, EOPNOTSUPP);
                self.behind.advance(run.len);
            }
        }
    }

    /// So much, from `behind` on, is to be read and written.
    fn read_and_write(&mut self, len: Sectors) {
        self.onload.begin(len);
        trace::onload(self.link.request(), &self.behind, len);
    }

    /// Sends chunks, as far as there is room for them.
    fn send(&mut self, glance: &Glance<Error>) -> Sent {
        let limits = self.link.request().command_limits();
        if self.way != Way::Onload && !limits.is_none() {
            return self.offload(&limits, glance);
        }
        if glance.room < WINDOW {
            // What is in flight comes first.
            return Sent::Nothing;
        }
        let left = self.left(&glance.gap);
        if self.way != Way::Onload {
            self.count(Run {
                counter: Counter::NotSupported,
                chunks: 1,
                len: left,
            });
        }
        self.go_otherwise(left)
    }

    /// Sends chunks to the device.
    fn offload(&mut self, limits: &CommandLimits, glance: &Glance<Error>) -> Sent {
        let mut sent = Sent::Nothing;
        for _ in 0..glance.room {
            let mut next = limits.at_most(self.left(&glance.gap));
            match self.cut.checked_sub(self.ahead.offset()) {
                Some(len) if !len.is_zero() => next = next.at_most(len),
                _ => {}
            }
            let taken = self.share.take(next.max);
            let outcome = self.link.send_next(&self.ahead, &next.at_most(taken));
            let len = match outcome {
                NextChunk::Sent(len) => len,
                NextChunk::Nothing | NextChunk::Refused => Sectors::ZERO,
            };
            self.share.give_back(taken, len);
            match outcome {
                NextChunk::Sent(_) => {}
                NextChunk::Nothing => break,
                // What is in flight comes first.
                NextChunk::Refused if glance.room < WINDOW || sent != Sent::Nothing => break,
                NextChunk::Refused => return self.go_around(limits, &glance.gap),
            }
            self.ahead.advance(len);
            sent = Sent::Chunks;
            if self.interrupt.pending().is_some() {
                // To send one may take long.
                break;
            }
        }
        sent
    }

    /// The next chunks, up to the gap, would be refused, so they are not sent. Nothing is in
    /// flight.
    fn go_around(&mut self, limits: &CommandLimits, gap: &Gap<Error>) -> Sent {
        let (mut plan, mut len) = (self.ahead, Sectors::ZERO);
        let left = self.left(gap).min(AROUND);
        while let Some(rest) = left.checked_sub(len) {
            let next = self.link.peek(&plan, &limits.at_most(rest));
            let Some((chunk, reason)) = next.and_then(|chunk| Some((chunk, chunk.refused?))) else {
                break;
            };
            let counter = Verdict::<Status>::Fallback(reason).counter();
            trace::refused(self.link.request(), &plan, &chunk, reason);
            self.count(Run {
                counter,
                chunks: 1,
                len: chunk.len,
            });
            plan.advance(chunk.len);
            len = len.checked_add(chunk.len).unwrap_or(left);
            if self.way == Way::Offload {
                break;
            }
            task::cond_resched();
        }
        if len.is_zero() {
            // The layout has just changed.
            return Sent::Otherwise;
        }
        self.go_otherwise(len)
    }

    /// The next `len` sectors are copied in another way, if they may be. Nothing is in flight.
    fn go_otherwise(&mut self, len: Sectors) -> Sent {
        if self.way != Way::Offload {
            self.link.tracker().progress(|progress| progress.skip(len));
            self.ahead.advance(len);
            self.read_and_write(len);
        } else {
            self.fail(self.ahead.offset(), EOPNOTSUPP);
        }
        Sent::Otherwise
    }

    /// What is at `offset` was not copied.
    fn fail(&self, offset: Sectors, why: Error) {
        self.link
            .tracker()
            .progress(|progress| progress.note(offset, why));
    }

    /// Whether no chunk is in flight.
    fn is_idle(&self) -> bool {
        self.link
            .tracker()
            .progress(|progress| progress.in_flight() == 0)
    }

    fn count(&self, run: Run) {
        stats::count(
            self.link.request().dst_bdev,
            run.counter,
            run.chunks,
            run.len,
        );
    }

    /// How the copy has ended. Gives back what it has.
    ///
    /// Context: task; may sleep.
    pub(super) fn end(&mut self) -> Outcome {
        self.onload.give_back(&self.link);
        let tracker = self.link.tracker();
        let (gap, failure) = tracker.progress(|progress| {
            let gap = progress.finish(|run| self.count(run));
            (gap, progress.failure())
        });
        let total = self.link.request().total;
        match gap.get() {
            Some((copied, error)) => Outcome {
                copied,
                result: Err(error_of_all(error, failure)),
            },
            None => {
                let copied = self.behind.offset();
                // Without an error it goes on to the end.
                let result = if copied == total { Ok(()) } else { Err(EIO) };
                Outcome { copied, result }
            }
        }
    }
}
