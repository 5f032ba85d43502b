// SPDX-License-Identifier: GPL-2.0

//! What code that issues I/O for a long time asks of the scheduler.

use crate::{
    bindings,
    prelude::*,
    task::Task,
    time::{
        msecs_to_jiffies,
        Jiffies, //
    },
    types::Opaque, //
};

/// Something that a task waits for, as it waits for I/O: accounted as such, and however long it
/// takes without being taken for a hung task.
///
/// Each [`IoCompletion::complete`] lets one [`IoCompletion::wait`] return, now or later.
#[pin_data]
pub struct IoCompletion {
    #[pin]
    raw: Opaque<bindings::completion>,
}

// SAFETY: A completion is made to be used by several tasks at once.
unsafe impl Send for IoCompletion {}
// SAFETY: As above.
unsafe impl Sync for IoCompletion {}

impl IoCompletion {
    /// Less than the time after which a sleeping task is reported as hung.
    const PATIENCE_MS: u32 = 5000;

    /// Makes one that was not completed.
    pub fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: `slot` is valid for writes.
            raw <- Opaque::ffi_init(|slot| unsafe { bindings::init_completion(slot) }),
        })
    }

    /// Lets one waiter go on.
    ///
    /// Context: any. Does not sleep.
    pub fn complete(&self) {
        // SAFETY: The completion was initialized by `new`.
        unsafe { bindings::complete(self.raw.get()) };
    }

    /// Waits for a completion.
    ///
    /// Context: task; sleeps.
    pub fn wait(&self) {
        let patience = msecs_to_jiffies(Self::PATIENCE_MS);
        // SAFETY: The completion was initialized by `new`.
        while unsafe { bindings::wait_for_completion_io_timeout(self.raw.get(), patience) } == 0 {}
    }
}

/// Whether the current task is being killed and should return soon.
///
/// Context: task. Does not sleep.
pub fn fatal_signal_pending() -> bool {
    // SAFETY: `current` is a valid task.
    unsafe { bindings::fatal_signal_pending(Task::current_raw()) != 0 }
}

/// Whether the current task is passing on a bio of a stacking driver. What it submits is only put
/// on a list then, so it must not wait for it.
///
/// Context: task. Does not sleep.
pub fn in_submit_bio() -> bool {
    // SAFETY: `current` is a valid task, and nobody else writes the field.
    !unsafe { (*Task::current_raw()).bio_list }.is_null()
}

/// How long to wait until there may be memory again.
pub fn patience() -> Jiffies {
    msecs_to_jiffies(10)
}

/// Sleeps for about ten milliseconds: until there may be memory again.
///
/// Context: task; sleeps.
pub fn pause() {
    // SAFETY: The function has no requirements but its context.
    unsafe { bindings::msleep(10) };
}

/// Lets other tasks run, if they have waited for long.
///
/// Context: task; may sleep.
pub fn cond_resched() {
    // SAFETY: The function has no requirements but its context.
    unsafe { bindings::cond_resched() };
}
