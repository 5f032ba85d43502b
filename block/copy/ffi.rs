// SPDX-License-Identifier: GPL-2.0

//! What C calls. Each function checks, converts, calls, and maps the result; what they do is said
//! at what they call, and in [`include/linux/blk-copy.h`](srctree/include/linux/blk-copy.h).

use super::{
    background,
    bottom,
    file,
    job::{
        self,
        End,
        Ways, //
    },
    limits::{
        parse_max_bytes,
        Wish, //
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
        bdev::{
            read_copy_stats,
            BlockDevice, //
        },
        bio::{
            Bio,
            OwnedBio, //
        },
        copy_limits::CopyLimits,
        file::BlockFile,
        limits::{
            QueueLimits,
            QueueLimitsUpdate, //
        },
        sched,
        units::Sectors, //
    },
    error::from_result,
    prelude::*,
    seq_file::SeqFile,
    warn_on, //
};

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

/// A bio of a copy has been checked and accounted. Returns the one to issue now, or NULL.
///
/// Context: task; does not sleep.
///
/// # Safety
///
/// `bio` is a bio of a copy, on no list, that the caller owns and gives away.
#[export]
pub(crate) unsafe extern "C" fn blk_copy_intercept(bio: *mut bindings::bio) -> *mut bindings::bio {
    let Some(bio) = NonNull::new(bio) else {
        return core::ptr::null_mut();
    };
    // SAFETY: Required of the caller.
    let bio = unsafe { OwnedBio::from_raw(bio) };
    bottom::intercept(bio).map_or(core::ptr::null_mut(), OwnedBio::into_raw)
}

/// The first `nr_sects` sectors of a bio of a copy are mapped to one place, the rest to others.
///
/// Context: task; does not sleep.
///
/// # Safety
///
/// `bio` is a bio that the caller owns.
#[export]
pub(crate) unsafe extern "C" fn blk_copy_split(
    bio: *mut bindings::bio,
    nr_sects: bindings::sector_t,
) {
    // SAFETY: Required of the caller.
    bottom::split(unsafe { Bio::from_raw(bio) }, Sectors::new(nr_sects));
}

/// Whether the limits still allow a copy. A bio that is none has no business here.
///
/// Context: task; does not sleep. The caller holds a reference to the queue.
///
/// # Safety
///
/// `bio` is a bio that the caller owns.
#[export]
pub(crate) unsafe extern "C" fn blk_copy_fits(bio: *mut bindings::bio) -> bool {
    // SAFETY: Required of the caller.
    bottom::fits(unsafe { Bio::from_raw(bio) })
}

/// The number of source ranges of a request; 0 if it is no copy.
///
/// Context: any. Does not sleep.
///
/// # Safety
///
/// `rq` is a request that its driver has started.
#[export]
pub(crate) unsafe extern "C" fn blk_copy_nr_src(rq: *mut bindings::request) -> c_uint {
    // SAFETY: Required of the caller.
    let count = unsafe { bio(rq) }.map_or(0, bottom::source_count);
    c_uint::try_from(count).unwrap_or(c_uint::MAX)
}

/// One source range of a request, on the whole disk. False if there is none of that index.
///
/// Context: any. Does not sleep.
///
/// # Safety
///
/// `rq` is a request that its driver has started; `range` is valid for writes.
#[export]
pub(crate) unsafe extern "C" fn blk_copy_src(
    rq: *mut bindings::request,
    index: c_uint,
    range: *mut bindings::blk_copy_range,
) -> bool {
    // SAFETY: Required of the caller.
    let bio = unsafe { bio(rq) };
    let Some(source) = bio.and_then(|bio| bottom::source(bio, u64::from(index))) else {
        return false;
    };
    let (sector, nr_sects) = (source.start().get(), source.len().get());
    // SAFETY: Required of the caller.
    unsafe { range.write(bindings::blk_copy_range { sector, nr_sects }) };
    true
}

/// The bio of a request.
///
/// # Safety
///
/// `rq` is a request that its driver has started, and does not end for `'a`.
unsafe fn bio<'a>(rq: *mut bindings::request) -> Option<&'a Bio> {
    // SAFETY: Required of the caller; a started request has its bios until it ends.
    let bio = NonNull::new(unsafe { (*rq).bio })?;
    // SAFETY: As above.
    Some(unsafe { Bio::from_raw(bio.as_ptr()) })
}

/// Works out `max_copy_sectors`, and clears what cannot work.
///
/// Context: task; does not sleep.
///
/// # Safety
///
/// `lim` is valid and the caller's.
#[export]
pub(crate) unsafe extern "C" fn blk_copy_validate_limits(lim: *mut bindings::queue_limits) {
    // SAFETY: Required of the caller.
    let mut update = unsafe { QueueLimitsUpdate::from_raw(lim) };
    let effective = wish(update.get()).effective();
    update.set_copy(effective.hw, effective.max, effective.segment);
}

fn wish(limits: &QueueLimits) -> Wish {
    Wish {
        hw: limits.max_hw_copy(),
        user: limits.max_user_copy(),
        block: limits.logical_block(),
        src_segments: limits.max_copy_src_segments(),
        dst_segments: limits.max_copy_dst_segments(),
        segment: limits.max_copy_segment(),
        excluded: limits.is_zoned() || limits.has_metadata(),
    }
}

/// What one copy command may cover, down to the devices.
///
/// Context: task; may sleep.
///
/// # Safety
///
/// The device stays open; `lim` is valid and the caller's.
#[export]
pub(crate) unsafe extern "C" fn bdev_copy_limits(
    bdev: *mut bindings::block_device,
    lim: *mut bindings::blk_copy_limits,
) {
    // SAFETY: Required of the caller.
    let (bdev, limits) = unsafe { (BlockDevice::from_raw(bdev), CopyLimits::from_raw(lim)) };
    bdev.narrow_copy_limits(limits);
}

/// What `queue/copy_max_bytes` shows, or with `hw` `queue/copy_max_hw_bytes`.
///
/// Context: task; may sleep.
///
/// # Safety
///
/// The disk was added.
#[export]
pub(crate) unsafe extern "C" fn blk_copy_show_bytes(disk: *mut bindings::gendisk, hw: bool) -> u64 {
    // SAFETY: Required of the caller.
    let bdev = unsafe { BlockDevice::of_disk(disk) };
    let mut limits = CopyLimits::unlimited();
    bdev.narrow_copy_limits(&mut limits);
    let max = if hw { limits.max_hw() } else { limits.max() };
    let max = max.round_down(bdev.limits().logical_block());
    max.to_bytes().unwrap_or(u64::MAX)
}

/// Takes what was written to `queue/copy_max_bytes`.
///
/// Context: task; does not sleep.
///
/// # Safety
///
/// `lim` is valid and the caller's; `page` has `count` bytes.
#[export]
pub(crate) unsafe extern "C" fn blk_copy_store_max_bytes(
    lim: *mut bindings::queue_limits,
    page: *const c_char,
    count: usize,
) -> c_int {
    // SAFETY: Required of the caller.
    let (mut update, text) = unsafe {
        (
            QueueLimitsUpdate::from_raw(lim),
            core::slice::from_raw_parts(page.cast::<u8>(), count),
        )
    };
    from_result(|| {
        let block = update.get().logical_block();
        update.set_max_user_copy(parse_max_bytes(text, block).map_err(|_| EINVAL)?);
        Ok(0)
    })
}

/// Bytes that a copy can write from `pos_out` on, or an error.
///
/// Context: task; does not sleep.
///
/// # Safety
///
/// `file_out` is an open file of a block device.
#[export]
pub(crate) unsafe extern "C" fn blkdev_copy_room(
    file_out: *mut bindings::file,
    pos_out: bindings::loff_t,
) -> bindings::loff_t {
    // SAFETY: Required of the caller.
    let dst = unsafe { BlockFile::from_raw(file_out) };
    from_result(|| {
        Ok(bindings::loff_t::try_from(file::room(
            dst,
            u64::try_from(pos_out)?,
        )?)?)
    })
}

/// `copy_file_range` of block devices.
///
/// Context: task; may sleep.
///
/// # Safety
///
/// Called by the VFS, which has checked both files to be block devices.
#[export]
pub(crate) unsafe extern "C" fn blkdev_copy_file_range(
    file_in: *mut bindings::file,
    pos_in: bindings::loff_t,
    file_out: *mut bindings::file,
    pos_out: bindings::loff_t,
    len: usize,
    _flags: c_uint,
) -> isize {
    // SAFETY: Required of the caller.
    let (src, dst) = unsafe { (BlockFile::from_raw(file_in), BlockFile::from_raw(file_out)) };
    from_result(|| {
        let copied = file::copy(
            src,
            u64::try_from(pos_in)?,
            dst,
            u64::try_from(pos_out)?,
            len,
        )?;
        Ok(isize::try_from(copied)?)
    })
}
