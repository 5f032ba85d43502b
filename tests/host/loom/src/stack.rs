// SPDX-License-Identifier: GPL-2.0

//! What is around the engine: bios, the layers that they travel through, and the device.

use std::sync::Arc;

use loom::sync::Mutex;
use loom::thread;

use crate::bottom;
use crate::context::part_end_io;
use crate::context::Context;
use crate::memory::Pointer;
use crate::top;
use crate::world::Device;
use crate::world::Error;
use crate::world::Thread;
use crate::world::Way;
use crate::world::World;

/// What one command reads of one source.
pub(crate) const LEN: usize = 2;

/// The memory of a bio, in its context.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RawBio {
    Initialized,
    Submitted,
    Ended(Option<Error>),
    Uninitialized,
}

/// Where in the stack a bio is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Level {
    /// At a stacking driver.
    Stack,
    /// At the device.
    Bottom,
}

/// The obligation to end a bio, which may be a clone, exactly once.
pub(crate) struct OwnedBio {
    pub(crate) context: Pointer<Context>,
    pub(crate) index: usize,
    pub(crate) world: &'static World,
    pub(crate) len: usize,
    pub(crate) domain: usize,
    pub(crate) level: Level,
    /// Which of the clones it is.
    pub(crate) clone: usize,
    clones: Option<Arc<Clones>>,
}

/// The clones of a bio, which ends with the last of them.
struct Clones(Mutex<(usize, Option<Error>)>);

impl Clones {
    /// One of them ends. Returns what their bio ends with if it was the last.
    fn end(&self, error: Option<Error>) -> Option<Option<Error>> {
        let mut clones = self.0.lock().unwrap();
        clones.0 -= 1;
        clones.1 = clones.1.or(error);
        (clones.0 == 0).then_some(clones.1)
    }
}

impl OwnedBio {
    /// `bio_endio()`.
    pub(crate) fn end(self, error: Option<Error>) {
        let error = match &self.clones {
            None => error,
            Some(clones) => match clones.end(error) {
                Some(error) => error,
                None => return,
            },
        };
        self.context.parts[self.index].bio.with_mut(|bio| {
            // SAFETY: Loom has checked that nobody else accesses it.
            let before = unsafe { bio.replace(RawBio::Ended(error)) };
            assert_eq!(before, RawBio::Submitted, "ended what is not in flight");
        });
        part_end_io(self);
    }

    /// The same bio once more: there is no such thing, but there are mistakes.
    pub(crate) fn forge(&self) -> Self {
        Self {
            context: self.context.clone(),
            clones: self.clones.clone(),
            ..*self
        }
    }

    /// A stacking driver passes on two clones, so long, instead of the bio.
    fn replace(self, len: usize) -> [Self; 2] {
        let clones = Arc::new(Clones(Mutex::new((2, None))));
        [1, 2].map(|clone| Self {
            len,
            clone,
            clones: Some(Arc::clone(&clones)),
            ..self.forge()
        })
    }
}

/// `submit_bio()`: the bio travels down the stack.
pub(crate) fn submit_bio(world: &'static World, context: &Pointer<Context>, index: usize) {
    context.parts[index].bio.with_mut(|bio| {
        // SAFETY: Loom has checked that nobody else accesses it.
        let before = unsafe { bio.replace(RawBio::Submitted) };
        assert_eq!(before, RawBio::Initialized, "submitted twice");
    });
    let (way, on) = world.scenario.ways[index];
    let len = if index < context.commands {
        context.command_len()
    } else {
        context.commands * LEN
    };
    let bio = OwnedBio {
        context: context.clone(),
        index,
        world,
        len,
        domain: if way == Way::Strays { index + 1 } else { 0 },
        level: if world.scenario.stacked {
            Level::Stack
        } else {
            Level::Bottom
        },
        clone: 0,
        clones: None,
    };
    go_on(on, move || match way {
        Way::Fails => bio.end(Some(Error::Broken)),
        Way::Ignored => bio.end(None),
        _ if bio.level == Level::Stack => come(bio),
        _ => travel(bio),
    });
}

/// The bio goes on down the stack.
fn travel(mut bio: OwnedBio) {
    bio.level = Level::Bottom;
    match bio.world.scenario.ways[bio.index].0 {
        Way::Splits => {
            let half = bio.len / 2;
            let [first, second] = bio.replace(half);
            go_on(Thread::Own, move || come(second));
            come(first);
        }
        Way::Doubles => {
            let len = bio.len;
            bio.replace(len).into_iter().for_each(come);
        }
        Way::FailsInside => bio.end(Some(Error::Broken)),
        _ => come(bio),
    }
}

fn go_on(on: Thread, f: impl FnOnce() + 'static) {
    match on {
        Thread::Same => f(),
        Thread::Own => drop(thread::spawn(f)),
    }
}

/// A bio has come to a level of the stack.
fn come(bio: OwnedBio) {
    if let Some(bio) = top::intercept(bio) {
        issue(bio);
    }
}

/// What comes out of the engine goes to the driver of that level.
pub(crate) fn issue(bio: OwnedBio) {
    match bio.level {
        Level::Stack => travel(bio),
        Level::Bottom => go_on(bio.world.scenario.device.1, move || execute(bio)),
    }
}

/// The device has the command.
fn execute(carrier: OwnedBio) {
    let sources = bottom::sources(&carrier);
    assert_eq!(sources, Some(carrier.context.command_len()));
    match carrier.world.scenario.device.0 {
        Device::Fails => carrier.end(Some(Error::Medium)),
        Device::Succeeds => succeed(carrier),
        Device::FailsOver => {
            let again = top::intercept(carrier);
            succeed(again.expect("a command that was paired passes"));
        }
    }
}

fn succeed(carrier: OwnedBio) {
    carrier.context.shared.execute(carrier.index);
    carrier.end(None);
}
