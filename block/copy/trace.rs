// SPDX-License-Identifier: GPL-2.0

//! What the tracepoints show of a copy. They are in
//! [`include/trace/events/block_copy.h`](srctree/include/trace/events/block_copy.h).

use crate::{
    plan::{
        Chunk,
        CommandLimits,
        Plan,
        Range,
        Ranges,
        Side, //
    },
    request::Request,
    verdict::{
        Counter,
        Reason,
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
        },
        copy::trace::{
            self,
            Phase,
            Place, //
        },
        units::Sectors, //
    },
    prelude::*, //
};

fn place(dev: Dev, range: Range) -> Place {
    let sector = range.start();
    Place { dev, sector }
}

/// A chunk sets out: its first source, and its destination.
pub(crate) fn submit(src: &BlockDevice, from: Range, dst: &BlockDevice, to: Range) {
    let (src, dst) = (place(src.dev(), from), place(dst.dev(), to));
    trace::phase(Phase::Submit, src, dst, to.len());
}

/// The disk that a bio has come to, for [`park`]; [`None`] if nobody wants to know.
pub(crate) fn disk(bio: &Bio) -> Option<Dev> {
    trace::wants_park().then(|| bio.bdev().disk_dev())
}

/// A bio is at the bottom of the stack, on a disk that [`disk`] has named.
pub(crate) fn park(dev: Dev, range: Range, side: Side) {
    trace::park(place(dev, range), range.len(), side == Side::Destination);
}

/// All parts were paired: the first source, and the destination.
pub(crate) fn dispatch(command: &Bio, from: Range, to: Range) {
    let dev = command.bdev().disk_dev();
    trace::phase(Phase::Dispatch, place(dev, from), place(dev, to), to.len());
}

/// A chunk is over.
pub(crate) fn chunk_done(dst: Dev, to: Range, verdict: Verdict<Status>) {
    let result = match verdict {
        Verdict::Offloaded => Ok(()),
        Verdict::Fallback(_) => Err(EOPNOTSUPP),
        Verdict::Failed(status) => Err(status.to_error()),
    };
    done(dst, to, verdict.counter(), result);
}

/// A chunk is over, or a buffer that was read and written.
pub(crate) fn done(dst: Dev, to: Range, counter: Counter, result: Result) {
    trace::done(place(dst, to), to.len(), counter.into_raw(), result);
}

/// A chunk of a plan was not sent, for a reason that is known before.
pub(crate) fn refused<L: Ranges + Copy>(
    request: &Request<'_>,
    plan: &Plan<L>,
    chunk: &Chunk,
    reason: Reason,
) {
    if let Some((_, to)) = plan.first_ranges(chunk) {
        chunk_done(request.dst_bdev.dev(), to, Verdict::Fallback(reason));
    }
}

/// So much of a copy, from where a plan has come to, is to be read and written: the places where
/// that begins.
pub(crate) fn onload<L: Ranges + Copy>(request: &Request<'_>, plan: &Plan<L>, len: Sectors) {
    let first = plan.peek(&CommandLimits::one_to_one(len));
    if let Some((from, to)) = first.and_then(|chunk| plan.first_ranges(&chunk)) {
        let (src, dst) = (request.src_bdev.dev(), request.dst_bdev.dev());
        trace::phase(Phase::Onload, place(src, from), place(dst, to), len);
    }
}
