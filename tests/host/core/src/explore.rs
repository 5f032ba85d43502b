// SPDX-License-Identifier: GPL-2.0

//! Explores the state machine of a chunk in full: every order in which its bios can be submitted,
//! arrive, fail on the way, be completed by a driver that ignores copies, be dispatched, refused and
//! completed.
//!
//! In every one of them each submitted bio must be ended exactly once, the verdict delivered exactly
//! once and after everything else, and it must be a success if and only if the command succeeded.

use crate::protocol::{BioList, Chunk, Handle, Park, Sole, CARRIER};

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

impl Handle for usize {
    type Id = usize;

    fn id(&self) -> usize {
        *self
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Bio {
    Unborn,
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
    Arrive(usize),
    /// It fails in some layer, before it arrives.
    Fails(usize),
    /// A driver that knows nothing of copies completes it.
    Ignored(usize),
    Completes(Option<u8>),
}

struct World {
    chunk: Chunk<usize, Vec<usize>, u8>,
    bios: Vec<Bio>,
    next: usize,
    /// Whether one command can span the parts.
    pairs: bool,
    succeeded: bool,
    delivered: bool,
}

impl World {
    fn new(parts: usize, pairs: bool) -> Self {
        Self {
            chunk: Chunk::new(parts),
            bios: vec![Bio::Unborn; parts],
            next: 0,
            pairs,
            succeeded: false,
            delivered: false,
        }
    }

    fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        if self.next < self.bios.len() {
            // The carrier is submitted after the sources.
            events.push(Event::Submit((self.next + 1) % self.bios.len()));
        }
        for (part, bio) in self.bios.iter().enumerate() {
            match bio {
                Bio::Travels => events.extend([
                    Event::Arrive(part),
                    Event::Fails(part),
                    Event::Ignored(part),
                ]),
                Bio::Dispatched => {
                    events.extend([Event::Completes(None), Event::Completes(Some(MEDIUM))]);
                }
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
        assert!(!self.delivered, "{part} ended after the verdict");
        *bio = Bio::Ended;
        let (parked, last) = self.chunk.ended(part, error, EARLY);
        let error = self.chunk.error();
        if !parked.is_empty() {
            assert_eq!(last, None);
        }
        for parked in parked {
            assert_eq!(self.bios[parked], Bio::Parked);
            self.end(parked, error);
        }
        if let Some(sole) = last {
            self.deliver(sole);
        }
    }

    fn deliver(&mut self, _sole: Sole) {
        assert!(!self.delivered, "delivered twice");
        assert!(self.bios.iter().all(|bio| *bio == Bio::Ended));
        assert_eq!(
            self.chunk.error().is_none(),
            self.succeeded,
            "wrong verdict"
        );
        self.delivered = true;
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Submit(part) => {
                self.bios[part] = Bio::Travels;
                self.next += 1;
            }
            Event::Arrive(part) => self.arrive(part),
            Event::Fails(part) => self.end(part, Some(BROKEN)),
            Event::Ignored(part) => self.end(part, None),
            Event::Completes(error) => {
                self.succeeded = error.is_none();
                self.end(CARRIER, error);
            }
        }
    }

    fn arrive(&mut self, part: usize) {
        match self.chunk.park(part, part) {
            Park::Held => self.bios[part] = Bio::Parked,
            Park::Pass(_) => panic!("passed before it was dispatched"),
            Park::Refused(part) => {
                let error = self.chunk.error();
                assert!(error.is_some(), "refused without an error");
                self.end(part, error);
            }
            Park::Dispatch(carrier) => {
                assert_eq!(carrier, CARRIER);
                self.bios.fill(Bio::Parked);
                if self.pairs {
                    self.bios[carrier] = Bio::Dispatched;
                    let Park::Pass(_) = self.chunk.park(carrier, carrier) else {
                        panic!("the dispatched bio does not pass");
                    };
                } else {
                    let others = self.chunk.refuse(REFUSED);
                    assert_eq!(others.len(), self.bios.len() - 1);
                    for other in others {
                        self.end(other, Some(REFUSED));
                    }
                    self.end(carrier, Some(REFUSED));
                }
            }
        }
    }
}

/// Runs every sequence of events from the beginning; returns how many there are.
fn explore(parts: usize, pairs: bool, path: &mut Vec<usize>) -> usize {
    let mut world = World::new(parts, pairs);
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
        runs += explore(parts, pairs, path);
        path.pop();
    }
    runs
}

#[test]
fn every_order_ends_every_bio_once() {
    for parts in [2, 3] {
        for pairs in [true, false] {
            let runs = explore(parts, pairs, &mut Vec::new());
            assert!(runs > 20, "only {runs} runs");
        }
    }
}
