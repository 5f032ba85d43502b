// SPDX-License-Identifier: GPL-2.0

//! Copies that a task waits for.

use super::{
    interrupt::Interrupt,
    link::{
        Link,
        Stock, //
    },
    tracker::{
        Tracker,
        Waker, //
    },
    turn::{
        on_fallback,
        Job,
        Turn, //
    }, //
};
use crate::{
    plan::progress::OnFallback,
    request::Request, //
};
use core::{
    pin::Pin,
    ptr::NonNull, //
};
use kernel::{
    block::{
        bio::plugged,
        copy::{
            Outcome,
            Way, //
        },
        sched, //
    },
    prelude::*,
    sync::Completion,
    task, //
};

/// Copies, and waits for the end.
///
/// Context: task; may sleep.
pub(super) fn run(request: Request<'_>, way: Way, stock: &Stock, interrupt: Interrupt) -> Outcome {
    pin_init::stack_pin_init!(let woken = Completion::new());
    let woken = woken.as_ref();
    // SAFETY: The completion stays until the copy is over, and then nobody wakes it any more.
    let waker = unsafe { Waker::new(core::ptr::from_ref(woken.get_ref()).cast(), complete) };
    let on_fallback = on_fallback(way);
    pin_init::stack_pin_init!(let tracker = Tracker::new(waker, on_fallback));
    let tracker = tracker.as_ref();
    // SAFETY: The tracker stays until `drive` has returned, and the devices are open and the stock
    // exists as long as the references. `drive` returns when nothing is in flight.
    let link = unsafe { Link::new(request, stock, NonNull::from(tracker.get_ref())) };
    drive(link, (way, on_fallback), interrupt, tracker, woken)
}

/// # Safety
///
/// `completion` is a [`Completion`] that lives.
unsafe fn complete(completion: *const c_void) {
    // SAFETY: Required of the caller.
    unsafe { &*completion.cast::<Completion>() }.complete();
}

/// In a stack frame of its own, so that none becomes large.
#[inline(never)]
fn drive(
    link: Link<'_>,
    how: (Way, OnFallback),
    interrupt: Interrupt,
    tracker: Pin<&Tracker>,
    woken: Pin<&Completion>,
) -> Outcome {
    let mut job = Job::new(link, how, interrupt);
    loop {
        match plugged(|| job.turn()) {
            Turn::Over => return job.end(),
            Turn::Starved => sched::pause(),
            Turn::Wait(low) => {
                while tracker.arm(low) {
                    woken.wait_for_completion_io();
                }
            }
        }
        task::cond_resched();
    }
}
