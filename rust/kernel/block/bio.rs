// SPDX-License-Identifier: GPL-2.0

//! Block I/O requests.
//!
//! [`Bio`] is one `struct bio`; [`OwnedBio`] is the obligation to end it or to pass it on, which
//! the block layer hands from one owner to the next. Dropping an [`OwnedBio`] ends the bio with an
//! I/O error, so that no path can lose one.
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

mod plug;
mod status;

pub use plug::{
    expect,
    plugged, //
};
pub use status::Status;

/// Which bio of a copy a bio is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CopyOp {
    /// `REQ_OP_COPY_SRC`: the range that is read.
    Src,
    /// `REQ_OP_COPY_DST`: the range that is written.
    Dst,
}

/// A `struct bio`, as C knows it.
pub type RawBio = bindings::bio;

/// A `struct bio`.
///
/// # Invariants
///
/// While the reference lives, the bio stays initialized and has a device, and nobody but its user
/// changes it.
#[repr(transparent)]
pub struct Bio(Opaque<bindings::bio>);

// SAFETY: A bio is handed between CPUs all the time; `Bio` gives shared access to fields that only
// the bio's owner writes.
unsafe impl Send for Bio {}
// SAFETY: As above.
unsafe impl Sync for Bio {}

impl Bio {
    /// Gives back what the bio took when it was initialized or submitted.
    ///
    /// # Safety
    ///
    /// `slot` was initialized by [`Bio::init_copy`] or [`Bio::init_copy_like`], and is not in
    /// flight.
    #[inline]
    pub unsafe fn uninit(slot: NonNull<Bio>) {
        // SAFETY: By the requirements of this function this is an initialized bio of the caller.
        unsafe { bindings::bio_uninit(slot.as_ptr().cast()) };
    }

    /// Uses a raw pointer.
    ///
    /// # Safety
    ///
    /// For `'a`, `bio` is an initialized bio with a device, and nobody but the caller changes it.
    pub unsafe fn from_raw<'a>(bio: *mut RawBio) -> &'a Self {
        // INVARIANT: Required of the caller.
        // SAFETY: `Bio` is transparent, the rest is required of the caller.
        unsafe { &*bio.cast() }
    }

    pub(super) fn raw(&self) -> *mut bindings::bio {
        self.0.get()
    }

    /// Which part of a copy the bio is; [`None`] if it is no copy.
    pub fn copy_op(&self) -> Option<CopyOp> {
        // SAFETY: The operation of a live bio does not change.
        match unsafe { (*self.raw()).bi_opf } & bindings::REQ_OP_MASK {
            bindings::req_op_REQ_OP_COPY_SRC => Some(CopyOp::Src),
            bindings::req_op_REQ_OP_COPY_DST => Some(CopyOp::Dst),
            _ => None,
        }
    }

    /// What [`Bio::init_copy`] was given for this bio or for the one it is a clone of; [`None`] if
    /// it is no copy, or was made with room for a vector, because then that stands there.
    pub fn copy_part(&self) -> Option<NonNull<bindings::blk_copy_part>> {
        self.copy_op()?;
        // SAFETY: The field is constant.
        if unsafe { (*self.raw()).bi_max_vecs } != 0 {
            return None;
        }
        // SAFETY: For the operations of a copy this is the field of the union that is in use.
        NonNull::new(unsafe { (*self.raw()).__bindgen_anon_1.bi_copy })
    }

    /// The device, as it is at this level of the stack.
    pub fn bdev(&self) -> &BlockDevice {
        // SAFETY: By the type invariant it has a device, which lives as long as the bio.
        unsafe { BlockDevice::from_raw((*self.raw()).bi_bdev) }
    }

    /// The first sector on that device; once a partition was resolved, on the whole disk.
    pub fn start(&self) -> Sector {
        // SAFETY: Only the owner of the bio changes the iterator.
        Sector::new(unsafe { (*self.raw()).bi_iter.bi_sector })
    }

    /// The length.
    pub fn len(&self) -> Sectors {
        // SAFETY: Only the owner of the bio changes the iterator.
        Sectors::from_bytes_floor(u64::from(unsafe { (*self.raw()).bi_iter.bi_size }))
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len().is_zero()
    }

    /// How the bio ended. Meaningful in its end-of-I/O function only.
    pub fn status(&self) -> Option<Status> {
        // SAFETY: Read by the function that the end of I/O calls, after which nobody writes it.
        Status::from_raw(unsafe { (*self.raw()).bi_status })
    }
}

/// The obligation to end a bio, or to pass it on, exactly once.
///
/// # Invariants
///
/// The pointer is a submitted bio that nobody else will end, and `bi_next` is null.
#[derive(Debug)]
pub struct OwnedBio(NonNull<bindings::bio>);

// SAFETY: A bio may be ended or passed on by any CPU.
unsafe impl Send for OwnedBio {}

impl OwnedBio {
    /// Takes over a bio.
    ///
    /// # Safety
    ///
    /// `bio` is a live bio that the caller owns and gives away, and that is on no list.
    pub unsafe fn from_raw(bio: NonNull<bindings::bio>) -> Self {
        // INVARIANT: Required of the caller.
        Self(bio)
    }

    /// Gives the bio away as a raw pointer; the receiver has the obligation now.
    pub fn into_raw(self) -> *mut bindings::bio {
        ManuallyDrop::new(self).0.as_ptr()
    }

    /// Ends the bio (`bio_endio()`), with success for [`None`].
    ///
    /// Context: any; no lock may be held that an end-of-I/O function takes. Does not sleep.
    pub fn end(self, status: Option<Status>) {
        let bio = self.into_raw();
        // SAFETY: By the type invariant the bio is ours to end.
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
        // SAFETY: By the type invariant the bio is ours, so nobody reads it now. The rest is
        // required of the caller.
        unsafe { bindings::bio_set_dev(self.0.as_ptr(), device.as_ptr()) };
    }

    /// Lets the bio wait from now on: what it holds up cannot change its mapping any more.
    pub fn allow_wait(&mut self) {
        // SAFETY: By the type invariant the bio is ours, so nobody reads the flags now.
        unsafe { (*self.0.as_ptr()).bi_opf &= !bindings::REQ_NOWAIT };
    }
}

impl core::ops::Deref for OwnedBio {
    type Target = Bio;

    fn deref(&self) -> &Bio {
        // SAFETY: By the type invariant the bio lives as long as `self`.
        unsafe { Bio::from_raw(self.0.as_ptr()) }
    }
}

impl Drop for OwnedBio {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the bio is ours to end; `self` is not used again.
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
/// From `head` on, `bi_next` leads through bios that `self` owns to `tail`, the last one.
#[derive(Debug, Default)]
pub struct BioList {
    head: Option<NonNull<bindings::bio>>,
    tail: Option<NonNull<bindings::bio>>,
}

// SAFETY: As for `OwnedBio`.
unsafe impl Send for BioList {}

impl BioList {
    /// Appends a bio.
    pub fn push(&mut self, bio: OwnedBio) {
        // INVARIANT: The bio's `bi_next` is null, so it is the last one now.
        let bio = ManuallyDrop::new(bio).0;
        match self.tail.replace(bio) {
            // SAFETY: By the type invariant the old tail is ours.
            Some(tail) => unsafe { (*tail.as_ptr()).bi_next = bio.as_ptr() },
            None => self.head = Some(bio),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// Takes the first bio off.
    pub fn pop(&mut self) -> Option<OwnedBio> {
        let bio = self.head?;
        // SAFETY: By the type invariant the bio is ours; the next one, if any, becomes the first.
        self.head = NonNull::new(unsafe {
            core::mem::replace(&mut (*bio.as_ptr()).bi_next, core::ptr::null_mut())
        });
        if self.head.is_none() {
            self.tail = None;
        }
        // INVARIANT: It was ours and is on no list any more.
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

/// Submits a bio that lives in memory of the caller. Its end-of-I/O function may have run when
/// this returns.
///
/// Context: task; may sleep.
///
/// # Safety
///
/// `bio` was initialized by [`Bio::init_copy`] and has not been submitted.
#[inline]
pub unsafe fn submit(bio: NonNull<Bio>) {
    // SAFETY: By the requirements of this function it is a bio ready to be submitted.
    unsafe { bindings::submit_bio(bio.as_ptr().cast()) };
}
