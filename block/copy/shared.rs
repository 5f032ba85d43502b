// SPDX-License-Identifier: GPL-2.0

//! What a copy shares with those who end its I/O, in any context: one lock, and the way to wake
//! the task that drives the copy.
//!
//! # Why it is not used after it is gone
//!
//! The driving task ends when nothing is in flight, which it sees under the lock. Whoever ended the
//! last piece took that lock before and wakes the task, or queues its work, with the lock held; so
//! to drop the lock is its last access.

use super::{
    background::{
        Background,
        Handle, //
    },
    onload::{
        Buffer,
        BufferList,
        Piece, //
    },
    progress::{
        Gap,
        Run,
        Window,
        WINDOW, //
    },
    verdict::{
        Outcome,
        Reason,
        Verdict, //
    }, //
};
use core::ptr::NonNull;
use kernel::{
    block::{
        bio::Status,
        buffer,
        units::Sectors, //
    },
    new_spinlock_irq,
    prelude::*,
    sync::{
        Completion,
        SpinLockIrq, //
    }, //
};

/// Why a copy ended before its end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stop {
    /// The device cannot do the rest. Another way may.
    Unsupported,
    /// It cannot now. Another way may, and so may the same way later.
    Busy,
    /// A real error. Nothing else is tried.
    Failed(Error),
}

impl Stop {
    /// The error number for the caller.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Stop::Unsupported | Stop::Busy => EOPNOTSUPP,
            Stop::Failed(error) => error,
        }
    }
}

impl Stop {
    /// A read or a write has failed. There is no other way than this.
    pub(crate) fn of_io(status: Status) -> Self {
        Stop::Failed(match status {
            Status::NOTSUPP => EIO,
            status => status.to_error(),
        })
    }
}

impl From<Verdict<Status>> for Stop {
    fn from(verdict: Verdict<Status>) -> Self {
        match verdict {
            Verdict::Fallback(Reason::Busy) => Stop::Busy,
            Verdict::Fallback(_) => Stop::Unsupported,
            Verdict::Failed(status) => Stop::Failed(status.to_error()),
        }
    }
}

struct State {
    window: Window,
    /// Whether a chunk in the window was not offloaded.
    fell: bool,
    gap: Gap<Stop>,
    /// Buffers whose I/O has ended.
    back: BufferList,
    /// Whether a chunk has ended since this was last looked at.
    ended: bool,
    /// Who waits wants to go on when so many chunks are in flight.
    low: usize,
    waiting: bool,
}

impl State {
    fn is_ready(&self) -> bool {
        !self.back.is_empty() || (self.ended && self.window.in_flight() <= self.low)
    }
}

/// What a copy shares with those who end its I/O.
#[pin_data]
pub(crate) struct Shared {
    #[pin]
    state: SpinLockIrq<State>,
    #[pin]
    woken: Completion,
    /// What is queued to wake the copy; [`None`] if a task waits for it.
    background: Option<Waiting>,
    /// Whether chunks that fall back are copied in another way.
    onload: bool,
}

/// A copy in the background that waits.
struct Waiting(NonNull<Background>);

// SAFETY: It is only used to queue the copy, by the one who was armed to do so.
unsafe impl Send for Waiting {}
// SAFETY: As above.
unsafe impl Sync for Waiting {}

/// What has happened to a copy.
pub(crate) struct Seen {
    pub(crate) gap: Gap<Stop>,
    /// Chunks in flight.
    pub(crate) in_flight: usize,
    /// Chunks that may be sent: none where one was not offloaded and something else comes first.
    pub(crate) room: usize,
    /// The oldest chunks, if they were offloaded, or are to be split or copied in another way.
    pub(crate) run: Option<Run>,
    /// Buffers whose I/O has ended.
    pub(crate) back: BufferList,
}

impl Shared {
    /// Nothing is in flight.
    pub(crate) fn new(background: Option<NonNull<Background>>, onload: bool) -> impl PinInit<Self> {
        pin_init!(Self {
            state <- new_spinlock_irq!(State {
                window: Window::new(),
                fell: false,
                gap: Gap::NONE,
                back: BufferList::new(),
                ended: false,
                low: 0,
                waiting: false,
            }, "blk_copy_shared"),
            woken <- Completion::new(),
            background: background.map(Waiting),
            onload,
        })
    }

    /// Looks at what has happened. With `take`, the oldest chunks are taken from the window if they
    /// have ended, and were offloaded, or all have ended and these have to be split or copied
    /// otherwise.
    pub(crate) fn look(&self, take: bool) -> Seen {
        let mut state = self.state.lock();
        let State {
            window,
            fell,
            gap,
            back,
            ended,
            ..
        } = &mut *state;
        *ended = false;
        let run = window.oldest().filter(|oldest| {
            let again = *oldest == Outcome::Split || (self.onload && oldest.is_fallback());
            take && (*oldest == Outcome::Offloaded || (again && window.in_flight() == 0))
        });
        let run = run.and_then(|_| window.take());
        *fell = *fell && window.room() < WINDOW;
        Seen {
            gap: *gap,
            in_flight: window.in_flight(),
            room: if *fell { 0 } else { window.room() },
            run,
            back: core::mem::take(back),
        }
    }

    /// Whether no chunk is in flight.
    pub(crate) fn is_idle(&self) -> bool {
        self.state.lock().window.in_flight() == 0
    }

    /// Something at `offset` was not copied.
    pub(crate) fn note(&self, offset: Sectors, why: Stop) {
        self.state.lock().gap.note(offset, why);
    }

    /// So many chunks of a length set out, from where the last one ended, unless one has failed.
    /// Returns the number of the first for [`Shared::chunks_over`].
    pub(crate) fn begin(&self, len: Sectors, chunks: usize) -> Option<usize> {
        let mut state = self.state.lock();
        if state.fell {
            return None;
        }
        state.window.begin(len, chunks)
    }

    /// Has all chunks from `start` on sent anew, whatever came of them. Nothing is in flight.
    pub(crate) fn restart(&self, start: Sectors, mut dropped: impl FnMut(Run)) {
        let mut state = self.state.lock();
        while let Some(run) = state.window.take() {
            dropped(run);
        }
        state.window.restart(start);
        state.gap.forget_from(start);
        state.fell = false;
    }

    /// So much is not sent in chunks at all. The window is empty.
    pub(crate) fn skip(&self, len: Sectors) {
        self.state.lock().window.skip(len);
    }

    /// Chunks that set out together are over, the first of them of that number.
    ///
    /// Context: any. Does not sleep.
    pub(crate) fn chunks_over(&self, first: usize, verdicts: &[Option<Verdict<Status>>]) {
        let mut state = self.state.lock();
        for (index, verdict) in verdicts.iter().enumerate() {
            self.chunk_over(&mut state, first + index, verdict);
        }
        state.ended = true;
        self.wake(&mut state);
    }

    fn chunk_over(&self, state: &mut State, slot: usize, verdict: &Option<Verdict<Status>>) {
        let outcome = Outcome::from(verdict);
        let cut = match verdict {
            Some(Verdict::Fallback(Reason::Split(cut))) => *cut,
            _ => Sectors::ZERO,
        };
        state.window.end(slot, outcome, cut);
        let Some(verdict) = verdict else { return };
        state.fell = true;
        let again = outcome == Outcome::Split || (self.onload && outcome.is_fallback());
        if !again {
            let start = state.window.start_of(slot);
            state.gap.note(start, (*verdict).into());
        }
    }

    /// Wakes who waits, if there is something to do. The lock is held: see above.
    fn wake(&self, state: &mut State) {
        if !state.waiting || !state.is_ready() {
            return;
        }
        state.waiting = false;
        match &self.background {
            None => self.woken.complete(),
            // SAFETY: It has stopped running until it is woken, and only one does that.
            Some(Waiting(background)) => unsafe { Handle::new(*background) }.enqueue(),
        }
    }

    /// Whether there is nothing to do until a buffer has come back or a chunk has ended and at most
    /// `low` are in flight. If so, the copy is woken once when there is; one in the background is
    /// not the caller's any more.
    #[must_use = "the copy must wait"]
    pub(crate) fn arm(&self, low: usize) -> bool {
        let mut state = self.state.lock();
        state.low = low;
        state.waiting = !state.is_ready();
        state.waiting
    }

    /// Waits after [`Shared::arm`].
    ///
    /// Context: task; sleeps.
    pub(crate) fn wait(&self) {
        self.woken.wait_for_completion_io();
    }

    /// How a copy has ended, of which nothing is in flight any more: what is left in the window,
    /// and the gap.
    pub(crate) fn result(&self, mut rest: impl FnMut(Run)) -> Option<(Sectors, Stop)> {
        let mut state = self.state.lock();
        while let Some(run) = state.window.take() {
            rest(run);
        }
        state.gap.get()
    }
}

impl buffer::Owner<Option<Piece>> for Shared {
    fn ended(&self, buffer: Buffer) {
        let failed = buffer.tag().zip(buffer.status());
        let mut state = self.state.lock();
        if let Some((piece, status)) = failed {
            // At once, so that nothing behind it is written any more.
            state.gap.note(piece.offset(), Stop::of_io(status));
        }
        state.back.push(buffer);
        self.wake(&mut state);
    }
}
