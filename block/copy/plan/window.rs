// SPDX-License-Identifier: GPL-2.0

//! The chunks of a copy that are in flight, or have ended and were not looked at.
//!
//! Pure: plain values, no FFI, no locks. Compiled on the host too.

use crate::verdict::Counter;
use kernel::block::units::Sectors;

/// Chunks that were sent to the device and were not looked at since, oldest first. This bounds the
/// memory that a copy has in flight, however long it is.
///
/// Half of the default number of requests of a queue (`BLKDEV_DEFAULT_RQ`, 128), so that a copy
/// leaves room for other I/O, and finds room for all of its own.
pub(crate) const WINDOW: usize = 64;

/// When the window is full, it is filled again once this many chunks are left in it.
pub(crate) const REFILL: usize = WINDOW / 2;

/// One chunk in the window, in few bits, because a copy has many of these on the stack: how long it
/// is, and above that how it has ended. A chunk is no longer than a bio, which has less than 2^32
/// bytes, so 24 bits of sectors suffice.
#[derive(Clone, Copy, Debug)]
struct Entry(u32);

impl Entry {
    const LEN: u32 = (1 << 24) - 1;
    /// Not the number of a counter.
    const IN_FLIGHT: u32 = 0xff << 24;

    /// A chunk sets out.
    fn new(len: Sectors) -> Option<Self> {
        let len = u32::try_from(len.get()).ok()?;
        (len <= Self::LEN).then_some(Self(len | Self::IN_FLIGHT))
    }

    /// The same chunk, which has ended.
    fn ended_as(self, counter: Counter) -> Self {
        Self((self.0 & Self::LEN) | (u32::from(counter.into_raw()) << 24))
    }

    fn len(self) -> u64 {
        u64::from(self.0 & Self::LEN)
    }

    /// [`None`] while it is in flight.
    fn ended(self) -> Option<Counter> {
        let number = usize::try_from(self.0 >> 24).ok()?;
        Counter::ALL.get(number).map(|(counter, _)| *counter)
    }
}

/// The window: a ring of chunks, from the oldest one to the newest.
#[derive(Debug)]
pub(super) struct Window {
    ring: [Entry; WINDOW],
    first: usize,
    pub(super) count: usize,
    pub(super) in_flight: usize,
    /// The sectors of those in flight.
    pub(super) in_flight_len: Sectors,
    /// Where the oldest one begins, counted from the start of the copy.
    pub(super) start: Sectors,
}

impl Window {
    pub(super) const fn new() -> Self {
        Self {
            ring: [Entry(0); WINDOW],
            first: 0,
            count: 0,
            in_flight: 0,
            in_flight_len: Sectors::ZERO,
            start: Sectors::ZERO,
        }
    }

    pub(super) fn room(&self) -> usize {
        WINDOW - self.count
    }

    /// A chunk sets out from where the last one ended. Returns its slot, or nothing if there is no
    /// room.
    pub(super) fn begin(&mut self, len: Sectors) -> Option<usize> {
        if self.room() == 0 {
            return None;
        }
        let slot = (self.first + self.count) % WINDOW;
        let in_flight_len = self.in_flight_len.checked_add(len)?;
        *self.ring.get_mut(slot)? = Entry::new(len)?;
        self.in_flight_len = in_flight_len;
        self.count += 1;
        self.in_flight += 1;
        Some(slot)
    }

    pub(super) fn end(&mut self, slot: usize, counter: Counter) {
        if let Some(entry) = self.ring.get_mut(slot) {
            *entry = entry.ended_as(counter);
            let len = Sectors::new(entry.len());
            self.in_flight_len = self.in_flight_len.checked_sub(len).unwrap_or_default();
        }
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Where the chunk in a slot begins, counted from the start of the copy.
    pub(super) fn start_of(&self, slot: usize) -> Sectors {
        let mut start = self.start.get();
        let mut at = self.first;
        while at != slot % WINDOW {
            start += self.ring.get(at).map_or(0, |entry| entry.len());
            at = (at + 1) % WINDOW;
        }
        Sectors::new(start)
    }

    /// How the oldest chunk has ended; [`None`] if it is in flight, or if there is none.
    pub(super) fn oldest(&self) -> Option<Counter> {
        let entry = self.ring.get(self.first)?;
        entry.ended().filter(|_| self.count > 0)
    }

    /// Takes the oldest chunks that have ended alike, up to the first one that has not. Chunks that
    /// are to be split are taken one by one.
    pub(super) fn take(&mut self) -> Option<Run> {
        let counter = self.oldest()?;
        let (mut chunks, mut len) = (0, 0);
        while self.oldest() == Some(counter) {
            len += self.ring.get(self.first).map_or(0, |entry| entry.len());
            chunks += 1;
            self.first = (self.first + 1) % WINDOW;
            self.count -= 1;
            if counter == Counter::Split {
                break;
            }
        }
        let len = Sectors::new(len);
        self.start = self.start.checked_add(len)?;
        Some(Run {
            counter,
            chunks,
            len,
        })
    }

    /// Begins anew at `start`. It is empty.
    pub(super) fn restart(&mut self, start: Sectors) {
        (self.first, self.count, self.in_flight) = (0, 0, 0);
        self.in_flight_len = Sectors::ZERO;
        self.start = start;
    }
}

/// Chunks that have ended alike and follow each other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Run {
    pub(crate) counter: Counter,
    pub(crate) chunks: u32,
    pub(crate) len: Sectors,
}

#[cfg_attr(
    CONFIG_BLK_COPY_KUNIT_TEST,
    kernel::macros::kunit_tests(blk_copy_window)
)]
#[cfg(any(test, CONFIG_BLK_COPY_KUNIT_TEST))]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_flight_is_counted() {
        let mut window = Window::new();
        for len in [8, 16, 24] {
            assert!(window.begin(Sectors::new(len)).is_some());
        }
        assert_eq!(window.in_flight_len, Sectors::new(48));
        window.end(1, Counter::Busy);
        assert_eq!(window.in_flight_len, Sectors::new(32));
        window.end(0, Counter::Offloaded);
        window.end(2, Counter::Offloaded);
        assert_eq!(window.in_flight_len, Sectors::ZERO);
    }
}
