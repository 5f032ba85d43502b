// SPDX-License-Identifier: GPL-2.0

//! What `block/copy/bottom.rs` does, step by step.

use loom::sync::atomic::Ordering::Acquire;
use loom::sync::atomic::Ordering::Relaxed;
use loom::sync::atomic::Ordering::Release;

use crate::context::lock;
use crate::context::Context;
use crate::context::IGNORED;
use crate::memory::Pointer;
use crate::protocol::Arrival;
use crate::stack::issue;
use crate::stack::OwnedBio;
use crate::stack::LEN;
use crate::world::Error;
use crate::world::Event;
use crate::world::Fault;

/// Where a bio came to lie.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) struct Place {
    len: usize,
    domain: usize,
}

/// `arrive()`.
pub(crate) fn arrive(bio: OwnedBio) -> Option<OwnedBio> {
    if bio.index < bio.context.commands {
        command_arrives(bio)
    } else {
        source_arrives(bio)
    }
}

fn place_of(bio: &OwnedBio) -> Place {
    Place {
        len: bio.len,
        domain: bio.domain,
    }
}

pub(crate) fn refuse(bio: OwnedBio) {
    let error = lock(&bio.context).error();
    bio.world
        .saw(error.map_or(Event::Duplicate, |_| Event::Late));
    bio.end(Some(error.unwrap_or(IGNORED)));
}

fn source_arrives(bio: OwnedBio) -> Option<OwnedBio> {
    let (world, index, context) = (bio.world, bio.index, bio.context.clone());
    let place = place_of(&bio);
    let mut state = lock(&context);
    let arrival = state.source(index - context.commands, bio);
    if let Arrival::Refused(bio) = arrival {
        drop(state);
        refuse(bio);
        return None;
    }
    world.saw(Event::Held);
    if world.has(Fault::PlacesUnlocked) {
        drop(state);
        put(&context, index, place);
        state = lock(&context);
    } else if !world.has(Fault::ReadyEarly) {
        put(&context, index, place);
    }
    let Arrival::Ready(waiting) = arrival else {
        return None;
    };
    let order = if world.has(Fault::ReadyRelaxed) {
        Relaxed
    } else {
        Release
    };
    context.ready.store(true, order);
    if world.has(Fault::ReadyEarly) {
        put(&context, index, place);
    }
    drop(state);

    release(waiting, |bio| {
        world.saw(Event::Waited);
        start(bio)
    })
}

pub(crate) fn release(
    bios: Vec<OwnedBio>,
    go_on: impl Fn(OwnedBio) -> Option<OwnedBio>,
) -> Option<OwnedBio> {
    let mut last = None;
    for bio in bios {
        if let Some(bio) = go_on(bio) {
            if let Some(before) = last.replace(bio) {
                issue(before);
            }
        }
    }
    last
}

fn command_arrives(mut bio: OwnedBio) -> Option<OwnedBio> {
    let (world, index, context) = (bio.world, bio.index, bio.context.clone());
    let (id, here) = (bio.clone + 1, place_of(&bio));
    match context.parts[index]
        .arrived
        .compare_exchange(0, id, Acquire, Relaxed)
    {
        Ok(_) => put(&context, index, here),
        Err(before) if before == id && get(&context, index) == Some(here) => {
            world.saw(Event::Passed);
            return Some(bio);
        }
        Err(_) => {
            refuse(bio);
            return None;
        }
    }
    if !context.ready.load(Acquire) {
        let arrival = lock(&context).command(bio);
        bio = match arrival {
            Arrival::Held => {
                world.saw(Event::Held);
                return None;
            }
            Arrival::Ready(bio) => bio,
            Arrival::Refused(bio) => {
                refuse(bio);
                return None;
            }
        };
    }
    start(bio)
}

fn start(bio: OwnedBio) -> Option<OwnedBio> {
    let (world, index, context) = (bio.world, bio.index, bio.context.clone());
    match pair(&context, index) {
        Ok(first) => {
            context.parts[index].from.with_mut(|from| {
                // SAFETY: Loom has checked that nobody else accesses it.
                unsafe { *from = Some(first) };
            });
            world.saw(Event::Dispatched);
            Some(bio)
        }
        Err(error) => {
            world.saw(Event::Refused);
            context.parts[index].strayed.with_mut(|strayed| {
                // SAFETY: Loom has checked that nobody else accesses it.
                unsafe { *strayed = error == Error::Domain };
            });
            if world.has(Fault::EndsCommandTwice) {
                bio.forge().end(Some(IGNORED));
            }
            // The status does not say more.
            bio.end(Some(IGNORED));
            None
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

/// `pair()`. Returns how much of the first source the command reads.
fn pair(context: &Context, index: usize) -> Result<usize, Error> {
    let to = get(context, index).ok_or(IGNORED)?;
    let (mut first, mut sum) = (None, 0);
    for source in context.commands..context.parts.len() {
        let from = get(context, source).ok_or(IGNORED)?;
        if from.domain != to.domain {
            return Err(Error::Domain);
        }
        let len = if context.commands > 1 {
            from.len.saturating_sub(index * LEN).min(LEN)
        } else {
            from.len
        };
        first = first.or(Some(len));
        sum += len;
    }
    if sum == to.len && sum == context.command_len() {
        first.ok_or(IGNORED)
    } else {
        Err(IGNORED)
    }
}

/// `sources()`: how much a command reads that was paired.
pub(crate) fn sources(carrier: &OwnedBio) -> Option<usize> {
    let context = &carrier.context;
    let first = context.parts[carrier.index].from.with(|from| {
        // SAFETY: Loom has checked that nobody writes it.
        unsafe { *from }
    })?;
    let others = (context.commands + 1..context.parts.len())
        .filter_map(|index| get(context, index))
        .map(|place| place.len);
    Some(first + others.sum::<usize>())
}
