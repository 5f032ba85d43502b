// SPDX-License-Identifier: GPL-2.0

//! How far a copy has come, while its chunks end in any order.
//!
//! Pure: plain values, no FFI, no locks. Compiled on the host too.

use kernel::block::units::Sectors;

/// The progress of one copy. `V` says why a chunk was not copied.
#[derive(Debug)]
pub(crate) struct Progress<V> {
    in_flight: usize,
    /// Who waits is woken when so many chunks are left.
    wake_at: Option<usize>,
    started: Sectors,
    /// The chunk nearest to the start that was not copied.
    gap: Option<(Sectors, V)>,
}

impl<V: Copy> Progress<V> {
    /// Nothing has begun.
    pub(crate) const fn new() -> Self {
        Self {
            in_flight: 0,
            wake_at: None,
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

    /// The chunk that began at `offset` is over. Returns whether to wake who waits.
    #[must_use = "somebody may wait for it"]
    pub(crate) fn end(&mut self, offset: Sectors, verdict: Option<V>) -> bool {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(verdict) = verdict {
            if self.gap.is_none_or(|(first, _)| offset < first) {
                self.gap = Some((offset, verdict));
            }
        }
        self.wake_at
            .take_if(|left| self.in_flight <= *left)
            .is_some()
    }

    /// The one task that waits wants to go on when at most `left` chunks are in flight. Returns
    /// whether it has to wait; if so, it is woken once.
    #[must_use = "the task has to wait"]
    pub(crate) fn wait(&mut self, left: usize) -> bool {
        let wait = self.in_flight > left;
        self.wake_at = wait.then_some(left);
        wait
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
            assert!(!progress.end(Sectors::new(8 * chunk), None));
        }
        assert_eq!(progress.in_flight(), 0);
        assert_eq!(progress.result(), (Sectors::new(24), None));
    }

    #[test]
    fn the_first_gap_counts_whatever_the_order() {
        for order in [[1, 2], [2, 1]] {
            let mut progress = begun(4);
            let _ = progress.end(Sectors::new(24), None);
            for chunk in order {
                let _ = progress.end(Sectors::new(8 * chunk), Some(chunk as u8));
            }
            let _ = progress.end(Sectors::ZERO, None);
            assert_eq!(progress.result(), (Sectors::new(8), Some(1)));
        }
    }

    #[test]
    fn who_waits_is_woken_once() {
        let mut progress = begun(3);
        assert!(progress.wait(1));
        assert!(!progress.end(Sectors::ZERO, None));
        assert!(progress.end(Sectors::new(8), None));
        assert!(!progress.wait(1));
        assert!(!progress.end(Sectors::new(16), None));
    }
}
