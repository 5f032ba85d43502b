// SPDX-License-Identifier: GPL-2.0

//! What C calls. Each function checks, converts, calls, and maps the result. The documentation is
//! at the functions that they call, and in
//! [`include/linux/blk-copy.h`](srctree/include/linux/blk-copy.h).
//!
//! Here is what callers that copy use; [`bios`] is for the block layer and drivers, [`limits`] for
//! queues and sysfs, [`files`] for `copy_file_range(2)`, [`uring`] for io_uring.

use crate::{
    job::{
        self,
        Interrupt,
        Pool, //
    },
    request::Request,
    stats,
    uring as commands, //
};
use core::pin::Pin;
use kernel::{
    bindings,
    block::{
        copy::{
            stats::{
                CopyStats,
                InFlight, //
            },
            Outcome,
            Params,
            Way, //
        },
        sched, //
    },
    error::from_result,
    prelude::*,
    seq_file::SeqFile,
    types::ForeignOwnable,
    warn_on, //
};

mod bios;
mod files;
mod limits;
mod uring;

/// Prepares the engine at boot. Called once, by an initcall.
#[export]
pub(crate) extern "C" fn blk_copy_init() -> c_int {
    from_result(|| {
        job::init()?;
        commands::init()?;
        Ok(0)
    })
}

/// Runs a copy; one with an `end_io` is begun.
///
/// Context: task; may sleep.
///
/// # Safety
///
/// `params` is valid; its devices stay open and its ranges valid until the end. The pool, if there
/// is one, is not destroyed before the end.
#[export]
pub(crate) unsafe extern "C" fn blk_copy_run(
    params: *mut bindings::blk_copy_params,
    pool: *mut bindings::blk_copy_pool,
    way: bindings::blk_copy_way,
) -> c_int {
    // SAFETY: Required of the caller. The pool is one that `blk_copy_pool_create` has made, and
    // both stay until the copy has ended, which is as good as for ever here.
    let (params, pool) = unsafe { (Params::from_raw(params), pool.cast::<Pool>().as_ref()) };
    match Way::from_raw(way).and_then(|way| begin(params, way, pool)) {
        // They may be gone already.
        Ok(None) => EIOCBQUEUED.to_errno(),
        Ok(Some(outcome)) => params.report(outcome),
        Err(error) => params.report(Outcome::nothing(Err(error))),
    }
}

fn begin(
    params: &'static Params,
    way: Way,
    pool: Option<&'static Pool>,
) -> Result<Option<Outcome>> {
    let pool = pool.map_or_else(Pool::common, Ok)?;
    let request = Request::new(params.src()?, params.dst()?, params.write_hint())?;
    if request.total.is_zero() {
        return Ok(Some(Outcome::nothing(Ok(()))));
    }
    if params.has_end_io() {
        pool.start(request, way, params)?;
        return Ok(None);
    }
    if warn_on!(sched::in_submit_bio()) {
        // It would wait for itself.
        return Err(EDEADLK);
    }
    Ok(Some(pool.run(request, way, Interrupt::Fatal)))
}

/// Makes a reserve of memory.
///
/// Context: task; may sleep.
#[export]
pub(crate) extern "C" fn blk_copy_pool_create() -> *mut bindings::blk_copy_pool {
    Pool::new().map_or_else(|error| error.to_ptr(), |pool| pool.into_foreign().cast())
}

/// Frees a reserve of memory.
///
/// Context: task; may sleep.
///
/// # Safety
///
/// `pool` is NULL, or came from [`blk_copy_pool_create`] and is not used any more.
#[export]
pub(crate) unsafe extern "C" fn blk_copy_pool_destroy(pool: *mut bindings::blk_copy_pool) {
    if !pool.is_null() {
        // SAFETY: Required of the caller.
        unsafe { Pin::<KBox<Pool>>::from_foreign(pool.cast()) }.destroy();
    }
}

/// Shows the counters of a queue.
///
/// Context: task; may sleep.
///
/// # Safety
///
/// `m` is a file of `blk_copy_debugfs_register()`, so its private data is a queue.
#[export]
pub(crate) unsafe extern "C" fn blk_copy_stats_show(
    m: *mut bindings::seq_file,
    _unused: *mut c_void,
) -> c_int {
    // SAFETY: Required of the caller; debugfs removes the file before the queue goes.
    let (m, stats, in_flight) = unsafe {
        let queue = (*m).private.cast();
        (
            SeqFile::from_raw(m),
            CopyStats::of_queue(queue),
            InFlight::of_queue(queue),
        )
    };
    stats::show(stats, in_flight, m);
    0
}
