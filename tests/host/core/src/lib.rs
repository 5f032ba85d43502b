// SPDX-License-Identifier: GPL-2.0

//! The pure core of the copy engine (`block/copy/`), compiled on the host for its tests: the unit
//! tests that stand beside it, properties of random values, and the state machine of a
//! chunk explored in full.

#![cfg(test)]
// What the tests do not call, the engine does.
#![allow(dead_code)]

#[path = "../../../../drivers/nvme/host/fate.rs"]
mod fate;
#[path = "../../../../block/copy/limits.rs"]
mod limits;
#[path = "../../../../block/copy/plan/mod.rs"]
mod plan;
#[path = "../../../../block/copy/file/span.rs"]
mod span;
#[path = "../../../../block/copy/verdict.rs"]
mod verdict;

#[path = "../../../../block/copy/chunk"]
mod chunk {
    pub(crate) mod pair;
    pub(crate) mod protocol;
}

/// Of the NVMe target: what it accepts from hosts, and what it counts.
#[path = "../../../../drivers/nvme/target"]
mod target {
    mod check;
    mod counters;
    mod wire;
}

mod exact;
mod explore;
mod properties;
mod units;
