// SPDX-License-Identifier: GPL-2.0

//! What code that issues I/O for a long time asks of the scheduler.

use crate::{
    bindings,
    task::Task, //
};

/// Whether the current task is being killed and should return soon.
///
/// Context: task. Does not sleep.
pub fn fatal_signal_pending() -> bool {
    // SAFETY: `current` is a valid task.
    unsafe { bindings::fatal_signal_pending(Task::current_raw()) != 0 }
}

/// Lets other tasks run, if they have waited for long.
///
/// Context: task; may sleep.
pub fn cond_resched() {
    // SAFETY: The function has no requirements but its context.
    unsafe { bindings::cond_resched() };
}
