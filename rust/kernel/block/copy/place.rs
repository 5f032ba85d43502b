// SPDX-License-Identifier: GPL-2.0

//! Where a part of a device is, from the top of a stack to its bottom.
//!
//! C header: [`include/linux/blk-copy.h`](srctree/include/linux/blk-copy.h)
//! (`struct blk_copy_place`)

use super::{
    CopyDomain,
    CopyOp, //
};
use crate::{
    bindings,
    block::{
        bdev::BlockDevice,
        units::{
            Sector,
            SectorRange,
            Sectors, //
        }, //
    }, //
};

/// A part of a device, and what is known of where that is.
///
/// # Examples
///
/// ```
/// use kernel::block::{
///     bdev::BlockDevice,
///     copy::{CopyOp, CopyPlace},
///     units::{SectorRange, Sectors}, //
/// };
///
/// /// Returns how much of a range, from its start, one command can read at most.
/// fn readable(bdev: &BlockDevice, range: SectorRange) -> Sectors {
///     let mut place = CopyPlace::new(CopyOp::Src, range);
///     bdev.find_copy_place(&mut place);
///     if place.is_barred() {
///         Sectors::ZERO
///     } else {
///         place.len()
///     }
/// }
/// ```
#[repr(transparent)]
pub struct CopyPlace(bindings::blk_copy_place);

impl CopyPlace {
    /// Asks for a range that is to be read or written. Nothing is known of it.
    pub fn new(op: CopyOp, range: SectorRange) -> Self {
        Self(bindings::blk_copy_place {
            op: match op {
                CopyOp::Src => bindings::req_op_REQ_OP_COPY_SRC,
                CopyOp::Dst => bindings::req_op_REQ_OP_COPY_DST,
            },
            sector: range.start().get(),
            nr_sects: range.len().get(),
            domain: core::ptr::null(),
            barred: false,
        })
    }

    /// Uses a raw pointer.
    ///
    /// # Safety
    ///
    /// `place` is valid, and nobody else uses it, for `'a`.
    pub unsafe fn from_raw<'a>(place: *mut bindings::blk_copy_place) -> &'a mut Self {
        // SAFETY: `CopyPlace` is transparent, and the caller guarantees the rest.
        unsafe { &mut *place.cast() }
    }

    /// Returns how much of the range, from its start, is in one place.
    pub fn len(&self) -> Sectors {
        Sectors::new(self.0.nr_sects)
    }

    /// Returns what copies there, or [`None`] if nobody says.
    pub fn domain(&self) -> Option<CopyDomain> {
        CopyDomain::from_raw(self.0.domain)
    }

    /// Returns whether no device copies there.
    pub fn is_barred(&self) -> bool {
        self.0.barred
    }
}

impl BlockDevice {
    /// Finds out where a part of this device is, as far as its drivers say. They may change that at
    /// any time.
    ///
    /// Context: task; does not sleep.
    pub fn find_copy_place(&self, place: &mut CopyPlace) {
        let place = &mut place.0;
        let asked = place.sector;
        place.sector = asked.saturating_add(self.start().get());
        // SAFETY: By the type invariant, the device is valid and so is its disk, whose operations
        // do not change.
        unsafe {
            let disk = (*self.as_raw()).bd_disk;
            if let Some(find) = (*(*disk).fops).copy_place {
                find(disk, place);
            } else {
                place.domain = (*self.queue()).copy_domain;
                // What takes requests copies itself, or not at all.
                place.barred = place.domain.is_null() && !self.has_submit_bio();
                self.find_zone(place);
            }
        }
        place.sector = asked;
    }

    /// No range of a command goes beyond its zone, and no command writes to a zone that has to be
    /// written in order.
    fn find_zone(&self, place: &mut bindings::blk_copy_place) {
        let start = Sector::new(place.sector);
        let Some(rest) = self.rest_of_zone(start) else {
            return;
        };
        place.nr_sects = place.nr_sects.min(rest.get());
        if place.op == bindings::req_op_REQ_OP_COPY_DST && self.is_sequential(start) {
            place.barred = true;
        }
    }
}
