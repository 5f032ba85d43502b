// SPDX-License-Identifier: GPL-2.0

//! What happens to the bios of a chunk, and what was seen of it.

use std::collections::BTreeSet;
use std::sync::Mutex;

use loom::model::Builder;

use crate::shared::drive;

/// What a bio or a chunk comes to.
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
    /// It is ended with an error before it arrives.
    Fails,
    /// A driver that knows nothing of copies ends it without an error.
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
    /// The end of a part ends the parked ones with the lock held.
    EndsLocked,
    /// So does who refuses to dispatch.
    RefusesLocked,
    /// The submitter does not submit the rest once a part has failed.
    StopsEarly,
    /// The submitter looks at the chunk after it has submitted the last part.
    LooksBack,
    /// The last user does not free it.
    Leaks,
    /// A carrier that is refused is ended twice.
    EndsCarrierTwice,
    /// The parts that are parked when the dispatch is refused are forgotten.
    LosesOthers,
    /// The place of a bio is written after the lock was dropped.
    PlacesUnlocked,
    /// The copy is woken after its lock was dropped.
    WakesLate,
    /// It is woken whether it waits or not.
    WakesAlways,
}

/// What is to happen.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The carrier's, then the sources'.
    pub ways: Vec<(Way, Thread)>,
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
    /// A bio was parked.
    Held,
    /// A bio arrived when the chunk was over.
    Late,
    /// A part arrived that was there already.
    Duplicate,
    /// The command went to the driver.
    Dispatched,
    /// All parts were there, but the command was refused.
    Refused,
    /// The carrier came by once more.
    Passed,
    /// The end of a part ended parked ones.
    EndedParked,
    /// The end of this part was the last use.
    LastIsPart(usize),
    /// The copy went on in a worker.
    Worked,
    /// The verdict was this.
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

    pub(crate) fn parts(&self) -> usize {
        self.scenario.ways.len()
    }
}

/// Runs one chunk in every interleaving of its threads.
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
