// SPDX-License-Identifier: GPL-2.0

//! How the bios of copies are made.
//!
//! C header: [`include/linux/blk-copy.h`](srctree/include/linux/blk-copy.h)

use super::{
    bdev::BlockDevice,
    bio::{
        Bio,
        CopyOp, //
    },
    units::{
        Sector,
        Sectors, //
    }, //
};
use crate::bindings;
use core::ptr::NonNull;

impl Bio {
    /// What both bios of a copy carry: never merged, never split, and failed rather than delayed
    /// by a stacking driver whose mapping is about to change.
    const COPY_FLAGS: u32 = bindings::REQ_NOMERGE | bindings::REQ_NOWAIT | bindings::REQ_SYNC;

    /// Initializes a bio of a copy in memory of the caller. It has no pages; `part` takes the
    /// place of the vector and is what [`Bio::copy_part`] returns for it and for its clones.
    ///
    /// Context: any. Does not sleep.
    ///
    /// # Safety
    ///
    /// - `slot` is valid for writes and does not move until [`Bio::uninit`].
    /// - `bdev` stays open until the bio has ended.
    /// - `end_io` may be called with the bio in any context.
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
        // SAFETY: By the requirements of this function, `bio` is memory for a bio and `bdev` is a
        // block device; without a vector nothing else is asked of the caller.
        unsafe {
            bindings::bio_init(
                bio,
                bdev.as_raw(),
                core::ptr::null_mut(),
                0,
                op | Self::COPY_FLAGS,
            )
        };
        // SAFETY: `bio` was initialized by the call above and nobody else knows it yet.
        let bio = unsafe { &mut *bio };
        bio.bi_iter.bi_sector = start.get();
        bio.bi_iter.bi_size = len
            .to_bytes()
            .and_then(|bytes| u32::try_from(bytes).ok())
            .unwrap_or(0);
        bio.__bindgen_anon_1.bi_copy = part.as_ptr();
        bio.bi_end_io = Some(end_io);
    }

    /// Initializes another bio, of the same length, at another place of the same device.
    ///
    /// Context: any. Does not sleep.
    ///
    /// # Safety
    ///
    /// As for [`Bio::init_copy`], which initialized `like`; nobody knows that one yet.
    #[inline]
    pub unsafe fn init_copy_like(
        slot: NonNull<Bio>,
        like: &Bio,
        start: Sector,
        part: NonNull<bindings::blk_copy_part>,
    ) {
        let bio = slot.as_ptr().cast::<bindings::bio>();
        // SAFETY: By the requirements of this function, `bio` is memory for a bio, and the other
        // one is as it was initialized.
        unsafe { bindings::blk_copy_init_like(bio, like.raw()) };
        // SAFETY: `bio` was initialized by the call above and nobody else knows it yet.
        let bio = unsafe { &mut *bio };
        bio.bi_iter.bi_sector = start.get();
        bio.__bindgen_anon_1.bi_copy = part.as_ptr();
    }
}
