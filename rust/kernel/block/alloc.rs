// SPDX-License-Identifier: GPL-2.0

//! Memory that is good to have, but that nobody should try hard to get.

use crate::{
    alloc::AllocError,
    bindings, //
};
use core::ptr::NonNull;

/// Allocates `size` bytes, without I/O, without a warning, and without trying for long. Aligned as
/// `kmalloc` aligns.
///
/// Context: task; may sleep.
pub fn try_noio(size: usize) -> Result<NonNull<u8>, AllocError> {
    let flags = bindings::GFP_NOIO | bindings::__GFP_NORETRY | bindings::__GFP_NOWARN;
    // SAFETY: The function takes any size.
    let memory = unsafe { bindings::block_kmalloc(size, flags) };
    NonNull::new(memory.cast()).ok_or(AllocError)
}

/// Frees what [`try_noio`] returned.
///
/// Context: any. Does not sleep.
///
/// # Safety
///
/// `memory` came from [`try_noio`], and nobody uses it any more.
pub unsafe fn free(memory: NonNull<u8>) {
    // SAFETY: Required of the caller.
    unsafe { bindings::kfree(memory.as_ptr().cast()) };
}
