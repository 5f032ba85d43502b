// SPDX-License-Identifier: GPL-2.0

//! Explores the state machine of a chunk in full: every order in which its bios can be submitted,
//! enter a stack, arrive, fail on the way, be ended by a driver that ignores copies, be dispatched,
//! lose their path, and be completed.
//!
//! In every order each submitted bio must be ended exactly once; the verdict must be delivered
//! exactly once and after everything else; it must be a success if and only if the command
//! succeeded; and it must be a failure if any part failed before the command did its work.

use crate::{
    chunk::protocol::{BioList, Ended, Levels, Machine, Next, Sole},
    plan::Side,
    verdict::{Reason, Verdict},
};

/// A bio that failed on its way.
const BROKEN: Verdict<u8> = Verdict::Failed(1);
/// A command that the device failed.
const MEDIUM: Verdict<u8> = Verdict::Failed(2);
/// A bio that a stacking driver would have had to delay.
const BUSY: Verdict<u8> = Verdict::Fallback(Reason::Busy);
/// Parts that no device has.
const DOMAIN: Verdict<u8> = Verdict::Fallback(Reason::Domain);
const DONE: Verdict<u8> = Verdict::Offloaded;

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
    /// Held or parked.
    Waits,
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
    /// Some layer ends it before it arrives. With success: a driver that knows nothing of copies.
    EndsEarly(usize, Verdict<u8>),
    /// The command comes back for another path.
    FailsOver(usize),
    Completes(usize, Verdict<u8>),
}

/// What is to be explored. The destination is bio 0; the sources follow.
#[derive(Clone, Copy, Debug)]
struct Shape {
    parts: usize,
    levels: Levels,
    /// Whether a device has all places.
    pairs: bool,
}

struct World {
    shape: Shape,
    machine: Machine<usize, Vec<usize>, u8>,
    bios: Vec<Bio>,
    next: usize,
    failed_over: bool,
    /// Whether a part failed before the dispatch, and whether the command succeeded.
    failed: bool,
    succeeded: bool,
    delivered: bool,
}

fn side(part: usize) -> Side {
    match part {
        0 => Side::Destination,
        _ => Side::Source,
    }
}

impl World {
    fn new(shape: Shape) -> Self {
        Self {
            shape,
            machine: Machine::new(shape.parts, shape.levels),
            bios: vec![Bio::Unborn; shape.parts],
            next: 0,
            failed_over: false,
            failed: false,
            succeeded: false,
            delivered: false,
        }
    }

    fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        if self.next < self.bios.len() {
            events.push(Event::Submit(self.next));
        }
        for (part, bio) in self.bios.iter().enumerate() {
            match bio {
                Bio::Comes | Bio::Travels => {
                    events.push(if *bio == Bio::Comes {
                        Event::Enter(part)
                    } else {
                        Event::Arrive(part)
                    });
                    let ends = [BROKEN, BUSY, DONE];
                    events.extend(ends.map(|verdict| Event::EndsEarly(part, verdict)));
                }
                Bio::Dispatched => {
                    if !self.failed_over {
                        events.push(Event::FailsOver(part));
                    }
                    events.extend([DONE, MEDIUM].map(|verdict| Event::Completes(part, verdict)));
                }
                Bio::Unborn | Bio::Waits | Bio::Ended => {}
            }
        }
        events
    }

    /// The block layer ends a bio, whoever asked for it.
    fn end(&mut self, part: usize, verdict: Verdict<u8>) {
        let bio = &mut self.bios[part];
        assert!(
            !matches!(bio, Bio::Ended | Bio::Unborn),
            "{part} ended as {bio:?}"
        );
        assert!(!self.delivered, "{part} ended after the verdict");
        *bio = Bio::Ended;
        let Ended {
            others,
            verdict,
            last,
        } = self.machine.ended(side(part), verdict);
        if let Some(sole) = last {
            assert!(others.is_empty());
            self.deliver(verdict, sole);
        }
        self.end_all(others, verdict);
    }

    fn end_all(&mut self, bios: Vec<usize>, verdict: Verdict<u8>) {
        for part in bios {
            // What they end with is a status, which does not say everything.
            let verdict = match verdict {
                Verdict::Fallback(Reason::Busy) => BUSY,
                Verdict::Fallback(_) => Verdict::Fallback(Reason::NotSupported),
                verdict => verdict,
            };
            self.end(part, verdict);
        }
    }

    fn deliver(&mut self, verdict: Verdict<u8>, _sole: Sole) {
        assert!(!self.delivered, "delivered twice");
        assert!(self.bios.iter().all(|bio| *bio == Bio::Ended));
        assert_eq!(
            verdict == DONE,
            self.succeeded,
            "wrong verdict: {verdict:?}"
        );
        if self.failed {
            assert!(
                matches!(verdict, Verdict::Failed(_)),
                "a lost error: {verdict:?}"
            );
        }
        self.delivered = true;
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Submit(part) => {
                self.bios[part] = match self.shape.levels {
                    Levels::Several => Bio::Comes,
                    Levels::One => Bio::Travels,
                };
                self.next += 1;
            }
            Event::Enter(part) => self.enters(part),
            Event::Arrive(part) => self.arrives(part),
            Event::EndsEarly(part, verdict) => {
                self.failed |= verdict == BROKEN;
                self.end(part, verdict);
            }
            Event::FailsOver(part) => {
                self.failed_over = true;
                let back = self.machine.enter(part);
                assert_eq!(back, Next::GoOn(vec![part]));
                let again = self.machine.again(side(part), part);
                assert_eq!(again, Next::GoOn(vec![part]));
            }
            Event::Completes(part, verdict) => {
                self.succeeded = verdict == DONE;
                self.end(part, verdict);
            }
        }
    }

    fn enters(&mut self, part: usize) {
        match self.machine.enter(part) {
            Next::Waits => self.bios[part] = Bio::Waits,
            Next::GoOn(all) => {
                assert_eq!(all.len(), self.bios.len(), "one is missing");
                for part in all {
                    self.bios[part] = Bio::Travels;
                }
            }
            Next::End(bios, verdict) => {
                assert_eq!(bios, [part]);
                assert_ne!(verdict, DONE);
                self.end(part, verdict);
            }
        }
    }

    fn arrives(&mut self, part: usize) {
        let pair = if self.shape.pairs { DONE } else { DOMAIN };
        match self.machine.arrive(side(part), part, || pair) {
            Next::Waits => self.bios[part] = Bio::Waits,
            Next::GoOn(bios) => {
                assert_eq!(bios, [0]);
                self.bios[part] = Bio::Waits;
                let others = self.bios.iter().skip(1);
                assert!(others.clone().all(|bio| *bio == Bio::Waits));
                self.bios[0] = Bio::Dispatched;
            }
            Next::End(bios, verdict) => {
                assert!(bios.contains(&part), "{part} was forgotten");
                assert_ne!(verdict, DONE);
                self.end_all(bios, verdict);
            }
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
    for (parts, levels) in [(2, Levels::One), (3, Levels::One), (2, Levels::Several)] {
        for pairs in [true, false] {
            let shape = Shape {
                parts,
                levels,
                pairs,
            };
            let runs = explore(shape, &mut Vec::new());
            assert!(runs > 20, "only {runs} runs");
        }
    }
}
