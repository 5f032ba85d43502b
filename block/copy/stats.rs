// SPDX-License-Identifier: GPL-2.0

//! Counters per queue of how the copies to it ended, and what is in flight: `copy_stats` in
//! debugfs.

use crate::verdict::Counter;
use kernel::{
    block::{
        bdev::BlockDevice,
        copy::stats::{
            CopyStats,
            InFlight,
            NR_OUTCOMES, //
        },
        units::Sectors, //
    },
    seq_file::SeqFile,
    seq_print, //
};

const _: () = assert!(Counter::ALL.len() == NR_OUTCOMES);

/// Counts chunks to this device that have ended in one way, or buffers that were read and written.
pub(crate) fn count(dst: &BlockDevice, counter: Counter, chunks: u32, len: Sectors) {
    CopyStats::of(dst).count(counter.into_raw(), chunks, len);
}

/// Writes the counters of a queue, a line each.
pub(crate) fn show(stats: &CopyStats, in_flight: &InFlight, m: &SeqFile) {
    for (counter, name) in Counter::ALL {
        let (chunks, sectors) = stats.read(counter.into_raw()).unwrap_or((0, 0));
        seq_print!(m, "{name} {chunks}\n{name}_sectors {sectors}\n");
    }
    seq_print!(m, "in_flight_sectors {}\n", in_flight.get().get());
}
