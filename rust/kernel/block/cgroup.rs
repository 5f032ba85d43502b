// SPDX-License-Identifier: GPL-2.0

//! The cgroup that I/O is accounted to, for I/O that a worker does on behalf of somebody else.
//!
//! C header: [`include/linux/kthread.h`](srctree/include/linux/kthread.h)

use crate::{
    bindings,
    types::NotThreadSafe, //
};
use core::ptr::NonNull;

/// A reference to the cgroup that the I/O of a task is accounted to. A kernel that does not account
/// I/O has no such cgroup.
///
/// # Invariants
///
/// The pointer is a cgroup, and this value owns a reference to it.
///
/// # Examples
///
/// ```
/// use kernel::{
///     block::cgroup::IoCgroup,
///     workqueue, //
/// };
///
/// /// Does I/O in the background, at the expense of the caller.
/// fn later() -> Result {
///     let cgroup = IoCgroup::current();
///     workqueue::system_unbound().try_spawn(GFP_KERNEL, move || {
///         let _entered = cgroup.enter();
///         // Bios that this worker submits now are accounted to the caller's cgroup.
///     })?;
///     Ok(())
/// }
/// # later()?;
/// # Ok::<(), Error>(())
/// ```
pub struct IoCgroup(Option<NonNull<bindings::cgroup_subsys_state>>);

// SAFETY: Any task may use a reference to a cgroup and give it back.
unsafe impl Send for IoCgroup {}
// SAFETY: As above.
unsafe impl Sync for IoCgroup {}

impl IoCgroup {
    /// Returns the cgroup of the current task.
    ///
    /// Context: task. Does not sleep.
    pub fn current() -> Self {
        // INVARIANT: The function returns a reference, which belongs to the caller.
        // SAFETY: The function has no requirements but its context.
        Self(NonNull::new(unsafe { bindings::block_io_css_get() }))
    }

    /// Accounts the I/O of this worker to this cgroup, until the value that this returns is
    /// dropped.
    ///
    /// Context: a worker.
    pub fn enter(&self) -> Entered {
        let raw = self.0.map_or(core::ptr::null_mut(), NonNull::as_ptr);
        // SAFETY: By the type invariant, this is a cgroup or null. The worker takes a reference of
        // its own.
        unsafe { bindings::block_io_css_use(raw) };
        Entered(NotThreadSafe)
    }
}

impl Drop for IoCgroup {
    fn drop(&mut self) {
        if let Some(css) = self.0 {
            // SAFETY: By the type invariant, the reference belongs to `self`.
            unsafe { bindings::block_io_css_put(css.as_ptr()) };
        }
    }
}

/// A worker whose I/O is accounted to the cgroup of somebody else; see [`IoCgroup`] for an example.
#[must_use = "the worker leaves the cgroup when this is dropped"]
pub struct Entered(NotThreadSafe);

impl Drop for Entered {
    fn drop(&mut self) {
        // SAFETY: Null stands for no cgroup.
        unsafe { bindings::block_io_css_use(core::ptr::null_mut()) };
    }
}
