// SPDX-License-Identifier: GPL-2.0

//! Copies that nobody waits for.
//!
//! The first turn is made by the caller, unless that is passing on a bio of a stacking driver;
//! whatever ends later queues the next one, and the last one is always made by a worker. In
//! between, the copy takes no thread. Its memory comes from the pool, so it needs no allocation
//! either.

use super::{
    job::{
        Job,
        Turn,
        Ways, //
    },
    pool::Pool,
    request::Request,
    shared::Shared, //
};
use core::{
    cell::UnsafeCell,
    pin::Pin,
    ptr::{
        addr_of,
        addr_of_mut,
        drop_in_place,
        NonNull, //
    }, //
};
use kernel::{
    bindings,
    block::{
        bio::plugged,
        cgroup::IoCgroup,
        sched, //
    },
    impl_has_delayed_work,
    module::ModuleRef,
    new_delayed_work,
    prelude::*,
    task::cond_resched,
    workqueue::{
        DelayedWork,
        HasWork,
        RawDelayedWorkItem,
        RawWorkItem,
        Work,
        WorkItem,
        WorkItemPointer, //
    }, //
};

/// A copy in the background.
#[pin_data]
pub(crate) struct Background {
    #[pin]
    shared: Shared,
    #[pin]
    work: DelayedWork<Background>,
    /// Of whoever has the [`Handle`].
    job: UnsafeCell<Job<'static>>,
    params: NonNull<bindings::blk_copy_params>,
    pool: &'static Pool,
    /// Of who is called at the end.
    owner: ModuleRef,
    /// Of who began it.
    cgroup: IoCgroup,
}

// SAFETY: A copy in the background is driven by one worker after the other, on any CPU. The
// pointers in it are to what stays until the copy has ended.
unsafe impl Send for Background {}

impl_has_delayed_work! {
    impl HasDelayedWork<Self> for Background { self.work }
}

/// The right to drive a copy. There is one; while the copy waits it is with [`Shared`], which uses
/// it to queue the copy.
///
/// # Invariants
///
/// The pointer is to a copy that is under way, and nobody else has this right.
pub(crate) struct Handle(NonNull<Background>);

// SAFETY: Any task may drive the copy.
unsafe impl Send for Handle {}

/// Begins a copy. `end_io` of `params` will be called by a worker, or was.
///
/// Context: task; may sleep. Does not fail for lack of memory.
///
/// # Safety
///
/// - `params` has an `end_io`. Until that is called `params` stays valid, the devices of the
///   request stay open, and its lists stay valid and do not change.
/// - The pool is not destroyed before that.
/// - The `owner` of `params` is NULL, or a module that is not being unloaded.
pub(crate) unsafe fn start(
    request: Request<'static>,
    ways: Ways,
    pool: &'static Pool,
    params: NonNull<bindings::blk_copy_params>,
) -> Result {
    let memory = pool.jobs.alloc(GFP_NOIO)?.cast::<Background>();
    // SAFETY: Required of the caller.
    let owner = unsafe { ModuleRef::new((*params.as_ptr()).owner) };
    let job = Job::new(request, ways, pool, false);
    let onload = job.may_onload();
    let background = pin_init!(Background {
        shared <- Shared::new(Some(memory), onload),
        work <- new_delayed_work!("blk_copy"),
        job: UnsafeCell::new(job),
        params,
        pool,
        owner,
        cgroup: IoCgroup::current(),
    });
    // SAFETY: This is memory for one, which stays where it is.
    unsafe { pin_init::raw_init(memory.as_ptr(), background) };
    // SAFETY: It was just made, so this is the only handle.
    let handle = unsafe { Handle::new(memory) };
    if sched::in_submit_bio() {
        handle.enqueue();
        return Ok(());
    }
    match handle.turn() {
        Next::Later => {}
        // The rest is not for the caller to do. It is not told of the end on its own stack either:
        // it may hold locks, and what it is told may have it begin the next copy.
        Next::Over(handle) | Next::Now(handle) => handle.enqueue(),
    }
    Ok(())
}

/// How a copy goes on.
enum Next {
    /// At once.
    Now(Handle),
    /// When it is woken, which it may have been already.
    Later,
    /// It is over.
    Over(Handle),
}

impl Handle {
    /// # Safety
    ///
    /// The copy is under way, and there is no other handle.
    pub(crate) unsafe fn new(background: NonNull<Background>) -> Self {
        // INVARIANT: Required of the caller.
        Self(background)
    }

    /// Has the copy go on in a worker.
    ///
    /// Context: any. Does not sleep.
    pub(crate) fn enqueue(self) {
        // SAFETY: By the type invariant the copy is there. The field is constant.
        let pool = unsafe { (*self.0.as_ptr()).pool };
        pool.queue.enqueue(self);
    }

    /// The same, when there may be memory again. No worker waits for it: who has the memory may
    /// need the only one that there is.
    fn enqueue_later(self) {
        // SAFETY: As above.
        let pool = unsafe { (*self.0.as_ptr()).pool };
        pool.queue.enqueue_delayed(self, sched::patience());
    }

    /// Makes one turn.
    fn turn(self) -> Next {
        let raw = self.0.as_ptr();
        // SAFETY: By the type invariant the copy is there, and nobody else drives it. It does not
        // move.
        let (shared, job) = unsafe {
            (
                Pin::new_unchecked(&*addr_of!((*raw).shared)),
                &mut *(*raw).job.get(),
            )
        };
        // SAFETY: `start` requires that devices and pool stay; `shared` is pinned, and of this job.
        match plugged(|| unsafe { job.turn(shared) }) {
            Turn::Over => Next::Over(self),
            // If so, the handle is with `shared`, and the copy may be over already.
            Turn::Wait(low) if shared.arm(low) => Next::Later,
            // Copies in the background are never held.
            Turn::Wait(_) | Turn::Held => Next::Now(self),
            Turn::Starved => {
                self.enqueue_later();
                Next::Later
            }
        }
    }

    /// Makes turns until there is nothing to do for now.
    fn run(mut self) {
        loop {
            match self.turn() {
                Next::Now(handle) => self = handle,
                Next::Later => return,
                Next::Over(handle) => return handle.finish(),
            }
            cond_resched();
        }
    }

    /// The copy is over.
    fn finish(self) {
        let raw = self.0.as_ptr();
        // SAFETY: By the type invariant the copy is there, and ours. Nothing is in flight, so
        // nobody uses it any more once it is dropped. `start` requires that `params` is valid.
        unsafe {
            let shared = Pin::new_unchecked(&*addr_of!((*raw).shared));
            let end = (*(*raw).job.get()).end(shared);
            let (pool, mut params) = ((*raw).pool, (*raw).params);
            // Dropped when `done` has returned.
            let _owner = (*raw).owner.clone();
            drop_in_place(addr_of_mut!(*raw));
            pool.jobs.free(self.0);

            let done = params.as_mut().end_io;
            params.as_mut().copied = end.copied.get();
            params.as_mut().error = end.stop.map_or(0, |stop| stop.into_error().to_errno());
            if let Some(done) = done {
                done(params.as_ptr());
            }
        }
    }
}

impl WorkItem for Background {
    type Pointer = Handle;

    fn run(handle: Handle) {
        // SAFETY: By the type invariant the copy is there. The field is constant.
        let _entered = unsafe { (*handle.0.as_ptr()).cgroup.enter() };
        handle.run();
    }
}

// SAFETY: `run` gives back the handle that `__enqueue` took apart.
unsafe impl WorkItemPointer<0> for Handle {
    unsafe extern "C" fn run(work: *mut bindings::work_struct) {
        // SAFETY: Only `__enqueue` queues this, with the work of a copy.
        let handle = unsafe {
            let background = Background::work_container_of(work.cast::<Work<Background>>());
            Handle::new(NonNull::new_unchecked(background))
        };
        Background::run(handle);
    }
}

// SAFETY: The work is in a copy, which stays until it has run.
unsafe impl RawWorkItem<0> for Handle {
    type EnqueueOutput = ();

    unsafe fn __enqueue<F>(self, queue_work_on: F)
    where
        F: FnOnce(*mut bindings::work_struct) -> bool,
    {
        // SAFETY: By the type invariant the copy is there. There is one handle, so the work is not
        // queued.
        unsafe {
            let work = Background::raw_get_work(self.0.as_ptr());
            queue_work_on(Work::raw_get(work));
        }
    }
}

// SAFETY: The work is that of a `DelayedWork`.
unsafe impl RawDelayedWorkItem<0> for Handle {}
