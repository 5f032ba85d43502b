// SPDX-License-Identifier: GPL-2.0

//! The bios of copies: how they are made, and what they carry.
//!
//! C header: [`include/linux/blk-copy.h`](srctree/include/linux/blk-copy.h)

use crate::{
    bindings,
    block::{
        bdev::BlockDevice,
        bio::{
            Bio,
            OwnedBio, //
        },
        units::{
            Sector,
            Sectors, //
        }, //
    }, //
};
use core::ptr::NonNull;

/// Which bio of a copy a bio is.
///
/// # Examples
///
/// ```
/// use kernel::block::{
///     bio::Bio,
///     copy::CopyOp, //
/// };
///
/// /// Returns whether the device will write to the range of this bio.
/// fn is_destination(bio: &Bio) -> bool {
///     bio.copy_op() == Some(CopyOp::Dst)
/// }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CopyOp {
    /// `REQ_OP_COPY_SRC`: the range that is read.
    Src,
    /// `REQ_OP_COPY_DST`: the range that is written.
    Dst,
}

impl Bio {
    /// What every bio of a copy carries: it is never merged, and a stacking driver whose mapping is
    /// about to change fails it rather than making it wait.
    const COPY_FLAGS: u32 = bindings::REQ_NOMERGE | bindings::REQ_NOWAIT | bindings::REQ_SYNC;

    /// Returns which bio of a copy this is, or [`None`] if it belongs to no copy.
    pub fn copy_op(&self) -> Option<CopyOp> {
        // SAFETY: The operation of a live bio does not change.
        match unsafe { (*self.raw()).bi_opf } & bindings::REQ_OP_MASK {
            bindings::req_op_REQ_OP_COPY_SRC => Some(CopyOp::Src),
            bindings::req_op_REQ_OP_COPY_DST => Some(CopyOp::Dst),
            _ => None,
        }
    }

    /// Returns what [`Bio::init_copy`] was given for this bio, or for the one that it is a clone
    /// of. Returns [`None`] if the bio belongs to no copy, or was made with room for a vector,
    /// because then the vector stands there.
    pub fn copy_part(&self) -> Option<NonNull<bindings::blk_copy_part>> {
        self.copy_op()?;
        // SAFETY: The field is constant.
        if unsafe { (*self.raw()).bi_max_vecs } != 0 {
            return None;
        }
        // SAFETY: A bio of a copy that has no room for a vector uses this field of the union.
        NonNull::new(unsafe { (*self.raw()).__bindgen_anon_1.bi_copy })
    }

    /// Initializes a bio of a copy in memory of the caller. It has no pages. `part` takes the place
    /// of the vector: [`Bio::copy_part`] returns it for this bio and for its clones.
    ///
    /// Context: any. Does not sleep.
    ///
    /// # Safety
    ///
    /// - `slot` is valid for writes and does not move until [`Bio::uninit`].
    /// - `bdev` stays open until the bio has ended.
    /// - `end_io` may be called with the bio, in any context.
    /// - `part` is what `end_io` and `blk_copy_intercept()` expect for such a bio.
    /// - `len` in bytes fits in 32 bits.
    pub unsafe fn init_copy(
        slot: NonNull<Bio>,
        bdev: &BlockDevice,
        op: CopyOp,
        (start, len): (Sector, Sectors),
        part: NonNull<bindings::blk_copy_part>,
        end_io: unsafe extern "C" fn(*mut bindings::bio),
    ) {
        let op = match op {
            CopyOp::Src => bindings::req_op_REQ_OP_COPY_SRC,
            CopyOp::Dst => bindings::req_op_REQ_OP_COPY_DST,
        };
        let bio = slot.as_ptr().cast::<bindings::bio>();
        // SAFETY: The caller guarantees that `bio` is memory for a bio and that `bdev` is open.
        // Without a vector, nothing else is asked of the caller.
        unsafe {
            bindings::bio_init(
                bio,
                bdev.as_raw(),
                core::ptr::null_mut(),
                0,
                op | Self::COPY_FLAGS,
            )
        };
        // SAFETY: The call above has initialized `bio`, and nobody else knows it yet.
        let bio = unsafe { &mut *bio };
        bio.bi_iter.bi_sector = start.get();
        bio.bi_iter.bi_size = len
            .to_bytes()
            .and_then(|bytes| u32::try_from(bytes).ok())
            .unwrap_or(0);
        bio.__bindgen_anon_1.bi_copy = part.as_ptr();
        bio.bi_end_io = Some(end_io);
    }
}

impl OwnedBio {
    /// Submits a bio of a copy again that was checked, accounted and throttled before.
    ///
    /// Context: task; may sleep, unless the task is passing on a bio of a stacking driver.
    pub fn resubmit(self) {
        // SAFETY: By the type invariant, `self` owns the bio, so it may pass it on.
        unsafe { bindings::blk_copy_resubmit(self.into_raw()) };
    }
}
