// SPDX-License-Identifier: GPL-2.0

//! Reserves of memory, and of a worker, with which one copy at a time makes progress whatever
//! happens to the memory of the machine.
//!
//! Everything is tried first in the usual way, so a reserve limits nothing while there is memory.
//! A driver that copies in order to do its own I/O needs a pool of its own: if it shared one with
//! those whose I/O it does, they would hold what it waits for.

use super::{
    background::Background,
    context::Smallest,
    onload::{
        Buffer,
        Piece, //
    }, //
};
use kernel::{
    impl_has_work,
    mempool::Mempool,
    new_spinlock,
    new_work,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        SetOnce,
        SpinLock, //
    },
    workqueue::{
        self,
        OwnedQueue,
        Work,
        WorkItem,
        WqFlags, //
    }, //
};

/// Parts of the smallest batch: one source, one command.
pub(crate) const SMALLEST: usize = 2;

/// What a pool holds in reserve: each further one is a further copy that need not wait.
#[derive(Clone, Copy)]
struct Reserve {
    contexts: u16,
    jobs: u16,
}

impl Reserve {
    const SHARED: Self = Self {
        contexts: 16,
        jobs: 4,
    };
    const PRIVATE: Self = Self {
        contexts: 4,
        jobs: 1,
    };
}

/// Buffers that all copies of a pool may have at once, beyond those that each may have anyway.
const MAX_BUFFERS: usize = 256;

/// A reserve.
#[pin_data]
pub(crate) struct Pool {
    pub(crate) contexts: Mempool<Smallest>,
    pub(crate) jobs: Mempool<Background>,
    pub(crate) queue: OwnedQueue,
    /// Buffers in use.
    buffers: Atomic<usize>,
    /// One buffer, unless a copy that could get no other has it.
    #[pin]
    last: SpinLock<Option<Buffer>>,
    /// For [`Pool::destroy`].
    #[pin]
    end: Work<Pool>,
}

impl_has_work! {
    impl HasWork<Self> for Pool { self.end }
}

impl WorkItem for Pool {
    type Pointer = Pin<KBox<Self>>;

    fn run(this: Self::Pointer) {
        drop(this);
    }
}

static SHARED: SetOnce<Pin<KBox<Pool>>> = SetOnce::new();

/// Prepares the reserve that all share. Called once at boot, in task context.
pub(crate) fn init() -> Result {
    SHARED.populate(KBox::pin_init(
        Pool::with_reserve(Reserve::SHARED),
        GFP_KERNEL,
    )?);
    Ok(())
}

/// The reserve that all share.
pub(crate) fn shared() -> Option<&'static Pool> {
    SHARED.as_ref().map(|pool| &**pool)
}

impl Pool {
    /// Makes a reserve.
    ///
    /// Context: task; may sleep.
    pub(crate) fn new() -> Result<Pin<KBox<Self>>> {
        KBox::pin_init(Self::with_reserve(Reserve::PRIVATE), GFP_KERNEL)
    }

    /// Frees a reserve, and waits for its workers to be done with it. One of them may be its last
    /// user, and cannot wait for itself: then it is freed a little later.
    ///
    /// Context: task; may sleep.
    pub(crate) fn destroy(self: Pin<KBox<Self>>) {
        if workqueue::in_worker() {
            workqueue::system_unbound().enqueue(self);
        }
    }

    fn with_reserve(reserve: Reserve) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            contexts: Mempool::new(reserve.contexts)?,
            jobs: Mempool::new(reserve.jobs)?,
            queue: OwnedQueue::new(c"blk_copy", WqFlags::UNBOUND | WqFlags::MEM_RECLAIM)?,
            buffers: Atomic::new(0),
            last <- new_spinlock!(Some(Buffer::new(Piece::NONE)?), "blk_copy_pool"),
            end <- new_work!("blk_copy_pool"),
        }? Error)
    }

    /// A buffer for a copy that has `own` of them already. The last one is for copies that have
    /// none, and comes back.
    ///
    /// Context: task; may sleep.
    pub(crate) fn buffer(&self, own: usize) -> Option<Buffer> {
        /// So many each copy may have, however many copies there are.
        const EACH: usize = 4;

        if own < EACH || self.buffers.load(Relaxed) < MAX_BUFFERS {
            if let Ok(buffer) = Buffer::new(Piece::NONE) {
                self.buffers.fetch_add(1, Relaxed);
                return Some(buffer);
            }
        }
        if own > 0 {
            return None;
        }
        let buffer = self.last.lock().take()?;
        self.buffers.fetch_add(1, Relaxed);
        Some(buffer)
    }

    /// Takes a buffer back.
    ///
    /// Context: task; does not sleep.
    pub(crate) fn put_buffer(&self, buffer: Buffer) {
        buffer.give_back();
        self.buffers.fetch_sub(1, Relaxed);
        let mut last = self.last.lock();
        if last.is_none() {
            *last = Some(buffer);
        } else {
            drop(last);
            drop(buffer);
        }
    }
}
