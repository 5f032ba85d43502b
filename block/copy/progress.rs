// SPDX-License-Identifier: GPL-2.0

//! How far a copy has come, while its chunks end in any order.
//!
//! Pure: plain values, no FFI, no locks. Compiled on the host too.

use kernel::block::units::Sectors;

/// The progress of one copy. `V` says why a chunk was not copied.
#[derive(Debug)]
pub(crate) struct Progress<V> {
    in_flight: usize,
    started: Sectors,
    /// The chunk nearest to the start that was not copied.
    gap: Option<(Sectors, V)>,
}

impl<V: Copy> Progress<V> {
    /// Nothing has begun.
    pub(crate) const fn new() -> Self {
        Self {
            in_flight: 0,
            started: Sectors::ZERO,
            gap: None,
        }
    }

    /// A chunk that ends at `end`, counted from the start of the copy, sets out. Chunks set out in
    /// order.
    pub(crate) fn begin(&mut self, end: Sectors) {
        self.in_flight += 1;
        self.started = end;
    }

    /// The chunk that began at `offset` is over.
    pub(crate) fn end(&mut self, offset: Sectors, verdict: Option<V>) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let Some(verdict) = verdict else { return };
        if self.gap.is_none_or(|(first, _)| offset < first) {
            self.gap = Some((offset, verdict));
        }
    }

    /// Chunks that have begun and are not over.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether a chunk was not copied, so that no more should begin.
    pub(crate) fn has_gap(&self) -> bool {
        self.gap.is_some()
    }

    /// Sectors copied from the start without a gap, and what made the first gap. Exact once
    /// nothing is in flight: every chunk before the first gap was copied.
    pub(crate) fn result(&self) -> (Sectors, Option<V>) {
        match self.gap {
            Some((offset, verdict)) => (offset, Some(verdict)),
            None => (self.started, None),
        }
    }
}

#[cfg_attr(
    CONFIG_BLK_COPY_KUNIT_TEST,
    kernel::macros::kunit_tests(blk_copy_progress)
)]
#[cfg(any(test, CONFIG_BLK_COPY_KUNIT_TEST))]
mod tests {
    use super::*;

    fn begun(chunks: u64) -> Progress<u8> {
        let mut progress = Progress::new();
        for chunk in 1..=chunks {
            progress.begin(Sectors::new(8 * chunk));
        }
        progress
    }

    #[test]
    fn everything_copied() {
        let mut progress = begun(3);
        for chunk in [2, 0, 1] {
            progress.end(Sectors::new(8 * chunk), None);
        }
        assert_eq!(progress.in_flight(), 0);
        assert_eq!(progress.result(), (Sectors::new(24), None));
    }

    #[test]
    fn the_first_gap_counts_whatever_the_order() {
        for order in [[1, 2], [2, 1]] {
            let mut progress = begun(4);
            progress.end(Sectors::new(24), None);
            for chunk in order {
                progress.end(Sectors::new(8 * chunk), Some(chunk as u8));
            }
            progress.end(Sectors::ZERO, None);
            assert_eq!(progress.result(), (Sectors::new(8), Some(1)));
        }
    }
}
