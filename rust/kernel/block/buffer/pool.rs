// SPDX-License-Identifier: GPL-2.0

//! Buffers for several users, with one in reserve.

use super::{
    Buffer,
    Charge, //
};
use crate::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        new_spinlock,
        SpinLock, //
    }, //
};

/// How many buffers the users of a [`BufferPool`] may have.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// Each user may have so many, however many users there are.
    pub each: usize,
    /// All users together may have so many, beyond those that each may have anyway.
    pub all: usize,
}

/// Buffers for several users. As long as there is memory, a user gets as many as its [`Share`]
/// allows, which are charged to the user's memory cgroup. One buffer is in reserve, for a user that
/// has none and gets no other. So one user at a time makes progress whatever happens to the memory
/// of the machine.
///
/// # Examples
///
/// ```
/// use kernel::block::buffer::{
///     BufferPool,
///     Share, //
/// };
///
/// let share = Share { each: 1, all: 4 };
/// let pool = KBox::pin_init(BufferPool::new(share, ()), GFP_KERNEL)?;
/// // This user has no buffer yet.
/// let buffer = pool.get(0, ()).ok_or(ENOMEM)?;
/// pool.put(buffer);
/// # Ok::<(), Error>(())
/// ```
#[pin_data]
pub struct BufferPool<T> {
    share: Share,
    in_use: Atomic<usize>,
    /// One buffer, unless a user that could get no other one has it.
    #[pin]
    last: SpinLock<Option<Buffer<T>>>,
}

impl<T: Copy + Send> BufferPool<T> {
    /// Makes a pool, whose buffer in reserve has this tag.
    ///
    /// Context: task; may sleep.
    pub fn new(share: Share, tag: T) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            share,
            in_use: Atomic::new(0),
            last <- new_spinlock!(Some(Buffer::new(tag, Charge::Kernel)?), "BufferPool::last"),
        }? Error)
    }

    /// Returns a buffer for a user that has `own` of them already, if there is one.
    ///
    /// Context: task; may sleep.
    pub fn get(&self, own: usize, tag: T) -> Option<Buffer<T>> {
        let may = own < self.share.each || self.in_use.load(Relaxed) < self.share.all;
        let new = if may {
            Buffer::new(tag, Charge::Caller).ok()
        } else {
            None
        };
        let buffer = match new {
            None if own == 0 => self.last.lock().take(),
            new => new,
        }?;
        self.in_use.fetch_add(1, Relaxed);
        Some(buffer)
    }

    /// Takes a buffer back.
    ///
    /// Context: task; does not sleep.
    pub fn put(&self, buffer: Buffer<T>) {
        buffer.give_back();
        self.in_use.fetch_sub(1, Relaxed);
        // Other buffers do not become the reserve: whoever pays for one would pay for ever.
        if buffer.charge() == Charge::Kernel {
            *self.last.lock() = Some(buffer);
        }
    }
}
