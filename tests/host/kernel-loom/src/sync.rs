// SPDX-License-Identifier: GPL-2.0

//! Locks and what else orders accesses. See `rust/kernel/sync.rs`.

use crate::{init::PinInit, memory};
use core::{
    mem::MaybeUninit,
    ops::{Deref, DerefMut},
};
use loom::{
    cell::UnsafeCell,
    sync::{
        atomic::{
            AtomicU32,
            Ordering::{Acquire, Relaxed, Release},
        },
        Mutex, MutexGuard, Notify,
    },
};
use std::{cell::Cell, thread::panicking};

loom::thread_local! {
    /// Locks that this thread has.
    static HELD: Cell<usize> = Cell::new(0);
}

/// Panics if this thread has a lock.
pub fn might_sleep() {
    HELD.with(|held| assert_eq!(held.get(), 0, "a lock is held"));
}

/// A lock that is taken in any context.
///
/// To take it and to drop it are uses of the memory that it is in.
pub struct SpinLockIrq<T>(Mutex<T>);

impl<T> SpinLockIrq<T> {
    /// For [`new_spinlock_irq!`](crate::new_spinlock_irq).
    pub fn new(value: T) -> impl PinInit<Self> {
        // SAFETY: The value is made there.
        unsafe { crate::init::from_fn(move |slot: *mut Self| slot.write(Self(Mutex::new(value)))) }
    }

    /// Takes the lock.
    pub fn lock(&self) -> Guard<'_, T> {
        memory::touch(self);
        let guard = self.0.lock().expect("loom does not poison locks");
        memory::touch(self);
        HELD.with(|held| held.set(held.get() + 1));
        Guard { lock: self, guard }
    }
}

impl<T> Drop for SpinLockIrq<T> {
    fn drop(&mut self) {
        if !panicking() {
            memory::claim(self);
        }
    }
}

/// A lock that is held.
pub struct Guard<'a, T> {
    lock: &'a SpinLockIrq<T>,
    guard: MutexGuard<'a, T>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        if !panicking() {
            HELD.with(|held| held.set(held.get() - 1));
            memory::touch(self.lock);
        }
    }
}

/// Makes a [`SpinLockIrq`] in place.
#[macro_export]
macro_rules! new_spinlock_irq {
    ($value:expr, $name:literal) => {
        $crate::sync::SpinLockIrq::new($value)
    };
}

/// A container that can be populated at most once. See `rust/kernel/sync/set_once.rs`.
pub struct SetOnce<T> {
    /// 1 while somebody writes the value, 2 when it is there.
    init: AtomicU32,
    value: UnsafeCell<MaybeUninit<T>>,
}

impl<T> SetOnce<T> {
    /// It is empty.
    #[expect(clippy::new_without_default, reason = "nobody needs a default")]
    pub fn new() -> Self {
        Self {
            init: AtomicU32::new(0),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// Returns what is in it.
    pub fn as_ref(&self) -> Option<&T> {
        memory::touch(self);
        if self.init.load(Acquire) != 2 {
            return None;
        }
        self.value.with(|value| {
            // SAFETY: It was written before, and is not written again.
            Some(unsafe { (*value).assume_init_ref() })
        })
    }

    /// Populates it. Returns whether it was empty.
    pub fn populate(&self, value: T) -> bool {
        memory::touch(self);
        let first = self.init.compare_exchange(0, 1, Relaxed, Relaxed).is_ok();
        if first {
            self.value.with_mut(|slot| {
                // SAFETY: Only one thread comes here.
                unsafe { (*slot).write(value) };
            });
            memory::touch(self);
            self.init.store(2, Release);
        }
        first
    }
}

/// What one task waits for.
pub struct Completion(Notify);

impl Completion {
    /// Nobody has completed it.
    pub fn new() -> impl PinInit<Self> {
        // SAFETY: The value is made there.
        unsafe { crate::init::from_fn(|slot: *mut Self| slot.write(Self(Notify::new()))) }
    }

    /// Wakes who waits.
    pub fn complete(&self) {
        memory::touch(self);
        self.0.notify();
    }

    /// Waits for [`Completion::complete`].
    pub fn wait_for_completion_io(&self) {
        might_sleep();
        memory::touch(self);
        self.0.wait();
        memory::touch(self);
    }
}
