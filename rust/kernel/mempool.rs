// SPDX-License-Identifier: GPL-2.0

//! Pools with a reserve, for memory that is needed to make progress.
//!
//! C header: [`include/linux/mempool.h`](srctree/include/linux/mempool.h)

use crate::{
    alloc::AllocError,
    bindings,
    prelude::*, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};

/// A pool of objects of type `T`, at least `min` of which can be had at any time, in turn.
///
/// # Invariants
///
/// The pointer is a mempool of elements of the size of `T`, aligned as `kmalloc` aligns, which
/// suffices for `T`.
pub struct Mempool<T> {
    raw: NonNull<bindings::mempool>,
    _elements: PhantomData<T>,
}

// SAFETY: A mempool has its own lock, and `Mempool` does not touch the elements.
unsafe impl<T> Send for Mempool<T> {}
// SAFETY: As above.
unsafe impl<T> Sync for Mempool<T> {}

impl<T> Mempool<T> {
    /// Makes a pool that holds `min` elements in reserve.
    ///
    /// Context: task; may sleep.
    pub fn new(min: u16) -> Result<Self, AllocError> {
        const { assert!(align_of::<T>() <= bindings::ARCH_KMALLOC_MINALIGN) };
        // SAFETY: The function takes any numbers.
        let raw =
            unsafe { bindings::mempool_create_kmalloc_pool(c_int::from(min), size_of::<T>()) };
        // INVARIANT: Just created so; the alignment was checked above.
        Ok(Self {
            raw: NonNull::new(raw).ok_or(AllocError)?,
            _elements: PhantomData,
        })
    }

    /// Takes the memory of one element, which is not initialized (`GFP_NOIO`).
    ///
    /// Context: task; may sleep, but starts no I/O. Does not fail: it waits for an element to come
    /// back if there is no memory, so whoever holds elements must be able to give one back without
    /// this caller's help.
    pub fn alloc_noio(&self) -> Result<NonNull<T>, AllocError> {
        // SAFETY: By the type invariant this is a mempool.
        let element = unsafe { bindings::mempool_alloc(self.raw.as_ptr(), bindings::GFP_NOIO) };
        NonNull::new(element.cast()).ok_or(AllocError)
    }

    /// Gives the memory of an element back.
    ///
    /// Context: any. Does not sleep.
    ///
    /// # Safety
    ///
    /// The element came from [`Mempool::alloc_noio`] of this pool, and nobody uses it any more.
    pub unsafe fn free(&self, element: NonNull<T>) {
        // SAFETY: By the type invariant this is a mempool, the rest is required of the caller.
        unsafe { bindings::mempool_free(element.as_ptr().cast(), self.raw.as_ptr()) };
    }
}

impl<T> Drop for Mempool<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this is a mempool, and nobody else has it.
        unsafe { bindings::mempool_destroy(self.raw.as_ptr()) };
    }
}
