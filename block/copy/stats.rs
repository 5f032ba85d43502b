// SPDX-License-Identifier: GPL-2.0

//! Counters per queue of how the copies to it ended: `copy_stats` in debugfs.

use super::verdict::Outcome;
use kernel::{
    bindings,
    block::{
        bdev::BlockDevice,
        units::Sectors, //
    },
    seq_file::SeqFile,
    seq_print, //
};

const _: () = assert!(Outcome::ALL.len() == bindings::BLK_COPY_NR_OUTCOMES as usize);

/// So many chunks to this device, or pieces that were read and written, have ended in this way.
pub(crate) fn count(dst: &BlockDevice, outcome: Outcome, chunks: u32, len: Sectors) {
    dst.count_copies(outcome.into_raw(), chunks, len);
}

/// Writes the counters of a queue, a line each.
pub(crate) fn show(stats: impl Fn(u8) -> Option<(u64, u64)>, m: &SeqFile) {
    for outcome in Outcome::ALL {
        let name = outcome.name();
        let (chunks, sectors) = stats(outcome.into_raw()).unwrap_or((0, 0));
        seq_print!(m, "{name} {chunks}\n{name}_sectors {sectors}\n");
    }
}
