// SPDX-License-Identifier: GPL-2.0

//! Memory pools with a reserve, for memory without which a task could not make progress.
//!
//! C header: [`include/linux/mempool.h`](srctree/include/linux/mempool.h)

use crate::{
    alloc::{
        allocator::Kmalloc,
        AllocError,
        Allocator,
        Flags, //
    },
    bindings,
    prelude::*, //
};
use core::{
    marker::PhantomData,
    mem::MaybeUninit,
    ptr::NonNull, //
};

mod pool_box;

pub use pool_box::{
    InPool,
    PoolBox, //
};

/// A pool of memory for values of one type.
///
/// The pool keeps memory for some values in reserve. [`Mempool::alloc`] first tries to get memory
/// in the usual way. If there is none, it takes an element from the reserve. If that is empty as
/// well, it waits until somebody gives an element back.
///
/// # Forward progress
///
/// Whoever waits for an element waits for another user of the same pool. So the pool guarantees
/// progress only if everybody who has an element gives it back without the help of those who wait:
///
/// - A task takes at most one element of a pool before it starts the work that will give that
///   element back. A task that waits for a second element while it has the first one can wait for
///   another task that does the same.
/// - The work that gives an element back needs no memory, or gets it from another pool.
/// - Layers that are stacked on each other have a pool each. If they shared one, the upper layer
///   could have all elements while the lower layer, which does its I/O, waits for one.
///
/// # Invariants
///
/// `raw` is a mempool that belongs to this value alone. Its elements come from `kmalloc()`, and
/// each of them has the size of a `T`.
///
/// # Examples
///
/// ```
/// use core::ptr::NonNull;
/// use kernel::mempool::Mempool;
///
/// struct Command {
///     tag: u64,
/// }
///
/// // Two commands can be under way whatever happens to the memory of the machine.
/// let pool = Mempool::<Command>::new(2)?;
///
/// let memory = pool.alloc(GFP_NOIO)?;
/// // SAFETY: `memory` is valid for writes, and nobody else has it.
/// let command: &mut Command = unsafe { (*memory.as_ptr()).write(Command { tag: 7 }) };
/// assert_eq!(command.tag, 7);
/// let command = NonNull::from(command);
///
/// // SAFETY: The element came from this pool, and nobody uses it any more.
/// unsafe { pool.free(command) };
/// # Ok::<(), Error>(())
/// ```
pub struct Mempool<T> {
    raw: NonNull<bindings::mempool>,
    _elements: PhantomData<NonNull<T>>,
}

// SAFETY: A mempool has a lock of its own. The pool hands memory from one thread to another, and
// what its users make of that memory is a `T`, which may go to another thread.
unsafe impl<T: Send> Send for Mempool<T> {}
// SAFETY: As above. A shared reference gives no access to a `T`.
unsafe impl<T: Send> Sync for Mempool<T> {}

impl<T> Mempool<T> {
    /// Makes a pool that has memory for `min_nr` values in reserve.
    ///
    /// Context: task; may sleep (`GFP_KERNEL`).
    pub fn new(min_nr: u16) -> Result<Self, AllocError> {
        const {
            assert!(size_of::<T>() != 0, "there is nothing to allocate");
            assert!(
                align_of::<T>() <= <Kmalloc as Allocator>::MIN_ALIGN,
                "kmalloc() does not align elements of a mempool so strictly"
            );
        }
        // SAFETY: The function has no requirements but its context.
        let raw =
            unsafe { bindings::mempool_create_kmalloc_pool(c_int::from(min_nr), size_of::<T>()) };
        // INVARIANT: The pool was created just now, for elements of this size.
        Ok(Self {
            raw: NonNull::new(raw).ok_or(AllocError)?,
            _elements: PhantomData,
        })
    }

    /// Takes memory for one value, which is not initialized.
    ///
    /// With flags that let the allocator sleep (`GFP_KERNEL`, `GFP_NOIO`), this function does not
    /// fail in task context. It waits until there is memory or an element comes back; see [Forward
    /// progress](Mempool#forward-progress). With `GFP_NOWAIT` or `GFP_ATOMIC` it fails if there is
    /// no memory and the reserve is empty. `flags` must not have `__GFP_ZERO`, because an element
    /// of the reserve is not zeroed.
    ///
    /// Context: as `flags` say. Any context with `GFP_NOWAIT` or `GFP_ATOMIC`; else task, may
    /// sleep.
    pub fn alloc(&self, flags: Flags) -> Result<NonNull<MaybeUninit<T>>, AllocError> {
        // SAFETY: By the type invariant, this is a mempool.
        let element = unsafe { bindings::mempool_alloc(self.raw.as_ptr(), flags.as_raw()) };
        NonNull::new(element.cast()).ok_or(AllocError)
    }

    /// Gives memory back. This does not drop the value that is in it.
    ///
    /// Context: any. Does not sleep.
    ///
    /// # Safety
    ///
    /// - `element` came from [`Mempool::alloc`] of this pool, and was not given back since.
    /// - Nobody uses the memory any more.
    pub unsafe fn free(&self, element: NonNull<T>) {
        // SAFETY: By the type invariant, this is a mempool. The caller guarantees that the element
        // is one of its own and that it is unused.
        unsafe { bindings::mempool_free(element.as_ptr().cast(), self.raw.as_ptr()) };
    }
}

impl<T> Drop for Mempool<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant, this is a mempool that nobody else has.
        unsafe { bindings::mempool_destroy(self.raw.as_ptr()) };
    }
}
