// SPDX-License-Identifier: GPL-2.0

//! Copies by asking the device to, chunk by chunk.
//!
//! The chunks of a call are sent one after the other under a plug, at most [`WINDOW`] of them at a
//! time, so the memory in flight does not depend on the length of the copy. The first chunk that
//! fails stops the call; what is in flight is waited for, and the result is the part copied from
//! the start without a gap.

use super::{
    context,
    memory::Memory,
    plan::{
        Limits,
        Plan,
        Ranges, //
    },
    progress::Progress,
    protocol::MAX_PARTS,
    range::Range,
    verdict::{
        Reason,
        Verdict, //
    }, //
};
use kernel::{
    block::{
        bdev::BlockDevice,
        bio::{
            plugged,
            Plug,
            Status, //
        },
        sched::{
            self,
            IoCompletion, //
        },
        units::Sectors, //
    },
    new_spinlock_irq,
    prelude::*,
    sync::SpinLockIrq, //
};

/// Chunks of one call in flight. Half of the default number of requests of a queue, so that a copy
/// leaves room for other I/O, and finds room for all of its own.
const WINDOW: usize = 32;

/// When the window is full, it is filled again once this many chunks are left in it.
const REFILL: usize = WINDOW / 2;

/// One copy that is under way. Lives on the stack of [`Request::run`].
#[pin_data]
pub(crate) struct Call {
    #[pin]
    progress: SpinLockIrq<Progress<Verdict<Status>>>,
    #[pin]
    woken: IoCompletion,
}

impl Call {
    fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            progress <- new_spinlock_irq!(Progress::new(), "blk_copy_call"),
            woken <- IoCompletion::new(),
        })
    }

    /// The chunk at `offset` is over. Who waits may be gone when this has dropped the lock, so it
    /// is woken before.
    ///
    /// Context: any. Does not sleep.
    pub(crate) fn chunk_over(&self, offset: Sectors, verdict: Option<Verdict<Status>>) {
        let mut progress = self.progress.lock();
        if progress.end(offset, verdict) {
            self.woken.complete();
        }
        drop(progress);
    }

    /// Sleeps until at most `left` chunks are in flight. When it returns, whoever ended the others
    /// has dropped the lock, and with it touched the call for the last time.
    fn wait(&self, left: usize) {
        while self.must_wait(left) {
            self.woken.wait();
        }
    }

    fn must_wait(&self, left: usize) -> bool {
        self.progress.lock().wait(left)
    }

    fn is_full(&self) -> bool {
        self.progress.lock().in_flight() >= WINDOW
    }

    /// One more chunk sets out, unless one has failed.
    fn begin(&self, end: Sectors) -> bool {
        let mut progress = self.progress.lock();
        let go_on = !progress.has_gap();
        if go_on {
            progress.begin(end);
        }
        go_on
    }
}

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

/// What came of a copy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    /// Sectors copied from the start without a gap.
    pub(crate) copied: Sectors,
    /// Why it is not everything; [`None`] if it is.
    pub(crate) stop: Option<Stop>,
}

impl Outcome {
    pub(crate) const fn nothing(stop: Option<Stop>) -> Self {
        let copied = Sectors::ZERO;
        Self { copied, stop }
    }
}

/// A copy, which was checked.
///
/// # Invariants
///
/// The ranges of both lists lie within their devices and on boundaries of the logical blocks of
/// both. The lists are as long as each other, no range of one overlaps one of the other, and the
/// destination was writable.
pub(crate) struct Request<'a, L: ?Sized> {
    src_bdev: &'a BlockDevice,
    dst_bdev: &'a BlockDevice,
    src: &'a L,
    dst: &'a L,
}

impl<'a, L: Ranges + ?Sized> Request<'a, L> {
    /// Checks a copy.
    ///
    /// # Errors
    ///
    /// - `EPERM`: the destination is read-only.
    /// - `EINVAL`: not on block boundaries, past the end of a device, of unequal lengths, or
    ///   overlapping.
    pub(crate) fn new(
        (src_bdev, src): (&'a BlockDevice, &'a L),
        (dst_bdev, dst): (&'a BlockDevice, &'a L),
    ) -> Result<Self> {
        if dst_bdev.is_read_only() {
            return Err(EPERM);
        }
        let block = larger_block(src_bdev, dst_bdev);
        let fits = |list: &L, bdev: &BlockDevice| {
            let size = bdev.size();
            let mut ranges = list.iter();
            ranges.all(|range| range.is_aligned(block) && range.fits(size))
        };
        if !fits(src, src_bdev) || !fits(dst, dst_bdev) {
            return Err(EINVAL);
        }
        if src.total().ok_or(EINVAL)? != dst.total().ok_or(EINVAL)? {
            return Err(EINVAL);
        }
        if src_bdev.same_disk(dst_bdev) {
            // On the disk, where a partition and the disk itself meet.
            let on_disk = |bdev: &BlockDevice, range: Range| {
                range.moved(Sectors::new(bdev.start().get())).ok_or(EINVAL)
            };
            for from in src.iter() {
                for to in dst.iter() {
                    if on_disk(src_bdev, from)?.overlaps(on_disk(dst_bdev, to)?) {
                        return Err(EINVAL);
                    }
                }
            }
        }
        // INVARIANT: All of it was checked above.
        Ok(Self {
            src_bdev,
            dst_bdev,
            src,
            dst,
        })
    }

    /// What one command can take. Nothing if the devices cannot, or must not, copy.
    fn limits(&self) -> Limits {
        let (src, dst) = (self.src_bdev.limits(), self.dst_bdev.limits());
        let block = larger_block(self.src_bdev, self.dst_bdev);
        let segment = match (src.max_copy_segment(), dst.max_copy_segment()) {
            (Sectors::ZERO, one) | (one, Sectors::ZERO) => one,
            (one, other) => one.min(other),
        };
        let ranges = src.max_copy_src_segments().min(dst.max_copy_src_segments());
        let max = src.max_copy().min(dst.max_copy()).round_down(block);
        let limits = Limits {
            max,
            segment: segment.round_down(block),
            src_segments: usize::from(ranges).min(MAX_PARTS - 1),
            // No driver takes more so far.
            dst_segments: 1,
        };
        if limits.segment.is_zero() && !segment.is_zero() {
            // Less than one block.
            return Limits {
                max: Sectors::ZERO,
                ..limits
            };
        }
        limits
    }

    /// Whether both devices can copy at all. Whether they can together shows when it is tried.
    pub(crate) fn is_possible(&self) -> bool {
        !self.limits().is_none()
    }

    /// Copies, and waits for the end.
    ///
    /// Context: task; may sleep.
    ///
    /// # Errors
    ///
    /// In [`Outcome::stop`]: [`Stop::Unsupported`] if the devices cannot copy this, the error of
    /// the first chunk that failed, or `EINTR` after a fatal signal.
    pub(crate) fn run(&self) -> Outcome {
        let limits = self.limits();
        if limits.is_none() {
            return Outcome::nothing(Some(Stop::Unsupported));
        }
        pin_init::stack_pin_init!(let call = Call::new());
        let call = call.as_ref();
        let killed = plugged(|plug| self.send(&limits, call, plug));
        call.wait(0);

        let (copied, gap) = call.progress.lock().result();
        let stop = match gap {
            Some(Verdict::Fallback(Reason::Busy)) => Some(Stop::Busy),
            Some(Verdict::Fallback(Reason::NotSupported | Reason::Domain)) => {
                Some(Stop::Unsupported)
            }
            Some(Verdict::Failed(status)) => Some(Stop::Failed(status.to_error())),
            None if killed => Some(Stop::Failed(EINTR)),
            None => None,
        };
        Outcome { copied, stop }
    }

    /// Sends chunk after chunk, until all are sent, one has failed, or the task is being killed,
    /// which it returns.
    fn send(&self, limits: &Limits, call: Pin<&Call>, plug: &mut Plug<'_>) -> bool {
        let mut plan = Plan::new(self.src, self.dst);
        while !sched::fatal_signal_pending() {
            if call.is_full() {
                plug.flush();
                call.wait(REFILL);
            }
            let Some((chunk, memory)) = Memory::for_chunk(&plan, limits) else {
                return false;
            };
            let end = chunk.offset.checked_add(chunk.len);
            if !end.is_some_and(|end| call.begin(end)) {
                return false;
            }
            let bdevs = (self.src_bdev, self.dst_bdev);
            // SAFETY: The memory was made for this chunk, of which the limits allow one destination
            // and no more than the devices do. The caller keeps the devices open, and `call` is
            // pinned until nothing is in flight.
            unsafe { context::submit(bdevs, &plan, &chunk, memory, call) };
            plan.advance(chunk.len);
            sched::cond_resched();
        }
        true
    }
}

/// The larger logical block of two devices.
pub(crate) fn larger_block(a: &BlockDevice, b: &BlockDevice) -> Sectors {
    a.limits().logical_block().max(b.limits().logical_block())
}
