// SPDX-License-Identifier: GPL-2.0

//! What a copy has in flight, and who is woken when some of it has ended. Those who end I/O meet
//! the one who drives the copy here, under one lock.
//!
//! # Why a tracker is not used after it is gone
//!
//! The driver of a copy stops when nothing is in flight, which it sees under the lock. Whoever
//! ended the last I/O took that lock before, and wakes the driver with the lock held. So to drop
//! the lock is the last access.

use super::buffers::{
    Buffer,
    BufferList, //
};
use crate::{
    chunk,
    plan::progress::{
        Glance,
        Look,
        OnFallback,
        Progress, //
    },
    verdict::Verdict, //
};
use kernel::{
    block::{
        bio::Status,
        units::Sectors, //
    },
    new_spinlock_irq,
    prelude::*,
    sync::{
        Completion,
        SpinLockIrq, //
    }, //
};

/// Who drives a copy that no task waits for, while it waits: a function and a pointer, as in a
/// [`RawWaker`](core::task::RawWaker).
pub(super) struct Waker {
    data: *const c_void,
    wake: unsafe fn(*const c_void),
}

// SAFETY: `Waker::new` requires that any context may wake.
unsafe impl Send for Waker {}
// SAFETY: As above.
unsafe impl Sync for Waker {}

impl Waker {
    /// # Safety
    ///
    /// `wake(data)` may be called in any context, with a lock held and interrupts off, once after
    /// each [`Tracker::arm`] that has returned true.
    pub(super) unsafe fn new(data: *const c_void, wake: unsafe fn(*const c_void)) -> Self {
        Self { data, wake }
    }

    fn wake(&self) {
        // SAFETY: Required of `new`; `Tracker::wake` calls this once for each time it was armed.
        unsafe { (self.wake)(self.data) };
    }
}

/// The error of a chunk that was not copied.
pub(super) fn error_of(verdict: Verdict<Status>) -> Error {
    match verdict {
        Verdict::Failed(status) => status.to_error(),
        Verdict::Fallback(_) | Verdict::Offloaded => EOPNOTSUPP,
    }
}

struct State {
    progress: Progress<Error>,
    /// Buffers whose I/O has ended.
    back: BufferList,
    /// Who waits wants to go on when so many chunks are in flight.
    low: usize,
    waiting: bool,
}

impl State {
    fn is_ready(&self) -> bool {
        !self.back.is_empty() || self.progress.is_ready(self.low)
    }
}

/// What a copy has in flight.
#[pin_data]
pub(super) struct Tracker {
    #[pin]
    state: SpinLockIrq<State>,
    waker: Option<Waker>,
    /// Without a waker, the task that drives the copy waits for this.
    #[pin]
    woken: Completion,
}

impl Tracker {
    /// Nothing is in flight. Without a waker, a task drives the copy, and [`Tracker::wait`]s.
    pub(super) fn new(waker: Option<Waker>, on_fallback: OnFallback) -> impl PinInit<Self> {
        pin_init!(Self {
            state <- new_spinlock_irq!(State {
                progress: Progress::new(on_fallback),
                back: BufferList::new(),
                low: 0,
                waiting: false,
            }, "blk_copy_tracker"),
            waker,
            woken <- Completion::new(),
        })
    }

    /// Looks at what has happened: to the chunks, and which buffers have come back.
    pub(super) fn look(&self, look: Look) -> (Glance<Error>, BufferList) {
        let mut state = self.state.lock();
        let back = core::mem::take(&mut state.back);
        (state.progress.look(look), back)
    }

    /// Calls `f` with how far the copy has come.
    pub(super) fn progress<R>(&self, f: impl FnOnce(&mut Progress<Error>) -> R) -> R {
        f(&mut self.state.lock().progress)
    }

    /// A buffer has come back. If its I/O has failed, so has what is at `failed.0`.
    ///
    /// Context: any. Does not sleep.
    pub(super) fn buffer_ended(&self, buffer: Buffer, failed: Option<(Sectors, Error)>) {
        let mut state = self.state.lock();
        if let Some((offset, error)) = failed {
            // At once, so that nothing behind it is written any more.
            state.progress.note(offset, error);
        }
        state.back.push(buffer);
        self.wake(&mut state);
    }

    /// Returns whether the driver must wait: until a buffer has come back, or a chunk has ended and
    /// at most `low` are in flight. The driver is woken once then. It may have been woken before
    /// this returns, so a driver that may run anywhere must not touch the copy any more.
    #[must_use = "the copy must wait"]
    pub(super) fn arm(&self, low: usize) -> bool {
        let mut state = self.state.lock();
        state.low = low;
        state.waiting = !state.is_ready();
        state.waiting
    }

    /// Waits to be woken, once after each [`Tracker::arm`] that has returned true.
    ///
    /// Context: task; may sleep.
    pub(super) fn wait(&self) {
        self.woken.wait_for_completion_io();
    }

    /// Wakes the driver, if it waits and there is something to do.
    fn wake(&self, state: &mut State) {
        if state.waiting && state.is_ready() {
            state.waiting = false;
            match &self.waker {
                Some(waker) => waker.wake(),
                None => self.woken.complete(),
            }
        }
    }
}

impl chunk::Owner for Tracker {
    fn chunk_ended(&self, slot: usize, verdict: Verdict<Status>) {
        let mut state = self.state.lock();
        state.progress.end(slot, verdict, error_of);
        self.wake(&mut state);
    }
}
