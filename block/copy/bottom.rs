// SPDX-License-Identifier: GPL-2.0

//! The bottom of the stack: where the bios of a chunk are parked until all are there, and what the
//! driver then sees of them.

use super::{
    context::{
        locate,
        part,
        state,
        Located,
        Place, //
    },
    ends::{
        status_of,
        IGNORED, //
    },
    protocol::Arrival,
    range::Range,
    trace,
    verdict::{
        Reason,
        Verdict, //
    }, //
};
use core::iter::once;
use kernel::{
    block::{
        bio::{
            Bio,
            BioList,
            OwnedBio,
            Status, //
        },
        units::Sectors, //
    },
    sync::atomic::{
        Acquire,
        Release, //
    }, //
};

/// A bio of a copy has arrived. Returns the bio that is to be issued now, or nothing while other
/// parts are still on their way.
///
/// Context: task; does not sleep, unless bios that have waited for this one are issued as well.
pub(super) fn arrive(bio: OwnedBio, at: Located) -> Option<OwnedBio> {
    // SAFETY: The caller gave us the bio, and with it the context, where this is constant.
    let commands = unsafe { (*at.context.as_ptr()).commands };
    if at.index < commands {
        command_arrives(bio, at)
    } else {
        source_arrives(bio, at)
    }
}

/// Where a bio came to lie.
fn place_of(bio: &Bio) -> Option<Place> {
    let domain = bio.bdev().copy_domain();
    Range::new(bio.start(), bio.len()).map(|range| Place { range, domain })
}

/// Nothing waits on a path, which may go away: it waits at the device that has several of them.
fn leave_path(bio: &mut OwnedBio) {
    if let Some(device) = bio.bdev().path_to() {
        // SAFETY: Who has submitted the bio to the other device keeps that open.
        unsafe { bio.set_device(device) };
    }
}

/// Ends a bio that came too late, or once too often.
pub(super) fn refuse(bio: OwnedBio, at: Located) {
    // SAFETY: The bio is ours.
    let error = unsafe { state(at.context) }.lock().error();
    bio.end(Some(status_of(error.unwrap_or(IGNORED))));
}

/// A source is parked, until all commands have ended. The last one lets those go that have waited
/// for it; one of them is returned.
fn source_arrives(mut bio: OwnedBio, at: Located) -> Option<OwnedBio> {
    let context = at.context;
    let (dev, place) = (trace::disk(&bio), place_of(&bio));
    leave_path(&mut bio);
    // SAFETY: The caller gave us the bio, which from here on is ours or the machine's; the field is
    // constant.
    let (mut state, commands) = unsafe { (state(context).lock(), (*context.as_ptr()).commands) };
    let arrival = state.source(at.index - commands, bio);
    if let Arrival::Refused(bio) = arrival {
        drop(state);
        refuse(bio, at);
        return None;
    }
    // SAFETY: The lock is held, and the context not yet ready, so nobody reads it.
    unsafe { *(*at.part.as_ptr()).place.get() = place };
    trace::park(dev, place.map(|place| place.range), false);
    let Arrival::Ready(waiting) = arrival else {
        return None;
    };
    // SAFETY: The field is only accessed atomically.
    unsafe { &(*context.as_ptr()).ready }.store(true, Release);
    drop(state);
    release(waiting, start)
}

/// Has bios that have waited go on. Of those that are to be issued then, one is returned; the
/// others are.
///
/// Context: task; may sleep if there are others. Not with the lock held.
pub(super) fn release(
    mut bios: BioList,
    go_on: impl Fn(OwnedBio, Located) -> Option<OwnedBio>,
) -> Option<OwnedBio> {
    let mut last = None;
    while let Some(bio) = bios.pop() {
        // While we have one, the context lives.
        let Some(at) = locate(&bio) else {
            continue;
        };
        if let Some(bio) = go_on(bio, at) {
            if let Some(before) = Option::replace(&mut last, bio) {
                before.resubmit();
            }
        }
    }
    last
}

/// A command goes to the driver, if all sources are there, or waits for them.
fn command_arrives(mut bio: OwnedBio, at: Located) -> Option<OwnedBio> {
    let part = at.part.as_ptr();
    // SAFETY: The caller gave us the bio, and with it the context. The fields are only accessed
    // atomically.
    let (arrived, ready, place) = unsafe {
        (
            &(*part).arrived,
            &(*at.context.as_ptr()).ready,
            (*part).place.get(),
        )
    };
    let id = core::ptr::from_ref::<Bio>(&bio).addr();
    let (dev, here) = (trace::disk(&bio), place_of(&bio));
    match arrived.cmpxchg(0, id, Acquire) {
        // SAFETY: It was the first to arrive, so this is nobody else's, until it says so below.
        Ok(_) => unsafe { *place = here },
        // It was paired there, and is on its way to the driver.
        // SAFETY: It is the bio that arrived, or has its memory. In either case nobody writes this.
        Err(before) if before == id && unsafe { *place } == here => return Some(bio),
        Err(_) => {
            // Another clone, of a bio that says that it must not be split.
            refuse(bio, at);
            return None;
        }
    }
    let range = here.map(|place| place.range);
    leave_path(&mut bio);
    if !ready.load(Acquire) {
        // SAFETY: The bio is ours until the machine has it.
        let mut state = unsafe { state(at.context) }.lock();
        bio = match state.command(bio) {
            Arrival::Held => {
                trace::park(dev, range, true);
                return None;
            }
            Arrival::Ready(bio) => bio,
            Arrival::Refused(bio) => {
                drop(state);
                refuse(bio, at);
                return None;
            }
        };
    }
    trace::park(dev, range, true);
    start(bio, at)
}

/// Lets a command go to the driver if it can copy from where its sources came to lie.
fn start(mut bio: OwnedBio, at: Located) -> Option<OwnedBio> {
    // SAFETY: The bio is ours, and with it the context, which is ready.
    match unsafe { pair(at) } {
        Ok(first) => {
            // SAFETY: The part is ours, as the bio is.
            unsafe { *(*at.part.as_ptr()).from.get() = Some(first) };
            trace::dispatch(&bio, first);
            bio.allow_wait();
            if bio.bdev().has_submit_bio() {
                // It has left its path, and takes whichever there is now.
                bio.resubmit();
                return None;
            }
            Some(bio)
        }
        Err(verdict) => {
            // The status does not say that.
            let strayed = verdict == Verdict::Fallback(Reason::Domain);
            // SAFETY: The part is ours, as the bio is.
            unsafe { *(*at.part.as_ptr()).strayed.get() = strayed };
            bio.end(Some(status_of(verdict)));
            None
        }
    }
}

/// A stacking driver maps a bio to several places, the first `len` sectors of it to one. The driver
/// ends it, as not supported; it is split there, and tried again.
///
/// Context: task; does not sleep.
pub(crate) fn split(bio: &Bio, len: Sectors) {
    let Some(at) = locate(bio) else {
        return;
    };
    // SAFETY: The owner of the bio has not ended it.
    let state = unsafe { state(at.context) }.lock();
    // SAFETY: The lock is held, and the offset is constant.
    unsafe {
        let end = (*at.part.as_ptr()).offset.checked_add(len);
        let split = (*at.context.as_ptr()).split.get();
        if let Some(end) = end.filter(|end| (*split).is_zero() || *end < *split) {
            *split = end;
        }
    }
    drop(state);
}

/// Whether a command can copy from where its sources came to lie to where it did itself. If so, the
/// first of these sources is returned.
///
/// Looks at one command. What two mappings of one disk that overlap by more than that do to each
/// other is not seen here.
///
/// # Safety
///
/// The context is ready, and the command's bio is the caller's.
unsafe fn pair(at: Located) -> Result<Range, Verdict<Status>> {
    // SAFETY: The place is that of a bio of the caller's, the rest is constant.
    let (to, start, len, commands, parts) = unsafe {
        let (raw, part) = (at.context.as_ptr(), at.part.as_ptr());
        let to = (*(*part).place.get()).ok_or(IGNORED)?;
        let parts = (*raw).memory.parts();
        (to, (*part).offset, (*part).len, (*raw).commands, parts)
    };
    // SAFETY: The context has so many parts. It is ready, so their places are constant.
    let place = |source| unsafe { *(*part(at.context, source).as_ptr()).place.get() };
    // One of several commands reads a part of the only source, a single one all of all sources.
    let mut from = place(commands).ok_or(IGNORED)?;
    from.range = from.range.part(start, len).ok_or(IGNORED)?;
    let first = from.range;
    let mut sum = first.len();
    reaches(from, to)?;
    for source in commands + 1..parts {
        let from = place(source).ok_or(IGNORED)?;
        reaches(from, to)?;
        sum = sum.checked_add(from.range.len()).ok_or(IGNORED)?;
    }
    if sum != len || to.range.len() != len {
        // Somebody cut one of them.
        return Err(IGNORED);
    }
    Ok(first)
}

/// Whether a device can copy from one place to another.
fn reaches(from: Place, to: Place) -> Result<(), Verdict<Status>> {
    // The queues may be different ones: paths to one device.
    if to.domain.is_none() || from.domain != to.domain {
        return Err(Verdict::Fallback(Reason::Domain));
    }
    if from.range.overlaps(to.range) {
        // Two mappings that only meet at the bottom.
        return Err(Verdict::Failed(Status::INVAL));
    }
    Ok(())
}

/// The sources of a command that was paired, on the whole disk, in their order: the first one, and
/// the others. [`None`] if `carrier` is no such command.
fn sources(carrier: &Bio) -> Option<(Range, impl Iterator<Item = Range> + '_)> {
    let at = locate(carrier)?;
    // SAFETY: The owner of the bio has it for as long as the reference lives, and the context with
    // it. These fields are constant once the command was paired, which the owner has done, or
    // passed on.
    let (first, commands, parts) = unsafe {
        let raw = at.context.as_ptr();
        let first = (*(*at.part.as_ptr()).from.get())?;
        (first, (*raw).commands, (*raw).memory.parts())
    };
    // Where there are several, there is one command, and they are its own.
    let others = (commands + 1..parts).filter_map(move |source| {
        // SAFETY: The context has so many parts. It was ready, so their places are constant.
        unsafe { *(*part(at.context, source).as_ptr()).place.get() }
    });
    Some((first, others.map(|place| place.range)))
}

/// The number of ranges that a command reads, none longer than the device's limit for one.
///
/// Context: any. Does not sleep.
pub(crate) fn source_count(carrier: &Bio) -> u64 {
    let max = carrier.bdev().limits().max_copy_segment();
    let segments = |range: Range| range.segments(max);
    sources(carrier).map_or(0, |(first, others)| {
        segments(first) + others.map(segments).sum::<u64>()
    })
}

/// One of these ranges. [`None`] if there is none of that index.
///
/// Context: any. Does not sleep.
pub(crate) fn source(carrier: &Bio, mut index: u64) -> Option<Range> {
    let max = carrier.bdev().limits().max_copy_segment();
    let (first, others) = sources(carrier)?;
    if index == 0 {
        return first.segment(max, 0);
    }
    for range in Iterator::chain(once(first), others) {
        let count = range.segments(max);
        if index < count {
            return range.segment(max, index);
        }
        index -= count;
    }
    None
}

/// Whether the limits allow a command that may have been planned before they changed. The caller
/// holds a reference to the queue, so they do not change until the request is made.
///
/// Context: task; does not sleep.
pub(crate) fn fits(carrier: &Bio) -> bool {
    let limits = carrier.bdev().limits();
    let (block, max) = (limits.logical_block(), limits.max_copy_segment());
    let most = u64::from(limits.max_copy_src_segments());
    let mut segments = 0;
    let mut fits = |range: Range| {
        segments += range.segments(max);
        segments <= most && range.is_aligned(block)
    };
    sources(carrier).is_some_and(|(first, mut others)| {
        carrier.len() <= limits.max_copy() && fits(first) && others.all(fits)
    })
}
