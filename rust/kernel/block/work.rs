// SPDX-License-Identifier: GPL-2.0

//! A work queue for work that memory may be waiting for.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)

use crate::{
    alloc::AllocError,
    bindings,
    prelude::*,
    str::CStrExt as _,
    workqueue::Queue, //
};
use core::ptr::NonNull;

/// A work queue of its own (`WQ_MEM_RECLAIM`): there is always a thread that runs its items, one
/// after the other if there is no memory for more threads. So an item must not wait for another one
/// of the same queue.
///
/// # Invariants
///
/// The pointer is a work queue, which is ours.
pub struct WorkQueue(NonNull<bindings::workqueue_struct>);

// SAFETY: A work queue is made to be used by all.
unsafe impl Send for WorkQueue {}
// SAFETY: As above.
unsafe impl Sync for WorkQueue {}

impl WorkQueue {
    /// Makes a work queue.
    ///
    /// Context: task; may sleep.
    pub fn new(name: &CStr) -> Result<Self, AllocError> {
        // SAFETY: The name is a C string.
        let queue = unsafe { bindings::block_alloc_workqueue(name.as_char_ptr()) };
        // INVARIANT: Just made.
        NonNull::new(queue).map(Self).ok_or(AllocError)
    }
}

/// Whether the current task is executing an item of a work queue.
///
/// Context: any. Does not sleep.
pub fn in_worker() -> bool {
    // SAFETY: The function has no requirements.
    !unsafe { bindings::current_work() }.is_null()
}

/// The queue for work of no special kind, which runs wherever there is room.
pub fn anywhere() -> &'static Queue {
    // SAFETY: The queue exists from early boot on, for ever.
    unsafe { Queue::from_raw(bindings::system_dfl_wq) }
}

impl core::ops::Deref for WorkQueue {
    type Target = Queue;

    fn deref(&self) -> &Queue {
        // SAFETY: By the type invariant it is a work queue, which lives as long as `self`.
        unsafe { Queue::from_raw(self.0.as_ptr()) }
    }
}

impl Drop for WorkQueue {
    fn drop(&mut self) {
        // SAFETY: By the type invariant it is ours.
        unsafe { bindings::destroy_workqueue(self.0.as_ptr()) };
    }
}
