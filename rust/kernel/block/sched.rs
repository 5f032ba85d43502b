// SPDX-License-Identifier: GPL-2.0

//! What code that issues I/O has to know of its task, and how long it waits for memory.

use crate::{
    task::Task,
    time::{
        delay::fsleep,
        msecs_to_jiffies,
        Delta,
        Jiffies, //
    }, //
};

/// How long to wait until there may be memory again, in milliseconds.
const PATIENCE_MS: u32 = 10;

/// Returns whether the current task is passing on a bio of a stacking driver. The block layer only
/// puts what the task submits on a list then, so the task must not wait for it.
///
/// Context: task. Does not sleep.
///
/// # Examples
///
/// ```
/// use kernel::block::sched::in_submit_bio;
///
/// assert!(!in_submit_bio());
/// ```
pub fn in_submit_bio() -> bool {
    // SAFETY: The current task is valid, and only the task itself writes the field.
    !unsafe { (*Task::current_raw()).bio_list }.is_null()
}

/// Returns how long to wait until there may be memory again, for work that is queued meanwhile.
pub fn patience() -> Jiffies {
    msecs_to_jiffies(PATIENCE_MS)
}

/// Sleeps for about ten milliseconds: until there may be memory again.
///
/// Context: task; sleeps.
///
/// # Examples
///
/// ```
/// use kernel::block::sched::pause;
///
/// let mut tries = 0;
/// let page = loop {
///     match kernel::page::Page::alloc_page(GFP_NOIO) {
///         Ok(page) => break Some(page),
///         Err(_) if tries < 10 => pause(),
///         Err(_) => break None,
///     }
///     tries += 1;
/// };
/// # assert!(page.is_some());
/// ```
pub fn pause() {
    fsleep(Delta::from_millis(PATIENCE_MS.into()));
}
