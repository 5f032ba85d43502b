// SPDX-License-Identifier: GPL-2.0

//! What `block/copy/bottom.rs` does, step by step.

use loom::sync::atomic::Ordering::Acquire;
use loom::sync::atomic::Ordering::Release;

use crate::context::lock;
use crate::context::Context;
use crate::context::IGNORED;
use crate::memory::Pointer;
use crate::protocol::Park;
use crate::protocol::CARRIER;
use crate::stack::OwnedBio;
use crate::world::Error;
use crate::world::Event;
use crate::world::Fault;

/// Where a bio came to lie.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    len: usize,
    domain: usize,
}

/// `intercept()`, of a device at the bottom.
pub(crate) fn intercept(bio: OwnedBio) -> Option<OwnedBio> {
    let (world, index, context) = (bio.world, bio.index, bio.context.clone());
    let place = Place {
        len: bio.len,
        domain: bio.domain,
    };

    let mut state = lock(&context);
    match state.park(index, bio) {
        Park::Pass(bio) => {
            world.saw(Event::Passed);
            Some(bio)
        }
        Park::Refused(bio) => {
            let error = state.error();
            drop(state);
            world.saw(error.map_or(Event::Duplicate, |_| Event::Late));
            bio.end(Some(error.unwrap_or(IGNORED)));
            None
        }
        Park::Held => {
            if world.has(Fault::PlacesUnlocked) {
                drop(state);
            }
            put(&context, index, place);
            world.saw(Event::Held);
            None
        }
        Park::Dispatch(carrier) => {
            put(&context, index, place);
            match pair(&context) {
                Ok(()) => {
                    drop(state);
                    world.saw(Event::Dispatched);
                    Some(carrier)
                }
                Err(error) => {
                    let mut others = state.refuse(error);
                    if world.has(Fault::RefusesLocked) {
                        others.drain(..).for_each(|bio| bio.end(Some(error)));
                    }
                    drop(state);
                    world.saw(Event::Refused);
                    if world.has(Fault::LosesOthers) {
                        others.clear();
                    }
                    if world.has(Fault::EndsCarrierTwice) {
                        carrier.forge().end(Some(error));
                    }
                    for bio in others {
                        bio.end(Some(error));
                    }
                    carrier.end(Some(error));
                    None
                }
            }
        }
    }
}

fn put(context: &Pointer<Context>, index: usize, place: Place) {
    context.parts[index].place.with_mut(|to| {
        // SAFETY: Loom has checked that nobody else accesses it.
        unsafe { *to = Some(place) };
    });
}

fn get(context: &Context, index: usize) -> Option<Place> {
    // SAFETY: Loom has checked that nobody writes it.
    context.parts[index].place.with(|place| unsafe { *place })
}

/// `pair()`.
fn pair(context: &Context) -> Result<(), Error> {
    let to = get(context, CARRIER).ok_or(IGNORED)?;
    let mut sum = 0;
    for index in CARRIER + 1..context.parts.len() {
        let from = get(context, index).ok_or(IGNORED)?;
        if from.domain != to.domain {
            return Err(Error::Domain);
        }
        sum += from.len;
    }
    let len = (context.parts.len() - 1) * crate::stack::LEN;
    if sum == len && to.len == len {
        context.dispatched.store(true, Release);
        Ok(())
    } else {
        Err(IGNORED)
    }
}

/// `sources()`: how much a command reads that was dispatched.
pub(crate) fn sources(carrier: &OwnedBio) -> Option<usize> {
    let context = &carrier.context;
    if !context.dispatched.load(Acquire) {
        return None;
    }
    let lens = (CARRIER + 1..context.parts.len())
        .filter_map(|index| get(context, index))
        .map(|place| place.len);
    Some(lens.sum())
}
