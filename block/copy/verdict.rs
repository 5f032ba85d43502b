// SPDX-License-Identifier: GPL-2.0

//! What came of a chunk.
//!
//! Pure: plain values, no FFI, no locks. Compiled on the host too.

use kernel::block::units::Sectors;

/// Why a chunk cannot be copied by the device, although nothing is wrong with either.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reason {
    /// A stacking driver maps it to several places. So much of it, from its start, is in one.
    Split(Sectors),
    /// A driver, or the device, cannot copy this.
    NotSupported,
    /// No single device has both places.
    Domain,
    /// The mapping of a stacking driver is about to change.
    Busy,
}

/// Why a chunk was not copied. `S` is a status of the block layer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict<S> {
    /// This way does not work here. Another may.
    Fallback(Reason),
    /// The device, or the way to it, failed. No other way is tried.
    Failed(S),
}

/// How a piece of a copy ended, for traces and counters. The numbers are those of
/// `show_block_copy_outcome()` and of `copy_stats` in `struct request_queue`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Outcome {
    Offloaded = 0,
    Failed = 1,
    NotSupported = 2,
    Domain = 3,
    Busy = 4,
    Onloaded = 5,
    Split = 6,
}

impl<S> From<&Option<Verdict<S>>> for Outcome {
    fn from(verdict: &Option<Verdict<S>>) -> Self {
        match verdict {
            None => Outcome::Offloaded,
            Some(Verdict::Failed(_)) => Outcome::Failed,
            Some(Verdict::Fallback(reason)) => Outcome::from(*reason),
        }
    }
}

impl From<Reason> for Outcome {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Split(_) => Outcome::Split,
            Reason::NotSupported => Outcome::NotSupported,
            Reason::Domain => Outcome::Domain,
            Reason::Busy => Outcome::Busy,
        }
    }
}

impl Outcome {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 7] = [
        Outcome::Offloaded,
        Outcome::Failed,
        Outcome::NotSupported,
        Outcome::Domain,
        Outcome::Busy,
        Outcome::Onloaded,
        Outcome::Split,
    ];

    /// The number that the trace carries.
    pub(crate) const fn into_raw(self) -> u8 {
        self as u8
    }

    /// The name that the counter has.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Outcome::Offloaded => "offloaded",
            Outcome::Failed => "failed",
            Outcome::NotSupported => "fallback_notsupp",
            Outcome::Domain => "fallback_domain",
            Outcome::Busy => "fallback_again",
            Outcome::Onloaded => "onloaded",
            Outcome::Split => "split",
        }
    }

    /// Whether the device did not copy it, but another way may.
    pub(crate) const fn is_fallback(self) -> bool {
        matches!(
            self,
            Outcome::NotSupported | Outcome::Domain | Outcome::Busy
        )
    }
}
