// SPDX-License-Identifier: GPL-2.0

//! References to modules, which keep their code.
//!
//! C header: [`include/linux/module.h`](srctree/include/linux/module.h)

use crate::bindings;

/// A reference to a module, or to what cannot be unloaded.
///
/// # Invariants
///
/// The pointer is NULL, or a module with a reference that is ours.
pub struct ModuleRef(*mut bindings::module);

// SAFETY: Any task may take and give back references.
unsafe impl Send for ModuleRef {}
// SAFETY: As above.
unsafe impl Sync for ModuleRef {}

impl ModuleRef {
    /// Takes a reference.
    ///
    /// Context: any. Does not sleep.
    ///
    /// # Safety
    ///
    /// `module` is NULL, or a module that somebody has a reference to, or whose code is running.
    pub unsafe fn new(module: *mut bindings::module) -> Self {
        // INVARIANT: The reference is taken here.
        // SAFETY: Required of the caller.
        unsafe { bindings::block_module_get(module) };
        Self(module)
    }
}

impl Clone for ModuleRef {
    fn clone(&self) -> Self {
        // SAFETY: By the type invariant there is a reference.
        unsafe { Self::new(self.0) }
    }
}

impl Drop for ModuleRef {
    fn drop(&mut self) {
        // SAFETY: By the type invariant there is a reference, which is ours.
        unsafe { bindings::block_module_put(self.0) };
    }
}
