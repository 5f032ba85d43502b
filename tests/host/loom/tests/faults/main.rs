// SPDX-License-Identifier: GPL-2.0

//! The model finds mistakes in the engine. Each of them is made in a copy of the engine's own files,
//! which is built and run. A test of `interleavings` has to fail then, or the compiler has to refuse
//! it.
//!
//! `cargo test -p copy-loom --test faults -- NAME` makes those whose name has `NAME` in it, and shows
//! what finds them. Whoever changes a line that a mistake is made in changes the mistake too.

mod find;
mod life;
mod order;
mod outcome;
mod types;

use find::{run, Edit, Fault, Found};

const END: &str = "block/copy/chunk/end.rs";
const HOLD: &str = "block/copy/chunk/hold.rs";
const MEMORY: &str = "block/copy/chunk/memory.rs";
const PAIR: &str = "block/copy/chunk/pair.rs";
const PARK: &str = "block/copy/chunk/park.rs";
const PROTOCOL: &str = "block/copy/chunk/protocol.rs";
const RAW: &str = "block/copy/chunk/raw.rs";
const SUBMIT: &str = "block/copy/chunk/submit.rs";
const TRACKER: &str = "block/copy/job/tracker.rs";
const GAP: &str = "block/copy/plan/gap.rs";
const PROGRESS: &str = "block/copy/plan/progress.rs";
const WINDOW: &str = "block/copy/plan/window.rs";
const VERDICT: &str = "block/copy/verdict.rs";

/// What loom says of accesses that are in no order, and of threads that wait for ever.
const RACE: &str = "Causality violation";
const HANGS: &str = "deadlock";

const fn edit(file: &'static str, text: &'static str, with: &'static str) -> Edit {
    Edit { file, text, with }
}

const fn by(test: &'static str, says: &'static str) -> Found {
    Found::By { test, says }
}

fn main() {
    let faults = [order::FAULTS, life::FAULTS, outcome::FAULTS, types::FAULTS];
    run(&faults.concat());
}
