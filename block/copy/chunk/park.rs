// SPDX-License-Identifier: GPL-2.0

//! The bottom of the stack. The bios of a chunk are parked here until all of them have arrived.
//! Then the destination's bio is dispatched to the driver.

use super::{
    end::settle,
    pair::pair,
    raw::{
        locate,
        Arrived,
        ContextRef,
        PartBio,
        Place,
        Wait, //
    }, //
};
use crate::{
    plan::Range,
    trace,
    verdict::Verdict, //
};
use kernel::block::{
    bio::{
        Bio,
        OwnedBio,
        Status, //
    },
    units::Sectors, //
};

/// A bio of a chunk has arrived. Returns the bio that is to be issued now, or nothing while others
/// are still on their way.
///
/// Context: task; may sleep, because the destination's bio may have to be submitted again.
pub(super) fn arrive(mut bio: PartBio) -> Option<OwnedBio> {
    let (arrived, side) = (arrived(bio.bio()), bio.part().side);
    let first = bio.part().arrived.populate(arrived);
    let again = !first && bio.part().arrived.as_ref() == Some(&arrived);
    let traced = trace::disk(bio.bio()).zip(arrived.place);
    if first {
        // A bio does not wait on a path, which may go away.
        bio.bio_mut().leave_path();
    }
    let next = bio.locked(|state, bio, context| match (first, again) {
        (true, _) => {
            if let Some((dev, place)) = traced.filter(|_| state.takes_parts()) {
                trace::park(dev, place.range, side);
            }
            state.arrive(side, bio, || pair_all(context))
        }
        (_, true) => state.again(side, bio),
        // This is another clone of a bio that says that it must not be split.
        (false, false) => state.refuse(bio),
    });
    // A command that comes again was dispatched before.
    settle(next, if first { dispatch } else { Some })
}

/// What a bio says of itself at the bottom of the stack.
fn arrived(bio: &Bio) -> Arrived {
    let domain = bio.bdev().copy_domain();
    let range = Range::new(bio.start(), bio.len());
    Arrived {
        bio: core::ptr::from_ref(bio).addr(),
        place: range.map(|range| Place { range, domain }),
    }
}

/// Whether a device has all places of a chunk.
fn pair_all(context: ContextRef<'_>) -> Verdict<Status> {
    let (places, to) = (context.places(), context.destination());
    pair(places, to, context.dst.len(), Status::INVAL)
}

/// All parts are there: the command goes to the driver.
fn dispatch(mut command: OwnedBio) -> Option<OwnedBio> {
    let mut wait = Wait::Allowed;
    if let Some((_, context)) = locate(&command) {
        wait = context.wait;
        let from = context.places().next().flatten();
        if let Some((from, to)) = from.zip(context.destination()) {
            trace::dispatch(&command, from.range, to.range);
        }
    }
    if wait == Wait::Allowed {
        // What it holds up cannot change its mapping any more.
        command.allow_wait();
    }
    if command.bdev().has_submit_bio() {
        // It has left its path, and takes whichever path there is now.
        command.resubmit();
        return None;
    }
    Some(command)
}

/// A stacking driver maps a bio to several places, the first `len` sectors of it to one. The driver
/// ends the bio as not supported. The chunk is split there, and tried again.
///
/// Context: task; does not sleep.
pub(crate) fn split(bio: &Bio, len: Sectors) {
    let Some((part, context)) = locate(bio) else {
        return;
    };
    if let Some(end) = part.offset.checked_add(len) {
        context.locked(|state| state.split(end));
    }
}
