// SPDX-License-Identifier: GPL-2.0

//! The tracepoints of
//! [`include/trace/events/block_copy.h`](srctree/include/trace/events/block_copy.h).

use super::{
    range::Range,
    verdict::{
        Outcome,
        Verdict, //
    }, //
};
use kernel::{
    block::{
        bdev::{
            BlockDevice,
            Dev, //
        },
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
        src_dev: Dev, src: u64, dst_dev: Dev, dst: u64, nr_sects: u64
    );

    /// # Safety
    ///
    /// Always safe to call.
    unsafe fn block_copy_dispatch(
        src_dev: Dev, src: u64, dst_dev: Dev, dst: u64, nr_sects: u64
    );

    /// # Safety
    ///
    /// Always safe to call.
    unsafe fn block_copy_park(dev: Dev, sector: u64, nr_sects: u64, dst: bool);

    /// # Safety
    ///
    /// Always safe to call.
    unsafe fn block_copy_done(
        dst_dev: Dev, dst: u64, nr_sects: u64, outcome: u8, error: c_int
    );
}

/// A chunk sets out: its first source, and its destination.
pub(crate) fn submit(src: &BlockDevice, from: Range, dst: &BlockDevice, to: Range) {
    let (start, len) = (to.start().get(), to.len().get());
    // SAFETY: Always safe to call.
    unsafe { block_copy_submit(src.dev(), from.start().get(), dst.dev(), start, len) };
}

/// One part is held at the bottom of the stack, on a whole disk.
pub(crate) fn park(dev: Dev, range: Option<Range>, carrier: bool) {
    let Some(range) = range else { return };
    let (start, len) = (range.start().get(), range.len().get());
    // SAFETY: Always safe to call.
    unsafe { block_copy_park(dev, start, len, carrier) };
}

/// All parts were paired: the first source, and the destination.
pub(crate) fn dispatch(carrier: &Bio, from: Option<Range>) {
    let from = from.map_or(0, |from| from.start().get());
    let (start, len) = (carrier.start().get(), carrier.len().get());
    let dev = carrier.bdev().disk_dev();
    // SAFETY: Always safe to call.
    unsafe { block_copy_dispatch(dev, from, dev, start, len) };
}

/// The chunk is over.
pub(crate) fn done(dst: Dev, to: Range, verdict: Option<Verdict<Status>>) {
    let error = match verdict {
        Some(Verdict::Failed(status)) => status.to_error().to_errno(),
        Some(Verdict::Fallback(_)) => EOPNOTSUPP.to_errno(),
        None => 0,
    };
    let (start, len) = (to.start().get(), to.len().get());
    let outcome = Outcome::from(&verdict).into_raw();
    // SAFETY: Always safe to call.
    unsafe { block_copy_done(dst, start, len, outcome, error) };
}
