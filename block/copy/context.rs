// SPDX-License-Identifier: GPL-2.0

//! The copy context: one chunk with its bios, in one allocation.
//!
//! # Who owns what
//!
//! - The context is allocated by [`Memory::for_chunk`] and freed by whoever [`protocol::Chunk`]
//!   names the last user. All others leave by dropping the lock, their last access to the context;
//!   the submitter's is to submit the last bio.
//! - The bios inside belong to whom they were submitted to, until [`part_end_io`] is called for
//!   them. A stacking driver submits clones of them; a clone points to the same [`Part`], which is
//!   how the context is found at the bottom of the stack.
//! - A bio that arrives there is owned by the [`protocol::Chunk`] until that gives it out.
//!
//! # Locking
//!
//! One spinlock, which is taken in any context, hard interrupts included, because that is where
//! devices end bios. Bios are ended and submitted after it was dropped: ending one calls
//! [`part_end_io`], which takes it.
//!
//! # Why nothing is submitted twice, and nothing hangs
//!
//! [`intercept`](super::bottom::intercept) runs once per bio and level, after the level was entered
//! in full: checks, throttling, accounting, tracing and injected errors see every bio exactly once.
//! All bios are in memory before the first one is submitted, so a parked bio never waits for an
//! allocation; and while they travel they carry `REQ_NOWAIT`, so that a stacking driver that would
//! make one of them wait fails it instead, and the others are ended. What is parked therefore waits
//! for the progress of its siblings alone.

use super::{
    memory::Memory,
    plan::{
        Chunk,
        Plan,
        Ranges, //
    },
    protocol::{
        self,
        Sole,
        CARRIER, //
    },
    range::Range,
    shared::Shared,
    trace,
    verdict::{
        Reason,
        Verdict, //
    }, //
};
use core::{
    cell::UnsafeCell,
    iter::once,
    ptr::{
        addr_of_mut,
        drop_in_place,
        NonNull, //
    }, //
};
use kernel::{
    block::{
        bdev::{
            BlockDevice,
            Dev, //
        },
        bio::{
            self,
            Bio,
            BioList,
            CopyOp,
            OwnedBio,
            RawBio,
            Status, //
        },
        units::Sectors, //
    },
    new_spinlock_irq,
    prelude::*,
    sync::{
        atomic::Atomic,
        SpinLockIrq, //
    }, //
};

pub(super) type State = protocol::Chunk<OwnedBio, BioList, Verdict<Status>>;

impl protocol::BioList<OwnedBio> for BioList {
    fn push(&mut self, bio: OwnedBio) {
        BioList::push(self, bio);
    }
}

impl protocol::Handle for OwnedBio {
    /// Where it is in memory.
    type Id = usize;

    fn id(&self) -> usize {
        core::ptr::from_ref::<Bio>(self).addr()
    }
}

/// What a copy that no driver has looked at comes to.
pub(super) const IGNORED: Verdict<Status> = Verdict::Fallback(Reason::NotSupported);

/// Sorts the status that a bio ended with.
fn verdict_of(status: Status) -> Verdict<Status> {
    match status {
        Status::NOTSUPP => Verdict::Fallback(Reason::NotSupported),
        Status::AGAIN => Verdict::Fallback(Reason::Busy),
        failed => Verdict::Failed(failed),
    }
}

/// The status that the other parts of a chunk end with.
pub(super) fn status_of(verdict: Verdict<Status>) -> Status {
    match verdict {
        Verdict::Fallback(Reason::Busy) => Status::AGAIN,
        Verdict::Fallback(_) => Status::NOTSUPP,
        Verdict::Failed(status) => status,
    }
}

/// Where a bio came to lie at the bottom of the stack.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) range: Range,
    /// Null where nothing can be copied.
    pub(super) domain: usize,
}

/// A bio of a context. A pointer to it is what the bio and all its clones carry.
#[repr(C)]
pub(crate) struct Part {
    bio: Bio,
    index: usize,
    context: NonNull<Context>,
    /// Where it begins, counted from the start of the chunk.
    pub(super) offset: Sectors,
    /// Written when the bio is parked, under the lock of the context; constant once the chunk was
    /// dispatched.
    pub(super) place: UnsafeCell<Option<Place>>,
}

/// One chunk. Its [`Part`]s follow it in memory: the destination, which carries the command, then
/// the sources.
#[repr(C)]
pub(crate) struct Context {
    state: SpinLockIrq<State>,
    pub(super) memory: Memory,
    /// Set once the command is on its way to the driver.
    pub(super) dispatched: Atomic<bool>,
    /// So much of the chunk is mapped to one place at most; zero: as far as is known, all of it.
    /// Under the lock.
    pub(super) split: UnsafeCell<Sectors>,
    /// What the copy calls this chunk.
    slot: usize,
    /// What is written, as the caller sees the device. The device that the bio has in the end may
    /// be another one.
    pub(super) dst: Range,
    dst_dev: Dev,
    /// Outlives the context: the copy waits for its chunks.
    shared: NonNull<Shared>,
    parts: [Part; 0],
}

impl Context {
    /// The memory that a context of so many parts takes; [`None`] if that overflows.
    pub(crate) fn size(parts: usize) -> Option<usize> {
        size_of::<Part>()
            .checked_mul(parts)?
            .checked_add(size_of::<Self>())
    }
}

/// The part of an index.
///
/// # Safety
///
/// The context has so many parts, in memory.
pub(super) unsafe fn part(context: NonNull<Context>, index: usize) -> NonNull<Part> {
    // SAFETY: The parts follow the context, in the same allocation.
    unsafe {
        let first = addr_of_mut!((*context.as_ptr()).parts).cast::<Part>();
        NonNull::new_unchecked(first.add(index))
    }
}

/// The state of a context.
///
/// # Safety
///
/// The caller owns a bio of the context, or a clone of one, until it drops the lock for the last
/// time.
pub(super) unsafe fn state<'a>(context: NonNull<Context>) -> &'a SpinLockIrq<State> {
    // SAFETY: Required of the caller. Only the state is borrowed, because the bios beside it are
    // written by their owners.
    unsafe { &(*context.as_ptr()).state }
}

/// Which part a bio is, or the one that it is a clone of is, and of which context.
///
/// The context is there while the bio is: until the bio's last owner has ended it.
pub(super) fn locate(bio: &Bio) -> Option<(usize, NonNull<Context>)> {
    let part = bio.copy_half()?.cast::<Part>().as_ptr();
    // SAFETY: Only `submit` makes bios with a part, and points them at one of its context, which is
    // freed after all of its bios, and so all their clones, have ended. These fields are constant.
    Some(unsafe { ((*part).index, (*part).context) })
}

/// Sends one chunk on its way. `shared` hears of its end exactly once, perhaps before this returns.
///
/// Context: task; may sleep.
///
/// # Safety
///
/// - `memory` is for the parts of `chunk`, which has one destination.
/// - Both devices stay open, and `shared` stays where it is, until it has heard of the end.
/// - The chunk is no longer than the limits of the devices.
pub(crate) unsafe fn submit<L: Ranges + Copy>(
    (src_bdev, dst_bdev): (&BlockDevice, &BlockDevice),
    plan: &Plan<L>,
    chunk: &Chunk,
    memory: Memory,
    shared: Pin<&Shared>,
    slot: usize,
) {
    let (Some(src), Some(dst)) = (plan.sources(chunk).next(), plan.destinations(chunk).next())
    else {
        // Not so: a chunk is not empty.
        return shared.chunk_over(slot, Some(IGNORED));
    };
    trace::submit(src_bdev, src, dst_bdev, dst);

    let context = memory.start().cast::<Context>();
    let raw = context.as_ptr();
    let parts = memory.parts();
    // SAFETY: This is memory for a context that nobody else has. All fields are written before
    // anything refers to them, and the memory does not move.
    unsafe {
        addr_of_mut!((*raw).memory).write(memory);
        addr_of_mut!((*raw).dispatched).write(Atomic::new(false));
        addr_of_mut!((*raw).split).write(UnsafeCell::new(Sectors::ZERO));
        addr_of_mut!((*raw).slot).write(slot);
        addr_of_mut!((*raw).dst).write(dst);
        addr_of_mut!((*raw).dst_dev).write(dst_bdev.dev());
        addr_of_mut!((*raw).shared).write(NonNull::from(shared.get_ref()));
        let lock = new_spinlock_irq!(State::new(parts), "blk_copy_context");
        pin_init::raw_init(addr_of_mut!((*raw).state), lock);
    }
    let sources = plan
        .sources(chunk)
        .map(|range| (CopyOp::Src, src_bdev, range));
    let all = Iterator::chain(once((CopyOp::Dst, dst_bdev, dst)), sources);
    let mut offset = Sectors::ZERO;
    for (index, (op, bdev, range)) in all.enumerate() {
        // SAFETY: There is memory for so many parts, and none of them moves. The caller keeps the
        // device open until the end and has checked the length; `part_end_io` expects a `Part`.
        unsafe {
            let slot = part(context, index).as_ptr();
            addr_of_mut!((*slot).index).write(index);
            addr_of_mut!((*slot).context).write(context);
            addr_of_mut!((*slot).offset).write(offset);
            addr_of_mut!((*slot).place).write(UnsafeCell::new(None));
            Bio::init_copy(
                NonNull::new_unchecked(addr_of_mut!((*slot).bio)),
                bdev,
                op,
                (range.start(), range.len()),
                NonNull::new_unchecked(slot).cast(),
                part_end_io,
            );
        }
        if op == CopyOp::Src {
            offset = offset.checked_add(range.len()).unwrap_or(offset);
        }
    }
    // The sources, then the destination. All of them, also if one has failed already: the others
    // find that out when they arrive.
    for index in Iterator::chain(CARRIER + 1..parts, once(CARRIER)) {
        // SAFETY: The bio was initialized above and is submitted once. The context stays until the
        // last of them was submitted and has ended.
        unsafe {
            let slot = part(context, index).as_ptr();
            bio::submit(NonNull::new_unchecked(addr_of_mut!((*slot).bio)));
        }
    }
}

/// Ends one of the bios that [`submit`] made.
///
/// # Safety
///
/// For `bi_end_io` of these bios alone, which the block layer calls once each.
unsafe extern "C" fn part_end_io(bio: *mut RawBio) {
    // SAFETY: The block layer passes the bio that has ended, which the context contains.
    let bio = unsafe { Bio::from_raw(bio) };
    let Some((index, context)) = locate(bio) else {
        return;
    };
    let error = bio.status().map(verdict_of);

    // SAFETY: The end of this bio has not been told yet, so the context lives.
    let mut state = unsafe { state(context) }.lock();
    let (parked, last) = state.ended(index, error, IGNORED);
    let verdict = state.error();
    drop(state);

    if let Some(sole) = last {
        // SAFETY: It is this context's, and so is the verdict.
        unsafe { finish(context, verdict, sole) };
    } else {
        // The context lives until the last of them has ended too, but perhaps no longer.
        parked.end(verdict.map(status_of));
    }
}

/// Frees the context and delivers its verdict.
///
/// Context: any. Does not sleep.
///
/// # Safety
///
/// The [`State`] of this context has made `sole`, and has come to this verdict.
unsafe fn finish(context: NonNull<Context>, verdict: Option<Verdict<Status>>, _sole: Sole) {
    let raw = context.as_ptr();
    // SAFETY: Nobody else uses the context: all bios were submitted and have ended, and everybody's
    // last access was to drop the lock, which this task has had after them.
    let (verdict, slot, shared, memory) = unsafe {
        let verdict = match (verdict, *(*raw).split.get()) {
            (Some(Verdict::Fallback(Reason::NotSupported)), split) if !split.is_zero() => {
                Some(Verdict::Fallback(Reason::Split(split)))
            }
            (verdict, _) => verdict,
        };
        trace::chunk_done((*raw).dst_dev, (*raw).dst, verdict);
        for index in 0..(*raw).memory.parts() {
            let slot = part(context, index).as_ptr();
            Bio::uninit(NonNull::new_unchecked(addr_of_mut!((*slot).bio)));
        }
        drop_in_place(addr_of_mut!((*raw).state));
        (
            verdict,
            (*raw).slot,
            (*raw).shared,
            addr_of_mut!((*raw).memory).read(),
        )
    };
    drop(memory);
    // SAFETY: The copy waits for this chunk, so it is still there.
    unsafe { shared.as_ref() }.chunk_over(slot, verdict);
}
