// SPDX-License-Identifier: GPL-2.0

//! Copies between block devices.
//!
//! # Code that copies
//!
//! [`copy`](fn@copy) copies and waits for the end. [`start`] copies in the background and calls a
//! function at the end. [`Way`] says whether the device should copy by itself. Code that copies in
//! order to do I/O for others has a [`Pool`] of its own.
//!
//! # Drivers whose devices can copy
//!
//! A driver sets `max_hw_copy_sectors` and its companions in its queue limits, and `copy_domain` in
//! its queue. From then on it gets requests of the operation `REQ_OP_COPY_DST`. [`Command`] says
//! what such a request reads and where it writes. The driver does that, or has the device do it,
//! and ends the request like any other.
//!
//! # The engine
//!
//! What the copy engine itself needs of the block layer is here as well: [`limits`], [`stats`],
//! [`CopyDomain`], [`CopyPlace`], and the bios of copies ([`CopyOp`]).
//!
//! C header: [`include/linux/blk-copy.h`](srctree/include/linux/blk-copy.h)

use super::{
    bdev::BlockDevice,
    bio::{
        Bio,
        WriteHint, //
    },
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
    prelude::*, //
};
use core::{
    marker::PhantomData,
    ops::Range,
    ptr::NonNull, //
};

mod background;
mod bio;
pub mod limits;
mod params;
mod path;
mod place;
pub mod stats;
pub mod trace;
mod way;

pub use background::{
    start,
    Started, //
};
pub use bio::CopyOp;
pub use params::{
    Params,
    RawParams, //
};
pub use path::CopyDomain;
pub use place::CopyPlace;
pub use way::{
    How,
    Way, //
};

/// A copy command: a started request of the operation `REQ_OP_COPY_DST`.
///
/// Positions are on the whole disk, also if partitions were copied.
///
/// # Invariants
///
/// The request stays started while `self` lives, so the context behind it does not change.
///
/// # Examples
///
/// How a driver executes a command:
///
/// ```
/// use kernel::block::{
///     bio::Status,
///     copy::Command,
///     units::{Sector, Sectors}, //
/// };
///
/// fn execute(
///     command: &Command<'_>,
///     copy: impl Fn(Sector, Sector, Sectors) -> Result<(), Status>,
/// ) -> Result<(), Status> {
///     let mut to = command.dst();
///     for (from, len) in command.sources() {
///         copy(from, to, len)?;
///         to = to.checked_add(len).ok_or(Status::IOERR)?;
///     }
///     Ok(())
/// }
/// ```
pub struct Command<'a> {
    rq: *mut bindings::request,
    _started: PhantomData<&'a bindings::request>,
}

impl Command<'_> {
    /// Uses a raw pointer.
    ///
    /// # Safety
    ///
    /// `rq` is a request that its driver has started, or is about to start. It is not ended or
    /// requeued while the value lives. If it is of another operation than `REQ_OP_COPY_DST`, it has
    /// no sources.
    pub unsafe fn from_raw(rq: *mut bindings::request) -> Self {
        // INVARIANT: The caller guarantees it.
        Self {
            rq,
            _started: PhantomData,
        }
    }

    /// Returns the first sector that is written.
    pub fn dst(&self) -> Sector {
        // SAFETY: By the type invariant, the request is valid.
        Sector::new(unsafe { (*self.rq).__sector })
    }

    /// Returns how much is copied in all.
    pub fn len(&self) -> Sectors {
        // SAFETY: By the type invariant, the request is valid.
        Sectors::from_bytes_floor(u64::from(unsafe { (*self.rq).__data_len }))
    }

    /// Returns whether nothing is copied. The block layer makes no such request.
    pub fn is_empty(&self) -> bool {
        self.len().is_zero()
    }

    /// Returns the bio of the request.
    pub fn bio(&self) -> Option<&Bio> {
        // SAFETY: By the type invariant, the request is valid.
        let bio = NonNull::new(unsafe { (*self.rq).bio })?;
        // SAFETY: A started request has its bios until it ends.
        Some(unsafe { Bio::from_raw(bio.as_ptr()) })
    }

    /// Returns the ranges that are read, in the order in which they are written one after the
    /// other.
    pub fn sources(&self) -> impl Iterator<Item = (Sector, Sectors)> + '_ {
        let mut iter = bindings::blk_copy_iter::default();
        core::iter::from_fn(move || {
            let mut range = bindings::blk_copy_range::default();
            // SAFETY: By the type invariant, the request is started; both pointers are valid.
            unsafe { bindings::blk_copy_next_src(self.rq, &mut iter, &mut range) }
                .then(|| (Sector::new(range.sector), Sectors::new(range.nr_sects)))
        })
    }
}

/// A range of a block device, as a source or as a destination.
///
/// # Examples
///
/// ```
/// use kernel::block::{
///     copy::CopyRange,
///     units::{Sector, Sectors}, //
/// };
///
/// let first_mib = CopyRange::new(Sector::new(0), Sectors::new(2048));
/// # let _ = first_mib;
/// ```
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct CopyRange(bindings::blk_copy_range);

impl CopyRange {
    /// Makes a range of `len` sectors from `start` on.
    pub const fn new(start: Sector, len: Sectors) -> Self {
        Self(bindings::blk_copy_range {
            sector: start.get(),
            nr_sects: len.get(),
        })
    }

    /// Makes a range of `len` bytes from `start` on. [`None`] if that is not on boundaries of
    /// sectors.
    pub fn from_bytes(start: u64, len: u64) -> Option<Self> {
        let (start, len) = (Sector::from_bytes(start)?, Sectors::from_bytes(len)?);
        Some(Self::new(start, len))
    }

    /// Returns the range in bytes, or [`None`] if that overflows.
    pub fn to_bytes(self) -> Option<Range<u64>> {
        let start = self.start().to_bytes()?;
        Some(start..start.checked_add(self.len().to_bytes()?)?)
    }

    /// Returns the first sector.
    pub const fn start(self) -> Sector {
        Sector::new(self.0.sector)
    }

    /// Returns the length.
    pub const fn len(self) -> Sectors {
        Sectors::new(self.0.nr_sects)
    }

    /// Returns whether there is nothing in it.
    pub const fn is_empty(self) -> bool {
        self.len().is_zero()
    }
}

/// How a copy ended.
///
/// # Examples
///
/// ```
/// use kernel::block::copy::Outcome;
///
/// fn report(outcome: &Outcome) {
///     match outcome.result {
///         Ok(()) => pr_info!("copied\n"),
///         Err(EOPNOTSUPP) => pr_info!("these devices cannot copy this\n"),
///         Err(_) => pr_info!("failed after {} sectors\n", outcome.copied.get()),
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// How many sectors were copied from the start without a gap, also after an error.
    pub copied: Sectors,
    /// Whether everything was copied, or the error that ended the copy.
    pub result: Result,
}

impl Outcome {
    /// Returns the outcome of a copy that has copied all of its `copied` sectors.
    pub fn complete(copied: Sectors) -> Self {
        let result = Ok(());
        Self { copied, result }
    }

    /// Returns the outcome of a copy that has copied nothing.
    pub fn nothing(result: Result) -> Self {
        let copied = Sectors::ZERO;
        Self { copied, result }
    }

    /// # Safety
    ///
    /// The params are valid, and no copy with them runs.
    unsafe fn of(params: *const bindings::blk_copy_params) -> Self {
        // SAFETY: The caller guarantees that they are valid. The engine does not write the result
        // any more, and nobody else does.
        unsafe {
            Self {
                copied: Sectors::new((*params).copied),
                result: to_result((*params).error),
            }
        }
    }
}

/// A reserve of memory. With it one copy at a time makes progress, whatever happens to the memory
/// of the machine. Code that copies in order to do I/O for others needs a pool of its own.
///
/// # Invariants
///
/// The pointer came from `blk_copy_pool_create()`, and the pool belongs to this value.
///
/// # Examples
///
/// ```
/// use kernel::block::copy::Pool;
///
/// let pool = Pool::new()?;
/// # drop(pool);
/// # Ok::<(), Error>(())
/// ```
pub struct Pool(NonNull<bindings::blk_copy_pool>);

// SAFETY: Any number of copies may use a pool at the same time, and any task may destroy it.
unsafe impl Send for Pool {}
// SAFETY: As above.
unsafe impl Sync for Pool {}

impl Pool {
    /// Makes a pool.
    ///
    /// Context: task; may sleep.
    pub fn new() -> Result<Self> {
        // SAFETY: The function has no requirements but its context.
        let pool = from_err_ptr(unsafe { bindings::blk_copy_pool_create() })?;
        // INVARIANT: The pool was created just now.
        NonNull::new(pool).map(Self).ok_or(ENOMEM)
    }

    /// Returns the raw pointer, for the functions of the C interface.
    pub fn as_raw(&self) -> *mut bindings::blk_copy_pool {
        self.0.as_ptr()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // SAFETY: By the type invariant, the pool belongs to `self`, and every copy that uses it
        // has a reference to `self`.
        unsafe { bindings::blk_copy_pool_destroy(self.0.as_ptr()) };
    }
}

/// Copies the ranges of one list, one after the other, to those of the other list, and waits for
/// the end. Without a `pool`, the copy uses the pool that all share.
///
/// Context: task; may sleep. Does not fail for lack of memory.
///
/// # Errors
///
/// - `EINVAL`: the lists have different lengths in all, or they overlap, or a range is empty, not
///   on boundaries of both logical blocks, or past the end of its device; or the destination has
///   no such write stream.
/// - `EPERM`: the destination is read-only.
/// - `ENODEV`: a device is gone.
/// - `EOPNOTSUPP`: this cannot be copied in this way.
/// - `EINTR`: the task is being killed.
/// - Others: the error of the device. The caller should not try another way after it.
///
/// # Examples
///
/// ```
/// use kernel::block::{
///     bdev::BlockDevice,
///     copy::{self, CopyRange, Way},
///     units::{Sector, Sectors}, //
/// };
///
/// /// Copies the first MiB of a device behind itself.
/// fn duplicate(bdev: &BlockDevice) -> Result {
///     let len = Sectors::new(2048);
///     let from = [CopyRange::new(Sector::new(0), len)];
///     let to = [CopyRange::new(Sector::new(2048), len)];
///     copy::copy(Way::Any, (bdev, &from), (bdev, &to), None).result
/// }
/// ```
pub fn copy(
    how: impl Into<How>,
    (src_bdev, src): (&BlockDevice, &[CopyRange]),
    (dst_bdev, dst): (&BlockDevice, &[CopyRange]),
    pool: Option<&Pool>,
) -> Outcome {
    let how = how.into();
    let mut params = match params(how.hint, (src_bdev, src), (dst_bdev, dst)) {
        Ok(params) => params,
        Err(error) => return Outcome::nothing(Err(error)),
    };
    // SAFETY: The references keep the devices open, and ranges and pool valid. They outlive the
    // call, which waits for the end.
    unsafe {
        call(how.way, &mut params, pool);
        Outcome::of(&params)
    }
}

fn params(
    hint: WriteHint,
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
        write_hint: hint.lifetime(),
        write_stream: hint.stream(),
        ..Default::default()
    })
}

/// # Safety
///
/// As for `blkdev_copy()`.
unsafe fn call(way: Way, params: *mut bindings::blk_copy_params, pool: Option<&Pool>) -> c_int {
    let pool = pool.map_or(core::ptr::null_mut(), |pool| pool.0.as_ptr());
    // SAFETY: The caller guarantees it.
    unsafe { bindings::blk_copy_run(params, pool, way.into_raw()) }
}
