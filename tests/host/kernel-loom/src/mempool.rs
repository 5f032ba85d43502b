// SPDX-License-Identifier: GPL-2.0

//! Pools of memory. See `rust/kernel/mempool.rs`.

use crate::{
    alloc::{AllocError, Flags},
    memory::{self, Origin},
    sync::might_sleep,
};
use core::{alloc::Layout, marker::PhantomData, mem::MaybeUninit, ptr::NonNull};
use loom::sync::{Condvar, Mutex};

/// A pool of memory for values of one type.
pub struct Mempool<T> {
    /// Elements that are left, if there is no memory but the reserve.
    left: Option<(Mutex<usize>, Condvar)>,
    _elements: PhantomData<NonNull<T>>,
}

// SAFETY: A pool hands memory from one thread to another.
unsafe impl<T: Send> Send for Mempool<T> {}
// SAFETY: As above. A shared reference gives no access to a `T`.
unsafe impl<T: Send> Sync for Mempool<T> {}

impl<T> Mempool<T> {
    /// Makes a pool.
    pub fn new(reserve: u16) -> Result<Self, AllocError> {
        let left = || (Mutex::new(usize::from(reserve)), Condvar::new());
        Ok(Self {
            left: memory::is_scarce().then(left),
            _elements: PhantomData,
        })
    }

    fn origin(&self) -> Origin {
        Origin::Pool(core::ptr::from_ref(self).addr())
    }

    /// Returns memory for one value. May sleep.
    pub fn alloc(&self, _flags: Flags) -> Result<NonNull<MaybeUninit<T>>, AllocError> {
        might_sleep();
        memory::touch(self);
        if let Some((left, freed)) = &self.left {
            let mut left = left.lock().expect("loom does not poison locks");
            while *left == 0 {
                left = freed.wait(left).expect("loom does not poison locks");
            }
            *left -= 1;
        }
        Ok(memory::alloc(Layout::new::<T>(), self.origin()).cast())
    }

    /// Gives memory back.
    ///
    /// # Safety
    ///
    /// The memory came from this pool, and nobody uses it any more.
    pub unsafe fn free(&self, element: NonNull<T>) {
        memory::touch(self);
        memory::free(element.cast(), Layout::new::<T>(), self.origin());
        if let Some((left, freed)) = &self.left {
            let mut left = left.lock().expect("loom does not poison locks");
            *left += 1;
            freed.notify_one();
            memory::touch(self);
        }
    }
}
