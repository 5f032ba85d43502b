// SPDX-License-Identifier: GPL-2.0

//! What came of a chunk.
//!
//! Pure: plain values, no FFI, no locks. Compiled on the host too.

/// Why a chunk cannot be copied by the device, although nothing is wrong with either.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reason {
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

/// What a trace shows. The numbers are those of `show_block_copy_outcome()`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Outcome {
    Offloaded = 0,
    Failed = 1,
    NotSupported = 2,
    Domain = 3,
    Busy = 4,
}

impl<S> From<&Option<Verdict<S>>> for Outcome {
    fn from(verdict: &Option<Verdict<S>>) -> Self {
        match verdict {
            None => Outcome::Offloaded,
            Some(Verdict::Failed(_)) => Outcome::Failed,
            Some(Verdict::Fallback(Reason::NotSupported)) => Outcome::NotSupported,
            Some(Verdict::Fallback(Reason::Domain)) => Outcome::Domain,
            Some(Verdict::Fallback(Reason::Busy)) => Outcome::Busy,
        }
    }
}

impl Outcome {
    /// The number that the trace carries.
    pub(crate) const fn into_raw(self) -> u8 {
        self as u8
    }
}
