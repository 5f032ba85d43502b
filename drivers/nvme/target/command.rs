// SPDX-License-Identifier: GPL-2.0

//! A copy that is under way: what it takes, and how it goes on.

use crate::{
    check::{
        first_missing,
        Check,
        Place,
        RANGES, //
    },
    counters::Ending,
    file,
    queue::{
        workers,
        Backing,
        CopyQueue, //
    },
    request::{
        Failure,
        Request, //
    },
    wire::Durability, //
};
use core::{
    cell::UnsafeCell,
    ptr::NonNull, //
};
use kernel::{
    alloc::flags::GFP_NOIO,
    bindings,
    block::{
        copy::{
            CopyRange,
            Pool,
            Way, //
        },
        units::{
            Sector,
            Sectors, //
        }, //
    },
    error::to_result,
    impl_has_work,
    mempool::{
        InPool,
        Mempool,
        PoolBox, //
    },
    new_work,
    prelude::*,
    sync::{
        Arc,
        ArcBorrow, //
    },
    workqueue::{
        Work,
        WorkItem, //
    }, //
};

const NOWHERE: CopyRange = CopyRange::new(Sector::new(0), Sectors::ZERO);

/// A command that is under way, in memory.
#[pin_data]
pub(crate) struct Command {
    #[pin]
    work: Work<Command>,
    /// Came from an [`Arc`].
    queue: *const CopyQueue,
    sources: [CopyRange; RANGES],
    /// How many of these there are.
    count: usize,
    durability: Durability,
    /// Of whoever has the [`Handle`]; while the engine copies, its own.
    job: UnsafeCell<Job>,
}

struct Job {
    /// There until it is answered.
    request: Option<Request>,
    to: CopyRange,
    params: bindings::blk_copy_params,
}

// SAFETY: Any task may execute a command.
unsafe impl Send for Command {}
// SAFETY: Only who has the handle uses the job.
unsafe impl Sync for Command {}

// SAFETY: The field does not change.
unsafe impl InPool for Command {
    fn pool(&self) -> &'static Mempool<Self> {
        // SAFETY: The queue is there as long as any of its commands, see `Handle::new`.
        unsafe { &(*self.queue).commands }
    }
}

impl_has_work! {
    impl HasWork<Self> for Command { self.work }
}

impl WorkItem for Command {
    type Pointer = PoolBox<Self>;

    fn run(command: PoolBox<Self>) {
        Handle(command).work();
    }
}

impl Command {
    fn queue(&self) -> ArcBorrow<'static, CopyQueue> {
        // SAFETY: The pointer came from an `Arc`, which is there as long as any command of the
        // queue, see `Handle::new`.
        unsafe { ArcBorrow::from_raw(self.queue) }
    }

    fn sources(&self) -> impl Iterator<Item = CopyRange> + '_ {
        self.sources.iter().take(self.count).copied()
    }
}

/// Begins a command: checks it, and executes it if it is right.
///
/// Context: a worker; may sleep. Does not fail for lack of memory.
pub(crate) fn begin(queue: &Arc<CopyQueue>, request: Request) {
    let check = match check(&request) {
        Ok(check) => check,
        Err(failure) => {
            CopyQueue::ended(queue.as_arc_borrow(), failure.ending(), Sectors::ZERO);
            return request.complete(Err((failure, 0)));
        }
    };
    match Handle::new(queue, request, check) {
        Ok((handle, Ok(()))) => handle.execute(),
        Ok((handle, Err(failure))) => handle.answer(Err((failure, 0)), Sectors::ZERO),
        // Unreachable: there is a reserve. The request was dropped, and so it was answered.
        Err(_) => CopyQueue::ended(queue.as_arc_borrow(), Ending::Failed, Sectors::ZERO),
    }
}

/// Checks what needs no ranges.
fn check(request: &Request) -> Result<Check, Failure> {
    // A namespace that is resized to nothing has no place for any command.
    let namespace = request.namespace().ok_or(Failure::Failed(EIO))?;
    Check::new(request.command(), namespace).map_err(Failure::Refused)
}

/// Ranges that are read from a request, up to the first one that is wrong.
struct Reader {
    check: Check,
    result: Result<(), Failure>,
}

impl Reader {
    /// Reads a range. What follows a wrong one is not looked at.
    fn read(&mut self, request: &Request, number: usize) -> CopyRange {
        if self.result.is_err() || number >= self.check.ranges() {
            return NOWHERE;
        }
        let source = request.source(number);
        match source.and_then(|source| self.check.add(source).map_err(Failure::Refused)) {
            Ok(place) => CopyRange::new(place.start, place.len),
            Err(failure) => {
                self.result = Err(failure);
                NOWHERE
            }
        }
    }
}

/// The right to go on with a command. There is one.
struct Handle(PoolBox<Command>);

impl Handle {
    /// Takes memory for a command, and reads its ranges. Returns as well whether they are right.
    fn new(
        queue: &Arc<CopyQueue>,
        request: Request,
        check: Check,
    ) -> Result<(Self, Result<(), Failure>)> {
        let (count, durability) = (check.ranges(), check.durability());
        let mut reader = Reader {
            check,
            result: Ok(()),
        };
        let to_read = &mut reader;
        // The namespace has a reference to the queue until all of its commands were answered, and
        // this one is answered when its memory was given back. So the queue outlives the command.
        let queue = Arc::as_ptr(queue);
        let command = pin_init!(Command {
            sources <- pin_init::init_array_from_fn(|number| to_read.read(&request, number)),
            work <- new_work!("nvmet_copy"),
            queue,
            count,
            durability,
            job: UnsafeCell::new(Job {
                request: Some(request),
                to: NOWHERE,
                params: bindings::blk_copy_params::default(),
            }),
        });
        // SAFETY: See above.
        let pool = unsafe { &(*queue).commands };
        let mut handle = Self(PoolBox::new(pool, GFP_NOIO, command)?);
        let Reader { check, mut result } = reader;
        if result.is_ok() {
            let place = |range: CopyRange| Place {
                start: range.start(),
                len: range.len(),
            };
            match check.end(handle.0.sources().map(place)) {
                Ok(to) => handle.job().to = CopyRange::new(to.start, to.len),
                Err(refusal) => result = Err(Failure::Refused(refusal)),
            }
        }
        Ok((handle, result))
    }

    fn job(&mut self) -> &mut Job {
        // SAFETY: There is one handle, and it is borrowed. The engine has ended: it has none.
        unsafe { &mut *self.0.job.get() }
    }

    fn execute(self) {
        let queue = self.0.queue();
        match &queue.backing {
            Backing::Disk(pool) => self.copy_blocks(pool, queue.module.as_ptr()),
            // Files are not copied here, where others wait for their turn.
            Backing::File => workers().enqueue(self.0),
        }
    }

    /// Has the block layer copy.
    fn copy_blocks(mut self, pool: &Pool, module: *mut bindings::module) {
        let command = self.0.as_ptr();
        let sources = self.0.sources.as_ptr().cast();
        let count = c_uint::try_from(self.0.count).unwrap_or(0);
        let job = self.job();
        let Some(request) = &job.request else {
            return;
        };
        let Some(bdev) = request.bdev() else {
            return self.end(Err((EIO, Sectors::ZERO)));
        };
        job.params = bindings::blk_copy_params {
            src_bdev: bdev.as_raw(),
            dst_bdev: bdev.as_raw(),
            src: sources,
            dst: (&raw const job.to).cast(),
            nr_src: count,
            nr_dst: 1,
            end_io: Some(ended),
            owner: module,
            private: command.as_ptr().cast(),
            ..Default::default()
        };
        let params = &raw mut job.params;
        let command = self.0.into_raw();
        // SAFETY: The params and the ranges are in the command, which stays until `ended` was
        // called. The request keeps the device open, and the namespace the pool, until it was
        // answered.
        let status = unsafe { bindings::blk_copy_run(params, pool.as_raw(), Way::Any.into_raw()) };
        if status != EIOCBQUEUED.to_errno() {
            // SAFETY: The engine has refused, so it will not call `ended`.
            Self(unsafe { PoolBox::from_raw(command) }).copied();
        }
    }

    /// The engine has ended.
    fn copied(mut self) {
        let params = &self.job().params;
        let (result, copied) = (to_result(params.error), Sectors::new(params.copied));
        match (result, self.0.durability) {
            // A flush takes long, and this is a worker of the engine.
            (Ok(()), Durability::Durable) => workers().enqueue(self.0),
            (result, _) => self.end(result.map_err(|error| (error, copied))),
        }
    }

    /// Does what takes a thread: copies a file, or flushes the cache of a disk.
    fn work(mut self) {
        let durability = self.0.durability;
        let (sources, count) = (self.0.sources.as_ptr(), self.0.count);
        let job = self.job();
        let Some(request) = &job.request else {
            return;
        };
        let result = match request.bdev() {
            // SAFETY: The request keeps the device open.
            Some(bdev) => to_result(unsafe { bindings::blkdev_issue_flush(bdev.as_raw()) })
                .map_err(|error| (error, Sectors::ZERO)),
            None => {
                // SAFETY: They are in the command, and do not change.
                let sources = unsafe { core::slice::from_raw_parts(sources, count) };
                file::copy(request, sources, job.to, durability)
            }
        };
        self.end(result);
    }

    /// Answers, with how far the copy came.
    fn end(mut self, result: Result<(), (Error, Sectors)>) {
        let (result, copied) = match result {
            Ok(()) => (Ok(()), self.job().to.len()),
            Err((error, copied)) => {
                // What may not be durable counts as not copied.
                let copied = match self.0.durability {
                    Durability::Cached => copied,
                    Durability::Durable => Sectors::ZERO,
                };
                let lengths = self.0.sources().map(CopyRange::len);
                let missing = first_missing(lengths, copied);
                (Err((Failure::Failed(error), missing)), copied)
            }
        };
        self.answer(result, copied);
    }

    /// Gives back what the command takes, counts it, and answers.
    fn answer(mut self, result: Result<(), (Failure, u32)>, copied: Sectors) {
        let queue = self.0.queue();
        let request = self.job().request.take();
        drop(self);
        let ending = result.map_or_else(|(failure, _)| failure.ending(), |()| Ending::Copied);
        CopyQueue::ended(queue, ending, copied);
        // Only now, because this may be what the queue waits for before it goes.
        if let Some(request) = request {
            request.complete(result);
        }
    }
}

/// Goes on with a command when the engine has ended.
///
/// # Safety
///
/// Only for `end_io` of the copies of [`Handle::copy_blocks`].
unsafe extern "C" fn ended(params: *mut bindings::blk_copy_params) {
    // SAFETY: `copy_blocks` has taken the box apart and put it there.
    let command = unsafe { PoolBox::from_raw(NonNull::new_unchecked((*params).private.cast())) };
    Handle(command).copied();
}
