// SPDX-License-Identifier: GPL-2.0

//! The bottom of the stack: where the bios of a chunk are parked until all are there, and what the
//! driver then sees of them.

use super::{
    context::{
        locate,
        part,
        state,
        status_of,
        Context,
        Place,
        IGNORED, //
    },
    protocol::{
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
use core::ptr::NonNull;
use kernel::{
    block::{
        bio::{
            Bio,
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

/// A bio of a copy has passed the checks of one level of the stack. Returns the bio that is to be
/// issued now, or nothing while other parts are still on their way.
///
/// Context: task; does not sleep.
pub(crate) fn intercept(mut bio: OwnedBio) -> Option<OwnedBio> {
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
        domain: bio
            .bdev()
            .copy_domain()
            .map_or(0, |domain| domain.addr().get()),
    });

    if let Some(device) = bio.bdev().path_to() {
        // SAFETY: The caller gave us the bio.
        if unsafe { state(context) }.lock().passes(&bio) {
            return Some(bio);
        }
        // SAFETY: Who has submitted the bio to the other device keeps that open.
        unsafe { bio.set_device(device) };
    }

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
            let paired = unsafe {
                *(*part(context, index).as_ptr()).place.get() = place;
                pair(context)
            };
            match paired {
                Ok(first) => {
                    drop(state);
                    trace::dispatch(&carrier, first);
                    carrier.allow_wait();
                    if carrier.bdev().has_submit_bio() {
                        // It has left its path, and takes whichever there is now.
                        carrier.resubmit();
                        return None;
                    }
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

/// A stacking driver maps a bio to several places, the first `len` sectors of it to one. The driver
/// ends it, as not supported; it is split there, and tried again.
///
/// Context: task; does not sleep.
pub(crate) fn split(bio: &Bio, len: Sectors) {
    let Some((index, context)) = locate(bio) else {
        return;
    };
    // SAFETY: The owner of the bio has not ended it.
    let state = unsafe { state(context) }.lock();
    // SAFETY: The lock is held, the part exists, and its offset is constant.
    unsafe {
        let at = (*part(context, index).as_ptr()).offset.checked_add(len);
        let split = (*context.as_ptr()).split.get();
        if let Some(at) = at.filter(|at| (*split).is_zero() || *at < *split) {
            *split = at;
        }
    }
    drop(state);
}

/// Whether one command can copy from where the sources came to lie to where the destination did. If
/// so, what it reads does not change any more, and the first source is returned.
///
/// Looks at one chunk. What two mappings of one disk that overlap by more than a chunk do to each
/// other is not seen here.
///
/// # Safety
///
/// The lock of the context is held.
unsafe fn pair(context: NonNull<Context>) -> Result<Range, Verdict<Status>> {
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
        // The queues may be different ones: paths to one device.
        if from.domain != to.domain {
            return Err(Verdict::Fallback(Reason::Domain));
        }
        if from.range.overlaps(to.range) {
            // Two mappings that only meet at the bottom.
            return Err(Verdict::Failed(Status::INVAL));
        }
        sum = sum.checked_add(from.range.len()).ok_or(IGNORED)?;
    }
    if sum != len || to.range.len() != len {
        // Somebody cut one of them.
        return Err(IGNORED);
    }
    let first = place(CARRIER + 1).ok_or(IGNORED)?;
    // SAFETY: The field is only accessed atomically.
    unsafe { &(*context.as_ptr()).dispatched }.store(true, Release);
    Ok(first.range)
}

/// The sources of a command that was dispatched, on the whole disk, in their order. [`None`] if
/// `carrier` is no such command.
fn sources(carrier: &Bio) -> Option<impl Iterator<Item = Range> + '_> {
    let (_, context) = locate(carrier)?;
    // SAFETY: The owner of the bio has it for as long as the reference lives, and the context with
    // it. The fields are constant, or accessed atomically.
    let (dispatched, parts) = unsafe {
        let raw = context.as_ptr();
        ((*raw).dispatched.load(Acquire), (*raw).memory.parts())
    };
    // SAFETY: The context has so many parts. It was dispatched, so their places are constant.
    let place = move |index| unsafe { *(*part(context, index).as_ptr()).place.get() };
    let sources = (CARRIER + 1..parts)
        .filter_map(place)
        .map(|place| place.range);
    dispatched.then_some(sources)
}

/// The number of ranges that a command reads, none longer than the device's limit for one.
///
/// Context: any. Does not sleep.
pub(crate) fn source_count(carrier: &Bio) -> u64 {
    let max = carrier.bdev().limits().max_copy_segment();
    let segments = |range: Range| range.segments(max);
    sources(carrier).map_or(0, |sources| sources.map(segments).sum())
}

/// One of these ranges. [`None`] if there is none of that index.
///
/// Context: any. Does not sleep.
pub(crate) fn source(carrier: &Bio, mut index: u64) -> Option<Range> {
    let max = carrier.bdev().limits().max_copy_segment();
    for range in sources(carrier)? {
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
    sources(carrier).is_some_and(|mut sources| {
        carrier.len() <= limits.max_copy()
            && sources.all(|range| {
                segments += range.segments(max);
                segments <= most && range.is_aligned(block)
            })
    })
}
