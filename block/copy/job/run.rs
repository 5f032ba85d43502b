// SPDX-License-Identifier: GPL-2.0

//! Copies that a task waits for.

use super::{
    interrupt::Interrupt,
    link::{
        Link,
        Stock, //
    },
    share::Share,
    tracker::{
        error_of,
        Tracker, //
    },
    turn::{
        on_fallback,
        Job,
        Turn, //
    }, //
};
use crate::{
    chunk::{
        self,
        Wait, //
    },
    request::Request,
    stats,
    verdict::Verdict, //
};
use kernel::{
    block::{
        bio::{
            plugged,
            Status, //
        },
        copy::{
            Outcome,
            Way, //
        },
        sched, //
    },
    prelude::*,
    sync::{
        Completion,
        SetOnce, //
    },
    task, //
};

/// Copies, and waits for the end.
///
/// Context: task; may sleep.
pub(super) fn run(request: Request<'_>, way: Way, stock: &Stock, interrupt: Interrupt) -> Outcome {
    let in_turns = |way| run_in_turns(request, way, stock, interrupt);
    let alone = way != Way::Onload && interrupt.pending().is_none();
    let Some(verdict) = alone.then(|| run_alone(&request, stock)).flatten() else {
        return in_turns(way);
    };
    stats::count(request.dst_bdev, verdict.counter(), 1, request.total);
    match verdict {
        Verdict::Offloaded => Outcome::complete(request.total),
        Verdict::Fallback(_) if way == Way::Any => in_turns(Way::Onload),
        failed => Outcome::nothing(Err(error_of(failed))),
    }
}

/// A copy that is one chunk.
#[pin_data]
struct Alone {
    #[pin]
    ended: Completion,
    verdict: SetOnce<Verdict<Status>>,
}

impl chunk::Owner for Alone {
    fn chunk_ended(&self, _slot: usize, verdict: Verdict<Status>) {
        self.verdict.populate(verdict);
        self.ended.complete();
    }
}

/// Has the device copy all at once, and waits for the end. [`None`] if that is more than one chunk,
/// or may have to be split.
///
/// In a stack frame of its own, so that none becomes large.
#[inline(never)]
fn run_alone(request: &Request<'_>, stock: &Stock) -> Option<Verdict<Status>> {
    let stacked = request.src_bdev.has_submit_bio() || request.dst_bdev.has_submit_bio();
    let (len, most) = (request.total, request.dst_bdev.limits().max_copy());
    let mut share = Share::new(request.dst_bdev);
    if stacked || len > most || share.take(len) != len {
        return None;
    }
    let (ended, verdict) = (Completion::new(), SetOnce::new());
    pin_init::stack_pin_init!(let copy = pin_init!(Alone { ended <- ended, verdict }));
    // SAFETY: The copy stays until it has ended, which is waited for. The devices are open and the
    // stock exists as long as the references.
    if unsafe { stock.send_alone(request, copy.as_ref(), Wait::Allowed) } {
        copy.ended.wait_for_completion_io();
    }
    copy.verdict.copy()
}

/// Copies in chunks, and by reading and writing where the device does not copy.
fn run_in_turns(request: Request<'_>, way: Way, stock: &Stock, interrupt: Interrupt) -> Outcome {
    pin_init::stack_pin_init!(let tracker = Tracker::new(None, on_fallback(way)));
    let tracker = tracker.into_ref();
    // SAFETY: The tracker stays until `drive` has returned, and the devices are open and the stock
    // exists as long as the references. `drive` returns when nothing is in flight.
    let link = unsafe { Link::new(request, stock, tracker) };
    drive(link, way, interrupt)
}

/// In a stack frame of its own, so that none becomes large.
#[inline(never)]
fn drive(link: Link<'_>, way: Way, interrupt: Interrupt) -> Outcome {
    let tracker = link.tracker();
    let mut job = Job::new(link, way, interrupt);
    loop {
        match plugged(|| job.turn()) {
            Turn::Over => return job.end(),
            Turn::Starved => sched::pause(),
            Turn::Wait(low) => {
                while tracker.arm(low) {
                    tracker.wait();
                }
            }
        }
        task::cond_resched();
    }
}
