// SPDX-License-Identifier: GPL-2.0

//! How far a copy has come, while its chunks end in any order.
//!
//! Pure: plain values, no FFI, no locks. Compiled on the host too.

use super::{
    gap::Gap,
    window::{
        Run,
        Window, //
    }, //
};
use crate::verdict::{
    Counter,
    Reason,
    Verdict, //
};
use kernel::block::units::Sectors;

/// What becomes of chunks that no device copies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum OnFallback {
    /// They are read and written.
    Onload,
    /// They end the copy.
    Fail,
}

/// What to look for in [`Progress::look`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Look {
    /// At everything; the oldest chunks are taken if their time has come.
    Take,
    /// At everything, but something else comes first.
    Keep,
}

/// What has happened to the chunks of a copy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Glance<E> {
    pub(crate) gap: Gap<E>,
    pub(crate) in_flight: usize,
    /// The sectors of those chunks.
    pub(crate) in_flight_len: Sectors,
    /// Chunks that may be sent: none where one was not offloaded and something else comes first.
    pub(crate) room: usize,
    /// The oldest chunks, if they were offloaded, or are to be split or copied in another way.
    pub(crate) run: Option<Run>,
    /// For a run of a chunk that is to be split: so much of it, from its start, is in one place.
    /// Zero: that is not known any more. It will be once the chunk was sent anew.
    pub(crate) split: Sectors,
}

/// How far a copy has come. `E` says why something was not copied.
#[derive(Debug)]
pub(crate) struct Progress<E> {
    window: Window,
    gap: Gap<E>,
    /// Where the first chunk begins that the device has failed to copy, and why.
    failed: Gap<E>,
    on_fallback: OnFallback,
    /// Whether a chunk in the window was not offloaded.
    fell: bool,
    /// Where the first chunk begins that is to be split, and where its first part ends.
    split: Gap<Sectors>,
    /// Whether a chunk has ended since the last look.
    news: bool,
}

impl<E: Copy> Progress<E> {
    /// Nothing was sent.
    pub(crate) const fn new(on_fallback: OnFallback) -> Self {
        Self {
            window: Window::new(),
            gap: Gap::NONE,
            failed: Gap::NONE,
            on_fallback,
            fell: false,
            split: Gap::NONE,
            news: false,
        }
    }

    /// Whether a chunk that has ended so is copied in another way.
    fn goes_on(&self, counter: Counter) -> bool {
        counter == Counter::Split
            || (self.on_fallback == OnFallback::Onload && counter.is_fallback())
    }

    /// Looks at what has happened. The oldest chunks are taken once they were offloaded. If they
    /// are to be split or copied in another way, they are taken once nothing is in flight.
    pub(crate) fn look(&mut self, look: Look) -> Glance<E> {
        self.news = false;
        let idle = self.window.in_flight == 0;
        let due = |oldest: Counter| oldest == Counter::Offloaded || (idle && self.goes_on(oldest));
        let due = look == Look::Take && self.window.oldest().is_some_and(due);
        let start = self.window.start;
        let run = if due { self.window.take() } else { None };
        self.fell = self.fell && self.window.count > 0;
        let split = self.split.get().filter(|(at, _)| *at == start);
        if run.is_some_and(|run| run.counter == Counter::Split) {
            self.split = Gap::NONE;
        }
        Glance {
            gap: self.gap,
            in_flight: self.window.in_flight,
            in_flight_len: self.window.in_flight_len,
            room: if self.fell { 0 } else { self.window.room() },
            run,
            split: split.map_or(Sectors::ZERO, |(_, len)| len),
        }
    }

    /// A chunk sets out, from where the last one ended, unless one was not offloaded. Returns the
    /// slot for [`Progress::end`].
    pub(crate) fn begin(&mut self, len: Sectors) -> Option<usize> {
        if self.fell {
            return None;
        }
        self.window.begin(len)
    }

    /// A chunk has ended.
    pub(crate) fn end<S: Copy>(
        &mut self,
        slot: usize,
        verdict: Verdict<S>,
        why: impl FnOnce(Verdict<S>) -> E,
    ) {
        let counter = verdict.counter();
        self.window.end(slot, counter);
        self.news = true;
        if counter == Counter::Offloaded {
            return;
        }
        self.fell = true;
        let start = self.window.start_of(slot);
        if let Verdict::Fallback(Reason::Split(len)) = verdict {
            self.split.note(start, len);
        }
        if self.goes_on(counter) {
            return;
        }
        let why = why(verdict);
        self.gap.note(start, why);
        if let Verdict::Failed(_) = verdict {
            self.failed.note(start, why);
        }
    }

    /// What is at `offset` was not copied.
    pub(crate) fn note(&mut self, offset: Sectors, why: E) {
        self.gap.note(offset, why);
    }

    /// Why the first of those chunks failed that the device has failed to copy. It may lie behind
    /// the gap.
    pub(crate) fn failure(&self) -> Option<E> {
        self.failed.get().map(|(_, why)| why)
    }

    /// Whether there is something to do once at most `low` chunks are in flight.
    pub(crate) fn is_ready(&self, low: usize) -> bool {
        self.news && self.window.in_flight <= low
    }

    /// Chunks in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.window.in_flight
    }

    /// Has all chunks from `start` up to the gap sent anew. Nothing is in flight. The gap stays:
    /// what a device has failed to copy is not tried again.
    pub(crate) fn restart(&mut self, start: Sectors, dropped: impl FnMut(Run)) {
        self.drain(dropped);
        self.window.restart(start);
        self.split = Gap::NONE;
        self.fell = false;
    }

    /// Leaves out `len` sectors, which are copied in another way. The window is empty.
    pub(crate) fn skip(&mut self, len: Sectors) {
        let start = self.window.start;
        self.window.start = start.checked_add(len).unwrap_or(start);
    }

    /// The gap of a copy of which nothing is in flight any more. What is left in the window is
    /// handed out to be counted.
    pub(crate) fn finish(&mut self, rest: impl FnMut(Run)) -> Gap<E> {
        self.drain(rest);
        self.gap
    }

    fn drain(&mut self, mut dropped: impl FnMut(Run)) {
        while let Some(run) = self.window.take() {
            dropped(run);
        }
    }
}

#[cfg_attr(
    CONFIG_BLK_COPY_KUNIT_TEST,
    kernel::macros::kunit_tests(blk_copy_progress)
)]
#[cfg(any(test, CONFIG_BLK_COPY_KUNIT_TEST))]
mod tests {
    use super::{
        super::window::WINDOW,
        *, //
    };

    const LEN: Sectors = Sectors::new(8);
    const DOMAIN: Verdict<u8> = Verdict::Fallback(Reason::Domain);
    const BUSY: Verdict<u8> = Verdict::Fallback(Reason::Busy);
    const DONE: Verdict<u8> = Verdict::Offloaded;

    fn begun(chunks: usize, on_fallback: OnFallback) -> Progress<u8> {
        let mut progress = Progress::new(on_fallback);
        for chunk in 0..chunks {
            assert_eq!(progress.begin(LEN), Some(chunk));
        }
        progress
    }

    fn end(progress: &mut Progress<u8>, slot: usize, verdict: Verdict<u8>) {
        progress.end(slot, verdict, |verdict| match verdict {
            Verdict::Failed(status) => status,
            _ => 0,
        });
    }

    fn run(counter: Counter, chunks: u32) -> Option<Run> {
        let len = Sectors::new(8 * u64::from(chunks));
        Some(Run {
            counter,
            chunks,
            len,
        })
    }

    fn take(progress: &mut Progress<u8>) -> Option<Run> {
        progress.look(Look::Take).run
    }

    #[test]
    fn taken_in_order_whatever_ends_first() {
        let mut progress = begun(3, OnFallback::Onload);
        end(&mut progress, 2, DONE);
        assert_eq!(take(&mut progress), None);
        end(&mut progress, 0, DONE);
        assert_eq!(progress.look(Look::Keep).run, None);
        assert_eq!(take(&mut progress), run(Counter::Offloaded, 1));
        end(&mut progress, 1, DONE);
        assert_eq!(progress.in_flight(), 0);
        assert_eq!(take(&mut progress), run(Counter::Offloaded, 2));
        assert_eq!(take(&mut progress), None);
    }

    #[test]
    fn runs_end_where_the_outcome_changes() {
        let mut progress = begun(4, OnFallback::Onload);
        for (slot, verdict) in [(0, DOMAIN), (1, DOMAIN), (2, BUSY), (3, DONE)] {
            assert_eq!(take(&mut progress), None);
            end(&mut progress, slot, verdict);
        }
        assert_eq!(take(&mut progress), run(Counter::Domain, 2));
        assert_eq!(take(&mut progress), run(Counter::Busy, 1));
        assert_eq!(take(&mut progress), run(Counter::Offloaded, 1));
    }

    #[test]
    fn the_window_is_bounded_and_turns() {
        let mut progress = begun(WINDOW, OnFallback::Onload);
        assert_eq!(progress.begin(LEN), None);
        for slot in 0..WINDOW {
            end(&mut progress, slot, DONE);
        }
        assert_eq!(take(&mut progress), run(Counter::Offloaded, WINDOW as u32));
        progress.skip(LEN);
        let slot = progress.begin(LEN);
        let start = slot.map(|slot| progress.window.start_of(slot));
        assert_eq!(start, Some(Sectors::new(8 * (WINDOW as u64 + 1))));
    }

    #[test]
    fn nothing_is_sent_behind_what_fell_back() {
        let mut progress = begun(2, OnFallback::Onload);
        end(&mut progress, 1, BUSY);
        assert_eq!(progress.begin(LEN), None);
        assert_eq!(progress.look(Look::Take).room, 0);
        end(&mut progress, 0, DONE);
        assert_eq!(take(&mut progress), run(Counter::Offloaded, 1));
        assert_eq!(take(&mut progress), run(Counter::Busy, 1));
        assert_eq!(progress.look(Look::Take).room, WINDOW);
        assert!(progress.begin(LEN).is_some());
    }

    #[test]
    fn what_falls_back_ends_a_copy_that_must_not_read_and_write() {
        let mut progress = begun(2, OnFallback::Fail);
        end(&mut progress, 0, BUSY);
        end(&mut progress, 1, Verdict::Failed(5));
        assert_eq!(take(&mut progress), None);
        let mut rest = 0;
        let gap = progress.finish(|run| rest += run.chunks);
        assert_eq!((gap.get(), rest), (Some((Sectors::ZERO, 0)), 2));
        // That lies behind the gap, but is not forgotten.
        assert_eq!(progress.failure(), Some(5));
    }

    #[test]
    fn an_error_behind_a_split_is_not_forgotten() {
        let mut progress = begun(3, OnFallback::Onload);
        end(&mut progress, 2, Verdict::Failed(5));
        let split = Reason::Split(Sectors::new(2));
        end(&mut progress, 0, Verdict::Fallback(split));
        end(&mut progress, 1, DONE);
        assert_eq!(take(&mut progress), run(Counter::Split, 1));
        progress.restart(Sectors::ZERO, |_| ());
        let glance = progress.look(Look::Take);
        assert_eq!(glance.gap.get(), Some((Sectors::new(16), 5)));
        assert_eq!(glance.gap.end(Sectors::new(100)), Sectors::new(16));
    }

    #[test]
    fn a_chunk_that_is_to_be_split_is_taken_alone() {
        let mut progress = begun(3, OnFallback::Fail);
        for (slot, len) in [(2, 4), (0, 2), (1, 3)] {
            let split = Reason::Split(Sectors::new(len));
            end(&mut progress, slot, Verdict::Fallback(split));
        }
        let glance = progress.look(Look::Take);
        assert_eq!(glance.run, run(Counter::Split, 1));
        assert_eq!(glance.split, Sectors::new(2));
        assert!(glance.gap.is_none());
        let mut dropped = 0;
        progress.restart(Sectors::ZERO, |run| dropped += run.chunks);
        assert_eq!((dropped, take(&mut progress)), (2, None));
        assert_eq!(progress.begin(LEN), Some(0));
    }
}
