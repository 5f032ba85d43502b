// SPDX-License-Identifier: GPL-2.0

//! Explores the state machine of a batch in full: every order in which its bios can be submitted,
//! arrive, fail on the way, be completed by a driver that ignores copies, go to the driver, be
//! refused and completed.
//!
//! In every one of them each submitted bio must be ended exactly once, the verdicts delivered exactly
//! once and after everything else, and each must be a success if and only if its command succeeded.

use crate::protocol::{Arrival, Batch, BioList, Sole};

/// The error of a bio that failed on its way.
const BROKEN: u8 = 1;
/// The error of a command that the device failed.
const MEDIUM: u8 = 2;
/// The error of parts that no command can span.
const REFUSED: u8 = 3;
/// The error of a copy that nobody executed.
const EARLY: u8 = 4;

impl BioList<usize> for Vec<usize> {
    fn push(&mut self, bio: usize) {
        Vec::push(self, bio);
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Bio {
    Unborn,
    /// On its way to the stack.
    Comes,
    /// On its way down the stack.
    Travels,
    /// Held by the machine.
    Parked,
    /// With the driver.
    Dispatched,
    Ended,
}

/// What may happen next.
#[derive(Clone, Copy, Debug)]
enum Event {
    Submit(usize),
    Enter(usize),
    Arrive(usize),
    /// It fails in some layer, before it arrives.
    Fails(usize),
    /// A driver that knows nothing of copies completes it.
    Ignored(usize),
    Completes(usize, Option<u8>),
}

/// What is to be explored: how many sources and commands, whether there is a stack to enter, and
/// whether they can be paired.
#[derive(Clone, Copy, Debug)]
struct Shape {
    sources: usize,
    commands: usize,
    stacked: bool,
    pairs: bool,
}

/// The sources are bios from 0 on; the commands follow.
struct World {
    shape: Shape,
    batch: Batch<Vec<usize>, u8>,
    bios: Vec<Bio>,
    next: usize,
    /// All sources are there.
    ready: bool,
    /// Commands that have not ended.
    left: usize,
    arrived: Vec<bool>,
    verdicts: Vec<Option<u8>>,
    succeeded: Vec<bool>,
    delivered: bool,
}

impl World {
    fn new(shape: Shape) -> Self {
        let parts = shape.sources + shape.commands;
        Self {
            shape,
            batch: Batch::new(shape.sources, if shape.stacked { parts } else { 0 }),
            bios: vec![Bio::Unborn; parts],
            next: 0,
            ready: false,
            left: shape.commands,
            arrived: vec![false; parts],
            verdicts: vec![None; parts],
            succeeded: vec![false; parts],
            delivered: false,
        }
    }

    fn is_command(&self, part: usize) -> bool {
        part >= self.shape.sources
    }

    fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        if self.next < self.bios.len() {
            events.push(Event::Submit(self.next));
        }
        for (part, bio) in self.bios.iter().enumerate() {
            match bio {
                Bio::Comes => {
                    events.extend([Event::Enter(part), Event::Fails(part), Event::Ignored(part)])
                }
                Bio::Travels => events.extend([
                    Event::Arrive(part),
                    Event::Fails(part),
                    Event::Ignored(part),
                ]),
                Bio::Dispatched => events.extend([
                    Event::Completes(part, None),
                    Event::Completes(part, Some(MEDIUM)),
                ]),
                Bio::Unborn | Bio::Parked | Bio::Ended => {}
            }
        }
        events
    }

    /// The block layer ends a bio, whoever asked for it.
    fn end(&mut self, part: usize, error: Option<u8>) {
        let bio = &mut self.bios[part];
        assert!(
            !matches!(bio, Bio::Ended | Bio::Unborn),
            "{part} ended as {bio:?}"
        );
        assert!(!self.delivered, "{part} ended after the verdicts");
        *bio = Bio::Ended;
        let (ended, why) = if self.is_command(part) {
            let verdict = error.or((!self.arrived[part]).then_some(EARLY));
            self.verdicts[part] = verdict;
            self.left -= 1;
            if self.left > 0 {
                return;
            }
            (self.batch.commands_ended(verdict), verdict)
        } else {
            let ended = self.batch.source_ended(error, EARLY);
            (ended, self.batch.error())
        };
        if let Some(sole) = ended.last {
            assert!(ended.waiting.is_empty() && ended.sources.is_empty());
            self.deliver(sole);
        }
        for parked in ended.waiting.into_iter().chain(ended.sources) {
            assert_eq!(self.bios[parked], Bio::Parked);
            self.end(parked, why);
        }
    }

    fn deliver(&mut self, _sole: Sole) {
        assert!(!self.delivered, "delivered twice");
        assert!(self.bios.iter().all(|bio| *bio == Bio::Ended));
        for command in self.shape.sources..self.bios.len() {
            let verdict = self.batch.source_error().or(self.verdicts[command]);
            assert_eq!(verdict.is_none(), self.succeeded[command], "wrong verdict");
        }
        self.delivered = true;
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Submit(part) => {
                self.bios[part] = if self.shape.stacked {
                    Bio::Comes
                } else {
                    Bio::Travels
                };
                self.next += 1;
            }
            Event::Enter(part) => self.enters(part),
            Event::Arrive(part) if self.is_command(part) => self.command_arrives(part),
            Event::Arrive(part) => self.source_arrives(part),
            Event::Fails(part) => self.end(part, Some(BROKEN)),
            Event::Ignored(part) => self.end(part, None),
            Event::Completes(part, error) => {
                self.succeeded[part] = error.is_none();
                self.end(part, error);
            }
        }
    }

    fn enters(&mut self, part: usize) {
        match self.batch.enter(part) {
            Arrival::Held => self.bios[part] = Bio::Parked,
            Arrival::Ready(all) => {
                assert_eq!(all.len(), self.bios.len(), "one is missing");
                for part in all {
                    self.bios[part] = Bio::Travels;
                }
            }
            Arrival::Refused(part) => self.refuse(part),
        }
    }

    fn source_arrives(&mut self, part: usize) {
        match self.batch.source(part, part) {
            Arrival::Held => self.bios[part] = Bio::Parked,
            Arrival::Ready(waiting) => {
                self.bios[part] = Bio::Parked;
                self.ready = true;
                for command in waiting {
                    self.start(command);
                }
            }
            Arrival::Refused(part) => self.refuse(part),
        }
    }

    fn command_arrives(&mut self, part: usize) {
        self.arrived[part] = true;
        if self.ready {
            return self.start(part);
        }
        match self.batch.command(part) {
            Arrival::Held => self.bios[part] = Bio::Parked,
            Arrival::Ready(_) => panic!("ready, but not all sources have arrived"),
            Arrival::Refused(part) => self.refuse(part),
        }
    }

    fn refuse(&mut self, part: usize) {
        let error = self.batch.error();
        assert!(error.is_some(), "refused without an error");
        self.end(part, error);
    }

    fn start(&mut self, command: usize) {
        if self.shape.pairs {
            self.bios[command] = Bio::Dispatched;
        } else {
            self.end(command, Some(REFUSED));
        }
    }
}

/// Runs every sequence of events from the beginning; returns how many there are.
fn explore(shape: Shape, path: &mut Vec<usize>) -> usize {
    let mut world = World::new(shape);
    for choice in path.iter() {
        let event = world.events()[*choice];
        world.step(event);
    }
    let choices = world.events().len();
    if choices == 0 {
        assert!(
            world.delivered,
            "nothing can happen and nothing was delivered: {path:?}"
        );
        return 1;
    }
    let mut runs = 0;
    for choice in 0..choices {
        path.push(choice);
        runs += explore(shape, path);
        path.pop();
    }
    runs
}

#[test]
fn every_order_ends_every_bio_once() {
    for (sources, commands, stacked) in [
        (1, 1, false),
        (2, 1, false),
        (1, 2, false),
        (2, 2, false),
        (1, 1, true),
        (2, 1, true),
    ] {
        for pairs in [true, false] {
            let shape = Shape {
                sources,
                commands,
                stacked,
                pairs,
            };
            let runs = explore(shape, &mut Vec::new());
            assert!(runs > 20, "only {runs} runs");
        }
    }
}
