// SPDX-License-Identifier: GPL-2.0

//! What `block/copy/context.rs` does, step by step.

use std::iter::once;
use std::ops::Deref;
use std::ops::DerefMut;
use std::thread::panicking;

use loom::cell::UnsafeCell;
use loom::sync::atomic::AtomicBool;
use loom::sync::Mutex;
use loom::sync::MutexGuard;

use crate::bottom::Place;
use crate::memory::Pointer;
use crate::protocol;
use crate::protocol::Sole;
use crate::protocol::CARRIER;
use crate::shared::Shared;
use crate::stack::submit_bio;
use crate::stack::OwnedBio;
use crate::stack::RawBio;
use crate::world::Error;
use crate::world::Event;
use crate::world::Fault;
use crate::world::World;

pub(crate) type State = protocol::Chunk<OwnedBio, Vec<OwnedBio>, Error>;

impl protocol::BioList<OwnedBio> for Vec<OwnedBio> {
    fn push(&mut self, bio: OwnedBio) {
        Vec::push(self, bio);
    }
}

impl protocol::Handle for OwnedBio {
    type Id = (usize, usize);

    fn id(&self) -> (usize, usize) {
        (self.index, self.clone)
    }
}

pub(crate) const IGNORED: Error = Error::Ignored;

pub(crate) struct Part {
    pub(crate) bio: UnsafeCell<RawBio>,
    pub(crate) place: UnsafeCell<Option<Place>>,
}

pub(crate) struct Context {
    state: Mutex<State>,
    pub(crate) dispatched: AtomicBool,
    pub(crate) parts: Vec<Part>,
    pub(crate) shared: Pointer<Shared>,
}

/// The lock of a context. To drop it is an access to the context as well.
pub(crate) struct Locked<'a> {
    context: &'a Pointer<Context>,
    state: MutexGuard<'a, State>,
}

pub(crate) fn lock(context: &Pointer<Context>) -> Locked<'_> {
    let state = context.state.lock().unwrap();
    Locked { context, state }
}

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        if !panicking() {
            self.context.touch();
        }
    }
}

/// `submit()`.
pub(crate) fn submit(world: &'static World, shared: &Pointer<Shared>) {
    let parts = world.parts();
    let context = Pointer::new(Context {
        state: Mutex::new(State::new(parts)),
        dispatched: AtomicBool::new(false),
        parts: (0..parts)
            .map(|_| Part {
                bio: UnsafeCell::new(RawBio::Initialized),
                place: UnsafeCell::new(None),
            })
            .collect(),
        shared: shared.clone(),
    });
    for index in Iterator::chain(CARRIER + 1..parts, once(CARRIER)) {
        if world.has(Fault::StopsEarly) && lock(&context).error().is_some() {
            break;
        }
        submit_bio(world, &context, index);
    }
    if world.has(Fault::LooksBack) {
        let _ = lock(&context).error();
    }
}

/// `part_end_io()`.
pub(crate) fn part_end_io(bio: OwnedBio) {
    let (world, index, context) = (bio.world, bio.index, bio.context);
    let error = context.parts[index].bio.with(|bio| {
        // SAFETY: Loom has checked that nobody writes it.
        match unsafe { *bio } {
            RawBio::Ended(error) => error,
            other => panic!("a bio that has ended is {other:?}"),
        }
    });

    let mut state = lock(&context);
    let (parked, last) = state.ended(index, error, IGNORED);
    let status = state.error();
    if world.has(Fault::EndsLocked) {
        parked.into_iter().for_each(|bio| bio.end(status));
        return;
    }
    drop(state);

    if let Some(sole) = last {
        world.saw(Event::LastIsPart(index));
        finish(world, &context, status, sole);
    } else {
        for bio in parked {
            world.saw(Event::EndedParked);
            bio.end(status);
        }
    }
}

/// `finish()`.
fn finish(world: &'static World, context: &Pointer<Context>, verdict: Option<Error>, _sole: Sole) {
    for part in &context.parts {
        part.bio.with_mut(|bio| {
            // SAFETY: Loom has checked that nobody else accesses it.
            let before = unsafe { bio.replace(RawBio::Uninitialized) };
            assert_ne!(before, RawBio::Submitted, "freed with a bio in flight");
        });
    }
    let shared = context.shared.clone();
    if !world.has(Fault::Leaks) {
        context.free();
    }
    shared.chunk_over(world, verdict);
}
