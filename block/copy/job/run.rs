// SPDX-License-Identifier: GPL-2.0

//! Copies that a task waits for.

use super::{
    interrupt::Interrupt,
    link::{
        Link,
        Stock, //
    },
    tracker::Tracker,
    turn::{
        on_fallback,
        Job,
        Turn, //
    }, //
};
use crate::request::Request;
use kernel::{
    block::{
        bio::plugged,
        copy::{
            Outcome,
            Way, //
        },
        sched, //
    },
    task, //
};

/// Copies, and waits for the end.
///
/// Context: task; may sleep.
pub(super) fn run(request: Request<'_>, way: Way, stock: &Stock, interrupt: Interrupt) -> Outcome {
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
