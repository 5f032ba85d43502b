// SPDX-License-Identifier: GPL-2.0

//! A chunk in memory, and who may use it when. What the rest of the engine has of a chunk is
//! borrowed here, from a bio that somebody owns.

use super::{
    memory,
    pair,
    protocol::{
        self,
        Levels,
        Machine, //
    }, //
};
use crate::{
    plan::{
        Range,
        Ranges,
        Side, //
    },
    verdict::Verdict, //
};
use core::{
    marker::PhantomData,
    ops::Deref,
    ptr::NonNull, //
};
use kernel::{
    block::{
        bdev::Dev,
        bio::{
            Bio,
            BioList,
            OwnedBio,
            Status, //
        },
        copy::CopyDomain,
        units::Sectors, //
    },
    sync::{
        SetOnce,
        SpinLockIrq, //
    }, //
};

/// Who hears of the end of a chunk.
pub(crate) trait Owner: Sync {
    /// The chunk of this slot has ended. Each chunk calls this once.
    ///
    /// Context: any. Must not sleep.
    fn chunk_ended(&self, slot: usize, verdict: Verdict<Status>);
}

/// Whether the command of a chunk may wait on its way to the driver: for a tag, say. One that must
/// not falls back because the device is busy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wait {
    /// As any other request does.
    Allowed,
    /// It fails instead.
    Refused,
}

pub(super) type State = Machine<OwnedBio, BioList, Status>;
pub(super) type Place = pair::Place<CopyDomain>;

impl protocol::BioList<OwnedBio> for BioList {
    fn push(&mut self, bio: OwnedBio) {
        BioList::push(self, bio);
    }
}

/// The bio of a part at the bottom of the stack, which may be a clone.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) struct Arrived {
    /// Its address, which is unique while it is parked or dispatched.
    pub(super) bio: usize,
    pub(super) place: Option<Place>,
}

/// A part of a chunk. A pointer to it is what its bio, and each clone of that, carries.
#[repr(C)]
pub(crate) struct Part {
    pub(super) bio: Bio,
    pub(super) context: NonNull<Context>,
    pub(super) side: Side,
    /// Where it begins, counted from the start of the chunk.
    pub(super) offset: Sectors,
    /// The first bio that has come to the bottom.
    pub(super) arrived: SetOnce<Arrived>,
}

// SAFETY: A part is handed from CPU to CPU with its bio.
unsafe impl Send for Part {}

impl Part {
    fn place(&self) -> Option<Place> {
        self.arrived.as_ref()?.place
    }
}

/// A chunk. Its parts follow in memory: the destination, then the sources.
#[repr(C)]
pub(crate) struct Context {
    pub(super) state: SpinLockIrq<State>,
    pub(super) parts: usize,
    pub(super) reserve: NonNull<Reserve>,
    /// What it was sent to.
    pub(super) levels: Levels,
    /// Whether its command may wait.
    pub(super) wait: Wait,
    /// What the owner calls the chunk.
    pub(super) slot: usize,
    /// Where the chunk is written, as the owner sees the device. The device of a bio may be another
    /// one in the end.
    pub(super) dst: Range,
    pub(super) dst_dev: Dev,
    pub(super) owner: NonNull<dyn Owner>,
}

// SAFETY: Whoever has a bio of a chunk uses the chunk, on any CPU. The owner is `Sync`, and so is
// the reserve.
unsafe impl Send for Context {}

/// Memory for a chunk, and for some chunks in reserve.
pub(crate) type Memory<'a> = memory::Memory<'a, Context, Part>;
pub(crate) type Reserve = memory::Reserve<Context, Part>;

/// A chunk, borrowed from a bio of it that somebody owns.
///
/// # Invariants
///
/// The chunk lives while this is used.
#[derive(Clone, Copy)]
pub(super) struct ContextRef<'a>(NonNull<Context>, PhantomData<&'a Context>);

impl<'a> ContextRef<'a> {
    /// # Safety
    ///
    /// The chunk lives while the reference is used.
    pub(super) unsafe fn new(context: NonNull<Context>) -> Self {
        // INVARIANT: Required of the caller.
        Self(context, PhantomData)
    }

    /// Where the destination came to lie.
    pub(super) fn destination(self) -> Option<Place> {
        self.parts().first()?.place()
    }

    /// The sources, in the order in which they are written.
    fn sources(self) -> impl Iterator<Item = &'a Part> + Clone + 'a {
        self.parts().iter().skip(1)
    }

    fn parts(self) -> &'a [Part] {
        // SAFETY: The chunk lives for `'a`, and has so many parts in the same allocation. A bio in
        // a part may change at any time, but that is memory of C.
        unsafe { core::slice::from_raw_parts(memory::tail(self.0).as_ptr(), self.parts) }
    }

    /// Where the sources came to lie, in their order, as far as they did.
    pub(super) fn places(self) -> impl Iterator<Item = Option<Place>> + Clone + 'a {
        self.sources().map(Part::place)
    }

    /// Calls `f` with the lock held.
    pub(super) fn locked<R>(self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.state.lock())
    }
}

impl Deref for ContextRef<'_> {
    type Target = Context;

    fn deref(&self) -> &Context {
        // SAFETY: By the type invariant the chunk lives. What changes in it is behind the lock.
        unsafe { self.0.as_ref() }
    }
}

/// The places of the sources.
impl Ranges for ContextRef<'_> {
    fn get(&self, index: usize) -> Option<Range> {
        let source = self.parts().get(index.checked_add(1)?)?;
        Some(source.place()?.range)
    }
}

/// What a bio is a part of; [`None`] if it is not a bio of a chunk.
pub(super) fn locate(bio: &Bio) -> Option<(&Part, ContextRef<'_>)> {
    let part = bio.copy_part()?.cast::<Part>();
    // SAFETY: Only `submit` makes bios with a part. The chunk is freed after all its bios have
    // ended, and a driver that passes on a clone ends the original after that clone, which
    // `copy_limits` of its operations promises. This bio has not ended.
    let part = unsafe { part.as_ref() };
    // INVARIANT: The chunk lives while the bio does.
    Some((part, ContextRef(part.context, PhantomData)))
}

/// A bio of a chunk, which has to be ended or passed on.
///
/// # Invariants
///
/// `part` is what [`locate`] finds for the bio.
pub(super) struct PartBio {
    bio: OwnedBio,
    part: NonNull<Part>,
}

impl PartBio {
    /// Takes a bio over. A bio that belongs to no chunk is returned.
    pub(super) fn new(bio: OwnedBio) -> Result<Self, OwnedBio> {
        match locate(&bio).map(|(part, _)| NonNull::from(part)) {
            // INVARIANT: Just found.
            Some(part) => Ok(Self { bio, part }),
            None => Err(bio),
        }
    }

    /// The part.
    pub(super) fn part(&self) -> &Part {
        // SAFETY: By the type invariant it is a part of a chunk that lives while the bio does.
        unsafe { self.part.as_ref() }
    }

    /// The chunk.
    pub(super) fn context(&self) -> ContextRef<'_> {
        // INVARIANT: The chunk lives while the bio does.
        ContextRef(self.part().context, PhantomData)
    }

    /// The bio.
    pub(super) fn bio(&self) -> &Bio {
        &self.bio
    }

    /// The bio, to be changed.
    pub(super) fn bio_mut(&mut self) -> &mut OwnedBio {
        &mut self.bio
    }

    /// Gives the bio to `f`, with the lock held.
    pub(super) fn locked<R>(self, f: impl FnOnce(&mut State, OwnedBio, ContextRef<'_>) -> R) -> R {
        // INVARIANT: The chunk lives while the bio does. If `f` gives the bio to the state machine,
        // nobody can take it out, let alone end it, before the lock is dropped, which is our last
        // access. `f` takes a reference of any lifetime, so it cannot keep it.
        let context = ContextRef(self.part().context, PhantomData);
        context.locked(|state| f(state, self.bio, context))
    }
}
