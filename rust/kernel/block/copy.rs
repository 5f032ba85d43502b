// SPDX-License-Identifier: GPL-2.0

//! Copies inside devices: for callers, [`offload`]; for drivers, [`Command`].
//!
//! A driver that sets `max_hw_copy_sectors` and its companions in its queue limits, and
//! `copy_domain` in its queue, gets requests of the operation `REQ_OP_COPY_DST`. [`Command`] says
//! what such a request reads and where it writes; the driver does it, or has the device do it, and
//! ends the request like any other.
//!
//! C header: [`include/linux/blk-copy.h`](srctree/include/linux/blk-copy.h)

use super::{
    bdev::BlockDevice,
    units::{
        Sector,
        Sectors, //
    }, //
};
use crate::{
    bindings,
    error::to_result,
    prelude::*, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};

/// A copy command: a started request of the operation `REQ_OP_COPY_DST`.
///
/// Positions are on the whole disk, also if partitions were copied.
///
/// # Invariants
///
/// The request stays started while `self` lives, so the context behind it does not change.
pub struct Command<'a> {
    rq: NonNull<bindings::request>,
    _started: PhantomData<&'a bindings::request>,
}

impl Command<'_> {
    /// Uses a raw pointer.
    ///
    /// # Safety
    ///
    /// `rq` is a request of `REQ_OP_COPY_DST` that its driver has started, and it is not ended or
    /// requeued while the value lives.
    pub unsafe fn from_raw(rq: NonNull<bindings::request>) -> Self {
        // INVARIANT: Required of the caller.
        Self {
            rq,
            _started: PhantomData,
        }
    }

    /// The first sector that is written.
    pub fn dst(&self) -> Sector {
        // SAFETY: By the type invariant the request is valid.
        Sector::new(unsafe { (*self.rq.as_ptr()).__sector })
    }

    /// Sectors that are copied in all.
    pub fn len(&self) -> Sectors {
        // SAFETY: By the type invariant the request is valid.
        Sectors::from_bytes_floor(u64::from(unsafe { (*self.rq.as_ptr()).__data_len }))
    }

    /// Whether nothing is copied. Never so for a request that the block layer made.
    pub fn is_empty(&self) -> bool {
        self.len().is_zero()
    }

    /// The ranges that are read, in the order in which they are written one after the other.
    pub fn sources(&self) -> impl Iterator<Item = (Sector, Sectors)> + '_ {
        (0..).map_while(|index| {
            let mut range = bindings::blk_copy_range::default();
            // SAFETY: By the type invariant the request is started; `range` is valid for writes.
            let found = unsafe { bindings::blk_copy_src(self.rq.as_ptr(), index, &mut range) };
            found.then(|| (Sector::new(range.sector), Sectors::new(range.nr_sects)))
        })
    }
}

/// A piece of a block device.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct CopyRange(bindings::blk_copy_range);

impl CopyRange {
    /// `len` sectors from `start` on.
    pub const fn new(start: Sector, len: Sectors) -> Self {
        Self(bindings::blk_copy_range {
            sector: start.get(),
            nr_sects: len.get(),
        })
    }
}

/// How a copy ended.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Sectors copied from the start without a gap, also after an error.
    pub copied: Sectors,
    /// Whether that is all of it.
    pub result: Result,
}

/// Copies the ranges of one list, one after the other, to those of the other, inside the device,
/// and waits for the end. See `blkdev_copy_offload()`.
///
/// Context: task; may sleep. Does not fail for lack of memory.
///
/// # Errors
///
/// - `EINVAL`: the lists are not as long as each other, overlap, or have ranges that are empty, not
///   on boundaries of both logical blocks, or past the end of their device.
/// - `EPERM`: the destination is read-only.
/// - `EOPNOTSUPP`: the devices cannot copy this. Read and write it instead.
/// - `EINTR`: the task is being killed.
/// - Others: the error of the device, after which no other way should be tried.
pub fn offload(
    (src_bdev, src): (&BlockDevice, &[CopyRange]),
    (dst_bdev, dst): (&BlockDevice, &[CopyRange]),
) -> Outcome {
    let count = |list: &[CopyRange]| c_uint::try_from(list.len());
    let (Ok(nr_src), Ok(nr_dst)) = (count(src), count(dst)) else {
        let (copied, result) = (Sectors::ZERO, Err(EINVAL));
        return Outcome { copied, result };
    };
    let mut params = bindings::blk_copy_params {
        src_bdev: src_bdev.as_raw(),
        dst_bdev: dst_bdev.as_raw(),
        src: src.as_ptr().cast(),
        dst: dst.as_ptr().cast(),
        nr_src,
        nr_dst,
        ..Default::default()
    };
    // SAFETY: The devices are open, and the ranges valid, as long as the references, which outlive
    // the call, because it waits for the end.
    let result = to_result(unsafe { bindings::blkdev_copy_offload(&mut params) });
    let copied = Sectors::new(params.copied);
    Outcome { copied, result }
}
