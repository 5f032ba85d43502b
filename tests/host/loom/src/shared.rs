// SPDX-License-Identifier: GPL-2.0

//! What `block/copy/shared.rs` does, step by step, for a copy of one chunk, and how such a copy is
//! driven (`job.rs`, `background.rs`).

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use loom::sync::Mutex;
use loom::sync::Notify;
use loom::thread;

use crate::context;
use crate::memory::Pointer;
use crate::world::Driver;
use crate::world::Error;
use crate::world::Event;
use crate::world::Fault;
use crate::world::Way;
use crate::world::World;

struct State {
    in_flight: usize,
    verdict: Option<Option<Error>>,
    ended: bool,
    waiting: bool,
}

impl State {
    fn is_ready(&self) -> bool {
        self.ended && self.in_flight == 0
    }
}

pub(crate) struct Shared {
    state: Mutex<State>,
    woken: Notify,
    /// Not in the kernel: whether the device executed the command.
    executed: AtomicBool,
}

impl Shared {
    fn new() -> Self {
        Self {
            state: Mutex::new(State {
                in_flight: 0,
                verdict: None,
                ended: false,
                waiting: false,
            }),
            woken: Notify::new(),
            executed: AtomicBool::new(false),
        }
    }

    pub(crate) fn execute(&self) {
        let before = self.executed.swap(true, Ordering::Relaxed);
        assert!(!before, "executed twice");
    }

    fn begin(&self) {
        self.state.lock().unwrap().in_flight += 1;
    }

    /// How many chunks are in flight.
    fn look(&self) -> usize {
        let mut state = self.state.lock().unwrap();
        state.ended = false;
        state.in_flight
    }

    fn arm(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        state.waiting = !state.is_ready();
        state.waiting
    }

    fn result(&self) -> Option<Error> {
        let state = self.state.lock().unwrap();
        state.verdict.expect("a chunk that is over has a verdict")
    }
}

impl Pointer<Shared> {
    pub(crate) fn chunk_over(&self, world: &'static World, verdict: Option<Error>) {
        let mut state = self.state.lock().unwrap();
        assert_eq!(state.verdict.replace(verdict), None, "two verdicts");
        state.in_flight -= 1;
        state.ended = true;
        if world.has(Fault::WakesLate) {
            drop(state);
            state = self.state.lock().unwrap();
        }
        self.wake(world, &mut state);
        // To drop the lock is an access, too.
        self.touch();
    }

    /// The lock is held.
    fn wake(&self, world: &'static World, state: &mut State) {
        if !world.has(Fault::WakesAlways) && (!state.waiting || !state.is_ready()) {
            return;
        }
        state.waiting = false;
        match world.scenario.driver {
            Driver::Caller => self.woken.notify(),
            Driver::Worker => {
                let shared = self.clone();
                thread::spawn(move || {
                    world.saw(Event::Worked);
                    turns(world, &shared);
                });
            }
        }
    }
}

/// Begins a copy, and drives it to its end, or until it is somebody else's.
pub(crate) fn drive(world: &'static World) {
    let shared = Pointer::new(Shared::new());
    shared.begin();
    context::submit(world, &shared);
    turns(world, &shared);
}

fn turns(world: &'static World, shared: &Pointer<Shared>) {
    while shared.look() > 0 {
        if shared.arm() {
            match world.scenario.driver {
                Driver::Caller => shared.woken.wait(),
                Driver::Worker => return,
            }
        }
    }
    finish(world, shared);
}

/// The copy is over.
fn finish(world: &World, shared: &Pointer<Shared>) {
    let verdict = shared.result();
    let executed = shared.executed.load(Ordering::Relaxed);
    let doubles = world
        .scenario
        .ways
        .iter()
        .any(|(way, _)| *way == Way::Doubles);
    match verdict {
        None => assert!(executed, "a success that was none"),
        // The second of two clones fails the part that they are, whatever became of the first.
        Some(error) => assert!(!executed || doubles, "a success that became {error:?}"),
    }
    world.saw(Event::Verdict(verdict));
    shared.free();
}
