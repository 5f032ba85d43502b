// SPDX-License-Identifier: GPL-2.0

//! A copy in the background, in memory, and the right to drive it.

use super::{
    interrupt::Interrupt,
    link::{
        Link,
        Stock, //
    },
    tracker::{
        Tracker,
        Waker, //
    },
    turn::{
        on_fallback,
        Job,
        Turn, //
    }, //
};
use crate::request::Request;
use core::{
    cell::UnsafeCell,
    mem::ManuallyDrop,
    ptr::NonNull, //
};
use kernel::{
    alloc::flags::GFP_NOIO,
    block::{
        cgroup::IoCgroup,
        copy::{
            Outcome,
            Params,
            Way, //
        },
        sched, //
    },
    impl_has_delayed_work,
    mempool::{
        InPool,
        Mempool,
        PoolBox, //
    },
    module::ModuleRef,
    new_delayed_work,
    prelude::*,
    workqueue::{
        DelayedWork,
        OwnedQueue,
        WorkItem,
        WqFlags, //
    }, //
};

/// Memory for some copies, and a worker.
pub(super) struct Workers {
    copies: Mempool<Background>,
    queue: OwnedQueue,
}

impl Workers {
    /// Reserves memory for `copies` copies.
    pub(super) fn new(copies: u16) -> Result<Self> {
        Ok(Self {
            copies: Mempool::new(copies)?,
            queue: OwnedQueue::new(c"blk_copy", WqFlags::MEM_RECLAIM | WqFlags::UNBOUND)?,
        })
    }
}

/// A copy in the background.
#[pin_data]
pub(super) struct Background {
    #[pin]
    tracker: Tracker,
    #[pin]
    work: DelayedWork<Background>,
    /// Of whoever has the [`Handle`].
    job: UnsafeCell<Job<'static>>,
    workers: &'static Workers,
    /// Drives the copy when it was woken.
    drive: fn(Handle),
    params: &'static Params,
    /// Keeps the code that is called at the end.
    owner: ModuleRef,
    /// Of who began it.
    cgroup: IoCgroup,
}

// SAFETY: Only who has the handle uses the job.
unsafe impl Sync for Background {}

// SAFETY: The field does not change.
unsafe impl InPool for Background {
    fn pool(&self) -> &'static Mempool<Self> {
        &self.workers.copies
    }
}

impl_has_delayed_work! {
    impl HasDelayedWork<Self> for Background { self.work }
}

impl WorkItem for Background {
    type Pointer = PoolBox<Self>;

    fn run(copy: PoolBox<Self>) {
        let _entered = copy.cgroup.enter();
        (copy.drive)(Handle(copy));
    }
}

/// The right to drive a copy. There is one. While the copy waits, it is with the tracker, which
/// uses it to queue the copy.
pub(super) struct Handle(PoolBox<Background>);

impl Handle {
    /// Prepares a copy. A worker that takes it up calls `drive`.
    ///
    /// Context: task; may sleep, but starts no I/O. Does not fail for lack of memory.
    pub(super) fn new(
        request: Request<'static>,
        way: Way,
        (stock, workers): (&'static Stock, &'static Workers),
        drive: fn(Handle),
        params: &'static Params,
    ) -> Result<Self> {
        let copy = pin_init!(&this in Background {
            tracker <- {
                // SAFETY: `arm` gives the handle to the tracker, which uses it once.
                let waker = unsafe { Waker::new(this.as_ptr().cast_const().cast(), wake) };
                Tracker::new(Some(waker), on_fallback(way))
            },
            work <- new_delayed_work!("blk_copy"),
            job: {
                // SAFETY: The tracker was made above, in memory that does not move. It is of this
                // copy alone, and stays until the copy is over. So do the devices of the request,
                // and the stock, which are borrowed for ever.
                let link = unsafe {
                    let tracker = Pin::new_unchecked(&(*this.as_ptr()).tracker);
                    Link::new(request, stock, tracker)
                };
                UnsafeCell::new(Job::new(link, way, Interrupt::Cancelled(params)))
            },
            workers,
            drive,
            params,
            owner: params.owner(),
            cgroup: IoCgroup::current(),
        });
        PoolBox::new(&workers.copies, GFP_NOIO, copy).map(Self)
    }

    /// Calls `f` with the job.
    fn with_job<R>(&mut self, f: impl FnOnce(&mut Job<'static>) -> R) -> R {
        // SAFETY: Nobody else has the handle.
        f(unsafe { &mut *self.0.job.get() })
    }

    /// Makes one turn.
    pub(super) fn turn(&mut self) -> Turn {
        self.with_job(Job::turn)
    }

    /// Waits. Returns the handle if there is something to do already; else the tracker has it, and
    /// queues the copy when there is.
    pub(super) fn arm(self, low: usize) -> Option<Self> {
        // If this arms the tracker, `wake` has the box from then on.
        let copy = ManuallyDrop::new(self);
        let armed = copy.0.tracker.arm(low);
        (!armed).then(|| ManuallyDrop::into_inner(copy))
    }

    /// Has a worker drive the copy.
    ///
    /// Context: any. Does not sleep.
    pub(super) fn enqueue(self) {
        self.0.workers.queue.enqueue(self.0);
    }

    /// The same, when there may be memory again.
    pub(super) fn enqueue_later(self) {
        let queue = &self.0.workers.queue;
        queue.enqueue_delayed(self.0, sched::patience());
    }

    /// The copy is over. Frees it, and calls who wants to know.
    ///
    /// Context: task; may sleep.
    pub(super) fn finish(mut self) {
        let outcome: Outcome = self.with_job(Job::end);
        let (params, owner) = (self.0.params, self.0.owner.clone());
        drop(self);
        // SAFETY: Nobody else uses them.
        unsafe { params.end(outcome) };
        // Only now, because its code has just run.
        drop(owner);
    }
}

/// # Safety
///
/// `copy` is a [`Background`] whose handle is with the tracker.
unsafe fn wake(copy: *const c_void) {
    // SAFETY: Required of the caller, and the tracker wakes once for each handle that it has.
    let copy = unsafe { PoolBox::from_raw(NonNull::new_unchecked(copy.cast_mut().cast())) };
    Handle(copy).enqueue();
}
