// SPDX-License-Identifier: GPL-2.0

//! How far a copy has come, while its chunks end in any order.
//!
//! Pure: plain values, no FFI, no locks. Compiled on the host too.

use super::verdict::Outcome;
use kernel::block::units::Sectors;

/// Chunks that were sent to the device and were not looked at since, oldest first. This bounds the
/// memory that a copy has in flight, however long it is.
///
/// Half of the default number of requests of a queue (`BLKDEV_DEFAULT_RQ`, 128), so that a copy
/// leaves room for other I/O, and finds room for all of its own.
pub(crate) const WINDOW: usize = 64;

/// What a copy has under way is no more than this, or one chunk. A copy that is killed waits for
/// all of it, and so does the last command, which must not take longer than its timeout: 1 GiB are
/// one second if the device copies 1 GiB/s.
const MOST: u64 = 1 << (30 - 9);

/// How many chunks may be under way if they can be as long as `max`.
pub(crate) fn window(max: Sectors) -> usize {
    let count = MOST.checked_div(max.get()).unwrap_or(u64::MAX);
    usize::try_from(count).unwrap_or(WINDOW).clamp(1, WINDOW)
}

/// One chunk in the window. A chunk is no longer than a bio, so 32 bits of sectors will do; there
/// are many of these on the stack.
#[derive(Clone, Copy, Debug)]
struct Entry {
    len: u32,
    /// What of it may be tried again, if its outcome is to be split.
    cut: u32,
    /// [`None`] while it is in flight.
    outcome: Option<Outcome>,
}

impl Entry {
    fn len(&self) -> Sectors {
        Sectors::new(u64::from(self.len))
    }
}

/// The window: a ring of [`Entry`], from the oldest one to the newest.
#[derive(Debug)]
pub(crate) struct Window {
    ring: [Entry; WINDOW],
    first: usize,
    count: usize,
    in_flight: usize,
    /// Where the oldest one begins, counted from the start of the copy.
    start: Sectors,
}

impl Window {
    /// An empty window at the start of a copy.
    pub(crate) const fn new() -> Self {
        let free = Entry {
            len: 0,
            cut: 0,
            outcome: None,
        };
        Self {
            ring: [free; WINDOW],
            first: 0,
            count: 0,
            in_flight: 0,
            start: Sectors::ZERO,
        }
    }

    /// Chunks in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// How many more chunks may be sent.
    pub(crate) fn room(&self) -> usize {
        WINDOW - self.count
    }

    /// So many chunks set out, each as long as `len`, from where the last one ended. Returns the
    /// number of the first, or nothing if there is no room for all of them. The numbers count on,
    /// and begin again at zero.
    pub(crate) fn begin(&mut self, len: Sectors, chunks: usize) -> Option<usize> {
        if chunks > self.room() {
            return None;
        }
        let len = u32::try_from(len.get()).ok()?;
        let first = (self.first + self.count) % WINDOW;
        for slot in first..first + chunks {
            if let Some(entry) = self.ring.get_mut(slot % WINDOW) {
                *entry = Entry {
                    len,
                    cut: 0,
                    outcome: None,
                };
            }
        }
        self.count += chunks;
        self.in_flight += chunks;
        Some(first)
    }

    /// The chunk of that number has ended; `cut` is for [`Outcome::Split`].
    pub(crate) fn end(&mut self, slot: usize, outcome: Outcome, cut: Sectors) {
        if let Some(entry) = self.ring.get_mut(slot % WINDOW) {
            entry.outcome = Some(outcome);
            entry.cut = u32::try_from(cut.get()).unwrap_or(0);
        }
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Where the chunk of that number begins, counted from the start of the copy.
    pub(crate) fn start_of(&self, slot: usize) -> Sectors {
        let mut start = self.start;
        let mut at = self.first;
        while at != slot % WINDOW {
            let len = self.ring.get(at).map_or(Sectors::ZERO, Entry::len);
            start = start.checked_add(len).unwrap_or(start);
            at = (at + 1) % WINDOW;
        }
        start
    }

    /// Takes the oldest chunks that have ended alike, up to the first one that has not: how, how
    /// many, and their length in all.
    pub(crate) fn take(&mut self) -> Option<Run> {
        let outcome = self.oldest()?;
        let mut run = Run {
            outcome,
            chunks: 0,
            len: Sectors::ZERO,
            cut: Sectors::ZERO,
        };
        while self.oldest() == Some(outcome) {
            let entry = self.ring.get(self.first)?;
            run.cut = Sectors::new(u64::from(entry.cut));
            run.chunks += 1;
            run.len = run.len.checked_add(entry.len())?;
            self.first = (self.first + 1) % WINDOW;
            self.count -= 1;
            if outcome == Outcome::Split {
                // The cut is where this one is to be cut.
                break;
            }
        }
        self.start = self.start.checked_add(run.len)?;
        Some(run)
    }

    /// How the oldest chunk has ended; [`None`] if it is in flight, or if there is none.
    pub(crate) fn oldest(&self) -> Option<Outcome> {
        if self.count == 0 {
            return None;
        }
        self.ring.get(self.first)?.outcome
    }

    /// Begins anew at `start`. It is empty.
    pub(crate) fn restart(&mut self, start: Sectors) {
        *self = Self {
            start,
            ..Self::new()
        };
    }

    /// Leaves out `len` sectors that are copied in another way. The window is empty.
    pub(crate) fn skip(&mut self, len: Sectors) {
        self.start = self.start.checked_add(len).unwrap_or(self.start);
    }
}

/// Chunks that have ended alike and follow each other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Run {
    pub(crate) outcome: Outcome,
    pub(crate) chunks: u32,
    pub(crate) len: Sectors,
    /// For [`Outcome::Split`].
    pub(crate) cut: Sectors,
}

/// What is nearest to the start of what was not copied, and why it was not. Work that lies before
/// it goes on, so that the result does not depend on the order in which things happen to end; work
/// that lies behind it does not begin any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Gap<W>(Option<(Sectors, W)>);

impl<W: Copy> Gap<W> {
    /// There is none so far.
    pub(crate) const NONE: Self = Self(None);

    /// What is at `offset` was not copied.
    pub(crate) fn note(&mut self, offset: Sectors, why: W) {
        if self.allows(offset) {
            self.0 = Some((offset, why));
        }
    }

    /// Whether what is at `offset` lies before the gap.
    pub(crate) fn allows(&self, offset: Sectors) -> bool {
        self.0.is_none_or(|(gap, _)| offset < gap)
    }

    /// What begins at `start` is done anew.
    pub(crate) fn forget_from(&mut self, start: Sectors) {
        self.0 = self.0.filter(|(gap, _)| *gap < start);
    }

    /// Whether there is none.
    pub(crate) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// The gap, once there is nothing in flight.
    pub(crate) fn get(&self) -> Option<(Sectors, W)> {
        self.0
    }
}

#[cfg_attr(
    CONFIG_BLK_COPY_KUNIT_TEST,
    kernel::macros::kunit_tests(blk_copy_progress)
)]
#[cfg(any(test, CONFIG_BLK_COPY_KUNIT_TEST))]
mod tests {
    use super::*;

    const LEN: Sectors = Sectors::new(8);

    fn begun(chunks: usize) -> Window {
        let mut window = Window::new();
        for chunk in 0..chunks {
            assert_eq!(window.begin(LEN, 1), Some(chunk));
        }
        window
    }

    fn run(outcome: Outcome, chunks: u32) -> Option<Run> {
        let len = Sectors::new(8 * u64::from(chunks));
        Some(Run {
            outcome,
            chunks,
            len,
            cut: Sectors::ZERO,
        })
    }

    #[test]
    fn taken_in_order_whatever_ends_first() {
        let mut window = begun(3);
        assert_eq!(window.start_of(2), Sectors::new(16));
        window.end(2, Outcome::Offloaded, Sectors::ZERO);
        assert_eq!(window.take(), None);
        window.end(0, Outcome::Offloaded, Sectors::ZERO);
        assert_eq!(window.take(), run(Outcome::Offloaded, 1));
        assert_eq!(window.start_of(1), Sectors::new(8));
        window.end(1, Outcome::Offloaded, Sectors::ZERO);
        assert_eq!(window.in_flight(), 0);
        assert_eq!(window.take(), run(Outcome::Offloaded, 2));
        assert_eq!(window.take(), None);
    }

    #[test]
    fn runs_end_where_the_outcome_changes() {
        let mut window = begun(4);
        for (slot, outcome) in [
            (0, Outcome::Domain),
            (1, Outcome::Domain),
            (2, Outcome::Busy),
            (3, Outcome::Offloaded),
        ] {
            window.end(slot, outcome, Sectors::ZERO);
        }
        assert_eq!(window.take(), run(Outcome::Domain, 2));
        assert_eq!(window.take(), run(Outcome::Busy, 1));
        assert_eq!(window.take(), run(Outcome::Offloaded, 1));
    }

    #[test]
    fn the_window_is_bounded_and_turns() {
        let mut window = begun(WINDOW);
        assert_eq!(window.begin(LEN, 1), None);
        for slot in 0..WINDOW {
            window.end(slot, Outcome::Offloaded, Sectors::ZERO);
        }
        assert_eq!(window.take(), run(Outcome::Offloaded, WINDOW as u32));
        window.skip(LEN);
        assert_eq!(window.room(), WINDOW);
        let start = window.begin(LEN, 1).map(|slot| window.start_of(slot));
        assert_eq!(start, Some(Sectors::new(8 * (WINDOW as u64 + 1))));
    }

    #[test]
    fn chunks_that_set_out_together() {
        let mut window = begun(WINDOW - 2);
        assert_eq!(window.begin(LEN, 3), None);
        for slot in 0..3 {
            window.end(slot, Outcome::Offloaded, Sectors::ZERO);
        }
        assert_eq!(window.take(), run(Outcome::Offloaded, 3));
        assert_eq!(window.begin(LEN, 4), Some(WINDOW - 2));
        assert_eq!((window.room(), window.in_flight()), (1, WINDOW - 1));
        assert_eq!(Some(window.start_of(WINDOW)), LEN.checked_mul(WINDOW));
        for slot in 3..WINDOW + 2 {
            window.end(slot, Outcome::Offloaded, Sectors::ZERO);
        }
        assert_eq!(window.take(), run(Outcome::Offloaded, WINDOW as u32 - 1));
        assert_eq!(window.room(), WINDOW);
    }

    #[test]
    fn long_chunks_are_few() {
        for (max, count) in [
            (0, WINDOW),
            (8, WINDOW),
            (MOST / 64, WINDOW),
            (MOST / 63, 63),
            (MOST / 2, 2),
            (MOST / 2 + 8, 1),
            (u64::MAX, 1),
        ] {
            assert_eq!(window(Sectors::new(max)), count);
        }
    }

    #[test]
    fn a_chunk_that_is_to_be_split_is_taken_alone() {
        let mut window = begun(3);
        for slot in 0..3 {
            window.end(slot, Outcome::Split, Sectors::new(2 + slot as u64));
        }
        let taken = window.take();
        assert_eq!(
            taken.map(|run| (run.chunks, run.cut)),
            Some((1, Sectors::new(2)))
        );
        window.restart(Sectors::ZERO);
        assert_eq!((window.take(), window.room()), (None, WINDOW));
    }

    #[test]
    fn the_first_gap_counts() {
        let mut gap = Gap::NONE;
        assert!(gap.is_none() && gap.allows(Sectors::new(100)));
        gap.note(Sectors::new(16), 'b');
        gap.note(Sectors::new(24), 'c');
        assert!(gap.allows(Sectors::new(8)) && !gap.allows(Sectors::new(16)));
        gap.note(Sectors::new(8), 'a');
        assert_eq!(gap.get(), Some((Sectors::new(8), 'a')));
        gap.forget_from(Sectors::new(16));
        assert!(!gap.is_none());
        gap.forget_from(Sectors::new(8));
        assert!(gap.is_none());
    }
}
