// SPDX-License-Identifier: GPL-2.0

//! The copy context: one chunk with its bios, in one allocation.
//!
//! # Who owns what
//!
//! - The context is allocated by [`Memory::for_chunk`] and freed by whoever [`protocol::Chunk`] names
//!   the last user. All others leave by dropping the lock, their last access to the context.
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
//! [`intercept`] runs once per bio and level, after the level was entered in full: checks,
//! throttling, accounting, tracing and injected errors see every bio exactly once. All bios are in
//! memory before the first one is submitted, so a parked bio never waits for an allocation; and
//! while they travel they carry `REQ_NOWAIT`, so that a stacking driver that would make one of them
//! wait fails it instead, and the others are ended. What is parked therefore waits for the progress
//! of its siblings alone.

use super::{
    memory::Memory,
    offload::Call,
    plan::{
        Chunk,
        Plan,
        Ranges, //
    },
    protocol::{
        self,
        Last,
        Park,
        CARRIER, //
    },
    range::Range,
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
    sync::SpinLockIrq, //
};

type State = protocol::Chunk<OwnedBio, BioList, Verdict<Status>>;

impl protocol::BioList<OwnedBio> for BioList {
    fn push(&mut self, bio: OwnedBio) {
        BioList::push(self, bio);
    }
}

/// What a copy that no driver has looked at comes to.
const IGNORED: Verdict<Status> = Verdict::Fallback(Reason::NotSupported);

/// Sorts the status that a bio ended with.
fn verdict_of(status: Status) -> Verdict<Status> {
    match status {
        Status::NOTSUPP => Verdict::Fallback(Reason::NotSupported),
        Status::AGAIN => Verdict::Fallback(Reason::Busy),
        failed => Verdict::Failed(failed),
    }
}

/// The status that the other parts of a chunk end with.
fn status_of(verdict: Verdict<Status>) -> Status {
    match verdict {
        Verdict::Fallback(Reason::Busy) => Status::AGAIN,
        Verdict::Fallback(Reason::NotSupported | Reason::Domain) => Status::NOTSUPP,
        Verdict::Failed(status) => status,
    }
}

/// Where a bio came to lie at the bottom of the stack.
#[derive(Clone, Copy)]
struct Place {
    range: Range,
    queue: usize,
    /// Null where nothing can be copied.
    domain: usize,
}

/// A bio of a context. A pointer to it is what the bio and all its clones carry.
#[repr(C)]
pub(crate) struct Part {
    bio: Bio,
    index: usize,
    context: NonNull<Context>,
    /// Written when the bio is parked, and read after that, under the lock of the context.
    place: UnsafeCell<Option<Place>>,
}

/// One chunk. Its [`Part`]s follow it in memory: the destination, which carries the command, then
/// the sources.
#[repr(C)]
pub(crate) struct Context {
    state: SpinLockIrq<State>,
    memory: Memory,
    offset: Sectors,
    /// What is written, as the caller sees the device. The device that the bio has in the end may be
    /// another one.
    dst: Range,
    dst_dev: Dev,
    /// Outlives the context: the call waits for its chunks.
    call: NonNull<Call>,
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
unsafe fn part(context: NonNull<Context>, index: usize) -> NonNull<Part> {
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
/// The caller owns a bio of the context, or a clone of one, or is its submitter, until it drops the
/// lock for the last time.
unsafe fn state<'a>(context: NonNull<Context>) -> &'a SpinLockIrq<State> {
    // SAFETY: Required of the caller. Only the state is borrowed, because the bios beside it are
    // written by their owners.
    unsafe { &(*context.as_ptr()).state }
}

/// Which part a bio is, or the one that it is a clone of is, and of which context.
///
/// The context is there while the bio is: until the bio's last owner has ended it.
fn locate(bio: &Bio) -> Option<(usize, NonNull<Context>)> {
    let part = bio.copy_half()?.cast::<Part>().as_ptr();
    // SAFETY: Only `submit` makes bios with a part, and points them at one of its context, which is
    // freed after all of its bios, and so all their clones, have ended. These fields are constant.
    Some(unsafe { ((*part).index, (*part).context) })
}

/// Sends one chunk on its way. `call` hears of its end exactly once, perhaps before this returns.
///
/// Context: task; may sleep.
///
/// # Safety
///
/// - `memory` is for the parts of `chunk`, which has one destination.
/// - Both devices stay open, and `call` stays where it is, until `call` has heard of the end.
/// - The chunk is no longer than the limits of the devices.
pub(crate) unsafe fn submit<L: Ranges + ?Sized>(
    (src_bdev, dst_bdev): (&BlockDevice, &BlockDevice),
    plan: &Plan<'_, L>,
    chunk: &Chunk,
    memory: Memory,
    call: Pin<&Call>,
) {
    let (Some(src), Some(dst)) = (plan.sources(chunk).next(), plan.destinations(chunk).next())
    else {
        // Not so: a chunk is not empty.
        return call.chunk_over(chunk.offset, Some(IGNORED));
    };
    trace::submit(src_bdev, src, dst_bdev, dst);

    let context = memory.start().cast::<Context>();
    let raw = context.as_ptr();
    let parts = memory.parts();
    // SAFETY: This is memory for a context that nobody else has. All fields are written before
    // anything refers to them, and the memory does not move.
    unsafe {
        addr_of_mut!((*raw).memory).write(memory);
        addr_of_mut!((*raw).offset).write(chunk.offset);
        addr_of_mut!((*raw).dst).write(dst);
        addr_of_mut!((*raw).dst_dev).write(dst_bdev.dev());
        addr_of_mut!((*raw).call).write(NonNull::from(call.get_ref()));
        let lock = new_spinlock_irq!(State::new(parts), "blk_copy_context");
        pin_init::raw_init(addr_of_mut!((*raw).state), lock);
    }
    let sources = plan
        .sources(chunk)
        .map(|range| (CopyOp::Src, src_bdev, range));
    let all = Iterator::chain(once((CopyOp::Dst, dst_bdev, dst)), sources);
    for (index, (op, bdev, range)) in all.enumerate() {
        // SAFETY: There is memory for so many parts, and none of them moves. The caller keeps the
        // device open until the end and has checked the length; `part_end_io` expects a `Part`.
        unsafe {
            let slot = part(context, index).as_ptr();
            addr_of_mut!((*slot).index).write(index);
            addr_of_mut!((*slot).context).write(context);
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
    }
    // The sources, then the destination.
    for index in Iterator::chain(CARRIER + 1..parts, once(CARRIER)) {
        // SAFETY: This task is the submitter.
        if !unsafe { state(context) }.lock().submit() {
            break;
        }
        // SAFETY: The bio was initialized above and is submitted once.
        unsafe {
            let slot = part(context, index).as_ptr();
            bio::submit(NonNull::new_unchecked(addr_of_mut!((*slot).bio)));
        }
    }
    // SAFETY: This task is the submitter until it has left.
    let last = unsafe { state(context) }.lock().leave();
    if last == Last::Yes {
        // SAFETY: This was the last user.
        unsafe { finish(context) };
    }
}

/// A bio of a copy has passed the checks of one level of the stack. Returns the bio that is to be
/// issued now, or nothing while other parts are still on their way.
///
/// Context: task; does not sleep.
pub(crate) fn intercept(bio: OwnedBio) -> Option<OwnedBio> {
    if bio.bdev().has_submit_bio() {
        // A stacking driver: it passes the bio, or a clone, on to where we look again.
        return Some(bio);
    }
    let Some((index, context)) = locate(&bio) else {
        // Not one of ours. There is no context to pair it by.
        bio.end(Some(Status::NOTSUPP));
        return None;
    };
    let dev = bio.bdev().disk_dev();
    let place = Range::new(bio.start(), bio.len()).map(|range| Place {
        range,
        queue: bio.bdev().queue_id(),
        domain: bio
            .bdev()
            .copy_domain()
            .map_or(0, |domain| domain.addr().get()),
    });

    // SAFETY: The caller gave us the bio, which from here on is ours or the machine's.
    let mut state = unsafe { state(context) }.lock();
    match state.park(index, bio) {
        Park::Pass(bio) => Some(bio),
        Park::Refused(bio) => {
            let status = status_of(state.error().unwrap_or(IGNORED));
            drop(state);
            bio.end(Some(status));
            None
        }
        Park::Held => {
            // SAFETY: The lock is held, and the part exists.
            unsafe { *(*part(context, index).as_ptr()).place.get() = place };
            trace::park(dev, place.map(|place| place.range), index == CARRIER);
            None
        }
        Park::Dispatch(mut carrier) => {
            trace::park(dev, place.map(|place| place.range), index == CARRIER);
            // SAFETY: As above.
            let fits = unsafe {
                *(*part(context, index).as_ptr()).place.get() = place;
                pair(context)
            };
            match fits {
                Ok(()) => {
                    drop(state);
                    trace::dispatch(&carrier, source(&carrier, 0));
                    carrier.allow_wait();
                    Some(carrier)
                }
                Err(verdict) => {
                    let others = state.refuse(verdict);
                    drop(state);
                    // The context lives until the last of them has ended.
                    others.end(Some(status_of(verdict)));
                    carrier.end(Some(status_of(verdict)));
                    None
                }
            }
        }
    }
}

/// Whether one command can copy from where the sources came to lie to where the destination did.
///
/// Looks at one chunk. What two mappings of one disk that overlap by more than a chunk do to each
/// other is not seen here; so far no stacking driver lets a copy through.
///
/// # Safety
///
/// The lock of the context is held.
unsafe fn pair(context: NonNull<Context>) -> Result<(), Verdict<Status>> {
    // SAFETY: The lock is held, and these fields are constant; the context has so many parts.
    let (parts, len, place) = unsafe {
        let raw = context.as_ptr();
        let place = move |index| *(*part(context, index).as_ptr()).place.get();
        ((*raw).memory.parts(), (*raw).dst.len(), place)
    };
    let to = place(CARRIER).ok_or(IGNORED)?;
    if to.domain == 0 {
        return Err(Verdict::Fallback(Reason::Domain));
    }
    let mut sum = Sectors::ZERO;
    for index in CARRIER + 1..parts {
        let from = place(index).ok_or(IGNORED)?;
        // No driver has several queues in one domain yet; a source's queue that is not the
        // destination's would have to be kept alive until the command has ended.
        if from.domain != to.domain || from.queue != to.queue {
            return Err(Verdict::Fallback(Reason::Domain));
        }
        if from.range.overlaps(to.range) {
            // Two mappings that only meet at the bottom.
            return Err(Verdict::Failed(Status::INVAL));
        }
        sum = sum.checked_add(from.range.len()).ok_or(IGNORED)?;
    }
    if sum == len && to.range.len() == len {
        Ok(())
    } else {
        // Somebody cut one of them.
        Err(IGNORED)
    }
}

/// Looks at the sources of a command that was dispatched, on the whole disk, in their order. [`None`]
/// if `carrier` is no such command.
fn with_sources<R>(
    carrier: &Bio,
    f: impl FnOnce(&mut dyn Iterator<Item = Range>) -> R,
) -> Option<R> {
    let (_, context) = locate(carrier)?;
    // SAFETY: The owner of the bio has it for as long as the reference lives.
    let state = unsafe { state(context) }.lock();
    if !state.is_dispatched() {
        return None;
    }
    // SAFETY: The lock is held, and the context has so many parts.
    let place = |index| unsafe { *(*part(context, index).as_ptr()).place.get() };
    // SAFETY: This field is constant.
    let parts = unsafe { (*context.as_ptr()).memory.parts() };
    let mut sources = (CARRIER + 1..parts)
        .filter_map(place)
        .map(|place| place.range);
    Some(f(&mut sources))
}

/// The number of ranges that a command reads, none longer than the device's limit for one.
///
/// Context: any. Does not sleep.
pub(crate) fn source_count(carrier: &Bio) -> u64 {
    let max = carrier.bdev().limits().max_copy_segment();
    with_sources(carrier, |sources| {
        sources.map(|range| range.segments(max)).sum()
    })
    .unwrap_or(0)
}

/// One of these ranges. [`None`] if there is none of that index.
///
/// Context: any. Does not sleep.
pub(crate) fn source(carrier: &Bio, mut index: u64) -> Option<Range> {
    let max = carrier.bdev().limits().max_copy_segment();
    with_sources(carrier, |sources| {
        for range in sources {
            let count = range.segments(max);
            if index < count {
                return range.segment(max, index);
            }
            index -= count;
        }
        None
    })?
}

/// Whether the limits allow a command that may have been planned before they changed. The caller
/// holds a reference to the queue, so they do not change until the request is made.
///
/// Context: task; does not sleep.
pub(crate) fn fits(carrier: &Bio) -> bool {
    let limits = carrier.bdev().limits();
    let block = limits.logical_block();
    let aligned =
        |sources: &mut dyn Iterator<Item = Range>| sources.map(|range| range.is_aligned(block)).all(|aligned| aligned);
    carrier.len() <= limits.max_copy()
        && source_count(carrier) <= u64::from(limits.max_copy_src_segments())
        && with_sources(carrier, aligned).unwrap_or(false)
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
    let status = state.error().map(status_of);
    drop(state);

    if last == Last::Yes {
        // SAFETY: This was the last user.
        unsafe { finish(context) };
    } else {
        // The context lives until the last of them has ended too, but perhaps no longer.
        parked.end(status);
    }
}

/// Frees the context and delivers its verdict.
///
/// Context: any. Does not sleep.
///
/// # Safety
///
/// The caller is the last user of the context, as its [`State`] has told it.
unsafe fn finish(context: NonNull<Context>) {
    let raw = context.as_ptr();
    // SAFETY: Nobody else uses the context: all bios have ended, the submitter has left, and
    // everybody's last access was to drop the lock, which this takes once more. A bio that was
    // never submitted is initialized as well.
    let (verdict, offset, call, memory) = unsafe {
        let verdict = (*raw).state.lock().error();
        trace::done((*raw).dst_dev, (*raw).dst, verdict);
        for index in 0..(*raw).memory.parts() {
            let slot = part(context, index).as_ptr();
            Bio::uninit(NonNull::new_unchecked(addr_of_mut!((*slot).bio)));
        }
        drop_in_place(addr_of_mut!((*raw).state));
        (
            verdict,
            (*raw).offset,
            (*raw).call,
            addr_of_mut!((*raw).memory).read(),
        )
    };
    drop(memory);
    // SAFETY: The call waits for this chunk, so it is still there.
    unsafe { call.as_ref() }.chunk_over(offset, verdict);
}
