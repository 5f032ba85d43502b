// SPDX-License-Identifier: GPL-2.0

//! What C calls. Each function checks, converts, calls, and maps the result; what they do is said
//! at what they call, and in [`include/linux/blk-copy.h`](srctree/include/linux/blk-copy.h).

use super::{
    context,
    file,
    limits::{
        parse_max_bytes,
        Wish, //
    },
    offload::{
        Outcome,
        Request, //
    }, //
};
use core::ptr::NonNull;
use kernel::{
    bindings,
    block::{
        bdev::BlockDevice,
        bio::{
            Bio,
            OwnedBio, //
        },
        file::BlockFile,
        limits::{
            QueueLimits,
            QueueLimitsUpdate, //
        },
        units::{
            Sector,
            Sectors, //
        }, //
    },
    error::from_result,
    prelude::*, //
};

/// Prepares the engine at boot.
///
/// # Safety
///
/// Called once, by an initcall.
#[export]
pub(crate) unsafe extern "C" fn blk_copy_init() -> c_int {
    from_result(|| {
        context::init()?;
        Ok(0)
    })
}

/// Copies one range inside a device, and waits for the end. The result is also in `params`.
///
/// Several ranges, and asynchronous calls, are `-EOPNOTSUPP` so far.
///
/// Context: task; may sleep.
///
/// # Safety
///
/// - `params` is valid; its devices stay open and its ranges valid until the end.
#[export]
pub(crate) unsafe extern "C" fn blkdev_copy_offload(
    params: *mut bindings::blk_copy_params,
) -> c_int {
    // SAFETY: Required of the caller.
    let params = unsafe { &mut *params };
    // SAFETY: Required of the caller.
    let (result, copied) = match unsafe { offload(params) } {
        Ok(Outcome { copied, stop: None }) => (Ok(0), copied),
        Ok(Outcome {
            copied,
            stop: Some(stop),
        }) => (Err(stop.into_error()), copied),
        Err(error) => (Err(error), Sectors::ZERO),
    };
    params.copied = copied.get();
    params.error = from_result(|| result);
    params.error
}

/// # Safety
///
/// As for [`blkdev_copy_offload`].
unsafe fn offload(params: &bindings::blk_copy_params) -> Result<Outcome> {
    if params.end_io.is_some() || params.nr_src != 1 || params.nr_dst != 1 {
        return Err(EOPNOTSUPP);
    }
    // SAFETY: There is one range at each pointer, and both devices are open.
    let (src, dst, src_bdev, dst_bdev) = unsafe {
        (
            *params.src,
            *params.dst,
            BlockDevice::from_raw(params.src_bdev),
            BlockDevice::from_raw(params.dst_bdev),
        )
    };
    if src.nr_sects != dst.nr_sects {
        return Err(EINVAL);
    }
    let (src, dst, len) = (src.sector, dst.sector, Sectors::new(src.nr_sects));
    let request = Request::new(
        (src_bdev, Sector::new(src)),
        (dst_bdev, Sector::new(dst)),
        len,
    )?;
    Ok(match request {
        Some(request) => request.run(),
        None => Outcome {
            copied: Sectors::ZERO,
            stop: None,
        },
    })
}

/// A bio of a copy has been checked and accounted. Returns the one to issue now, or NULL.
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
    context::intercept(bio).map_or(core::ptr::null_mut(), OwnedBio::into_raw)
}

/// The number of source ranges of a request; 0 if it is no copy.
///
/// # Safety
///
/// `rq` is a request that its driver has started.
#[export]
pub(crate) unsafe extern "C" fn blk_copy_nr_src(rq: *mut bindings::request) -> c_uint {
    // SAFETY: Required of the caller.
    c_uint::from(unsafe { source(rq) }.is_some())
}

/// One source range of a request, on the whole disk. False if there is none of that index.
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
    match unsafe { source(rq) } {
        Some(source) if index == 0 => {
            // SAFETY: Required of the caller.
            unsafe { range.write(source) };
            true
        }
        _ => false,
    }
}

/// # Safety
///
/// `rq` is a request that its driver has started.
unsafe fn source(rq: *mut bindings::request) -> Option<bindings::blk_copy_range> {
    // SAFETY: Required of the caller; a started request has its bios until it ends.
    let bio = NonNull::new(unsafe { (*rq).bio })?;
    // SAFETY: As above.
    let range = context::source(unsafe { Bio::from_raw(bio.as_ptr()) })?;
    Some(bindings::blk_copy_range {
        sector: range.start().get(),
        nr_sects: range.len().get(),
    })
}

/// Works out `max_copy_sectors`, and clears what cannot work.
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

/// Takes what was written to `queue/copy_max_bytes`.
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
