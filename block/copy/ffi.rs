// SPDX-License-Identifier: GPL-2.0

//! What C calls. Each function checks, converts, calls, and maps the result; what they do is said
//! at what they call, and in [`include/linux/blk-copy.h`](srctree/include/linux/blk-copy.h).

use super::{
    bottom,
    file,
    limits::{
        parse_max_bytes,
        Wish, //
    },
    memory,
    offload::{
        Outcome,
        Request, //
    },
    plan::Ranges,
    range::Range, //
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
        memory::init()?;
        Ok(0)
    })
}

/// The ranges of a caller in C.
struct List<'a>(&'a [bindings::blk_copy_range]);

impl List<'_> {
    /// # Safety
    ///
    /// There are `len` ranges at `first`, which stay valid and do not change while the value lives.
    unsafe fn new(first: *const bindings::blk_copy_range, len: c_uint) -> Self {
        // SAFETY: Required of the caller.
        Self(unsafe { core::slice::from_raw_parts(first, len as usize) })
    }

    /// # Errors
    ///
    /// `EINVAL` if one of them is empty or overflows.
    fn check(&self) -> Result {
        let valid = (0..self.0.len()).all(|index| self.get(index).is_some());
        valid.then_some(()).ok_or(EINVAL)
    }
}

impl Ranges for List<'_> {
    fn get(&self, index: usize) -> Option<Range> {
        let range = self.0.get(index)?;
        Range::new(Sector::new(range.sector), Sectors::new(range.nr_sects))
    }
}

/// Copies inside a device, and waits for the end. The result is also in `params`.
///
/// Asynchronous calls are `-EOPNOTSUPP` so far.
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
    if params.end_io.is_some() {
        return Err(EOPNOTSUPP);
    }
    if params.nr_src == 0 && params.nr_dst == 0 {
        return Ok(Outcome::nothing(None));
    }
    if params.src.is_null() || params.dst.is_null() {
        return Err(EINVAL);
    }
    // SAFETY: Required of the caller.
    let (src, dst, src_bdev, dst_bdev) = unsafe {
        (
            List::new(params.src, params.nr_src),
            List::new(params.dst, params.nr_dst),
            BlockDevice::from_raw(params.src_bdev),
            BlockDevice::from_raw(params.dst_bdev),
        )
    };
    src.check()?;
    dst.check()?;
    Ok(Request::new((src_bdev, &src), (dst_bdev, &dst))?.run())
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
