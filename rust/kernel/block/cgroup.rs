// SPDX-License-Identifier: GPL-2.0

//! To whom I/O is accounted that a worker does for somebody else.
//!
//! C header: [`include/linux/kthread.h`](srctree/include/linux/kthread.h)

use crate::{
    bindings,
    types::NotThreadSafe, //
};
use core::ptr::NonNull;

/// The cgroup that the I/O of a task is accounted to; none in a kernel that does not do so.
///
/// # Invariants
///
/// The reference is ours.
pub struct IoCgroup(Option<NonNull<bindings::cgroup_subsys_state>>);

// SAFETY: A reference may be used and given back by any task.
unsafe impl Send for IoCgroup {}
// SAFETY: As above.
unsafe impl Sync for IoCgroup {}

impl IoCgroup {
    /// That of the current task.
    ///
    /// Context: task. Does not sleep.
    pub fn current() -> Self {
        // INVARIANT: The function returns a reference.
        // SAFETY: It has no requirements but its context.
        Self(NonNull::new(unsafe { bindings::block_io_css_get() }))
    }

    /// From now on, the I/O of this worker is accounted to this cgroup, until the value that this
    /// returns is dropped.
    ///
    /// Context: a worker.
    pub fn enter(&self) -> Entered {
        let raw = self.0.map_or(core::ptr::null_mut(), NonNull::as_ptr);
        // SAFETY: By the type invariant it is a cgroup, or null. The worker takes a reference of
        // its own.
        unsafe { bindings::block_io_css_use(raw) };
        Entered(NotThreadSafe)
    }
}

impl Drop for IoCgroup {
    fn drop(&mut self) {
        if let Some(css) = self.0 {
            // SAFETY: By the type invariant the reference is ours.
            unsafe { bindings::block_io_css_put(css.as_ptr()) };
        }
    }
}

/// A worker whose I/O is accounted to a cgroup.
#[must_use = "the worker leaves the cgroup when this is dropped"]
pub struct Entered(NotThreadSafe);

impl Drop for Entered {
    fn drop(&mut self) {
        // SAFETY: Null is no cgroup.
        unsafe { bindings::block_io_css_use(core::ptr::null_mut()) };
    }
}
