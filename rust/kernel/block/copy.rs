// SPDX-License-Identifier: GPL-2.0

//! Copies between block devices: for callers, [`copy`](fn@copy) and [`start`]; for drivers that
//! can copy inside their devices, [`Command`].
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
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*,
    sync::Arc, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};

pub use super::copy_path::CopyDomain;

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
        let mut left = self.len();
        (0..).map_while(move |index| {
            if left.is_zero() {
                return None;
            }
            let mut range = bindings::blk_copy_range::default();
            // SAFETY: By the type invariant the request is started; `range` is valid for writes.
            if !unsafe { bindings::blk_copy_src(self.rq.as_ptr(), index, &mut range) } {
                return None;
            }
            let len = Sectors::new(range.nr_sects);
            left = left.checked_sub(len).unwrap_or_default();
            Some((Sector::new(range.sector), len))
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

impl Outcome {
    fn new(params: &bindings::blk_copy_params) -> Self {
        Self {
            copied: Sectors::new(params.copied),
            result: to_result(params.error),
        }
    }
}

/// How to copy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// Inside the device, or not at all: `blkdev_copy_offload()`.
    Offload,
    /// By reading and writing: `blkdev_copy_onload()`.
    Onload,
    /// Inside the device wherever it can, by reading and writing elsewhere: `blkdev_copy()`.
    Any,
}

/// A reserve of memory, with which one copy at a time makes progress whatever happens to the memory
/// of the machine. A driver that copies in order to do its own I/O needs one of its own.
///
/// # Invariants
///
/// The pointer came from `blk_copy_pool_create()`.
pub struct Pool(NonNull<bindings::blk_copy_pool>);

// SAFETY: A pool is made to be used by several copies at once.
unsafe impl Send for Pool {}
// SAFETY: As above.
unsafe impl Sync for Pool {}

impl Pool {
    /// Makes a reserve.
    ///
    /// Context: task; may sleep.
    pub fn new() -> Result<Self> {
        // SAFETY: The function has no requirements but its context.
        let pool = from_err_ptr(unsafe { bindings::blk_copy_pool_create() })?;
        // INVARIANT: Just created.
        NonNull::new(pool).map(Self).ok_or(ENOMEM)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // SAFETY: By the type invariant it is a pool, and every copy that uses it has a reference.
        unsafe { bindings::blk_copy_pool_destroy(self.0.as_ptr()) };
    }
}

/// Copies the ranges of one list, one after the other, to those of the other, and waits for the
/// end. Without a `pool`, the reserve that all share is used.
///
/// Context: task; may sleep. Does not fail for lack of memory.
///
/// # Errors
///
/// - `EINVAL`: the lists are not as long as each other, overlap, or have ranges that are empty, not
///   on boundaries of both logical blocks, or past the end of their device.
/// - `EPERM`: the destination is read-only.
/// - `EOPNOTSUPP`: it cannot be copied in this way.
/// - `EINTR`: the task is being killed.
/// - Others: the error of the device, after which no other way should be tried.
pub fn copy(
    way: Way,
    (src_bdev, src): (&BlockDevice, &[CopyRange]),
    (dst_bdev, dst): (&BlockDevice, &[CopyRange]),
    pool: Option<&Pool>,
) -> Outcome {
    let mut params = match params((src_bdev, src), (dst_bdev, dst)) {
        Ok(params) => params,
        Err(error) => {
            let (copied, result) = (Sectors::ZERO, Err(error));
            return Outcome { copied, result };
        }
    };
    // SAFETY: The devices are open, and ranges and pool valid, as long as the references, which
    // outlive the call, because it waits for the end.
    unsafe { call(way, &mut params, pool) };
    Outcome::new(&params)
}

/// What a copy in the background uses until it has ended.
struct Started<S, D, F> {
    params: bindings::blk_copy_params,
    _src: S,
    _dst: D,
    _from: KVec<CopyRange>,
    _to: KVec<CopyRange>,
    _pool: Option<Arc<Pool>>,
    done: F,
}

/// Begins a copy as [`copy`] makes it, and calls `done` when it has ended: once, in task context,
/// before this returns or later. If it returns an error, nothing was begun, and `done` is not
/// called.
///
/// The module that `done` is in is not unloaded before that has returned, and what it has was
/// dropped.
///
/// Context: task; may sleep.
pub fn start<S, D, F>(
    module: &'static ThisModule,
    way: Way,
    (src, from): (S, KVec<CopyRange>),
    (dst, to): (D, KVec<CopyRange>),
    pool: Option<Arc<Pool>>,
    done: F,
) -> Result
where
    S: AsRef<BlockDevice> + Send + 'static,
    D: AsRef<BlockDevice> + Send + 'static,
    F: FnOnce(Outcome) + Send + 'static,
{
    let params = params((src.as_ref(), &from), (dst.as_ref(), &to))?;
    let reserve = pool.clone();
    let started = Started {
        params,
        _src: src,
        _dst: dst,
        _from: from,
        _to: to,
        _pool: pool,
        done,
    };
    let started = KBox::into_raw(KBox::new(started, GFP_KERNEL)?);
    // SAFETY: The devices, the ranges and the pool are in the box, which `ended` drops when the
    // copy has ended. Nothing in it is touched here once that may have happened.
    let status = unsafe {
        (*started).params.private = started.cast();
        (*started).params.end_io = Some(ended::<S, D, F>);
        (*started).params.owner = module.as_ptr();
        call(way, &raw mut (*started).params, reserve.as_deref())
    };
    if status == EIOCBQUEUED.to_errno() {
        return Ok(());
    }
    // SAFETY: Nothing was begun, or there was nothing to do, so the box is ours.
    let started = KBox::into_inner(unsafe { KBox::from_raw(started) });
    to_result(status)?;
    (started.done)(Outcome::new(&started.params));
    Ok(())
}

/// Ends a copy in the background.
///
/// # Safety
///
/// For `end_io` of [`start`] alone.
unsafe extern "C" fn ended<S, D, F: FnOnce(Outcome)>(params: *mut bindings::blk_copy_params) {
    // SAFETY: `start` has put the box there, and the copy does not use it any more.
    let started = unsafe { KBox::from_raw((*params).private.cast::<Started<S, D, F>>()) };
    let outcome = Outcome::new(&started.params);
    (KBox::into_inner(started).done)(outcome);
}

fn params(
    (src_bdev, src): (&BlockDevice, &[CopyRange]),
    (dst_bdev, dst): (&BlockDevice, &[CopyRange]),
) -> Result<bindings::blk_copy_params> {
    Ok(bindings::blk_copy_params {
        src_bdev: src_bdev.as_raw(),
        dst_bdev: dst_bdev.as_raw(),
        src: src.as_ptr().cast(),
        dst: dst.as_ptr().cast(),
        nr_src: c_uint::try_from(src.len())?,
        nr_dst: c_uint::try_from(dst.len())?,
        ..Default::default()
    })
}

/// # Safety
///
/// As for `blkdev_copy()`.
unsafe fn call(way: Way, params: *mut bindings::blk_copy_params, pool: Option<&Pool>) -> c_int {
    let pool = pool.map_or(core::ptr::null_mut(), |pool| pool.0.as_ptr());
    // SAFETY: Required of the caller.
    unsafe {
        match way {
            Way::Offload => bindings::blkdev_copy_offload(params),
            Way::Onload => bindings::blkdev_copy_onload(params, pool),
            Way::Any => bindings::blkdev_copy(params, pool),
        }
    }
}
