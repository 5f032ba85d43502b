// SPDX-License-Identifier: GPL-2.0

//! The chunks of a copy on several threads, in every interleaving that [loom] finds.
//!
//! `block/copy/chunk/`, `block/copy/plan/`, `block/copy/verdict.rs` and `block/copy/job/tracker.rs`
//! are compiled as they are. The crate `kernel` that they use is a stand-in (`tests/host/kernel-loom`)
//! with loom's locks, atomics and cells, which checks every use of memory and of bios. What is around
//! them is the model:
//!
//! | kernel | here |
//! |---|---|
//! | `block/blk-core.c`, device mapper, NVMe multipath, a device | `stack.rs`: threads, as the scenario says |
//! | `job/turn.rs`, `run.rs`, `background.rs` | `job/driver.rs`: one window, which is driven to its end |
//! | `trace.rs` | `trace.rs`: what the tracepoints show is checked |
//!
//! What is checked in every interleaving, and by whom:
//!
//! - nothing is used after it was freed, or while it is being freed, and nothing leaks; only the owner
//!   of a bio changes it; no bio is submitted or ended with a lock held: the stand-in, through loom;
//! - nothing waits for ever, and no verdict is lost, since the copy waits for it: loom sees a
//!   deadlock or a leak;
//! - each bio that was submitted is ended once, before the verdict; each chunk has one verdict; it is
//!   a success if and only if the device has executed the command, which it does at most once and
//!   with all sources; if something failed, the verdict says so; no bio enters a stacking driver
//!   before all have come so far; no bio waits on a path: `world.rs`;
//! - what the copy is told at its end is what became of its chunks, in their order: `job/driver.rs`.
//!
//! Where a scenario would take too long, a test bounds the preemptions of a run, and says so. Loom has
//! at most five threads.
//!
//! What is not checked: interrupts that come while the same CPU has the lock (lockdep looks for
//! that), and reads of plain fields of a chunk that go through no lock and no bio, unless it was freed
//! in an interleaving that runs: what they read then is nonsense.
//!
//! That the model finds what it looks for is checked by the test `faults`.

// What is not called here, the engine calls.
#![allow(dead_code)]

// The engine has `raw_init` from a crate of this name.
extern crate kernel as pin_init;

#[path = "../../../../block/copy/chunk/mod.rs"]
mod chunk;
#[path = "../../../../block/copy/plan/mod.rs"]
mod plan;
#[path = "../../../../block/copy/verdict.rs"]
mod verdict;

mod explore;
mod job;
mod place;
mod scenario;
mod seen;
mod stack;
mod trace;
mod world;

pub use explore::explore;
pub use scenario::{Chunk, Device, Driver, Paths, Scenario, Side, Stack, Thread, Way};
pub use seen::{Event, Seen, Told};
