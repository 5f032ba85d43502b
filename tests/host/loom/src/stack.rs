// SPDX-License-Identifier: GPL-2.0

//! What is around the engine: the block layer, stacking drivers, paths and a device.

use crate::{
    chunk,
    place::Place,
    plan::Cursor,
    scenario::{Device, Stack, Thread, Way},
    seen::Event,
    world::{world, World},
};
use kernel::block::{
    bdev::{BlockDevice, Dev},
    bio::{Bio, OwnedBio, Status},
    copy::{CopyDomain, CopyOp},
    layer::Layer,
    limits::QueueLimits,
    units::Sectors,
};
use loom::thread;
use std::{cell::Cell, iter};

const CLONES: Dev = 1;
const CLONES_OVER_PATHS: Dev = 2;
const HEAD: Dev = 3;
const PATHS: [Dev; 2] = [4, 5];
const BOTTOM: Dev = 6;
const OTHER: Dev = 7;

/// All devices that there are.
pub(crate) struct Devices {
    clones: BlockDevice,
    clones_over_paths: BlockDevice,
    head: &'static BlockDevice,
    paths: [BlockDevice; 2],
    bottom: BlockDevice,
    other: BlockDevice,
}

fn device(dev: Dev, domain: Option<u8>) -> BlockDevice {
    let limits = QueueLimits {
        logical_block: Sectors::ONE,
        max_copy: Sectors::new(1 << 20),
        max_copy_segment: Sectors::ZERO,
        max_copy_src_segments: 8,
    };
    BlockDevice {
        dev,
        stacks: domain.is_none(),
        domain: domain.map(CopyDomain),
        head: None,
        limits,
    }
}

impl Devices {
    pub(crate) fn new() -> Self {
        let head: &'static BlockDevice = Box::leak(Box::new(device(HEAD, None)));
        let path = |dev| BlockDevice {
            head: Some(head),
            ..device(dev, Some(3))
        };
        Self {
            clones: device(CLONES, None),
            clones_over_paths: device(CLONES_OVER_PATHS, None),
            head,
            paths: PATHS.map(path),
            bottom: device(BOTTOM, Some(1)),
            other: device(OTHER, Some(2)),
        }
    }

    /// Where a bio is submitted to.
    pub(crate) fn top(&self, stack: Stack, way: Way) -> &BlockDevice {
        match stack {
            Stack::Direct if way == Way::Strays => &self.other,
            Stack::Direct => &self.bottom,
            Stack::Clones => &self.clones,
            Stack::Paths => self.head,
            Stack::ClonesOverPaths => &self.clones_over_paths,
        }
    }
}

loom::thread_local! {
    /// The bio that this thread has given to the engine, and whether it has ended since.
    static GIVEN: Cell<(usize, bool)> = Cell::new((0, false));
}

/// The block layer.
pub(crate) struct BlockLayer;

impl Layer for BlockLayer {
    fn submit(&self, bio: OwnedBio) {
        let world = world();
        let (way, on) = world.submitted(&bio);
        go_on(on, move || match way {
            Way::Fails => fail(bio, Status::IOERR),
            Way::Ignored => bio.end(None),
            _ => come(bio),
        });
    }

    fn resubmit(&self, bio: OwnedBio) {
        world().saw(Event::Resubmitted);
        checked(bio);
    }

    fn ended(&self, bio: &Bio) {
        let world = world();
        GIVEN.with(|given| {
            if given.get().0 == address(bio) {
                world.saw(Event::Refused);
                given.set((0, true));
            }
        });
        let on_lost_path = bio.bdev().dev() == PATHS[0] && world.has_lost_path();
        assert!(!on_lost_path, "a bio waited on a path, which is gone");
        if !bio.is_clone() {
            world.ended(bio);
        }
    }
}

fn address(bio: &Bio) -> usize {
    core::ptr::from_ref(bio).addr()
}

fn go_on(on: Thread, f: impl FnOnce() + 'static) {
    match on {
        Thread::Same => f(),
        Thread::Own => drop(thread::spawn(f)),
    }
}

/// Whoever has the bio fails it.
fn fail(bio: OwnedBio, status: Status) {
    world().failed(&bio, status);
    bio.end(Some(status));
}

/// `submit_bio_noacct_nocheck()`: a bio has come to a level of the stack.
fn come(bio: OwnedBio) {
    let world = world();
    world.came(&bio);
    let stacks = bio.bdev().has_submit_bio();
    let before = GIVEN.with(|given| given.replace((address(&bio), false)));
    let issued = chunk::intercept(bio);
    let (_, ended) = GIVEN.with(|given| given.replace(before));
    match issued {
        Some(bio) => checked(bio),
        None if stacks && !ended => world.saw(Event::Held),
        None => {}
    }
}

/// `submit_bio_checked()`: a bio goes to the driver.
fn checked(bio: OwnedBio) {
    if bio.bdev().has_submit_bio() {
        pass_on(bio);
    } else {
        queue(bio);
    }
}

/// A stacking driver has a bio.
fn pass_on(bio: OwnedBio) {
    match world().entered(&bio) {
        Some((way, on)) => go_on(on, move || map(bio, way)),
        // It was there, or further up, before.
        None => map(bio, Way::Arrives),
    }
}

fn map(bio: OwnedBio, way: Way) {
    let world = world();
    match way {
        Way::FailsInside => return fail(bio, Status::IOERR),
        Way::Busy => return would_wait(bio, |_| unreachable!("it must not wait yet")),
        Way::Splits(len) => {
            chunk::split(&bio, Sectors::new(len));
            return bio.end(Some(Status::NOTSUPP));
        }
        _ => {}
    }
    match bio.bdev().dev() {
        CLONES => clone(&world, bio, way),
        CLONES_OVER_PATHS => {
            let place = (world.devices.head, Place::below(bio.start()), bio.len());
            let [clone] = bio.into_clones([place]);
            come(clone);
        }
        HEAD => choose_path(&world, bio, way),
        dev => unreachable!("no stacking driver has device {dev}"),
    }
}

/// Whoever has the bio would have to delay it, and goes on with it later if it may be delayed.
fn would_wait(bio: OwnedBio, go_on_with: impl FnOnce(OwnedBio) + 'static) {
    if bio.nowait() {
        bio.end(Some(Status::AGAIN));
    } else {
        world().saw(Event::Waited);
        go_on(Thread::Own, || go_on_with(bio));
    }
}

/// A stacking driver passes on clones.
fn clone(world: &World, bio: OwnedBio, way: Way) {
    let bottom = &world.devices.bottom;
    let (start, len) = (Place::below(bio.start()), bio.len());
    match way {
        Way::Strays => {
            let [clone] = bio.into_clones([(&world.devices.other, start, len)]);
            come(clone);
        }
        Way::Overlaps => {
            let there = world.destination_below(&bio);
            let [clone] = bio.into_clones([(bottom, there, len)]);
            come(clone);
        }
        Way::Doubles => {
            let all = (bottom, start, len);
            bio.into_clones([all, all]).into_iter().for_each(come);
        }
        Way::Halves => {
            let half = Sectors::new(len.get() / 2);
            let middle = start.checked_add(half).expect("it is within the bio");
            let halves = [(bottom, start, half), (bottom, middle, half)];
            let [first, second] = bio.into_clones(halves);
            go_on(Thread::Own, || come(second));
            come(first);
        }
        _ => {
            let [clone] = bio.into_clones([(bottom, start, len)]);
            come(clone);
        }
    }
}

/// A driver chooses a path for the bio.
fn choose_path(world: &World, mut bio: OwnedBio, way: Way) {
    if way == Way::Strays {
        move_to(&mut bio, &world.devices.other);
        return come(bio);
    }
    if world.is_path_away_for(&bio) {
        return would_wait(bio, take_path);
    }
    take_path(bio);
}

fn take_path(mut bio: OwnedBio) {
    let world = world();
    let path = usize::from(world.has_lost_path());
    move_to(&mut bio, &world.devices.paths[path]);
    come(bio);
}

fn move_to(bio: &mut OwnedBio, device: &'static BlockDevice) {
    // SAFETY: All devices stay.
    unsafe { bio.set_device(device.into()) };
}

/// `blk_mq_submit_bio()`: a device is to execute a command.
fn queue(bio: OwnedBio) {
    let world = world();
    assert_eq!(bio.copy_op(), Some(CopyOp::Dst), "a source is no command");
    assert!(chunk::fits(&bio), "the limits allow the command");
    let (device, on) = world.scenario.device;
    if device == Device::Waits {
        would_wait(bio, execute);
    } else {
        go_on(on, || execute(bio));
    }
}

/// The device has a command.
fn execute(mut command: OwnedBio) {
    let world = world();
    let index = world.has_command(&command);
    let expected = world.sources_below(index);
    let mut at = Cursor::default();
    let sources: Vec<_> = iter::from_fn(|| chunk::next_source(&command, &mut at)).collect();
    assert_eq!(sources, expected, "other sources");
    let count = chunk::source_count(&command);
    assert_eq!(count, expected.len(), "another number of sources");
    assert_eq!(command.len(), world.total(index), "another length");
    match world.scenario.device.0 {
        Device::Fails => fail(command, Status::MEDIUM),
        device @ (Device::FailsOver | Device::FailsOverElsewhere) if world.fails_over(index) => {
            world.saw(Event::FailedOver);
            if command.bdev().path_to().is_some() {
                world.lose_path();
                move_to(&mut command, world.devices.head);
            } else if device == Device::FailsOverElsewhere {
                move_to(&mut command, &world.devices.other);
            }
            come(command);
        }
        _ => {
            world.executed(index);
            command.end(None);
        }
    }
}
