// SPDX-License-Identifier: GPL-2.0

//! What happens to the bios of a batch, and what was seen of it.

use std::collections::BTreeSet;
use std::sync::Mutex;

use loom::model::Builder;

use crate::shared::drive;

/// What a bio or a command comes to.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Error {
    /// A layer on the way down failed the bio.
    Broken,
    /// The device failed the command.
    Medium,
    /// No command spans where the parts came to lie.
    Domain,
    /// Nobody executed the command, or somebody cut a part.
    Ignored,
}

/// On which thread something goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Thread {
    /// On the one that it was on.
    Same,
    /// On one of its own: a worker, a timer, an interrupt.
    Own,
}

/// What becomes of a bio on its way down the stack.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// It arrives at the bottom.
    Arrives,
    /// It arrives there, in another domain than the others.
    Strays,
    /// It arrives there as two clones of half of it, the second on a thread of its own.
    Splits,
    /// It arrives there twice, as two clones of all of it.
    Doubles,
    /// It is ended with an error before it arrives, or enters a stack.
    Fails,
    /// It enters, and is ended with an error before it arrives.
    FailsInside,
    /// Somebody who knows nothing of copies ends it without an error.
    Ignored,
}

/// What the device does with the command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Device {
    Succeeds,
    Fails,
    /// It loses the path, so that the carrier is submitted once more, and then executes it.
    FailsOver,
}

/// Who goes on with a copy when its chunks have ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Driver {
    /// The task that has begun it, which waits.
    Caller,
    /// Whichever worker takes it up.
    Worker,
}

/// A mistake in the kernel's glue, to see that the model finds it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The parts enter the stack with the lock held.
    EntersLocked,
    /// The end of a part ends the parked ones with the lock held.
    EndsLocked,
    /// The submitter does not submit the rest once a part has failed.
    StopsEarly,
    /// The submitter looks at the batch after it has submitted the last part.
    LooksBack,
    /// A command looks at it after it has ended, when others have not.
    LooksBackAtOthers,
    /// The last user does not free it.
    Leaks,
    /// A command that cannot be paired is ended twice.
    EndsCommandTwice,
    /// The bios that are to be ended with another part are forgotten.
    LosesParked,
    /// The place of a source is written after the lock was dropped.
    PlacesUnlocked,
    /// Commands are told that all sources are there before the place of the last one is written.
    ReadyEarly,
    /// They are told so in an order that the place need not keep.
    ReadyRelaxed,
    /// A command that was not done does not say so.
    FailsUnsaid,
    /// Commands that have ended are counted in an order that their ends need not keep.
    CountsRelaxed,
    /// The copy is woken after its lock was dropped.
    WakesLate,
    /// It is woken whether it waits or not.
    WakesAlways,
}

/// What is to happen.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The commands', then the sources'.
    pub ways: Vec<(Way, Thread)>,
    /// How many commands there are.
    pub commands: usize,
    /// Whether there is a stack to enter.
    pub stacked: bool,
    pub device: (Device, Thread),
    pub driver: Driver,
    pub fault: Option<Fault>,
    /// How often a thread may be interrupted where it could have gone on; any number of times for
    /// [`None`].
    pub preemptions: Option<usize>,
}

impl Scenario {
    pub fn new(ways: &[(Way, Thread)], device: (Device, Thread)) -> Self {
        Self {
            ways: ways.to_vec(),
            commands: 1,
            stacked: false,
            device,
            driver: Driver::Caller,
            fault: None,
            preemptions: None,
        }
    }
}

/// What happened in some interleaving.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Event {
    /// A part waited at the top of a stack.
    Outside,
    /// All parts have entered it.
    Entered,
    /// A source was parked, or a command that has to wait.
    Held,
    /// A command that has waited goes on.
    Waited,
    /// A bio arrived when the batch was over.
    Late,
    /// A part arrived that was there already.
    Duplicate,
    /// The command went to the driver.
    Dispatched,
    /// All sources were there, but the command was refused.
    Refused,
    /// A command came by once more.
    Passed,
    /// A command ended before others of its batch did.
    OthersLeft,
    /// The end of a part ended parked ones.
    EndedParked,
    /// The end of this part was the last use.
    LastIsPart(usize),
    /// The copy went on in a worker.
    Worked,
    /// The verdict of a command was this.
    Verdict(Option<Error>),
}

/// What is the same for all interleavings.
pub(crate) struct World {
    pub(crate) scenario: Scenario,
    seen: Mutex<Seen>,
}

/// What all interleavings together came to.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub runs: usize,
    pub events: BTreeSet<Event>,
}

impl World {
    pub(crate) fn saw(&self, event: Event) {
        self.seen.lock().unwrap().events.insert(event);
    }

    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.scenario.fault == Some(fault)
    }

    pub(crate) fn commands(&self) -> usize {
        self.scenario.commands
    }

    pub(crate) fn parts(&self) -> usize {
        self.scenario.ways.len()
    }
}

/// Runs one batch in every interleaving of its threads.
///
/// # Panics
///
/// If one of them does what must not be.
pub fn explore(scenario: Scenario) -> Seen {
    // Some bytes a scenario that are never freed, for a reference that threads can take along.
    let world: &'static World = Box::leak(Box::new(World {
        scenario,
        seen: Mutex::default(),
    }));
    let mut builder = Builder::new();
    builder.preemption_bound = world.scenario.preemptions;
    builder.check(move || {
        world.seen.lock().unwrap().runs += 1;
        drive(world);
    });
    world.seen.lock().unwrap().clone()
}
