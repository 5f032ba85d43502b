// SPDX-License-Identifier: GPL-2.0

//! A copy that io_uring has asked for, in memory, until it has ended.
//!
//! There is one [`Taken`] for it. Whoever has it goes on with the copy. While a chunk is alone
//! under way, or the copy is in the background, nobody has it: it was taken apart, and the end of
//! either puts it together again.

use super::wanted::Sources;
use crate::{
    chunk::{
        self,
        Wait, //
    },
    job::Pool,
    plan::share,
    request::Request,
    stats,
    verdict::{
        Reason,
        Verdict, //
    }, //
};
use core::{
    mem::ManuallyDrop,
    ops::Range,
    ptr::NonNull,
    slice, //
};
use kernel::{
    block::{
        bio::Status,
        cgroup::IoCgroup,
        copy::{
            CopyRange,
            Outcome,
            Params,
            RawParams,
            Way, //
        },
        file::BlockFile,
        units::Sectors, //
    },
    container_of,
    impl_has_work,
    io_uring::{
        Issue,
        Keep,
        Taken, //
    },
    new_work,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        SetOnce, //
    },
    workqueue::{
        OwnedQueue,
        Work,
        WorkItem,
        WqFlags, //
    }, //
};

/// Where workers go on with copies. It is none of a pool's: an item may wait for pages to be
/// written back, that is, for copies.
static QUEUE: SetOnce<OwnedQueue> = SetOnce::new();

/// Prepares the workers. Called once at boot, in task context.
pub(crate) fn init() -> Result {
    QUEUE.populate(OwnedQueue::new(c"blk_copy_uring", WqFlags::UNBOUND)?);
    Ok(())
}

/// What is no longer than this is not worth to be stopped.
const SHORT: u64 = 64 << 10;

/// The result of a copy that has not begun.
const NOT_BEGUN: i32 = i32::MIN;

/// A copy that io_uring has asked for.
#[pin_data]
pub(crate) struct Ask {
    way: Way,
    src: ARef<BlockFile>,
    from: Sources,
    dst: ARef<BlockFile>,
    to: CopyRange,
    /// The destination in bytes.
    bytes: Range<u64>,
    /// Of who has asked.
    cgroup: IoCgroup,
    /// Whom the engine tells of the end, and whether to stop.
    params: Params,
    /// [`NOT_BEGUN`], or the number of bytes, or an error. Of who has the [`Taken`].
    result: Atomic<i32>,
    #[pin]
    work: Work<Ask>,
}

impl_has_work! {
    impl HasWork<Self> for Ask { self.work }
}

impl Keep for Ask {
    fn stop(&self) {
        self.params.cancel_this();
    }
}

impl WorkItem for Ask {
    type Pointer = Taken<Self>;

    fn run(ask: Taken<Self>) {
        match ask.result.load(Relaxed) {
            NOT_BEGUN => {
                let _entered = ask.cgroup.enter();
                begin(ask);
            }
            _ => finish(ask),
        }
    }
}

impl Ask {
    /// Takes a copy over, and begins it or gives it to a worker.
    pub(super) fn take(
        issue: Issue<'_>,
        way: Way,
        (src, from): (ARef<BlockFile>, Sources),
        (dst, bytes): (ARef<BlockFile>, Range<u64>),
    ) -> Result {
        let to = CopyRange::from_bytes(bytes.start, bytes.end - bytes.start).ok_or(EINVAL)?;
        let ask = pin_init!(Self {
            way,
            src,
            from,
            dst,
            to,
            bytes,
            cgroup: IoCgroup::current(),
            params: Params::telling(ended),
            result: Atomic::new(NOT_BEGUN),
            work <- new_work!("blk_copy_uring"),
        });
        let (ask, issued) = issue.take(ask, GFP_KERNEL_ACCOUNT)?;
        if ask.bytes.end - ask.bytes.start > SHORT {
            ask.let_stop(&issued);
        }
        if ask.needs_worker() {
            enqueue(ask);
        } else {
            send_alone(ask);
        }
        Ok(())
    }

    fn request(&self) -> Result<Request<'_>> {
        Request::new(
            (self.src.bdev(), self.from.ranges()),
            (self.dst.bdev(), slice::from_ref(&self.to)),
            self.dst.write_hint(),
        )
    }

    fn len(&self) -> Sectors {
        self.to.len()
    }

    /// Whether something may have to be waited for before the copy begins or after it has ended.
    fn needs_worker(&self) -> bool {
        self.must_finish()
            || self
                .from
                .bytes()
                .any(|bytes| self.src.needs_write_back(&bytes))
    }

    /// Whether there is something to do after the device has written.
    fn must_finish(&self) -> bool {
        self.dst.is_sync() || self.dst.has_pages(&self.bytes)
    }

    /// Writes back dirty pages on both sides, and drops those of the destination.
    fn prepare(&self) -> Result {
        let go_on = || match self.params.is_cancelled() {
            true => Err(ECANCELED),
            false => Ok(()),
        };
        for bytes in self.from.bytes() {
            self.src.write_back(&bytes, go_on)?;
        }
        self.dst.write_back(&self.bytes, go_on)?;
        self.dst.invalidate(&self.bytes)
    }

    /// What a chunk that was alone has come to; [`None`] if the copy has to be tried anew.
    fn judge(&self, verdict: Verdict<Status>) -> Option<Outcome> {
        match verdict {
            Verdict::Offloaded => Some(Outcome::complete(self.len())),
            Verdict::Failed(status) => Some(Outcome::nothing(Err(status.to_error()))),
            Verdict::Fallback(Reason::NotSupported | Reason::Domain)
                if self.way == Way::Offload =>
            {
                Some(Outcome::nothing(Err(EOPNOTSUPP)))
            }
            // It may wait next time, be split, or be read and written.
            Verdict::Fallback(_) => None,
        }
    }
}

/// Gives a copy to a worker.
///
/// Context: any. Does not sleep.
fn enqueue(ask: Taken<Ask>) {
    match QUEUE.as_ref() {
        Some(queue) => queue.enqueue(ask),
        None => ask.end(Err(ENODEV)),
    }
}

/// The copy has come to this. Ends it, or has a worker do what is left to do.
///
/// Context: any. Does not sleep.
fn conclude(ask: Taken<Ask>, outcome: Outcome) {
    let bytes = outcome.copied.to_bytes().unwrap_or(u64::MAX);
    let result = match outcome.result {
        Err(error) if outcome.copied.is_zero() => Err(error),
        _ => i32::try_from(bytes).map_err(Error::from),
    };
    if !ask.must_finish() {
        return ask.end(result);
    }
    let result = result.unwrap_or_else(Error::to_errno);
    ask.result.store(result, Relaxed);
    enqueue(ask);
}

/// Does what is left to do when the device has written.
///
/// Context: a worker.
fn finish(ask: Taken<Ask>) {
    let result = ask.result.load(Relaxed);
    let dropped = ask.dst.invalidate_written(&ask.bytes);
    let copied = u64::try_from(result).unwrap_or(0);
    let synced = match copied {
        0 => Ok(()),
        copied => ask
            .dst
            .sync_written(&(ask.bytes.start..ask.bytes.start.saturating_add(copied))),
    };
    match dropped.and(synced) {
        Ok(()) if result < 0 => ask.end(Err(Error::from_errno(result))),
        done => ask.end(done.map(|()| result)),
    }
}

/// Waits for pages, and begins a copy in the background.
///
/// Context: a worker.
fn begin(ask: Taken<Ask>) {
    // Nothing is done to pages for a copy that is refused.
    if let Err(error) = ask.request().map(drop).and_then(|()| ask.prepare()) {
        return ask.end(Err(error));
    }
    let ask = ManuallyDrop::new(ask);
    // SAFETY: The copy keeps this until it has ended, and it ends when `ended` was called, or
    // below. That is as good as for ever.
    let kept: &'static Ask = unsafe { NonNull::from(&**ask).as_ref() };
    let start = || Pool::common()?.start(kept.request()?, kept.way, &kept.params);
    if let Err(error) = start() {
        // Nothing was begun, so `ended` will not do this.
        let outcome = Outcome::nothing(Err(error));
        conclude(ManuallyDrop::into_inner(ask), outcome);
    }
}

/// Tells of the end of a copy in the background.
///
/// # Safety
///
/// For the params of an [`Ask`] alone, which [`begin`] has given away.
unsafe extern "C" fn ended(params: *mut RawParams) {
    // SAFETY: Required of the caller; the engine calls this once, when the copy has ended.
    let (ask, outcome) = unsafe {
        let ask = container_of!(params.cast::<Params>(), Ask, params);
        let ask = Taken::from_raw(NonNull::new_unchecked(ask));
        let outcome = ask.params.outcome();
        (ask, outcome)
    };
    conclude(ask, outcome);
}

/// Sends a copy that is one short chunk, if nothing has to wait for that. A worker goes on with
/// any other.
///
/// Context: task; waits for nothing.
fn send_alone(ask: Taken<Ask>) {
    // If this sends it, `chunk_ended` has it from then on.
    let ask = ManuallyDrop::new(ask);
    let sent = Pool::common().and_then(|pool| {
        let request = ask.request()?;
        if request.total > share::SHORT {
            // What is sent here is not counted with what others have in flight. So it is no more
            // than what each copy may have in any case.
            return Ok(false);
        }
        // SAFETY: The copy keeps the files, which keep the devices open, and does not move. It
        // stays until it has ended, and it ends when `chunk_ended` was called, or below. The pool
        // that all share stays for ever.
        Ok(unsafe {
            pool.stock()
                .send_alone(&request, ask.as_pin(), Wait::Refused)
        })
    });
    match sent {
        Ok(true) => {}
        Ok(false) => enqueue(ManuallyDrop::into_inner(ask)),
        Err(error) => ManuallyDrop::into_inner(ask).end(Err(error)),
    }
}

impl chunk::Owner for Ask {
    fn chunk_ended(&self, _slot: usize, verdict: Verdict<Status>) {
        // SAFETY: Only `send_alone` sends chunks with this owner. It has given this away, and the
        // chunk tells of its end once.
        let ask = unsafe { Taken::from_raw(NonNull::from(self)) };
        let Some(outcome) = ask.judge(verdict) else {
            return enqueue(ask);
        };
        stats::count(ask.dst.bdev(), verdict.counter(), 1, ask.len());
        conclude(ask, outcome);
    }
}
