// SPDX-License-Identifier: GPL-2.0

//! Clones of bios, as stacking drivers pass them on (`__bio_clone()`). A bio ends with the last of
//! its clones.

use super::{Bio, Fields, OwnedBio, RawBio, Stage, Status};
use crate::{
    block::{
        bdev::BlockDevice,
        units::{Sector, Sectors}, //
    },
    memory::{self, Origin},
};
use core::{alloc::Layout, ptr::NonNull};
use loom::{cell::UnsafeCell, sync::Mutex};
use std::rc::Rc;

/// A clone, and what it belongs to.
#[repr(C)]
struct Cloned {
    bio: Bio,
    /// Loom runs all threads on one thread of the host.
    family: Rc<Family>,
}

struct Family {
    parent: NonNull<Bio>,
    /// How many clones have not ended, and what the first one that failed has ended with. [`None`]
    /// if there is one clone only.
    left: Option<Mutex<(usize, Option<Status>)>>,
}

impl Family {
    /// One of them has ended. Returns what the parent ends with if it was the last.
    fn ended(&self, status: Option<Status>) -> Option<Option<Status>> {
        let Some(left) = &self.left else {
            return Some(status);
        };
        let mut left = left.lock().expect("loom does not poison locks");
        left.0 -= 1;
        left.1 = left.1.or(status);
        (left.0 == 0).then_some(left.1)
    }
}

impl OwnedBio {
    /// Replaces the bio by clones for these places.
    pub fn into_clones<const N: usize>(
        self,
        places: [(&'static BlockDevice, Sector, Sectors); N],
    ) -> [OwnedBio; N] {
        let (op, nowait, part) = self.read(|fields| (fields.op, fields.nowait, fields.part));
        let family = Rc::new(Family {
            parent: self.into_raw(),
            left: (N > 1).then(|| Mutex::new((N, None))),
        });
        places.map(|(bdev, start, len)| {
            let fields = Fields {
                stage: Stage::Submitted,
                bdev,
                op,
                start,
                len,
                nowait,
                part,
                status: None,
                end_io: clone_end_io,
                is_clone: true,
            };
            let memory = memory::alloc(Layout::new::<Cloned>(), Origin::Clone).cast::<Cloned>();
            let clone = Cloned {
                bio: Bio(RawBio(UnsafeCell::new(fields))),
                family: Rc::clone(&family),
            };
            // SAFETY: This is memory for a clone.
            unsafe { memory.write(clone) };
            memory::add_bio(memory.as_ptr());
            OwnedBio(memory.cast())
        })
    }
}

/// Ends a clone.
///
/// # Safety
///
/// For the bio of a [`Cloned`].
unsafe extern "C" fn clone_end_io(bio: *mut RawBio) {
    let clone = NonNull::new(bio.cast::<Cloned>()).expect("there is a clone");
    // SAFETY: It is one, and it has ended, so nobody else uses it.
    let (status, family) = unsafe {
        let status = clone.as_ref().bio.status();
        Bio::uninit(clone.cast());
        let family = core::ptr::addr_of!((*clone.as_ptr()).family).read();
        (status, family)
    };
    memory::free(clone.cast(), Layout::new::<Cloned>(), Origin::Clone);
    if let Some(status) = family.ended(status) {
        OwnedBio(family.parent).end(status);
    }
}
