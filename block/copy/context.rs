// SPDX-License-Identifier: GPL-2.0

//! The copy context: one chunk with its two bios, in one allocation.
//!
//! # Who owns what
//!
//! - The context is allocated by [`submit`] and freed by whoever [`protocol::Chunk`] names the last
//!   user. All others leave by dropping the lock, their last access to the context.
//! - The two bios inside belong to whom they were submitted to, until [`half_end_io`] is called for
//!   them. A stacking driver submits clones of them; a clone points to the same [`HalfBio`], which
//!   is how the context is found at the bottom of the stack.
//! - A bio that arrives there is owned by the [`protocol::Chunk`] until that gives it out.
//!
//! # Locking
//!
//! One spinlock, which is taken in any context, hard interrupts included, because that is where
//! devices end bios. Bios are ended and submitted after it was dropped: ending one calls
//! [`half_end_io`], which takes it.
//!
//! # Why nothing is submitted twice, and nothing hangs
//!
//! [`intercept`] runs once per bio and level, after the level was entered in full: checks, throttling,
//! accounting, tracing and injected errors see every half exactly once. Both bios are in memory
//! before the first one is submitted, so a parked bio never waits for an allocation; and while they
//! travel they carry `REQ_NOWAIT`, so that a stacking driver that would make one of them wait fails it
//! instead, and the other one is ended. What is parked therefore waits for the progress of its
//! sibling alone.

use super::{
    offload::Call,
    plan::Piece,
    protocol::{
        self,
        Half,
        Last,
        Park, //
    },
    range::Range,
    trace,
    verdict::{
        Reason,
        Verdict, //
    }, //
};
use core::ptr::{
    addr_of_mut,
    drop_in_place,
    NonNull, //
};
use kernel::{
    alloc::AllocError,
    block::{
        bdev::BlockDevice,
        bio::{
            self,
            Bio,
            CopyOp,
            OwnedBio,
            Status, //
        }, //
    },
    mempool::Mempool,
    new_spinlock_irq,
    prelude::*,
    sync::{
        SetOnce,
        SpinLockIrq, //
    }, //
};

/// Contexts that can be had when memory cannot. One is enough to make progress; each further one
/// is a further copy that need not wait for it.
const RESERVE: u16 = 16;

static POOL: SetOnce<Mempool<Context>> = SetOnce::new();

/// Prepares the reserve. Called once at boot, in task context.
pub(crate) fn init() -> Result<(), AllocError> {
    POOL.populate(Mempool::new(RESERVE)?);
    Ok(())
}

type State = protocol::Chunk<OwnedBio, Verdict<Status>>;

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

/// The status that the other half of a chunk ends with.
fn status_of(verdict: Verdict<Status>) -> Status {
    match verdict {
        Verdict::Fallback(Reason::Busy) => Status::AGAIN,
        Verdict::Fallback(Reason::NotSupported | Reason::Domain) => Status::NOTSUPP,
        Verdict::Failed(status) => status,
    }
}

/// A bio of a context. A pointer to it is what the bio and all its clones carry.
#[repr(C)]
struct HalfBio {
    bio: Bio,
    half: Half,
    context: NonNull<Context>,
}

/// One chunk.
pub(crate) struct Context {
    state: SpinLockIrq<State>,
    src: HalfBio,
    dst: HalfBio,
    piece: Piece,
    /// Outlives the context: the call waits for its chunks.
    call: NonNull<Call>,
}

/// Which half a bio is, or the one that it is a clone of is, and of which context.
///
/// The context is there while the bio is: until the bio's last owner has ended it.
fn locate(bio: &Bio) -> Option<(Half, NonNull<Context>)> {
    let half = bio.copy_half()?.cast::<HalfBio>();
    // SAFETY: Only `submit` makes bios with a half, and points them at a `HalfBio` of its context,
    // which is freed after both bios, and so all their clones, have ended.
    let half = unsafe { half.as_ref() };
    Some((half.half, half.context))
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

/// Sends one chunk on its way. `call` hears of its end exactly once, perhaps before this returns.
///
/// Context: task; may sleep. Does not fail for lack of memory.
///
/// # Safety
///
/// - Both devices stay open, and `call` stays where it is, until `call` has heard of the end.
/// - The ranges of `piece` are no longer than the limits of the devices.
pub(crate) unsafe fn submit(
    src_bdev: &BlockDevice,
    dst_bdev: &BlockDevice,
    piece: Piece,
    call: Pin<&Call>,
) {
    let memory = POOL.as_ref().and_then(|pool| pool.alloc_noio().ok());
    let Some(context) = memory else {
        return call.chunk_over(piece.offset, Some(Verdict::Failed(Status::RESOURCE)));
    };
    trace::submit(src_bdev, dst_bdev, &piece);

    let raw = context.as_ptr();
    // SAFETY: `raw` is memory for a context that nobody else has. The fields that are not bios are
    // written before anything refers to them, and the memory does not move.
    unsafe {
        addr_of_mut!((*raw).piece).write(piece);
        addr_of_mut!((*raw).call).write(NonNull::from(call.get_ref()));
        let lock = new_spinlock_irq!(State::new(), "blk_copy_context");
        pin_init::raw_init(addr_of_mut!((*raw).state), lock);
    }
    // SAFETY: As above; a pointer to a field of an allocation is not null.
    let halves = unsafe {
        [
            (
                addr_of_mut!((*raw).src),
                Half::Src,
                CopyOp::Src,
                src_bdev,
                piece.src,
            ),
            (
                addr_of_mut!((*raw).dst),
                Half::Dst,
                CopyOp::Dst,
                dst_bdev,
                piece.dst,
            ),
        ]
    };
    for (slot, half, op, bdev, range) in halves {
        // SAFETY: `slot` is one of the two bios of `raw`, which does not move. The caller keeps the
        // device open until the end and has checked the length; `half_end_io` expects a `HalfBio`.
        unsafe {
            addr_of_mut!((*slot).half).write(half);
            addr_of_mut!((*slot).context).write(context);
            Bio::init_copy(
                NonNull::new_unchecked(addr_of_mut!((*slot).bio)),
                bdev,
                op,
                (range.start(), range.len()),
                NonNull::new_unchecked(slot).cast(),
                half_end_io,
            );
        }
    }
    for (slot, ..) in halves {
        // SAFETY: This task is the submitter.
        if !unsafe { state(context) }.lock().submit() {
            break;
        }
        // SAFETY: The bio was initialized above and is submitted once.
        unsafe { bio::submit(NonNull::new_unchecked(addr_of_mut!((*slot).bio))) };
    }
    // SAFETY: This task is the submitter until it has left.
    let last = unsafe { state(context) }.lock().leave();
    if last == Last::Yes {
        // SAFETY: This was the last user.
        unsafe { finish(context) };
    }
}

/// A bio of a copy has passed the checks of one level of the stack. Returns the bio that is to be
/// issued now, or nothing while the other half is still on its way.
///
/// Context: task; does not sleep.
pub(crate) fn intercept(bio: OwnedBio) -> Option<OwnedBio> {
    if bio.bdev().has_submit_bio() {
        // A stacking driver: it passes the bio, or a clone, on to where we look again.
        return Some(bio);
    }
    let Some((half, context)) = locate(&bio) else {
        // Not one of ours. There is no context to pair it by.
        bio.end(Some(Status::NOTSUPP));
        return None;
    };
    trace::park(&bio, half);

    // SAFETY: The caller gave us the bio, which from here on is ours or the machine's.
    let mut state = unsafe { state(context) }.lock();
    match state.park(half, bio) {
        Park::Held => None,
        Park::Pass(bio) => Some(bio),
        Park::Refused(bio) => {
            let status = status_of(state.error().unwrap_or(IGNORED));
            drop(state);
            bio.end(Some(status));
            None
        }
        Park::Dispatch(mut dst) => {
            let fits = state
                .parked(Half::Src)
                .ok_or(IGNORED)
                .and_then(|src| pair(src, &dst));
            match fits {
                Ok(()) => {
                    drop(state);
                    dst.allow_wait();
                    Some(dst)
                }
                Err(verdict) => {
                    let src = state.refuse(verdict);
                    drop(state);
                    // The context lives until the second of them has ended.
                    if let Some(src) = src {
                        src.end(Some(status_of(verdict)));
                    }
                    dst.end(Some(status_of(verdict)));
                    None
                }
            }
        }
    }
}

/// Whether one command can copy from where `src` came to lie to where `dst` did.
fn pair(src: &Bio, dst: &Bio) -> Result<(), Verdict<Status>> {
    let domain = src.bdev().copy_domain();
    if domain.is_none()
        || domain != dst.bdev().copy_domain()
        // No driver has several queues in one domain yet; the queue of a source that is not the
        // destination's would have to be kept alive until the command has ended.
        || !src.bdev().same_queue(dst.bdev())
    {
        return Err(Verdict::Fallback(Reason::Domain));
    }
    let ranges = Range::new(src.start(), src.len()).zip(Range::new(dst.start(), dst.len()));
    match ranges {
        Some((from, to)) if from.len() == to.len() => {
            if from.overlaps(to) {
                // Two mappings that only meet at the bottom.
                return Err(Verdict::Failed(Status::INVAL));
            }
            trace::dispatch(src.bdev(), dst.bdev(), from, to);
            Ok(())
        }
        _ => Err(IGNORED),
    }
}

/// What the command of a dispatched destination's bio reads, on the whole disk. [`None`] if the bio
/// is none.
///
/// Context: any. Does not sleep.
pub(crate) fn source(dst: &Bio) -> Option<Range> {
    let (_, context) = locate(dst)?;
    // SAFETY: The driver owns the bio for as long as the reference lives.
    let state = unsafe { state(context) }.lock();
    let src = state.parked(Half::Src)?;
    Range::new(src.start(), src.len())
}

/// Ends one of the two bios that [`submit`] made.
///
/// # Safety
///
/// For `bi_end_io` of these bios alone, which the block layer calls once each.
unsafe extern "C" fn half_end_io(bio: *mut kernel::bindings::bio) {
    // SAFETY: The block layer passes the bio that has ended, which the context contains.
    let bio = unsafe { Bio::from_raw(bio) };
    let Some((half, context)) = locate(bio) else {
        return;
    };
    let error = bio.status().map(verdict_of);

    // SAFETY: The end of this bio has not been told yet, so the context lives.
    let mut state = unsafe { state(context) }.lock();
    let (parked, last) = state.ended(half, error, IGNORED);
    let status = state.error().map(status_of);
    drop(state);

    if let Some(parked) = parked {
        // The context lives until this one has ended too, but perhaps no longer.
        parked.end(status);
    } else if last == Last::Yes {
        // SAFETY: This was the last user.
        unsafe { finish(context) };
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
    // SAFETY: Nobody else uses the context: both bios have ended, the submitter has left, and
    // everybody's last access was to drop the lock, which this takes once more.
    let (verdict, piece, call) =
        unsafe { ((*raw).state.lock().error(), (*raw).piece, (*raw).call) };
    // SAFETY: As above. A bio that was never submitted is initialized as well.
    unsafe {
        trace::done((*raw).dst.bio.bdev(), &piece, verdict);
        Bio::uninit(NonNull::new_unchecked(addr_of_mut!((*raw).src.bio)));
        Bio::uninit(NonNull::new_unchecked(addr_of_mut!((*raw).dst.bio)));
        drop_in_place(addr_of_mut!((*raw).state));
    }
    if let Some(pool) = POOL.as_ref() {
        // SAFETY: It came from this pool, and was taken apart above.
        unsafe { pool.free(context) };
    }
    // SAFETY: The call waits for this chunk, so it is still there.
    unsafe { call.as_ref() }.chunk_over(piece.offset, verdict);
}
