// SPDX-License-Identifier: GPL-2.0

//! A copy, from its start to its end.
//!
//! The copy is cut into chunks, which are sent to the device one after the other, at most
//! [`WINDOW`] of them at a time. Where the device cannot copy, and only
//! there, the data is read and written ([`onload`](super::onload)); what the device failed to copy
//! is an error. The first error ends the copy: what lies before it goes on, what lies behind it
//! does not begin.
//!
//! The task that drives the copy never waits in the middle of it: [`Job::turn`] does what can be
//! done now. In between, a task waits ([`run`]), or nobody does
//! ([`background`](super::background)).

use super::{
    onload::BufferList,
    plan::Plan,
    pool::Pool,
    progress::{
        Run,
        WINDOW, //
    },
    request::{
        List,
        Request, //
    },
    shared::{
        Seen,
        Shared,
        Stop, //
    },
    stats,
    trace,
    verdict::Outcome, //
};
use core::pin::Pin;
use kernel::{
    block::{
        bio::plugged,
        sched,
        units::Sectors, //
    },
    prelude::*,
    task::{
        cond_resched,
        fatal_signal_pending, //
    }, //
};

/// When the window is full, it is filled again once this many chunks are left in it.
pub(super) const REFILL: usize = WINDOW / 2;

/// In which ways a copy may be made.
#[derive(Clone, Copy)]
pub(crate) struct Ways {
    pub(crate) offload: bool,
    pub(crate) onload: bool,
}

impl Ways {
    /// By the device, or not at all.
    pub(crate) const OFFLOAD: Self = Self {
        offload: true,
        onload: false,
    };
    /// By reading and writing.
    pub(crate) const ONLOAD: Self = Self {
        offload: false,
        onload: true,
    };
    /// By the device where it can, by reading and writing elsewhere.
    pub(crate) const ANY: Self = Self {
        offload: true,
        onload: true,
    };
}

/// What came of a copy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    /// Sectors copied from the start without a gap.
    pub(crate) copied: Sectors,
    /// Why it is not everything; [`None`] if it is.
    pub(crate) stop: Option<Stop>,
}

impl End {
    /// Nothing was to be done.
    pub(crate) const NOTHING: Self = Self {
        copied: Sectors::ZERO,
        stop: None,
    };
}

/// How a copy goes on.
#[derive(Clone, Copy)]
pub(crate) enum Turn {
    /// It is over: nothing is in flight, and nothing is left to do.
    Over,
    /// When something in flight has ended: when a buffer comes back, or when at most so many chunks
    /// are left.
    Wait(usize),
    /// When there is memory.
    Starved,
    /// When it may read and write. Nothing is in flight.
    Held,
}

/// What became of what comes next.
enum Sent {
    /// There is no room for it now.
    Nothing,
    /// Chunks of it went to the block layer, which holds them back until the turn ends.
    Chunks,
    /// The device does not copy it.
    Otherwise,
}

/// A copy that is under way.
pub(crate) struct Job<'a> {
    pub(super) request: Request<'a>,
    ways: Ways,
    pub(super) pool: &'a Pool,
    /// Whether to stop when the current task is being killed.
    killable: bool,
    /// What is sent to the device next.
    pub(super) ahead: Plan<List<'a>>,
    /// Everything before this was copied, or is in a buffer.
    pub(super) behind: Plan<List<'a>>,
    /// So much from `behind` on is to be read and written.
    pub(super) extent: Sectors,
    /// No chunk goes across this.
    pub(super) cut: Sectors,
    /// Buffers that are not in flight.
    pub(super) free: BufferList,
    /// All buffers of the copy.
    pub(super) buffers: usize,
    /// Buffers in flight.
    pub(super) out: usize,
    /// Whether to stop before anything is read and written.
    held: bool,
}

impl<'a> Job<'a> {
    /// Prepares a copy.
    pub(crate) fn new(request: Request<'a>, ways: Ways, pool: &'a Pool, killable: bool) -> Self {
        let plan = Plan::new(request.src, request.dst);
        Self {
            request,
            ways: Ways {
                onload: ways.onload && request.is_writable_anywhere(),
                ..ways
            },
            pool,
            killable,
            ahead: plan,
            behind: plan,
            extent: Sectors::ZERO,
            cut: Sectors::ZERO,
            free: BufferList::new(),
            buffers: 0,
            out: 0,
            held: false,
        }
    }

    /// What those who end its I/O have to know.
    pub(crate) fn may_onload(&self) -> bool {
        self.ways.onload
    }

    /// What is left to be sent.
    pub(super) fn left(&self) -> Sectors {
        let total = self.request.total;
        total.checked_sub(self.ahead.offset()).unwrap_or_default()
    }

    /// When it can go on if nothing happens: when so many chunks are left in the window.
    fn low(&self) -> usize {
        if self.left().is_zero() {
            0
        } else {
            REFILL
        }
    }

    /// Does what can be done now, without waiting for anything in flight.
    ///
    /// Context: task; may sleep.
    ///
    /// # Safety
    ///
    /// Both devices stay open, and `shared` and the pool stay where they are, until a call of this
    /// has returned [`Turn::Over`]. `shared` is of this job alone.
    pub(crate) unsafe fn turn(&mut self, shared: Pin<&Shared>) -> Turn {
        loop {
            let killed = self.killable && fatal_signal_pending();
            let seen = shared.look(self.extent.is_zero());
            self.take_run(&seen, &shared);
            let Seen {
                mut gap,
                in_flight,
                room,
                run,
                back,
            } = seen;
            // SAFETY: Required of the caller.
            let mut acted = unsafe { self.take_back(back, &mut gap, killed, shared) };
            acted |= run.is_some();

            let stopped = killed || !gap.allows(self.behind.offset());
            if !self.extent.is_zero() && !stopped && self.held {
                return Turn::Held;
            }
            if !self.extent.is_zero() {
                // SAFETY: Required of the caller.
                acted |= !stopped && unsafe { self.read_ahead(shared) };
            } else if !stopped && gap.is_none() && run.is_none() && !self.left().is_zero() {
                // SAFETY: Required of the caller.
                match unsafe { self.send(room, shared) } {
                    // Whoever refused them did so at once.
                    Sent::Chunks if shared.is_idle() => acted = true,
                    Sent::Chunks => return Turn::Wait(self.low()),
                    Sent::Nothing => {}
                    Sent::Otherwise => acted = true,
                }
            }
            if acted {
                cond_resched();
                continue;
            }
            if in_flight > 0 || self.out > 0 {
                let more = !stopped && gap.is_none();
                return Turn::Wait(if more { self.low() } else { 0 });
            }
            if !self.extent.is_zero() && !stopped {
                return Turn::Starved;
            }
            if killed && self.behind.offset() < self.request.total {
                shared.note(self.behind.offset(), Stop::Failed(EINTR));
            }
            return Turn::Over;
        }
    }

    /// Chunks have ended.
    fn take_run(&mut self, seen: &Seen, shared: &Shared) {
        let Some(run) = seen.run else { return };
        stats::count(self.request.dst_bdev, run.outcome, run.chunks, run.len);
        match run.outcome {
            Outcome::Offloaded => self.behind.advance(run.len),
            Outcome::Split if seen.gap.allows(self.behind.offset()) => self.split(run, shared),
            // Nothing is done behind the gap.
            Outcome::Split => self.behind.advance(run.len),
            _ => self.onload(run.len),
        }
    }

    /// A chunk has to be split: it is sent anew, and so are those behind it, of which there are
    /// none if it was refused at once.
    fn split(&mut self, run: Run, shared: &Shared) {
        let start = self.behind.offset();
        let cut = self.request.split_at(run.cut);
        match start.checked_add(cut).filter(|_| cut < run.len) {
            Some(cut) => {
                self.cut = cut;
                self.ahead = self.behind;
                let dst = self.request.dst_bdev;
                shared.restart(start, |run| {
                    stats::count(dst, run.outcome, run.chunks, run.len)
                });
            }
            None if self.ways.onload => self.onload(run.len),
            None => {
                shared.note(start, Stop::Unsupported);
                self.behind.advance(run.len);
            }
        }
    }

    /// From `behind` on, so much is to be read and written.
    fn onload(&mut self, len: Sectors) {
        self.extent = len;
        trace::onload(&self.request, &self.behind, len);
    }

    /// Sends chunks, as far as there is room for them.
    ///
    /// # Safety
    ///
    /// As for [`Job::turn`].
    unsafe fn send(&mut self, room: usize, shared: Pin<&Shared>) -> Sent {
        let limits = self.request.command_limits();
        if self.ways.offload && !limits.is_none() {
            // SAFETY: Required of the caller.
            let sent = unsafe { self.offload(&limits, room, shared) };
            return if sent { Sent::Chunks } else { Sent::Nothing };
        }
        if room < WINDOW {
            // First of all, what is under way.
            return Sent::Nothing;
        }
        let left = self.left();
        if self.ways.offload {
            stats::count(self.request.dst_bdev, Outcome::NotSupported, 1, left);
        }
        if self.ways.onload {
            shared.skip(left);
            self.ahead.advance(left);
            self.onload(left);
        } else {
            shared.note(self.ahead.offset(), Stop::Unsupported);
        }
        Sent::Otherwise
    }

    /// How it ended. Gives back what it has.
    ///
    /// Context: task; may sleep.
    pub(crate) fn end(&mut self, shared: Pin<&Shared>) -> End {
        while let Some(buffer) = self.free.pop() {
            self.pool.put_buffer(buffer);
        }
        let dst = self.request.dst_bdev;
        match shared.result(|run| stats::count(dst, run.outcome, run.chunks, run.len)) {
            Some((copied, stop)) => End {
                copied,
                stop: Some(stop),
            },
            None if self.behind.offset() == self.request.total => End {
                copied: self.request.total,
                stop: None,
            },
            // Not so: without an error it goes on to the end.
            None => End {
                copied: self.behind.offset(),
                stop: Some(Stop::Failed(EIO)),
            },
        }
    }
}

/// Copies, and waits for the end.
///
/// Context: task; may sleep. A fatal signal ends it.
pub(crate) fn run(request: Request<'_>, ways: Ways, pool: &Pool) -> End {
    drive(Job::new(request, ways, pool, true), || Ok(()))
}

/// Copies in any way, and waits for the end. Before it reads and writes for the first time, with
/// nothing in flight, it calls `before`. If that fails it goes no further; `EBUSY` is no error of
/// the copy, but [`Stop::Busy`].
///
/// Context: task; may sleep. A fatal signal ends it.
pub(crate) fn run_held(request: Request<'_>, pool: &Pool, before: impl FnMut() -> Result) -> End {
    let mut job = Job::new(request, Ways::ANY, pool, true);
    job.held = true;
    drive(job, before)
}

fn drive(mut job: Job<'_>, mut before: impl FnMut() -> Result) -> End {
    pin_init::stack_pin_init!(let shared = Shared::new(None, job.may_onload()));
    let shared = shared.as_ref();
    loop {
        // SAFETY: The devices are open and the pool exists as long as the references, and `shared`
        // is pinned until the job is over.
        match plugged(|| unsafe { job.turn(shared) }) {
            Turn::Over => return job.end(shared),
            Turn::Starved => sched::pause(),
            Turn::Held => {
                job.held = false;
                match before() {
                    Ok(()) => {}
                    Err(error) if error == EBUSY => shared.note(job.behind.offset(), Stop::Busy),
                    Err(error) => shared.note(job.behind.offset(), Stop::Failed(error)),
                }
            }
            Turn::Wait(low) => {
                while shared.arm(low) {
                    shared.wait();
                }
            }
        }
        cond_resched();
    }
}
