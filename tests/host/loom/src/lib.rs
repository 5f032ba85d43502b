// SPDX-License-Identifier: GPL-2.0

//! The copy context on several threads, in every interleaving that [loom] finds.
//!
//! `block/copy/protocol.rs` is compiled as it is. What drives it in the kernel cannot be, so it is
//! done again here in as few lines as possible, step by step: what is under the lock there is under
//! it here, in the same order, and what follows the lock there follows it here.
//!
//! | kernel | here | the same |
//! |---|---|---|
//! | `context.rs`: `submit` | `context.rs` | names and steps |
//! | `ends.rs`: `part_end_io` and what it calls | `context.rs` | names and steps |
//! | `top.rs` | `top.rs` | names and steps |
//! | `bottom.rs`: `arrive` and what it calls, `sources` | `bottom.rs` | names and steps |
//! | `shared.rs`: `begin`, `chunks_over`, `wake`, `look`, `arm` | `shared.rs` | for one batch |
//! | `job.rs`, `background.rs`: turns, end of a copy | `shared.rs`: `drive`, `turns` | in short |
//! | the locks | loom's mutexes | |
//! | the memory of a context, and of a copy | `memory.rs` | freed by hand |
//! | bios, clones, drivers, the device | `stack.rs` | threads, as the scenario says |
//!
//! Change both together.
//!
//! What is checked in every interleaving, and by whom:
//!
//! - nothing is used after it was freed, or while it is being freed, and nothing leaks: loom, which
//!   tracks each access to the memory of a context or of a copy;
//! - the bios, and the places where they came to lie, are written by one thread at a time: loom;
//! - nothing is parked for ever and no verdict is lost, since the copy waits for it; no bio is
//!   ended with the lock held, since that takes the lock again: loom sees a deadlock or a leak;
//! - each bio that was submitted is ended once, each command has one verdict, and it is a success if
//!   and only if the device executed it, which it does at most once: assertions here.
//!
//! The scenarios of three parts, and those with clones, bound the preemptions of a run, to save
//! time.
//!
//! What is not checked: interrupts that come while the same CPU has the lock (lockdep looks for
//! that), and more than one batch of a copy (`progress.rs` has tests of its own).

// What is not called here, the engine calls.
#![allow(dead_code)]

#[path = "../../../../block/copy/protocol.rs"]
mod protocol;

mod bottom;
mod context;
mod memory;
mod shared;
mod stack;
mod top;
mod world;

pub use world::explore;
pub use world::Device;
pub use world::Driver;
pub use world::Error;
pub use world::Event;
pub use world::Fault;
pub use world::Scenario;
pub use world::Seen;
pub use world::Thread;
pub use world::Way;
