// SPDX-License-Identifier: GPL-2.0

//! What was seen in all interleavings of a scenario.

use crate::{
    scenario::Side,
    verdict::{Reason, Verdict},
};
use kernel::block::bio::Status;
use std::collections::BTreeSet;

/// What somebody is told of a chunk.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Told {
    Copied,
    /// Nobody executes the command, or somebody cut a part.
    NotSupported,
    /// So many sectors are in one place.
    Split(u64),
    /// No device has all places.
    Domain,
    /// A stacking driver, or a device, would have had to delay a bio.
    Busy,
    /// A layer on the way down failed a bio.
    Broken,
    /// The device failed the command.
    Medium,
    /// The destination overlaps a source.
    Overlap,
    /// What nobody in the model says.
    Other,
}

impl From<Verdict<Status>> for Told {
    fn from(verdict: Verdict<Status>) -> Self {
        match verdict {
            Verdict::Offloaded => Told::Copied,
            Verdict::Fallback(Reason::NotSupported) => Told::NotSupported,
            Verdict::Fallback(Reason::Split(len)) => Told::Split(len.get()),
            Verdict::Fallback(Reason::Domain) => Told::Domain,
            Verdict::Fallback(Reason::Busy) => Told::Busy,
            Verdict::Failed(Status::IOERR) => Told::Broken,
            Verdict::Failed(Status::MEDIUM) => Told::Medium,
            Verdict::Failed(Status::INVAL) => Told::Overlap,
            Verdict::Failed(_) => Told::Other,
        }
    }
}

/// What happened in some interleaving.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Event {
    /// A bio was held at the top of a stack.
    Held,
    /// A bio was parked.
    Parked(Side),
    /// A bio was ended when it came to the engine.
    Refused,
    /// The command went to the driver.
    Dispatched,
    /// A bio was submitted again.
    Resubmitted,
    /// A bio waited that was allowed to.
    Waited,
    /// The command came back to take another path.
    FailedOver,
    /// The end of this part of a chunk was the last use of the chunk.
    LastIsPart(usize),
    /// So many chunks were in flight together.
    InFlight(usize),
    /// The copy went on in a worker.
    Worked,
    /// What became of a chunk.
    Verdict(usize, Told),
}

/// What all interleavings together came to.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub runs: usize,
    pub events: BTreeSet<Event>,
}
