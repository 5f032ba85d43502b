// SPDX-License-Identifier: GPL-2.0

//! Copies a range by asking the device to, chunk by chunk.
//!
//! The chunks of a call are sent one after the other under a plug, at most [`WINDOW`] of them at a
//! time, so the memory in flight does not depend on the length of the copy. The first chunk that
//! fails stops the call; what is in flight is waited for, and the result is the part copied from the
//! start without a gap.

use super::{
    context,
    plan::Plan,
    progress::Progress,
    range::Range,
    verdict::Verdict, //
};
use kernel::{
    block::{
        bdev::BlockDevice,
        bio::{
            Plug,
            Status, //
        },
        sched,
        units::{
            Sector,
            Sectors, //
        }, //
    },
    new_condvar,
    new_spinlock_irq,
    prelude::*,
    sync::{
        CondVar,
        SpinLockIrq, //
    },
    types::Opaque, //
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
    changed: CondVar,
}

impl Call {
    fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            progress <- new_spinlock_irq!(Progress::new(), "blk_copy_call"),
            changed <- new_condvar!("blk_copy_call"),
        })
    }

    /// The chunk at `offset` is over. Who waits may be gone when this has dropped the lock, so it is
    /// woken before.
    ///
    /// Context: any. Does not sleep.
    pub(crate) fn chunk_over(&self, offset: Sectors, verdict: Option<Verdict<Status>>) {
        let mut progress = self.progress.lock();
        progress.end(offset, verdict);
        self.changed.notify_all();
        drop(progress);
    }

    /// Sleeps until at most `left` chunks are in flight.
    fn wait(&self, left: usize) {
        let mut progress = self.progress.lock();
        while progress.in_flight() > left {
            self.changed.wait(&mut progress);
        }
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
    /// A real error. Nothing else is tried.
    Failed(Error),
}

impl Stop {
    /// The error number for the caller.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Stop::Unsupported => EOPNOTSUPP,
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
    const fn nothing(stop: Option<Stop>) -> Self {
        let copied = Sectors::ZERO;
        Self { copied, stop }
    }
}

/// A copy of one range, which was checked.
///
/// # Invariants
///
/// Both ranges are as long, lie within their devices and on boundaries of the logical blocks of
/// both; they do not overlap, and the destination was writable.
pub(crate) struct Request<'a> {
    src_bdev: &'a BlockDevice,
    dst_bdev: &'a BlockDevice,
    src: Range,
    dst: Range,
}

impl<'a> Request<'a> {
    /// Checks a copy of `len` sectors. [`None`] if there is nothing to do.
    ///
    /// # Errors
    ///
    /// - `EPERM`: the destination is read-only.
    /// - `EINVAL`: not on block boundaries, past the end of a device, or overlapping.
    pub(crate) fn new(
        (src_bdev, src): (&'a BlockDevice, Sector),
        (dst_bdev, dst): (&'a BlockDevice, Sector),
        len: Sectors,
    ) -> Result<Option<Self>> {
        if dst_bdev.is_read_only() {
            return Err(EPERM);
        }
        if len.is_zero() {
            return Ok(None);
        }
        let src = Range::new(src, len).ok_or(EINVAL)?;
        let dst = Range::new(dst, len).ok_or(EINVAL)?;
        let block = larger_block(src_bdev, dst_bdev);
        if !src.is_aligned(block)
            || !dst.is_aligned(block)
            || !src.fits(src_bdev.size())
            || !dst.fits(dst_bdev.size())
        {
            return Err(EINVAL);
        }
        if src_bdev.same_disk(dst_bdev) {
            // On the disk, where a partition and the disk itself meet.
            let on_disk = |bdev: &BlockDevice, range: Range| {
                range.moved(Sectors::new(bdev.start().get())).ok_or(EINVAL)
            };
            if on_disk(src_bdev, src)?.overlaps(on_disk(dst_bdev, dst)?) {
                return Err(EINVAL);
            }
        }
        // INVARIANT: All of it was checked above.
        Ok(Some(Self {
            src_bdev,
            dst_bdev,
            src,
            dst,
        }))
    }

    /// The most that one command can copy: zero if the devices cannot or must not.
    fn chunk(&self) -> Sectors {
        let one = |bdev: &BlockDevice| {
            let limits = bdev.limits();
            let max = limits.max_copy();
            // A source range of a command has a limit of its own; a chunk may take several.
            let ranges = u64::from(limits.max_copy_src_segments());
            match limits.max_copy_segment() {
                Sectors::ZERO => max,
                segment => max.min(Sectors::new(segment.get().saturating_mul(ranges))),
            }
        };
        let block = larger_block(self.src_bdev, self.dst_bdev);
        one(self.src_bdev).min(one(self.dst_bdev)).round_down(block)
    }

    /// Whether both devices can copy at all. Whether they can together shows when it is tried.
    pub(crate) fn is_possible(&self) -> bool {
        !self.chunk().is_zero()
    }

    /// Copies, and waits for the end.
    ///
    /// Context: task; may sleep.
    ///
    /// # Errors
    ///
    /// In [`Outcome::stop`]: [`Stop::Unsupported`] if the devices cannot copy this, the error of the
    /// first chunk that failed, or `EINTR` after a fatal signal.
    pub(crate) fn run(&self) -> Outcome {
        let Some(plan) = Plan::new(self.src, self.dst, self.chunk()) else {
            return Outcome::nothing(Some(Stop::Unsupported));
        };
        pin_init::stack_pin_init!(let call = Call::new());
        let call = call.as_ref();
        let mut killed = false;

        let plug = core::pin::pin!(Opaque::uninit());
        let mut plug = Plug::start(plug);
        for piece in plan {
            if call.is_full() {
                plug.flush();
                call.wait(REFILL);
            }
            killed = sched::fatal_signal_pending();
            let end = piece.offset.checked_add(piece.src.len());
            let Some(end) = end.filter(|_| !killed) else {
                break;
            };
            if !call.begin(end) {
                break;
            }
            // SAFETY: The caller keeps the devices open, and `call` is pinned here until nothing is
            // in flight; the plan cuts by the limits.
            unsafe { context::submit(self.src_bdev, self.dst_bdev, piece, call) };
            sched::cond_resched();
        }
        drop(plug);
        call.wait(0);

        let (copied, gap) = call.progress.lock().result();
        let stop = match gap {
            Some(Verdict::Fallback(_)) => Some(Stop::Unsupported),
            Some(Verdict::Failed(status)) => Some(Stop::Failed(status.to_error())),
            None if killed => Some(Stop::Failed(EINTR)),
            None => None,
        };
        Outcome { copied, stop }
    }
}

/// The larger logical block of two devices.
pub(crate) fn larger_block(a: &BlockDevice, b: &BlockDevice) -> Sectors {
    a.limits().logical_block().max(b.limits().logical_block())
}
