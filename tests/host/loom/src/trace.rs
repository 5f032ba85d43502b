// SPDX-License-Identifier: GPL-2.0

//! What the tracepoints show, checked. See `block/copy/trace.rs`.

use crate::{
    plan::{self, Range},
    scenario::{Paths, Side},
    seen::Event,
    verdict::Verdict,
    world::world,
};
use kernel::block::{
    bdev::{BlockDevice, Dev},
    bio::{Bio, Status},
};

/// A chunk sets out.
pub(crate) fn submit(_src: &BlockDevice, _from: Range, _dst: &BlockDevice, _to: Range) {}

/// The disk that a bio has come to.
pub(crate) fn disk(bio: &Bio) -> Option<Dev> {
    Some(bio.bdev().disk_dev())
}

/// A bio is parked.
pub(crate) fn park(_dev: Dev, _range: Range, side: plan::Side) {
    let world = world();
    world.saw(Event::Parked(match side {
        plan::Side::Source => Side::Source,
        plan::Side::Destination => Side::Destination,
    }));
    if world.scenario.paths == Paths::GoWhileParked {
        world.lose_path();
    }
}

/// The command goes to the driver.
pub(crate) fn dispatch(command: &Bio, from: Range, to: Range) {
    world().dispatched(command, from, to);
}

/// A chunk is over.
pub(crate) fn chunk_done(_dst: Dev, to: Range, verdict: Verdict<Status>) {
    world().chunk_done(to, verdict);
}
