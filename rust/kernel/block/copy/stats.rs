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
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

/// Chunks, and their sectors.
type Counter = [Atomic<i64>; 2];

/// Returns the counters of a queue.
///
/// # Safety
///
/// The queue is valid for `'a`.
unsafe fn counters<'a>(
    queue: *mut bindings::request_queue,
) -> &'a [Counter; bindings::BLK_COPY_NR_OUTCOMES as usize] {
    // SAFETY: The caller guarantees that the queue is valid. An `Atomic<i64>` is what C has as
    // `atomic64_t`, and nobody accesses the counters in another way.
    unsafe { &*(&raw const (*queue).copy_stats).cast() }
}

/// Reads the counters of one outcome: chunks, and their sectors.
///
/// # Safety
///
/// The queue is valid.
pub unsafe fn read_copy_stats(
    queue: *mut bindings::request_queue,
    outcome: u8,
) -> Option<(u64, u64)> {
    // SAFETY: The caller guarantees that the queue is valid.
    let [count, sectors] = unsafe { counters(queue) }.get(usize::from(outcome))?;
    let read = |counter: &Atomic<i64>| counter.load(Relaxed).cast_unsigned();
    Some((read(count), read(sectors)))
}

impl BlockDevice {
    /// Counts chunks that were copied to this device, or were not.
    ///
    /// Context: any. Does not sleep.
    pub fn count_copies(&self, outcome: u8, chunks: u32, len: Sectors) {
        // SAFETY: By the type invariant, the queue is valid.
        let counters = unsafe { counters(self.queue()) };
        if let Some([count, sectors]) = counters.get(usize::from(outcome)) {
            count.add(i64::from(chunks), Relaxed);
            sectors.add(len.get().cast_signed(), Relaxed);
        }
    }
}
