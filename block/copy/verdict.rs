// SPDX-License-Identifier: GPL-2.0

//! What became of a chunk.
//!
//! Pure: plain values, no FFI, no locks. Compiled on the host too.

use kernel::block::units::Sectors;

/// Why a device does not copy a chunk, although nothing is wrong with it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reason {
    /// A stacking driver maps the chunk to several places. This much of it, from its start, is in
    /// one place.
    Split(Sectors),
    /// A driver, or the device, cannot copy this.
    NotSupported,
    /// No single device has both places.
    Domain,
    /// The mapping of a stacking driver is about to change.
    Busy,
}

/// What became of a chunk. `S` is a status of the block layer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict<S> {
    /// The device has copied it.
    Offloaded,
    /// This way does not work here. Another one may.
    Fallback(Reason),
    /// The device, or the way to it, failed. No other way is tried.
    Failed(S),
}

impl<S: Copy> Verdict<S> {
    /// What two reports about one chunk come to. A failure outweighs a fallback, so that no error
    /// is lost; among equals the first one counts, because it caused the others.
    #[must_use]
    pub(crate) fn and(self, later: Self) -> Self {
        match (self, later) {
            (Self::Offloaded, later) => later,
            (Self::Fallback(_), Self::Failed(_)) => later,
            (first, _) => first,
        }
    }

    /// Which counter counts it.
    pub(crate) fn counter(&self) -> Counter {
        match self {
            Self::Offloaded => Counter::Offloaded,
            Self::Failed(_) => Counter::Failed,
            Self::Fallback(Reason::Split(_)) => Counter::Split,
            Self::Fallback(Reason::NotSupported) => Counter::NotSupported,
            Self::Fallback(Reason::Domain) => Counter::Domain,
            Self::Fallback(Reason::Busy) => Counter::Busy,
        }
    }
}

/// The counters of `copy_stats`, which are also the outcomes that traces show. The numbers are
/// those of `show_block_copy_outcome()` and of `copy_stats` in `struct request_queue`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Counter {
    Offloaded = 0,
    Failed = 1,
    NotSupported = 2,
    Domain = 3,
    Busy = 4,
    Onloaded = 5,
    Split = 6,
}

impl Counter {
    /// All of them, in the order of their numbers, with their names.
    pub(crate) const ALL: [(Self, &'static str); 7] = [
        (Counter::Offloaded, "offloaded"),
        (Counter::Failed, "failed"),
        (Counter::NotSupported, "fallback_notsupp"),
        (Counter::Domain, "fallback_domain"),
        (Counter::Busy, "fallback_again"),
        (Counter::Onloaded, "onloaded"),
        (Counter::Split, "split"),
    ];

    /// The number that traces show.
    pub(crate) const fn into_raw(self) -> u8 {
        self as u8
    }

    /// Whether the device did not copy the chunk, but reading and writing may.
    pub(crate) const fn is_fallback(self) -> bool {
        matches!(
            self,
            Counter::NotSupported | Counter::Domain | Counter::Busy
        )
    }
}

#[cfg_attr(
    CONFIG_BLK_COPY_KUNIT_TEST,
    kernel::macros::kunit_tests(blk_copy_verdict)
)]
#[cfg(any(test, CONFIG_BLK_COPY_KUNIT_TEST))]
mod tests {
    use super::*;

    const DOMAIN: Verdict<u8> = Verdict::Fallback(Reason::Domain);
    const BUSY: Verdict<u8> = Verdict::Fallback(Reason::Busy);

    #[test]
    fn no_error_is_lost() {
        assert_eq!(BUSY.and(Verdict::Failed(5)), Verdict::Failed(5));
        assert_eq!(Verdict::Failed(5).and(BUSY), Verdict::Failed(5));
        assert_eq!(
            Verdict::Failed(5).and(Verdict::Failed(7)),
            Verdict::Failed(5)
        );
        assert_eq!(Verdict::Offloaded.and(BUSY), BUSY);
        assert_eq!(BUSY.and(DOMAIN), BUSY);
        assert_eq!(BUSY.and(Verdict::Offloaded), BUSY);
    }
}
