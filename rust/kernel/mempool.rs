// SPDX-License-Identifier: GPL-2.0

//! Pools with a reserve, for memory that is needed to make progress.
//!
//! C header: [`include/linux/mempool.h`](srctree/include/linux/mempool.h)

use crate::{
    alloc::AllocError,
    bindings,
    prelude::*, //
};
use core::ptr::NonNull;

/// A pool of pieces of memory of one size, at least `min` of which can be had at any time, in turn.
///
/// # Invariants
///
/// The pointer is a mempool whose elements come from `kmalloc`.
pub struct Mempool {
    raw: NonNull<bindings::mempool>,
    size: usize,
}

// SAFETY: A mempool has its own lock, and `Mempool` does not touch the elements.
unsafe impl Send for Mempool {}
// SAFETY: As above.
unsafe impl Sync for Mempool {}

impl Mempool {
    /// Makes a pool that holds `min` elements of `size` bytes in reserve.
    ///
    /// Context: task; may sleep.
    pub fn new(min: u16, size: usize) -> Result<Self, AllocError> {
        // SAFETY: The function takes any numbers.
        let raw = unsafe { bindings::mempool_create_kmalloc_pool(c_int::from(min), size) };
        let raw = NonNull::new(raw).ok_or(AllocError)?;
        // INVARIANT: Just created so.
        Ok(Self { raw, size })
    }

    /// The size of an element, in bytes. It is aligned as `kmalloc` aligns memory of that size.
    pub fn element_size(&self) -> usize {
        self.size
    }

    /// Takes one element, which is not initialized (`GFP_NOIO`).
    ///
    /// Context: task; may sleep, but starts no I/O. Does not fail: it waits for an element to come
    /// back if there is no memory, so whoever holds elements must be able to give one back without
    /// this caller's help.
    pub fn alloc_noio(&self) -> Result<NonNull<u8>, AllocError> {
        // SAFETY: By the type invariant this is a mempool.
        let element = unsafe { bindings::mempool_alloc(self.raw.as_ptr(), bindings::GFP_NOIO) };
        NonNull::new(element.cast()).ok_or(AllocError)
    }

    /// Gives an element back.
    ///
    /// Context: any. Does not sleep.
    ///
    /// # Safety
    ///
    /// The element came from [`Mempool::alloc_noio`] of this pool, and nobody uses it any more.
    pub unsafe fn free(&self, element: NonNull<u8>) {
        // SAFETY: By the type invariant this is a mempool, the rest is required of the caller.
        unsafe { bindings::mempool_free(element.as_ptr().cast(), self.raw.as_ptr()) };
    }
}

impl Drop for Mempool {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this is a mempool, and nobody else has it.
        unsafe { bindings::mempool_destroy(self.raw.as_ptr()) };
    }
}
