// SPDX-License-Identifier: GPL-2.0

//! Counters of how the copies to a queue ended, and of what is in flight (`copy_stats`).
//!
//! C header: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h)

use crate::{
    bindings,
    block::{
        bdev::BlockDevice,
        units::Sectors, //
    },
    num::casts::u32_as_usize,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

/// The number of counters that a queue has.
pub const NR_OUTCOMES: usize = u32_as_usize(bindings::BLK_COPY_NR_OUTCOMES);

/// The counters of a queue: for each way in which copies to it ended, chunks and their sectors.
///
/// # Examples
///
/// ```
/// use kernel::block::{
///     bdev::BlockDevice,
///     copy::stats::CopyStats,
///     units::Sectors, //
/// };
///
/// /// Counts a chunk of 1 MiB that ended in the first way, and returns how many have.
/// fn count(bdev: &BlockDevice) -> Option<u64> {
///     let stats = CopyStats::of(bdev);
///     stats.count(0, 1, Sectors::new(2048));
///     Some(stats.read(0)?.0)
/// }
/// ```
#[repr(transparent)]
pub struct CopyStats([[Atomic<i64>; 2]; NR_OUTCOMES]);

impl CopyStats {
    /// Returns the counters of a queue.
    ///
    /// # Safety
    ///
    /// The queue is valid for `'a`.
    pub unsafe fn of_queue<'a>(queue: *mut bindings::request_queue) -> &'a Self {
        // SAFETY: The caller guarantees that the queue is valid. An `Atomic<i64>` is what C has as
        // `atomic64_t`, and nobody accesses the counters in another way.
        unsafe { &*(&raw const (*queue).copy_stats).cast() }
    }

    /// Returns the counters of the queue of a device.
    pub fn of(bdev: &BlockDevice) -> &Self {
        // SAFETY: By the type invariant of `BlockDevice`, the queue is valid.
        unsafe { Self::of_queue(bdev.queue()) }
    }

    /// Counts chunks. `outcome` is the number of a counter.
    ///
    /// Context: any. Does not sleep.
    pub fn count(&self, outcome: u8, chunks: u32, len: Sectors) {
        if let Some([count, sectors]) = self.0.get(usize::from(outcome)) {
            count.add(i64::from(chunks), Relaxed);
            sectors.add(len.get().cast_signed(), Relaxed);
        }
    }

    /// Returns the chunks and the sectors that a counter has counted.
    pub fn read(&self, outcome: u8) -> Option<(u64, u64)> {
        let [count, sectors] = self.0.get(usize::from(outcome))?;
        let read = |counter: &Atomic<i64>| counter.load(Relaxed).cast_unsigned();
        Some((read(count), read(sectors)))
    }
}

/// How much of copies to a queue is in flight, in sectors.
///
/// # Examples
///
/// ```
/// use kernel::block::{
///     bdev::BlockDevice,
///     copy::stats::InFlight,
///     units::Sectors, //
/// };
///
/// /// Returns whether there is room for a further MiB, which is counted then.
/// fn begin(bdev: &BlockDevice) -> bool {
///     let (all, len) = (InFlight::of(bdev), Sectors::new(2048));
///     let fits = all.add(len) < Sectors::new(1 << 20);
///     if !fits {
///         all.sub(len);
///     }
///     fits
/// }
/// ```
#[repr(transparent)]
pub struct InFlight(Atomic<i64>);

impl InFlight {
    /// Returns the counter of a queue.
    ///
    /// # Safety
    ///
    /// The queue is valid for `'a`.
    pub unsafe fn of_queue<'a>(queue: *mut bindings::request_queue) -> &'a Self {
        // SAFETY: The caller guarantees that the queue is valid. An `Atomic<i64>` is what C has as
        // `atomic64_t`, and nobody accesses the counter in another way.
        unsafe { &*(&raw const (*queue).copy_in_flight).cast() }
    }

    /// Returns the counter of the queue of a device.
    pub fn of(bdev: &BlockDevice) -> &Self {
        // SAFETY: By the type invariant of `BlockDevice`, the queue is valid.
        unsafe { Self::of_queue(bdev.queue()) }
    }

    /// Counts what sets out, and returns how much was in flight before. Who counts this takes it
    /// back by [`InFlight::sub`] when it has ended.
    ///
    /// Context: any. Does not sleep.
    pub fn add(&self, len: Sectors) -> Sectors {
        Self::sectors(self.0.fetch_add(len.get().cast_signed(), Relaxed))
    }

    /// Counts what has ended.
    ///
    /// Context: any. Does not sleep.
    pub fn sub(&self, len: Sectors) {
        if !len.is_zero() {
            self.0.add(len.get().cast_signed().wrapping_neg(), Relaxed);
        }
    }

    /// Returns how much is in flight.
    pub fn get(&self) -> Sectors {
        Self::sectors(self.0.load(Relaxed))
    }

    fn sectors(raw: i64) -> Sectors {
        Sectors::new(u64::try_from(raw).unwrap_or(0))
    }
}
