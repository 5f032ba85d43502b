// SPDX-License-Identifier: GPL-2.0

//! Copies that nobody waits for.
//!
//! The caller makes the first turn, unless it is passing on a bio of a stacking driver, or the copy
//! is only read and written. Whatever ends later queues the next turn, and a worker always makes
//! the last one. In between, the copy takes no thread. Its memory comes from the pool, so it needs
//! no allocation either.
//!
//! Who cancels a copy writes down that wish in its params, and does nothing else: the copy looks at
//! them in each turn, and before each chunk and buffer that it sends. As long as it is not over
//! something of it is in flight, or a worker is about to take it up, so there is a next turn. And
//! as the copy is neither looked for nor touched, it does not matter whether it has just ended.

use super::{
    handle::Handle,
    turn::Turn, //
};
use kernel::{
    block::{
        bio::plugged,
        copy::Way,
        sched, //
    },
    task, //
};

/// When a copy is resumed.
enum Resume {
    /// At once.
    Now(Handle),
    /// When it is woken, which it may have been already.
    Later,
    /// It is over.
    Over(Handle),
}

/// Begins a copy that is made in this way.
///
/// Reads and writes wait for requests of the device. Meanwhile buffers come back and are used
/// again, so the first turn of a copy that is read and written may take as long as the copy. The
/// caller would not get round to cancelling it.
///
/// Context: task; may sleep.
pub(super) fn start(copy: Handle, way: Way) {
    if sched::in_submit_bio() || way == Way::Onload {
        return copy.enqueue();
    }
    match step(copy) {
        Resume::Later => {}
        // The caller does not do the rest, and it is not told of the end on its own stack: it may
        // hold locks.
        Resume::Over(copy) | Resume::Now(copy) => copy.enqueue(),
    }
}

/// Makes turns until there is nothing to do for now.
///
/// Context: a worker.
pub(super) fn work(mut copy: Handle) {
    loop {
        match step(copy) {
            Resume::Now(same) => copy = same,
            Resume::Later => return,
            Resume::Over(copy) => return copy.finish(),
        }
        task::cond_resched();
    }
}

/// Makes one turn.
fn step(mut copy: Handle) -> Resume {
    match plugged(|| copy.turn()) {
        Turn::Over => Resume::Over(copy),
        Turn::Wait(low) => match copy.arm(low) {
            Some(copy) => Resume::Now(copy),
            None => Resume::Later,
        },
        Turn::Starved => {
            // No worker waits for memory: who has it may need the only worker that there is.
            copy.enqueue_later();
            Resume::Later
        }
    }
}
