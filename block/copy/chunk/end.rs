// SPDX-License-Identifier: GPL-2.0

//! What is done as the state machine says: bios go on, or are ended.

use super::{
    protocol::{
        Ended,
        Next,
        Sole, //
    },
    raw::ContextRef, //
};
use crate::{
    plan::Side,
    verdict::{
        Reason,
        Verdict, //
    }, //
};
use kernel::block::bio::{
    BioList,
    OwnedBio,
    Status, //
};

/// Sorts the status that a bio has ended with.
pub(super) fn verdict_of(status: Option<Status>) -> Verdict<Status> {
    match status {
        None => Verdict::Offloaded,
        Some(Status::NOTSUPP) => Verdict::Fallback(Reason::NotSupported),
        Some(Status::AGAIN) => Verdict::Fallback(Reason::Busy),
        Some(failed) => Verdict::Failed(failed),
    }
}

/// The status that a bio ends with because of what became of its chunk.
fn status_of(verdict: Verdict<Status>) -> Option<Status> {
    match verdict {
        Verdict::Offloaded => None,
        Verdict::Fallback(Reason::Busy) => Some(Status::AGAIN),
        Verdict::Fallback(_) => Some(Status::NOTSUPP),
        Verdict::Failed(status) => Some(status),
    }
}

/// A part has ended. Ends the bios that wait for it. If it was the last one, this returns the right
/// to finish the chunk. The chunk must not be used after this without that right.
///
/// Context: any. Does not sleep.
pub(super) fn ended(
    context: ContextRef<'_>,
    side: Side,
    verdict: Verdict<Status>,
) -> (Option<Sole>, Verdict<Status>) {
    let Ended {
        others,
        verdict,
        last,
    } = context.locked(|state| state.ended(side, verdict));
    // If there are others, the chunk lives until the last of them has ended too.
    others.end(status_of(verdict));
    (last, verdict)
}

/// Does what the state machine says about a bio. One of the bios that are to be issued is returned;
/// the others are issued here.
///
/// Context: task; may sleep.
pub(super) fn settle(
    next: Next<BioList, Status>,
    go_on: impl Fn(OwnedBio) -> Option<OwnedBio>,
) -> Option<OwnedBio> {
    let mut last = None;
    match next {
        Next::Waits => {}
        Next::End(bios, verdict) => bios.end(status_of(verdict)),
        Next::GoOn(mut bios) => {
            while let Some(bio) = bios.pop() {
                if let Some(bio) = go_on(bio) {
                    if let Some(before) = Option::replace(&mut last, bio) {
                        before.resubmit();
                    }
                }
            }
        }
    }
    last
}
