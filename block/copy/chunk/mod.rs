// SPDX-License-Identifier: GPL-2.0

//! One chunk: a destination, the sources that are written there one after the other, and the
//! command that copies them.
//!
//! # Who owns what
//!
//! - A chunk is one allocation ([`memory`]): the context, with a [`Part`](raw::Part) for the
//!   destination and one for each source, and a bio in each part.
//! - The bios belong to whoever they were submitted to, until they end. A stacking driver submits
//!   clones of them. A clone points to the same part, which is how the chunk is found at the bottom
//!   of the stack. Who owns a bio of a chunk, or a clone of one, may use the chunk.
//! - A bio that waits for others is owned by the state machine ([`protocol`]) until the machine
//!   gives it out.
//! - The last user of the chunk, whom the state machine names, tells the [`Owner`] and frees the
//!   chunk. All others leave it by dropping the lock; the submitter's last access is to submit the
//!   last bio.
//!
//! # Locking
//!
//! Each chunk has one spinlock. It is taken in any context, hard interrupts included, because that
//! is where devices end bios. Bios are submitted and ended after the lock was dropped: to end a bio
//! of a chunk takes the lock.
//!
//! # Why nothing is submitted twice, and nothing hangs
//!
//! [`intercept`] runs once per bio and level of the stack, after the level was entered in full:
//! checks, throttling, accounting, tracing and injected errors see each bio exactly once. All bios
//! are in memory before the first one is submitted, so a parked bio never waits for an allocation.
//! None enters a stack before all have passed the throttling of the first level ([`hold`]). While
//! they travel they carry `REQ_NOWAIT`: a stacking driver that would delay one of them fails it
//! instead, and the others are ended. So what is parked ([`park`]) waits for nothing but the
//! progress of the other bios of its chunk. A dispatched command waits for the device, or for a
//! path to it, as any other request. Below a stacking driver, throttling delays a bio as it delays
//! any other bio that this driver passes on.

mod command;
mod end;
mod hold;
mod memory;
mod pair;
mod park;
mod protocol;
mod raw;
mod submit;

pub(crate) use command::{
    fits,
    next_source,
    source_count, //
};
pub(crate) use hold::intercept;
pub(crate) use park::split;
pub(crate) use raw::{
    Memory,
    Owner,
    Reserve,
    Wait, //
};
pub(crate) use submit::submit;
