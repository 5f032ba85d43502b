// SPDX-License-Identifier: GPL-2.0

//! Counters of how the copies to a queue ended (`copy_stats`).
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
