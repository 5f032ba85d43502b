// SPDX-License-Identifier: GPL-2.0

//! What follows when the bios of a batch end: the others are ended, and the last user delivers the
//! verdicts.
//!
//! Who may touch the context, and when, is in [`context`](super::context).

use super::{
    context::{
        part,
        state,
        Context,
        Part, //
    },
    offload::MAX_COMMANDS,
    protocol::{
        Ended,
        Sole, //
    },
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
    block::bio::{
        Bio,
        BioList,
        RawBio,
        Status, //
    },
    sync::atomic::{
        Full,
        Relaxed, //
    }, //
};

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

/// The status that a part ends with because of another one.
pub(super) fn status_of(verdict: Verdict<Status>) -> Status {
    match verdict {
        Verdict::Fallback(Reason::Busy) => Status::AGAIN,
        Verdict::Fallback(_) => Status::NOTSUPP,
        Verdict::Failed(status) => status,
    }
}

/// Ends one of the bios of a context.
///
/// # Safety
///
/// For `bi_end_io` of these bios alone, which the block layer calls once each.
pub(super) unsafe extern "C" fn part_end_io(bio: *mut RawBio) {
    // Not a clone: it is the first field of its part.
    let part = bio.cast::<Part>();
    // SAFETY: The end of this bio has not been told yet, so the context lives. The part is ours.
    let (context, commands, index, error, paired) = unsafe {
        let (context, index) = ((*part).context, (*part).index);
        let error = (*part).bio.status().map(verdict_of);
        let paired = (*(*part).from.get()).is_some();
        (context, (*context.as_ptr()).commands, index, error, paired)
    };
    // SAFETY: As above.
    unsafe { Bio::uninit(NonNull::new_unchecked(bio.cast())) };
    if index >= commands {
        // SAFETY: As above.
        return unsafe { source_ended(context, error) };
    }
    // SAFETY: As above. The fields are only accessed atomically.
    let (left, failed) = unsafe { (&(*context.as_ptr()).left, &(*context.as_ptr()).failed) };
    if error.is_some() || !paired {
        // The count publishes it.
        failed.store(true, Relaxed);
    }
    if left.fetch_sub(1, Full) == 1 {
        // SAFETY: To count down was the last access of the others.
        unsafe { commands_ended(context, index) };
    }
}

/// Of a part that has ended: a source.
///
/// # Safety
///
/// The end of this source has not been told yet.
unsafe fn source_ended(context: NonNull<Context>, error: Option<Verdict<Status>>) {
    // SAFETY: Required of the caller.
    let mut state = unsafe { state(context) }.lock();
    let ended = state.source_ended(error, IGNORED);
    let why = state.error();
    drop(state);
    // SAFETY: It is what the state says.
    unsafe { go_on(context, ended, why) };
}

/// Of all commands, the last of which to end was this one.
///
/// # Safety
///
/// All commands have ended, which has not been told yet.
unsafe fn commands_ended(context: NonNull<Context>, index: usize) {
    // SAFETY: Required of the caller.
    let verdict = unsafe { verdict(context, index) };
    // SAFETY: As above.
    let ended = unsafe { state(context) }.lock().commands_ended(verdict);
    // SAFETY: It is what the state says.
    unsafe { go_on(context, ended, verdict) };
}

/// Ends what is to be ended with a part, or the context.
///
/// # Safety
///
/// The [`State`](super::context::State) of this context has made `ended`.
unsafe fn go_on(context: NonNull<Context>, ended: Ended<BioList>, why: Option<Verdict<Status>>) {
    if let Some(sole) = ended.last {
        // SAFETY: Required of the caller.
        unsafe { finish(context, sole) };
    } else {
        // The context lives until the last of them has ended too, but perhaps no longer.
        ended.waiting.end(why.map(status_of));
        ended.sources.end(why.map(status_of));
    }
}

/// What came of a command by itself.
///
/// # Safety
///
/// The context lives, and the bio of the command has ended.
unsafe fn verdict(context: NonNull<Context>, index: usize) -> Option<Verdict<Status>> {
    // SAFETY: Required of the caller. Nobody writes these any more.
    let (status, strayed, from) = unsafe {
        let part = part(context, index).as_ptr();
        (
            (*part).bio.status(),
            *(*part).strayed.get(),
            *(*part).from.get(),
        )
    };
    match status {
        Some(_) if strayed => Some(Verdict::Fallback(Reason::Domain)),
        Some(status) => Some(verdict_of(status)),
        // Somebody who knows nothing of copies has ended it without doing anything.
        None if from.is_none() => Some(IGNORED),
        None => None,
    }
}

/// Frees the context and delivers its verdicts.
///
/// Context: any. Does not sleep.
///
/// # Safety
///
/// The [`State`](super::context::State) of this context has made `sole`.
unsafe fn finish(context: NonNull<Context>, _sole: Sole) {
    let raw = context.as_ptr();
    let mut verdicts = [None; MAX_COMMANDS];
    // SAFETY: Nobody else uses the context: all bios were submitted and have ended, and everybody's
    // last access was to drop the lock, which this task has had after them, or to count down, which
    // came before somebody had it.
    let (commands, slot, shared, memory) = unsafe {
        let commands = (*raw).commands;
        let failed = (*raw).failed.load(Relaxed);
        let split = *(*raw).split.get();
        let error = state(context).lock().source_error();
        let whole = (*raw).dst;
        // Most often there is nothing to tell.
        let told = if failed || trace::wants_chunks() {
            commands
        } else {
            0
        };
        for (index, to) in verdicts.iter_mut().take(told).enumerate() {
            let part = part(context, index).as_ptr();
            let dst = whole.part((*part).offset, (*part).len).unwrap_or(whole);
            if failed {
                let own = verdict(context, index);
                // What failed by itself is not tried in another way because a source is.
                let failed = own.filter(|own| matches!(own, Verdict::Failed(_)));
                *to = match failed.or(error).or(own) {
                    Some(Verdict::Fallback(Reason::NotSupported)) if !split.is_zero() => {
                        Some(Verdict::Fallback(Reason::Split(split)))
                    }
                    verdict => verdict,
                };
            }
            trace::chunk_done((*raw).dst_dev, dst, *to);
        }
        drop_in_place(addr_of_mut!((*raw).state));
        (
            commands,
            (*raw).slot,
            (*raw).shared,
            addr_of_mut!((*raw).memory).read(),
        )
    };
    drop(memory);
    // SAFETY: The copy waits for this batch, so it is still there.
    unsafe { shared.as_ref() }.chunks_over(slot, verdicts.get(..commands).unwrap_or(&verdicts));
}
