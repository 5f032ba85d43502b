// SPDX-License-Identifier: GPL-2.0

//! Limits of queues, and what sysfs shows of them.

use crate::limits::{
    parse_max_bytes,
    Wish, //
};
use kernel::{
    bindings,
    block::{
        bdev::BlockDevice,
        copy::{
            limits::CopyLimits,
            CopyPlace, //
        },
        limits::{
            QueueLimits,
            QueueLimitsUpdate, //
        }, //
    },
    error::from_result,
    prelude::*, //
};

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
        excluded: limits.has_metadata(),
    }
}

/// What one copy command may cover, down to the devices.
///
/// Context: task; does not sleep.
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

/// Where a part of a device is, down to what can copy it.
///
/// Context: task; does not sleep.
///
/// # Safety
///
/// The device stays open; `place` is valid and the caller's.
#[export]
pub(crate) unsafe extern "C" fn bdev_copy_place(
    bdev: *mut bindings::block_device,
    place: *mut bindings::blk_copy_place,
) {
    // SAFETY: Required of the caller.
    let (bdev, place) = unsafe { (BlockDevice::from_raw(bdev), CopyPlace::from_raw(place)) };
    bdev.find_copy_place(place);
}

/// What `queue/copy_max_bytes` shows, or with `hw` `queue/copy_max_hw_bytes`.
///
/// Context: task; does not sleep.
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
