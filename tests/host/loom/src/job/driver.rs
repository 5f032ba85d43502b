// SPDX-License-Identifier: GPL-2.0

//! A copy of one window of chunks, which is driven to its end: `job/turn.rs` with `job/run.rs` or
//! `job/background.rs`, in short.

use super::tracker::{Tracker, Waker};
use crate::{
    chunk::{self, Memory, Owner, Reserve, Wait},
    place::Place,
    plan::{
        progress::{Look, OnFallback},
        window::Run,
    },
    scenario::{Driver, Scenario},
    seen::Event,
    verdict::{Counter, Verdict},
    world::world,
};
use core::{
    alloc::Layout,
    pin::Pin,
    ptr::{addr_of_mut, drop_in_place, NonNull},
};
use kernel::{
    alloc::flags::GFP_NOIO,
    block::{
        bio::{Status, WriteHint},
        units::Sectors,
    },
    memory::{self, Origin},
    prelude::c_void,
    raw_init,
};
use loom::{cell::UnsafeCell, thread};

/// A copy of one window, in memory of its own.
struct Window {
    tracker: Tracker,
    reserve: Reserve,
    /// Chunks that have ended, in the order of the copy. Of whoever drives it.
    taken: UnsafeCell<Vec<Counter>>,
}

// SAFETY: Only whoever has the handle uses what is in the cell, and loom checks that.
unsafe impl Sync for Window {}

impl Owner for Window {
    fn chunk_ended(&self, slot: usize, verdict: Verdict<Status>) {
        memory::touch(self);
        world().told(slot, verdict);
        self.tracker.chunk_ended(slot, verdict);
    }
}

/// The right to drive a copy. There is one.
struct Handle(NonNull<Window>);

/// Begins a copy, and drives it to its end, or until it is somebody else's.
pub(crate) fn drive(scenario: &Scenario) {
    let memory = memory::alloc(Layout::new::<Window>(), Origin::Model).cast::<Window>();
    let raw = memory.as_ptr();
    let waker = match scenario.driver {
        Driver::Caller => None,
        // SAFETY: `wake` expects a copy that waits.
        Driver::Worker => Some(unsafe { Waker::new(raw.cast_const().cast(), wake) }),
    };
    let reserve = Reserve::new(1).expect("there is memory");
    // SAFETY: This is memory for a copy, and each field is written once.
    unsafe {
        raw_init(
            addr_of_mut!((*raw).tracker),
            Tracker::new(waker, OnFallback::Onload),
        );
        addr_of_mut!((*raw).reserve).write(reserve);
        addr_of_mut!((*raw).taken).write(UnsafeCell::new(Vec::new()));
    }
    let copy = Handle(memory);
    for index in 0..scenario.chunks.len() {
        if !send(&copy, index) {
            // A chunk has fallen back already.
            break;
        }
    }
    turns(copy);
}

/// Sends a chunk, unless one before it was not offloaded.
fn send(copy: &Handle, index: usize) -> bool {
    // SAFETY: The copy is there as long as its handle.
    let copy = unsafe { copy.0.as_ref() };
    let world = world();
    let place = Place::of(&world.scenario.chunks[index], index);
    let sources = place.sources();
    let memory = Memory::new(&copy.reserve, sources.len(), GFP_NOIO).expect("there is memory");
    let len = place.destination().len();
    let Some(slot) = copy.tracker.progress(|progress| progress.begin(len)) else {
        return false;
    };
    assert_eq!(slot, index, "slots are in order");
    world.sent(index);
    // SAFETY: The copy does not move.
    let owner = unsafe { Pin::new_unchecked(copy) };
    let devices = world.tops(index);
    // SAFETY: The memory is for so many sources. The devices stay, and so does the copy, until
    // nothing is in flight.
    unsafe {
        chunk::submit(
            devices,
            sources.iter().copied(),
            (place.destination(), WriteHint::default()),
            memory,
            Wait::Allowed,
            (owner, slot),
        );
    }
    true
}

/// Has a worker drive a copy.
///
/// # Safety
///
/// `copy` is a [`Window`] that waits.
unsafe fn wake(copy: *const c_void) {
    let copy = NonNull::new(copy.cast_mut().cast::<Window>()).expect("there is a copy");
    world().saw(Event::Worked);
    thread::spawn(move || turns(Handle(copy)));
}

fn turns(copy: Handle) {
    // SAFETY: The copy is there as long as its handle.
    let this = unsafe { copy.0.as_ref() };
    let world = world();
    loop {
        let (glance, _) = this.tracker.look(Look::Take);
        if let Some(run) = glance.run {
            if run.counter == Counter::Split {
                // Only of the first one the length is kept.
                let (first, is_later) =
                    this.taken(|taken| (taken.len(), taken.contains(&Counter::Split)));
                let len = world.split_of(first).expect("it is to be split");
                let len = if is_later { Sectors::ZERO } else { len };
                assert_eq!(glance.split, len, "split elsewhere");
            }
            this.take(run);
        } else if glance.in_flight == 0 {
            return finish(copy);
        } else if this.tracker.arm(world.scenario.low) {
            match world.scenario.driver {
                Driver::Caller => this.tracker.wait(),
                Driver::Worker => return,
            }
        }
    }
}

impl Window {
    /// Only the driver calls this.
    fn taken<R>(&self, f: impl FnOnce(&mut Vec<Counter>) -> R) -> R {
        memory::touch(self);
        self.taken.with_mut(|taken| {
            // SAFETY: Loom has checked that nobody else uses it.
            f(unsafe { &mut *taken })
        })
    }

    fn take(&self, run: Run) {
        self.taken(|taken| taken.extend((0..run.chunks).map(|_| run.counter)));
    }
}

/// The copy is over.
fn finish(copy: Handle) {
    let world = world();
    let raw = copy.0.as_ptr();
    // SAFETY: The copy is there as long as its handle.
    let this = unsafe { copy.0.as_ref() };
    let gap = this
        .tracker
        .progress(|progress| progress.finish(|run| this.take(run)));
    this.taken(|taken| world.finished(core::mem::take(taken), gap.get()));
    // SAFETY: Nothing is in flight, so nobody else uses the copy.
    unsafe {
        drop_in_place(addr_of_mut!((*raw).tracker));
        drop_in_place(addr_of_mut!((*raw).reserve));
        drop_in_place(addr_of_mut!((*raw).taken));
    }
    memory::free(copy.0.cast(), Layout::new::<Window>(), Origin::Model);
}
