// SPDX-License-Identifier: GPL-2.0

//! Memory as the kernel has it, freed by hand and reached through plain pointers, but watched by
//! loom: an access that is not ordered before the end of the memory is a race, one that is ordered
//! after it panics, and so does memory that is never freed.

use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::Arc;

use loom::alloc::Track;
use loom::cell::UnsafeCell;

/// A pointer to such memory. Copies of it do not keep anything alive: that is what is checked.
pub(crate) struct Pointer<T>(Arc<Memory<T>>);

struct Memory<T> {
    /// Read by every access and written by the end of the memory. It is left to loom to drop what
    /// it tracks, so that what is not freed is a leak.
    life: UnsafeCell<Option<ManuallyDrop<Track<()>>>>,
    value: T,
}

impl<T> Pointer<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Arc::new(Memory {
            life: UnsafeCell::new(Some(ManuallyDrop::new(Track::new(())))),
            value,
        }))
    }

    /// Says that the memory is accessed here.
    pub(crate) fn touch(&self) {
        self.0.life.with(|life| {
            // SAFETY: Loom has checked that nobody writes it.
            let life = unsafe { &*life };
            assert!(life.is_some(), "used after it was freed");
        });
    }

    /// Frees the memory, for everybody.
    pub(crate) fn free(&self) {
        self.0.life.with_mut(|life| {
            // SAFETY: Loom has checked that nobody else accesses it.
            let life = unsafe { (*life).take() };
            drop(ManuallyDrop::into_inner(life.expect("freed twice")));
        });
    }
}

impl<T> Clone for Pointer<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Pointer<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.touch();
        &self.0.value
    }
}
