// SPDX-License-Identifier: GPL-2.0

//! The cgroups that I/O and its memory are charged to, for I/O that a worker does on behalf of
//! somebody else.
//!
//! C headers: [`include/linux/kthread.h`](srctree/include/linux/kthread.h),
//! [`include/linux/sched/mm.h`](srctree/include/linux/sched/mm.h)

use crate::{
    bindings,
    types::NotThreadSafe, //
};
use core::ptr::NonNull;

/// References to the cgroups that the I/O of a task is accounted to, and that its memory is charged
/// to. A kernel that does not account one of them has no such cgroup.
///
/// # Invariants
///
/// The pointers are cgroups, and this value owns a reference to each.
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
///         // Bios that this worker submits now are accounted to the caller's cgroup, and what it
///         // allocates with `__GFP_ACCOUNT` is charged there.
///     })?;
///     Ok(())
/// }
/// # later()?;
/// # Ok::<(), Error>(())
/// ```
pub struct IoCgroup {
    io: Option<NonNull<bindings::cgroup_subsys_state>>,
    memory: Option<NonNull<bindings::mem_cgroup>>,
}

// SAFETY: Any task may use references to cgroups and give them back.
unsafe impl Send for IoCgroup {}
// SAFETY: As above.
unsafe impl Sync for IoCgroup {}

impl IoCgroup {
    /// Returns the cgroups of the current task.
    ///
    /// Context: task. Does not sleep.
    pub fn current() -> Self {
        // INVARIANT: The functions return references, which belong to the caller.
        // SAFETY: The functions have no requirements but their context.
        unsafe {
            Self {
                io: NonNull::new(bindings::block_io_css_get()),
                memory: NonNull::new(bindings::block_memcg_get()),
            }
        }
    }

    /// Charges the I/O of this worker, and its memory, to these cgroups, until the value that this
    /// returns is dropped.
    ///
    /// Context: a worker.
    pub fn enter(&self) -> Entered {
        let io = self.io.map_or(core::ptr::null_mut(), NonNull::as_ptr);
        let memory = self.memory.map_or(core::ptr::null_mut(), NonNull::as_ptr);
        // SAFETY: By the type invariant, these are cgroups or null. The worker takes references of
        // its own.
        let before = unsafe {
            bindings::block_io_css_use(io);
            bindings::block_memcg_use(memory)
        };
        Entered {
            before,
            _task: NotThreadSafe,
        }
    }
}

impl Drop for IoCgroup {
    fn drop(&mut self) {
        // SAFETY: By the type invariant, the references belong to `self`.
        unsafe {
            if let Some(css) = self.io {
                bindings::block_io_css_put(css.as_ptr());
            }
            if let Some(memcg) = self.memory {
                bindings::block_memcg_put(memcg.as_ptr());
            }
        }
    }
}

/// A worker whose I/O is charged to the cgroups of somebody else; see [`IoCgroup`] for an example.
#[must_use = "the worker leaves the cgroups when this is dropped"]
pub struct Entered {
    /// What memory was charged to before.
    before: *mut bindings::mem_cgroup,
    _task: NotThreadSafe,
}

impl Drop for Entered {
    fn drop(&mut self) {
        // SAFETY: Null stands for no cgroup, and what was used before is the worker's.
        unsafe {
            bindings::block_io_css_use(core::ptr::null_mut());
            bindings::block_memcg_leave(self.before);
        }
    }
}
