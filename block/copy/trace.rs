// SPDX-License-Identifier: GPL-2.0

//! The tracepoints of
//! [`include/trace/events/block_copy.h`](srctree/include/trace/events/block_copy.h).

use super::{
    plan::{
        Limits,
        Plan,
        Ranges, //
    },
    range::Range,
    request::Request,
    verdict::{
        Outcome,
        Verdict, //
    }, //
};
use kernel::{
    bindings,
    block::{
        bdev::{
            BlockDevice,
            Dev, //
        },
        bio::{
            Bio,
            Status, //
        },
        units::Sectors, //
    },
    jump_label::static_branch_unlikely,
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
    unsafe fn block_copy_onload(
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

/// Whether anybody listens to a tracepoint.
#[cfg(CONFIG_TRACEPOINTS)]
macro_rules! enabled {
    ($tracepoint:ident) => {
        // SAFETY: This is the key of a tracepoint.
        unsafe { static_branch_unlikely!(bindings::$tracepoint, bindings::tracepoint, key) }
    };
}
#[cfg(not(CONFIG_TRACEPOINTS))]
macro_rules! enabled {
    ($tracepoint:ident) => {
        false
    };
}

/// The disk that a bio has come to, for [`park`]; [`None`] if nobody wants to know.
pub(crate) fn disk(bio: &Bio) -> Option<Dev> {
    enabled!(__tracepoint_block_copy_park).then(|| bio.bdev().disk_dev())
}

/// One part is held at the bottom of the stack, on a whole disk.
pub(crate) fn park(dev: Option<Dev>, range: Option<Range>, carrier: bool) {
    let (Some(dev), Some(range)) = (dev, range) else {
        return;
    };
    let (start, len) = (range.start().get(), range.len().get());
    // SAFETY: Always safe to call.
    unsafe { block_copy_park(dev, start, len, carrier) };
}

/// All parts were paired: the first source, and the destination.
pub(crate) fn dispatch(carrier: &Bio, from: Range) {
    if !enabled!(__tracepoint_block_copy_dispatch) {
        return;
    }
    let from = from.start().get();
    let (start, len) = (carrier.start().get(), carrier.len().get());
    let dev = carrier.bdev().disk_dev();
    // SAFETY: Always safe to call.
    unsafe { block_copy_dispatch(dev, from, dev, start, len) };
}

/// Whether [`submit`] and [`chunk_done`] have to be called.
pub(crate) fn wants_chunks() -> bool {
    enabled!(__tracepoint_block_copy_submit) || enabled!(__tracepoint_block_copy_done)
}

/// A chunk is over.
pub(crate) fn chunk_done(dst: Dev, to: Range, verdict: Option<Verdict<Status>>) {
    let error = verdict.map(|verdict| match verdict {
        Verdict::Failed(status) => status.to_error(),
        Verdict::Fallback(_) => EOPNOTSUPP,
    });
    done(dst, to, Outcome::from(&verdict), error);
}

/// A chunk, or a piece that was read and written, is over.
pub(crate) fn done(dst: Dev, to: Range, outcome: Outcome, error: Option<Error>) {
    let (start, len) = (to.start().get(), to.len().get());
    let error = error.map_or(0, Error::to_errno);
    // SAFETY: Always safe to call.
    unsafe { block_copy_done(dst, start, len, outcome.into_raw(), error) };
}

/// So much of a copy, from where a plan has come to, is to be read and written: the places where
/// that begins.
pub(crate) fn onload<L: Ranges + Copy>(request: &Request<'_>, plan: &Plan<L>, len: Sectors) {
    let first = plan.peek(&Limits::one_piece(len)).and_then(|chunk| {
        let source = plan.sources(&chunk).next()?;
        Some((source, plan.destinations(&chunk).next()?))
    });
    let Some((from, to)) = first else { return };
    let (src, dst) = (request.src_bdev.dev(), request.dst_bdev.dev());
    // SAFETY: Always safe to call.
    unsafe { block_copy_onload(src, from.start().get(), dst, to.start().get(), len.get()) };
}
