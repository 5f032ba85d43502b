// SPDX-License-Identifier: GPL-2.0

//! Explores the state machine of a chunk in full: every order in which two bios can be submitted,
//! arrive, fail on the way, be completed by a driver that ignores copies, be dispatched, refused and
//! completed, with the submitter leaving at any moment.
//!
//! In every one of them each submitted bio must be ended exactly once, the verdict delivered exactly
//! once and after everything else, and it must be a success if and only if the command succeeded.

use crate::protocol::{Chunk, Half, Last, Park};

/// The error of a bio that failed on its way.
const BROKEN: u8 = 1;
/// The error of a command that the device failed.
const MEDIUM: u8 = 2;
/// The error of a pair that no command can span.
const REFUSED: u8 = 3;
/// The error of a copy that nobody executed.
const EARLY: u8 = 4;

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
    Submit(Half),
    Leave,
    Arrive(Half),
    /// It fails in some layer, before it arrives.
    Fails(Half),
    /// A driver that knows nothing of copies completes it.
    Ignored(Half),
    Completes(Option<u8>),
}

struct World {
    chunk: Chunk<Half, u8>,
    bios: [Bio; 2],
    next: usize,
    submitter: bool,
    /// Whether the pair can be copied by one command.
    pairs: bool,
    succeeded: bool,
    delivered: bool,
}

fn index(half: Half) -> usize {
    match half {
        Half::Src => 0,
        Half::Dst => 1,
    }
}

const ORDER: [Half; 2] = [Half::Src, Half::Dst];

impl World {
    fn new(pairs: bool) -> Self {
        Self {
            chunk: Chunk::new(),
            bios: [Bio::Unborn; 2],
            next: 0,
            submitter: true,
            pairs,
            succeeded: false,
            delivered: false,
        }
    }

    fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        if self.submitter {
            match ORDER.get(self.next) {
                Some(half) => events.push(Event::Submit(*half)),
                None => events.push(Event::Leave),
            }
        }
        for half in ORDER {
            match self.bios[index(half)] {
                Bio::Travels => events.extend([
                    Event::Arrive(half),
                    Event::Fails(half),
                    Event::Ignored(half),
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
    fn end(&mut self, half: Half, error: Option<u8>) {
        let bio = &mut self.bios[index(half)];
        assert!(!matches!(bio, Bio::Ended | Bio::Unborn), "{half:?} ended as {bio:?}");
        assert!(!self.delivered, "{half:?} ended after the verdict");
        *bio = Bio::Ended;
        let (parked, last) = self.chunk.ended(half, error, EARLY);
        let error = self.chunk.error();
        if let Some(parked) = parked {
            assert_eq!(last, Last::No);
            assert_eq!(self.bios[index(parked)], Bio::Parked);
            self.end(parked, error);
        } else {
            self.last(last);
        }
    }

    fn last(&mut self, last: Last) {
        if last == Last::No {
            return;
        }
        assert!(!self.delivered, "delivered twice");
        assert!(!self.submitter, "delivered under the submitter");
        assert!(self.bios.iter().all(|bio| matches!(bio, Bio::Ended | Bio::Unborn)));
        assert_eq!(self.chunk.error().is_none(), self.succeeded, "wrong verdict");
        self.delivered = true;
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Submit(half) => {
                if self.chunk.submit() {
                    self.bios[index(half)] = Bio::Travels;
                    self.next += 1;
                } else {
                    self.next = ORDER.len();
                }
            }
            Event::Leave => {
                self.submitter = false;
                let last = self.chunk.leave();
                self.last(last);
            }
            Event::Arrive(half) => self.arrive(half),
            Event::Fails(half) => self.end(half, Some(BROKEN)),
            Event::Ignored(half) => self.end(half, None),
            Event::Completes(error) => {
                self.succeeded = error.is_none();
                self.end(Half::Dst, error);
            }
        }
    }

    fn arrive(&mut self, half: Half) {
        match self.chunk.park(half, half) {
            Park::Held => self.bios[index(half)] = Bio::Parked,
            Park::Pass(_) => panic!("passed before it was dispatched"),
            Park::Refused(half) => {
                let error = self.chunk.error();
                assert!(error.is_some(), "refused without an error");
                self.end(half, error);
            }
            Park::Dispatch(dst) => {
                assert_eq!(dst, Half::Dst);
                self.bios = [Bio::Parked, Bio::Parked];
                if self.pairs {
                    assert_eq!(self.chunk.parked(Half::Src), Some(&Half::Src));
                    self.bios[index(dst)] = Bio::Dispatched;
                    let Park::Pass(_) = self.chunk.park(dst, dst) else {
                        panic!("the dispatched bio does not pass");
                    };
                } else {
                    let src = self.chunk.refuse(REFUSED);
                    assert_eq!(src, Some(Half::Src));
                    self.end(Half::Src, Some(REFUSED));
                    self.end(dst, Some(REFUSED));
                }
            }
        }
    }
}

/// Runs every sequence of events from the beginning; returns how many there are.
fn explore(pairs: bool, path: &mut Vec<usize>) -> usize {
    let mut world = World::new(pairs);
    for choice in path.iter() {
        let event = world.events()[*choice];
        world.step(event);
    }
    let choices = world.events().len();
    if choices == 0 {
        assert!(world.delivered, "nothing can happen and nothing was delivered: {path:?}");
        return 1;
    }
    let mut runs = 0;
    for choice in 0..choices {
        path.push(choice);
        runs += explore(pairs, path);
        path.pop();
    }
    runs
}

#[test]
fn every_order_ends_every_bio_once() {
    for pairs in [true, false] {
        let runs = explore(pairs, &mut Vec::new());
        assert!(runs > 20, "only {runs} runs");
    }
}
