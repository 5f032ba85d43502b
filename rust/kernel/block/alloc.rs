// SPDX-License-Identifier: GPL-2.0

//! Memory that is good to have, but that nobody should try hard to get: without I/O, without a
//! warning, and without trying for long.

use crate::{
    alloc::AllocError,
    bindings, //
};
use core::ptr::NonNull;

/// Nor from the emergency reserves, which others need more.
const FLAGS: bindings::gfp_t = bindings::GFP_NOIO
    | bindings::__GFP_NORETRY
    | bindings::__GFP_NOWARN
    | bindings::__GFP_NOMEMALLOC;

/// Allocates `size` bytes, aligned as `kmalloc` aligns.
///
/// Context: task; may sleep.
pub fn try_noio(size: usize) -> Result<NonNull<u8>, AllocError> {
    // SAFETY: The function takes any size.
    let memory = unsafe { bindings::block_kmalloc(size, FLAGS) };
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

/// Allocates a page.
///
/// Context: task; may sleep.
pub fn try_page_noio() -> Result<NonNull<bindings::page>, AllocError> {
    // SAFETY: The function takes any flags.
    NonNull::new(unsafe { bindings::alloc_pages(FLAGS, 0) }).ok_or(AllocError)
}

/// Frees what [`try_page_noio`] returned.
///
/// Context: any. Does not sleep.
///
/// # Safety
///
/// `page` came from [`try_page_noio`], and nobody uses it any more.
pub unsafe fn free_page(page: NonNull<bindings::page>) {
    // SAFETY: Required of the caller.
    unsafe { bindings::__free_pages(page.as_ptr(), 0) };
}
