// SPDX-License-Identifier: GPL-2.0

//! Block I/O requests.
//!
//! [`Bio`] is one `struct bio`. [`OwnedBio`] is the obligation to end it or to pass it on, which
//! the block layer hands from one owner to the next. Dropping an [`OwnedBio`] ends the bio with an
//! I/O error, so no path of the code can lose one.
//!
//! C headers: [`include/linux/bio.h`](srctree/include/linux/bio.h),
//! [`include/linux/blk_types.h`](srctree/include/linux/blk_types.h)

use super::{
    bdev::BlockDevice,
    units::{
        Sector,
        Sectors, //
    }, //
};
use crate::{
    bindings,
    types::Opaque, //
};
use core::{
    mem::ManuallyDrop,
    ptr::NonNull, //
};

mod hint;
mod plug;
mod status;

pub use hint::WriteHint;
pub use plug::plugged;
pub use status::Status;

/// A `struct bio`, as C has it.
pub type RawBio = bindings::bio;

/// A `struct bio`.
///
/// # Invariants
///
/// While the reference lives, the bio stays initialized and has a device, and only its owner
/// changes it.
///
/// # Examples
///
/// ```
/// use kernel::block::bio::Bio;
///
/// /// Returns whether the bio begins on a boundary of the logical blocks of its device.
/// fn is_aligned(bio: &Bio) -> bool {
///     bio.start().is_aligned(bio.bdev().limits().logical_block())
/// }
/// ```
#[repr(transparent)]
pub struct Bio(Opaque<bindings::bio>);

// SAFETY: CPUs hand bios to each other all the time. `Bio` gives shared access to fields that only
// the bio's owner writes.
unsafe impl Send for Bio {}
// SAFETY: As above.
unsafe impl Sync for Bio {}

impl Bio {
    /// Gives back what the bio took when it was initialized or submitted.
    ///
    /// # Safety
    ///
    /// `slot` was initialized, belongs to the caller, and is not in flight.
    #[inline]
    pub unsafe fn uninit(slot: NonNull<Bio>) {
        // SAFETY: The caller guarantees that this is an initialized bio that nobody else uses.
        unsafe { bindings::bio_uninit(slot.as_ptr().cast()) };
    }

    /// Uses a raw pointer.
    ///
    /// # Safety
    ///
    /// For `'a`, `bio` is an initialized bio that has a device, and only the caller changes it.
    pub unsafe fn from_raw<'a>(bio: *mut RawBio) -> &'a Self {
        // INVARIANT: The caller guarantees it.
        // SAFETY: `Bio` is transparent, and the caller guarantees the rest.
        unsafe { &*bio.cast() }
    }

    pub(super) fn raw(&self) -> *mut bindings::bio {
        self.0.get()
    }

    /// Returns the device, as it is at this level of the stack.
    pub fn bdev(&self) -> &BlockDevice {
        // SAFETY: By the type invariant, the bio has a device, and that lives as long as the bio.
        unsafe { BlockDevice::from_raw((*self.raw()).bi_bdev) }
    }

    /// Returns the first sector on that device. Once a partition was resolved, it is the first
    /// sector on the whole disk.
    pub fn start(&self) -> Sector {
        // SAFETY: Only the owner of the bio changes the iterator.
        Sector::new(unsafe { (*self.raw()).bi_iter.bi_sector })
    }

    /// Returns the length.
    pub fn len(&self) -> Sectors {
        // SAFETY: Only the owner of the bio changes the iterator.
        Sectors::from_bytes_floor(u64::from(unsafe { (*self.raw()).bi_iter.bi_size }))
    }

    /// Returns whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len().is_zero()
    }

    /// Returns why the bio failed, or [`None`] if it did not. Only the function that is called at
    /// the end of the bio gets a meaningful answer.
    pub fn status(&self) -> Option<Status> {
        // SAFETY: The function that is called at the end of the bio reads this, and nobody writes
        // it any more then.
        Status::from_raw(unsafe { (*self.raw()).bi_status })
    }
}

/// The obligation to end a bio, or to pass it on, exactly once.
///
/// # Invariants
///
/// The pointer is a submitted bio that nobody else will end, and its `bi_next` is null.
///
/// # Examples
///
/// ```
/// use kernel::block::bio::{OwnedBio, Status};
///
/// /// Refuses bios that a small device has no room for. Returns those that it has room for.
/// fn admit(bio: OwnedBio) -> Option<OwnedBio> {
///     if bio.len() <= bio.bdev().limits().max_sectors() {
///         return Some(bio);
///     }
///     bio.end(Some(Status::NOTSUPP));
///     None
/// }
/// ```
#[derive(Debug)]
pub struct OwnedBio(NonNull<bindings::bio>);

// SAFETY: Any CPU may end a bio or pass it on.
unsafe impl Send for OwnedBio {}

impl OwnedBio {
    /// Takes over a bio.
    ///
    /// # Safety
    ///
    /// `bio` is a live bio that is on no list. The caller owns it and gives it away.
    pub unsafe fn from_raw(bio: NonNull<bindings::bio>) -> Self {
        // INVARIANT: The caller guarantees it.
        Self(bio)
    }

    /// Gives the bio away as a raw pointer. The receiver has the obligation now.
    pub fn into_raw(self) -> *mut bindings::bio {
        ManuallyDrop::new(self).0.as_ptr()
    }

    /// Ends the bio (`bio_endio()`): with success for [`None`], or with an error.
    ///
    /// Context: any; the caller holds no lock that a function for the end of a bio takes. Does not
    /// sleep.
    pub fn end(self, status: Option<Status>) {
        let bio = self.into_raw();
        // SAFETY: By the type invariant, nobody else ends this bio.
        unsafe {
            (*bio).bi_status = Status::into_raw(status);
            bindings::bio_endio(bio);
        }
    }

    /// Moves the bio to another device.
    ///
    /// Context: task; does not sleep.
    ///
    /// # Safety
    ///
    /// The device stays open until the bio has ended.
    pub unsafe fn set_device(&mut self, device: NonNull<bindings::block_device>) {
        // SAFETY: By the type invariant, `self` owns the bio, so nobody reads it now. The caller
        // guarantees the rest.
        unsafe { bindings::bio_set_dev(self.0.as_ptr(), device.as_ptr()) };
    }

    /// Lets the bio wait from now on: clears `REQ_NOWAIT`.
    pub fn allow_wait(&mut self) {
        // SAFETY: By the type invariant, `self` owns the bio, so nobody reads the flags now.
        unsafe { (*self.0.as_ptr()).bi_opf &= !bindings::REQ_NOWAIT };
    }
}

impl core::ops::Deref for OwnedBio {
    type Target = Bio;

    fn deref(&self) -> &Bio {
        // SAFETY: By the type invariant, the bio lives as long as `self`.
        unsafe { Bio::from_raw(self.0.as_ptr()) }
    }
}

impl Drop for OwnedBio {
    fn drop(&mut self) {
        // SAFETY: By the type invariant, nobody else ends this bio. `self` is not used again.
        unsafe {
            (*self.0.as_ptr()).bi_status = Status::into_raw(Some(Status::IOERR));
            bindings::bio_endio(self.0.as_ptr());
        }
    }
}

/// A list of bios, linked through `bi_next`, with the obligation to end each of them. Dropping it
/// ends them with an I/O error.
///
/// # Invariants
///
/// From `head` on, `bi_next` leads through bios that `self` owns to `tail`, which is the last one.
///
/// # Examples
///
/// ```
/// use kernel::block::bio::{BioList, OwnedBio};
///
/// /// Takes all bios of the list that are empty, and ends them. Returns the others.
/// fn end_empty(mut bios: BioList) -> BioList {
///     let mut rest = BioList::default();
///     while let Some(bio) = bios.pop() {
///         if bio.is_empty() {
///             bio.end(None);
///         } else {
///             rest.push(bio);
///         }
///     }
///     rest
/// }
/// # assert!(end_empty(BioList::default()).is_empty());
/// ```
#[derive(Debug, Default)]
pub struct BioList {
    head: Option<NonNull<bindings::bio>>,
    tail: Option<NonNull<bindings::bio>>,
}

// SAFETY: Any CPU may end the bios of the list or pass them on.
unsafe impl Send for BioList {}

impl BioList {
    /// Appends a bio.
    pub fn push(&mut self, bio: OwnedBio) {
        // INVARIANT: The `bi_next` of an owned bio is null, so it is the last one now.
        let bio = ManuallyDrop::new(bio).0;
        match self.tail.replace(bio) {
            // SAFETY: By the type invariant, `self` owns the old tail.
            Some(tail) => unsafe { (*tail.as_ptr()).bi_next = bio.as_ptr() },
            None => self.head = Some(bio),
        }
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// Takes the first bio off.
    pub fn pop(&mut self) -> Option<OwnedBio> {
        let bio = self.head?;
        // SAFETY: By the type invariant, `self` owns the bio. The next one, if there is one,
        // becomes the first.
        self.head = NonNull::new(unsafe {
            core::mem::replace(&mut (*bio.as_ptr()).bi_next, core::ptr::null_mut())
        });
        if self.head.is_none() {
            self.tail = None;
        }
        // INVARIANT: `self` owned the bio, and it is on no list any more.
        Some(OwnedBio(bio))
    }

    /// Ends all bios, as [`OwnedBio::end`] does.
    pub fn end(mut self, status: Option<Status>) {
        while let Some(bio) = self.pop() {
            bio.end(status);
        }
    }
}

impl Drop for BioList {
    fn drop(&mut self) {
        while let Some(bio) = self.pop() {
            drop(bio);
        }
    }
}

/// Submits a bio that lives in memory of the caller. The function for its end may have run when
/// this returns.
///
/// Context: task; may sleep.
///
/// # Safety
///
/// `bio` was initialized, and has not been submitted since.
#[inline]
pub unsafe fn submit(bio: NonNull<Bio>) {
    // SAFETY: The caller guarantees that the bio is ready to be submitted.
    unsafe { bindings::submit_bio(bio.as_ptr().cast()) };
}
