// SPDX-License-Identifier: GPL-2.0

//! What `block/copy/context.rs` and `block/copy/ends.rs` do, step by step.

use std::ops::Deref;
use std::ops::DerefMut;
use std::thread::panicking;

use loom::cell::UnsafeCell;
use loom::sync::atomic::AtomicBool;
use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::AcqRel;
use loom::sync::atomic::Ordering::Relaxed;
use loom::sync::Mutex;
use loom::sync::MutexGuard;

use crate::bottom::Place;
use crate::memory::Pointer;
use crate::protocol;
use crate::protocol::Sole;
use crate::shared::Shared;
use crate::stack::submit_bio;
use crate::stack::OwnedBio;
use crate::stack::RawBio;
use crate::stack::LEN;
use crate::world::Error;
use crate::world::Event;
use crate::world::Fault;
use crate::world::World;

pub(crate) type State = protocol::Batch<Vec<OwnedBio>, Error>;

impl protocol::BioList<OwnedBio> for Vec<OwnedBio> {
    fn push(&mut self, bio: OwnedBio) {
        Vec::push(self, bio);
    }
}

pub(crate) const IGNORED: Error = Error::Ignored;

pub(crate) struct Part {
    pub(crate) bio: UnsafeCell<RawBio>,
    pub(crate) place: UnsafeCell<Option<Place>>,
    pub(crate) from: UnsafeCell<Option<usize>>,
    pub(crate) arrived: AtomicUsize,
    pub(crate) strayed: UnsafeCell<bool>,
}

pub(crate) struct Context {
    state: Mutex<State>,
    pub(crate) entered: AtomicBool,
    pub(crate) ready: AtomicBool,
    failed: AtomicBool,
    left: AtomicUsize,
    pub(crate) commands: usize,
    pub(crate) parts: Vec<Part>,
    pub(crate) shared: Pointer<Shared>,
}

impl Context {
    /// How long a command is.
    pub(crate) fn command_len(&self) -> usize {
        (self.parts.len() - self.commands) * LEN
    }
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
    let (parts, commands) = (world.parts(), world.commands());
    let stacked = world.scenario.stacked;
    let entering = if stacked { parts } else { 0 };
    let context = Pointer::new(Context {
        state: Mutex::new(State::new(parts - commands, entering)),
        entered: AtomicBool::new(!stacked),
        ready: AtomicBool::new(false),
        failed: AtomicBool::new(false),
        left: AtomicUsize::new(commands),
        commands,
        parts: (0..parts)
            .map(|_| Part {
                bio: UnsafeCell::new(RawBio::Initialized),
                place: UnsafeCell::new(None),
                from: UnsafeCell::new(None),
                arrived: AtomicUsize::new(0),
                strayed: UnsafeCell::new(false),
            })
            .collect(),
        shared: shared.clone(),
    });
    for index in Iterator::chain(commands..parts, 0..commands) {
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
    let (ended, why) = if index < context.commands {
        let order = if world.has(Fault::CountsRelaxed) {
            Relaxed
        } else {
            AcqRel
        };
        let failed = status(&context, index).is_some() || !is_paired(&context, index);
        if failed && !world.has(Fault::FailsUnsaid) {
            context.failed.store(true, Relaxed);
        }
        let left = context.left.fetch_sub(1, order);
        if left != 1 {
            world.saw(Event::OthersLeft);
            if world.has(Fault::LooksBackAtOthers) {
                let _ = lock(&context).error();
            }
            return;
        }
        let verdict = verdict(&context, index);
        (lock(&context).commands_ended(verdict), verdict)
    } else {
        let error = status(&context, index);
        let mut state = lock(&context);
        let ended = state.source_ended(error, IGNORED);
        let why = state.error();
        if world.has(Fault::EndsLocked) {
            ended.waiting.into_iter().for_each(|bio| bio.end(why));
            return;
        }
        (ended, why)
    };
    if let Some(sole) = ended.last {
        world.saw(Event::LastIsPart(index));
        finish(world, &context, sole);
    } else {
        if world.has(Fault::LosesParked) {
            return;
        }
        for bio in Iterator::chain(ended.waiting.into_iter(), ended.sources) {
            world.saw(Event::EndedParked);
            bio.end(why);
        }
    }
}

/// `bi_status` of a bio that has ended.
fn status(context: &Context, index: usize) -> Option<Error> {
    context.parts[index].bio.with(|bio| {
        // SAFETY: Loom has checked that nobody writes it.
        match unsafe { *bio } {
            RawBio::Ended(error) => error,
            other => panic!("a bio that has ended is {other:?}"),
        }
    })
}

fn is_paired(context: &Context, index: usize) -> bool {
    context.parts[index].from.with(|from| {
        // SAFETY: Loom has checked that nobody writes it.
        unsafe { (*from).is_some() }
    })
}

/// `verdict()`.
fn verdict(context: &Context, index: usize) -> Option<Error> {
    let part = &context.parts[index];
    // SAFETY: Loom has checked that nobody writes it.
    let strayed = part.strayed.with(|strayed| unsafe { *strayed });
    match status(context, index) {
        Some(_) if strayed => Some(Error::Domain),
        None if !is_paired(context, index) => Some(IGNORED),
        status => status,
    }
}

/// `finish()`.
fn finish(world: &'static World, context: &Pointer<Context>, _sole: Sole) {
    let error = lock(context).source_error();
    let failed = context.failed.load(Relaxed);
    let verdict = |index| {
        let own = verdict(context, index);
        let broken = own.filter(|own| matches!(own, Error::Broken | Error::Medium));
        failed.then(|| broken.or(error).or(own)).flatten()
    };
    let verdicts = (0..context.commands).map(verdict).collect();
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
    shared.chunks_over(world, verdicts);
}
