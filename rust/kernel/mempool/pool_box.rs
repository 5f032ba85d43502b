// SPDX-License-Identifier: GPL-2.0

//! Values that live in the memory of a [`Mempool`].

use super::Mempool;
use crate::{
    alloc::Flags,
    bindings,
    prelude::*,
    workqueue::{
        HasDelayedWork,
        HasWork,
        RawDelayedWorkItem,
        RawWorkItem,
        Work,
        WorkItem,
        WorkItemPointer, //
    }, //
};
use core::{
    mem::ManuallyDrop,
    ops::Deref,
    ptr::{
        drop_in_place,
        NonNull, //
    }, //
};

/// A value that knows the pool that its memory is from.
///
/// # Safety
///
/// [`InPool::pool`] returns the same pool for as long as the value exists.
pub unsafe trait InPool: Sized + 'static {
    /// Returns the pool.
    fn pool(&self) -> &'static Mempool<Self>;
}

/// A pinned value in the memory of a [`Mempool`]. Dropping it drops the value and gives the memory
/// back.
///
/// It can be queued to a work queue, as a [`KBox`] can.
///
/// # Invariants
///
/// The pointer is a value in an element of its pool. It is pinned, and it belongs to `self`.
///
/// # Examples
///
/// ```
/// use kernel::{
///     mempool::{
///         InPool,
///         Mempool,
///         PoolBox, //
///     },
///     sync::SetOnce, //
/// };
///
/// static POOL: SetOnce<Mempool<Command>> = SetOnce::new();
///
/// struct Command {
///     pool: &'static Mempool<Command>,
///     tag: u64,
/// }
///
/// // SAFETY: The field does not change.
/// unsafe impl InPool for Command {
///     fn pool(&self) -> &'static Mempool<Self> {
///         self.pool
///     }
/// }
///
/// POOL.populate(Mempool::new(1)?);
/// let pool = POOL.as_ref().ok_or(ENOMEM)?;
/// let command = PoolBox::new(pool, GFP_NOIO, init!(Command { pool, tag: 7 }))?;
/// assert_eq!(command.tag, 7);
/// # Ok::<(), Error>(())
/// ```
pub struct PoolBox<T: InPool>(NonNull<T>);

// SAFETY: A box is the value.
unsafe impl<T: InPool + Send> Send for PoolBox<T> {}
// SAFETY: A shared box is a shared value.
unsafe impl<T: InPool + Sync> Sync for PoolBox<T> {}

impl<T: InPool> PoolBox<T> {
    /// Makes a value in the memory of a pool.
    ///
    /// Context: as for [`Mempool::alloc`], which takes the same flags.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the value says that it is from another pool.
    /// - `ENOMEM`, or the error of the initializer.
    pub fn new<E>(
        pool: &'static Mempool<T>,
        flags: Flags,
        init: impl PinInit<T, E>,
    ) -> Result<Self, Error>
    where
        Error: From<E>,
    {
        let memory = pool.alloc(flags)?.cast::<T>();
        // SAFETY: This is memory for a value, which does not move before it is dropped. If the
        // initializer fails, there is no value.
        if let Err(error) = unsafe { pin_init::raw_try_init(memory.as_ptr(), init) } {
            // SAFETY: It came from this pool, and nobody uses it.
            unsafe { pool.free(memory) };
            return Err(error.into());
        }
        // SAFETY: The value was made just now.
        if !core::ptr::eq(unsafe { memory.as_ref() }.pool(), pool) {
            // SAFETY: Nobody knows the value, and its memory came from this pool.
            unsafe {
                drop_in_place(memory.as_ptr());
                pool.free(memory);
            }
            return Err(EINVAL);
        }
        // INVARIANT: The value was made just now, in memory of its pool, and it does not move.
        Ok(Self(memory))
    }

    /// Returns the address of the value.
    pub fn as_ptr(&self) -> NonNull<T> {
        self.0
    }

    /// Takes the box apart. [`PoolBox::from_raw`] puts it together again.
    pub fn into_raw(self) -> NonNull<T> {
        ManuallyDrop::new(self).0
    }

    /// Puts a box together again.
    ///
    /// # Safety
    ///
    /// `value` is the address of a box that came from [`PoolBox::into_raw`] or is in a
    /// [`ManuallyDrop`] that is not used any more, and nobody else makes a box of it.
    pub unsafe fn from_raw(value: NonNull<T>) -> Self {
        // INVARIANT: It was a box before.
        Self(value)
    }
}

impl<T: InPool> Deref for PoolBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: By the type invariant, the value is there.
        unsafe { self.0.as_ref() }
    }
}

impl<T: InPool> Drop for PoolBox<T> {
    fn drop(&mut self) {
        let pool: *const Mempool<T> = self.pool();
        // SAFETY: By the type invariant, the value belongs to `self`, and its memory is from its
        // pool.
        unsafe {
            drop_in_place(self.0.as_ptr());
            (*pool).free(self.0);
        }
    }
}

// SAFETY: `run` gets what `__enqueue` has taken apart.
unsafe impl<T, const ID: u64> WorkItemPointer<ID> for PoolBox<T>
where
    T: InPool + WorkItem<ID, Pointer = Self> + HasWork<T, ID>,
{
    unsafe extern "C" fn run(work: *mut bindings::work_struct) {
        // SAFETY: `__enqueue` has queued the work of a box that it took apart.
        let value = unsafe {
            let value = T::work_container_of(work.cast::<Work<T, ID>>());
            Self::from_raw(NonNull::new_unchecked(value))
        };
        T::run(value)
    }
}

// SAFETY: The work is in the value, which stays until it has run.
unsafe impl<T, const ID: u64> RawWorkItem<ID> for PoolBox<T>
where
    T: InPool + WorkItem<ID, Pointer = Self> + HasWork<T, ID>,
{
    type EnqueueOutput = ();

    unsafe fn __enqueue<F>(self, queue_work_on: F)
    where
        F: FnOnce(*mut bindings::work_struct) -> bool,
    {
        // SAFETY: The value is there, and a box is the only one, so the work is not queued.
        unsafe {
            let work = T::raw_get_work(self.into_raw().as_ptr());
            queue_work_on(Work::raw_get(work));
        }
    }
}

// SAFETY: By the requirements of `HasDelayedWork` the work is that of a `DelayedWork`.
unsafe impl<T, const ID: u64> RawDelayedWorkItem<ID> for PoolBox<T> where
    T: InPool + WorkItem<ID, Pointer = Self> + HasDelayedWork<T, ID>
{
}
