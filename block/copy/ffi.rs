// SPDX-License-Identifier: GPL-2.0

//! What C calls. Each function checks, converts, calls, and maps the result; what they do is said
//! at what they call, and in [`include/linux/blk-copy.h`](srctree/include/linux/blk-copy.h).
//!
//! Here is what callers that copy use; [`bios`] is for the block layer and drivers, [`limits`] for
//! queues and sysfs, [`files`] for `copy_file_range(2)`.

use super::{
    background,
    job::{
        self,
        End,
        Ways, //
    },
    pool::{
        self,
        Pool, //
    },
    request::{
        List,
        Request, //
    },
    shared::Stop,
    stats, //
};
use core::{
    pin::Pin,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    block::{
        bdev::BlockDevice,
        copy::stats::read_copy_stats,
        sched,
        units::Sectors, //
    },
    error::from_result,
    prelude::*,
    seq_file::SeqFile,
    warn_on, //
};

mod bios;
mod files;
mod limits;

/// Prepares the engine at boot.
///
/// # Safety
///
/// Called once, by an initcall.
#[export]
pub(crate) unsafe extern "C" fn blk_copy_init() -> c_int {
    from_result(|| {
        pool::init()?;
        Ok(0)
    })
}

/// Copies inside a device.
///
/// Context: task; may sleep.
///
/// # Safety
///
/// `params` is valid; its devices stay open and its ranges valid until the end.
#[export]
pub(crate) unsafe extern "C" fn blkdev_copy_offload(
    params: *mut bindings::blk_copy_params,
) -> c_int {
    // SAFETY: Required of the caller; without a pool nothing is asked of one.
    unsafe { copy(params, Ways::OFFLOAD, core::ptr::null_mut()) }
}

/// Copies by reading and writing.
///
/// Context: task; may sleep.
///
/// # Safety
///
/// As for [`blkdev_copy_offload`]; the pool, if there is one, is not destroyed before the end.
#[export]
pub(crate) unsafe extern "C" fn blkdev_copy_onload(
    params: *mut bindings::blk_copy_params,
    pool: *mut bindings::blk_copy_pool,
) -> c_int {
    // SAFETY: Required of the caller.
    unsafe { copy(params, Ways::ONLOAD, pool) }
}

/// Copies, inside the device wherever it can.
///
/// Context: task; may sleep.
///
/// # Safety
///
/// As for [`blkdev_copy_onload`].
#[export]
pub(crate) unsafe extern "C" fn blkdev_copy(
    params: *mut bindings::blk_copy_params,
    pool: *mut bindings::blk_copy_pool,
) -> c_int {
    // SAFETY: Required of the caller.
    unsafe { copy(params, Ways::ANY, pool) }
}

/// Checks and runs, or begins, a copy.
///
/// # Safety
///
/// As for [`blkdev_copy_onload`].
unsafe fn copy(
    params: *mut bindings::blk_copy_params,
    ways: Ways,
    pool: *mut bindings::blk_copy_pool,
) -> c_int {
    // SAFETY: Required of the caller. What is borrowed for long are the devices, the ranges and the
    // pool, which stay; `params` itself may be gone before this returns.
    let begun = unsafe {
        begin(*params, ways, pool, |request, pool| {
            let params = NonNull::new(params).ok_or(EINVAL)?;
            background::start(request, ways, pool, params)
        })
    };
    let (copied, error) = match begun {
        Ok(None) => return EIOCBQUEUED.to_errno(),
        Ok(Some(End { copied, stop })) => (copied, stop.map(Stop::into_error)),
        Err(error) => (Sectors::ZERO, Some(error)),
    };
    let error = error.map_or(0, Error::to_errno);
    // SAFETY: Required of the caller, who has it for itself again.
    unsafe {
        (*params).copied = copied.get();
        (*params).error = error;
    }
    error
}

/// Runs a copy; one that nobody waits for is given to `start`.
///
/// # Safety
///
/// As for [`blkdev_copy_onload`], for as long as the copy takes.
unsafe fn begin(
    params: bindings::blk_copy_params,
    ways: Ways,
    pool: *mut bindings::blk_copy_pool,
    start: impl FnOnce(Request<'static>, &'static Pool) -> Result,
) -> Result<Option<End>> {
    // SAFETY: A pool of the caller's is one that `blk_copy_pool_create` has made.
    let pool = match unsafe { pool.cast::<Pool>().as_ref() } {
        Some(pool) => pool,
        None => pool::shared().ok_or(ENODEV)?,
    };
    // SAFETY: Required of the caller.
    let (src, dst, src_bdev, dst_bdev) = unsafe {
        (
            list(params.src, params.nr_src)?,
            list(params.dst, params.nr_dst)?,
            BlockDevice::from_raw(params.src_bdev),
            BlockDevice::from_raw(params.dst_bdev),
        )
    };
    let request = Request::new((src_bdev, src), (dst_bdev, dst))?;
    if request.total.is_zero() {
        return Ok(Some(End::NOTHING));
    }
    if params.end_io.is_some() {
        start(request, pool)?;
        return Ok(None);
    }
    if warn_on!(sched::in_submit_bio()) {
        // It would wait for itself.
        return Err(EDEADLK);
    }
    Ok(Some(job::run(request, ways, pool)))
}

/// The ranges of a caller.
///
/// # Errors
///
/// `EINVAL` if there are to be some, and are none.
///
/// # Safety
///
/// There are `len` ranges at `first`, which stay valid and do not change for `'a`.
unsafe fn list<'a>(first: *const bindings::blk_copy_range, len: c_uint) -> Result<List<'a>> {
    if len == 0 {
        return Ok(List::new(&[]));
    }
    if first.is_null() {
        return Err(EINVAL);
    }
    // SAFETY: Required of the caller.
    Ok(List::new(unsafe {
        core::slice::from_raw_parts(first, usize::try_from(len)?)
    }))
}

/// Makes a reserve of memory.
///
/// Context: task; may sleep.
///
/// # Safety
///
/// None.
#[export]
pub(crate) unsafe extern "C" fn blk_copy_pool_create() -> *mut bindings::blk_copy_pool {
    match Pool::new() {
        // SAFETY: It stays where it is: only `blk_copy_pool_destroy` takes it back.
        Ok(pool) => KBox::into_raw(unsafe { Pin::into_inner_unchecked(pool) }).cast(),
        Err(error) => error.to_ptr(),
    }
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
        // SAFETY: Required of the caller; it was pinned in a box.
        unsafe { Pin::new_unchecked(KBox::from_raw(pool.cast::<Pool>())) }.destroy();
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
    let (m, queue) = unsafe { (SeqFile::from_raw(m), (*m).private.cast()) };
    // SAFETY: As above.
    stats::show(|outcome| unsafe { read_copy_stats(queue, outcome) }, m);
    0
}
