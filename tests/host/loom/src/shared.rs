// SPDX-License-Identifier: GPL-2.0

//! What `block/copy/shared.rs` does, step by step, for a copy of one batch, and how such a copy is
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
    verdicts: Option<Vec<Option<Error>>>,
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
    /// Not in the kernel: whether the device executed each of the commands.
    executed: Vec<AtomicBool>,
}

impl Shared {
    fn new(commands: usize) -> Self {
        Self {
            state: Mutex::new(State {
                in_flight: 0,
                verdicts: None,
                ended: false,
                waiting: false,
            }),
            woken: Notify::new(),
            executed: (0..commands).map(|_| AtomicBool::new(false)).collect(),
        }
    }

    pub(crate) fn execute(&self, command: usize) {
        let before = self.executed[command].swap(true, Ordering::Relaxed);
        assert!(!before, "executed twice");
    }

    fn begin(&self, chunks: usize) {
        self.state.lock().unwrap().in_flight += chunks;
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

    fn result(&self) -> Vec<Option<Error>> {
        let mut state = self.state.lock().unwrap();
        let verdicts = state.verdicts.take();
        verdicts.expect("chunks that are over have verdicts")
    }
}

impl Pointer<Shared> {
    pub(crate) fn chunks_over(&self, world: &'static World, verdicts: Vec<Option<Error>>) {
        let mut state = self.state.lock().unwrap();
        state.in_flight -= verdicts.len();
        assert_eq!(state.verdicts.replace(verdicts), None, "told twice");
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
    let shared = Pointer::new(Shared::new(world.commands()));
    shared.begin(world.commands());
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
    for (command, verdict) in shared.result().into_iter().enumerate() {
        let executed = shared.executed[command].load(Ordering::Relaxed);
        let doubles = world.scenario.ways[command].0 == Way::Doubles;
        match verdict {
            None => assert!(executed, "a success that was none"),
            // The second of two clones fails the command that they are, whatever became of the first.
            Some(error) => assert!(!executed || doubles, "a success that became {error:?}"),
        }
        world.saw(Event::Verdict(verdict));
    }
    shared.free();
}
