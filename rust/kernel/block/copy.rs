// SPDX-License-Identifier: GPL-2.0

//! Copy commands, as a driver sees them.
//!
//! A driver that sets `max_hw_copy_sectors` and its companions in its queue limits, and
//! `copy_domain` in its queue, gets requests of the operation `REQ_OP_COPY_DST`. [`Command`] says
//! what such a request reads and where it writes; the driver does it, or has the device do it, and
//! ends the request like any other.
//!
//! C header: [`include/linux/blk-copy.h`](srctree/include/linux/blk-copy.h)

use super::units::{
    Sector,
    Sectors, //
};
use crate::bindings;
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
