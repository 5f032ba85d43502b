// SPDX-License-Identifier: GPL-2.0

//! What the block layer does with bios of a copy, and drivers with requests.

use crate::{
    bottom,
    top, //
};
use core::ptr::NonNull;
use kernel::{
    bindings,
    block::{
        bio::{
            Bio,
            OwnedBio, //
        },
        units::Sectors, //
    },
    prelude::*, //
};

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
    top::intercept(bio).map_or(core::ptr::null_mut(), OwnedBio::into_raw)
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
