// SPDX-License-Identifier: GPL-2.0

//! What `block/copy/top.rs` does, step by step.

use loom::sync::atomic::Ordering::Acquire;
use loom::sync::atomic::Ordering::Release;

use crate::bottom;
use crate::bottom::refuse;
use crate::bottom::release;
use crate::context::lock;
use crate::protocol::Arrival;
use crate::stack::Level;
use crate::stack::OwnedBio;
use crate::world::Event;
use crate::world::Fault;

/// `intercept()`.
pub(crate) fn intercept(bio: OwnedBio) -> Option<OwnedBio> {
    if bio.context.entered.load(Acquire) {
        go_on(bio)
    } else {
        enter(bio)
    }
}

fn go_on(bio: OwnedBio) -> Option<OwnedBio> {
    match bio.level {
        Level::Stack => Some(bio),
        Level::Bottom => bottom::arrive(bio),
    }
}

fn enter(bio: OwnedBio) -> Option<OwnedBio> {
    let (world, context) = (bio.world, bio.context.clone());
    let mut state = lock(&context);
    let all = match state.enter(bio) {
        Arrival::Held => {
            world.saw(Event::Outside);
            return None;
        }
        Arrival::Ready(all) => all,
        Arrival::Refused(bio) => {
            drop(state);
            refuse(bio);
            return None;
        }
    };
    context.entered.store(true, Release);
    let locked = world.has(Fault::EntersLocked).then_some(state);
    world.saw(Event::Entered);

    let last = release(all, go_on);
    drop(locked);
    last
}
