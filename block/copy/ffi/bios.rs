// SPDX-License-Identifier: GPL-2.0

//! What the block layer does with bios of a copy, and drivers with requests.

use crate::{
    chunk,
    plan::Cursor, //
};
use core::ptr::NonNull;
use kernel::{
    bindings,
    block::{
        bio::{
            Bio,
            OwnedBio, //
        },
        copy::Command,
        units::Sectors, //
    },
    num::casts::u32_as_usize,
    prelude::*, //
};

/// A bio of a copy has been checked and accounted. Returns the bio to issue now, or NULL.
///
/// Context: task; may sleep, because bios that were held are issued as well. No lock may be held.
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
    chunk::intercept(bio).map_or(core::ptr::null_mut(), OwnedBio::into_raw)
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
    chunk::split(unsafe { Bio::from_raw(bio) }, Sectors::new(nr_sects));
}

/// Whether the limits still allow a copy. False for a bio that belongs to no copy.
///
/// Context: task; does not sleep. The caller holds a reference to the queue.
///
/// # Safety
///
/// `bio` is a bio that the caller owns.
#[export]
pub(crate) unsafe extern "C" fn blk_copy_fits(bio: *mut bindings::bio) -> bool {
    // SAFETY: Required of the caller.
    chunk::fits(unsafe { Bio::from_raw(bio) })
}

/// The number of ranges that a command reads; 0 for other bios.
///
/// Context: any. Does not sleep.
///
/// # Safety
///
/// `bio` is a bio that the caller owns.
#[export]
pub(crate) unsafe extern "C" fn blk_copy_nr_reads(bio: *mut bindings::bio) -> c_uint {
    // SAFETY: Required of the caller.
    saturated(chunk::source_count(unsafe { Bio::from_raw(bio) }))
}

/// A number of sources, of which a chunk has few.
fn saturated(count: usize) -> c_uint {
    c_uint::try_from(count).unwrap_or(c_uint::MAX)
}

/// The next source range of a request, on the whole disk. False behind the last one.
///
/// Context: any. Does not sleep.
///
/// # Safety
///
/// `rq` is a request that its driver has started, or is about to start; `iter` and `range` are
/// valid and the caller's.
#[export]
pub(crate) unsafe extern "C" fn blk_copy_next_src(
    rq: *mut bindings::request,
    iter: *mut bindings::blk_copy_iter,
    range: *mut bindings::blk_copy_range,
) -> bool {
    // SAFETY: Required of the caller.
    let (command, iter, range) = unsafe { (Command::from_raw(rq), &mut *iter, &mut *range) };
    let mut at = Cursor::new(u32_as_usize(iter.source), Sectors::new(iter.done));
    let next = command
        .bio()
        .and_then(|bio| chunk::next_source(bio, &mut at));
    let Some(source) = next else { return false };
    let (index, offset) = at.get();
    (iter.source, iter.done) = (saturated(index), offset.get());
    (range.sector, range.nr_sects) = (source.start().get(), source.len().get());
    true
}
