// SPDX-License-Identifier: GPL-2.0

//! The tracepoints of [`include/trace/events/block_copy.h`](srctree/include/trace/events/block_copy.h).

use super::{
    plan::Piece,
    protocol::Half,
    range::Range,
    verdict::{
        Outcome,
        Verdict, //
    }, //
};
use kernel::{
    bindings::{
        dev_t,
        sector_t, //
    },
    block::{
        bdev::BlockDevice,
        bio::{
            Bio,
            Status, //
        }, //
    },
    prelude::*, //
};

kernel::declare_trace! {
    /// # Safety
    ///
    /// Always safe to call.
    unsafe fn block_copy_submit(
        src_dev: dev_t, src: sector_t, dst_dev: dev_t, dst: sector_t, nr_sects: sector_t
    );

    /// # Safety
    ///
    /// Always safe to call.
    unsafe fn block_copy_dispatch(
        src_dev: dev_t, src: sector_t, dst_dev: dev_t, dst: sector_t, nr_sects: sector_t
    );

    /// # Safety
    ///
    /// Always safe to call.
    unsafe fn block_copy_park(dev: dev_t, sector: sector_t, nr_sects: sector_t, dst: bool);

    /// # Safety
    ///
    /// Always safe to call.
    unsafe fn block_copy_done(
        dst_dev: dev_t, dst: sector_t, nr_sects: sector_t, outcome: u8, error: c_int
    );
}

/// A chunk sets out.
pub(crate) fn submit(src: &BlockDevice, dst: &BlockDevice, piece: &Piece) {
    let (from, to) = (piece.src, piece.dst);
    let (start, len) = (to.start().get(), to.len().get());
    // SAFETY: Always safe to call.
    unsafe { block_copy_submit(src.dev(), from.start().get(), dst.dev(), start, len) };
}

/// One half has arrived at the bottom of the stack, on a whole disk.
pub(crate) fn park(bio: &Bio, half: Half) {
    let (start, len) = (bio.start().get(), bio.len().get());
    // SAFETY: Always safe to call.
    unsafe { block_copy_park(bio.bdev().disk_dev(), start, len, half == Half::Dst) };
}

/// Both halves were paired.
pub(crate) fn dispatch(src: &BlockDevice, dst: &BlockDevice, from: Range, to: Range) {
    let (start, len) = (to.start().get(), to.len().get());
    // SAFETY: Always safe to call.
    unsafe { block_copy_dispatch(src.disk_dev(), from.start().get(), dst.disk_dev(), start, len) };
}

/// The chunk is over.
pub(crate) fn done(dst: &BlockDevice, piece: &Piece, verdict: Option<Verdict<Status>>) {
    let error = match verdict {
        Some(Verdict::Failed(status)) => status.to_error().to_errno(),
        Some(Verdict::Fallback(_)) => EOPNOTSUPP.to_errno(),
        None => 0,
    };
    let (start, len) = (piece.dst.start().get(), piece.dst.len().get());
    let outcome = Outcome::from(&verdict).into_raw();
    // SAFETY: Always safe to call.
    unsafe { block_copy_done(dst.dev(), start, len, outcome, error) };
}
