// SPDX-License-Identifier: GPL-2.0

//! What C asks for when it copies.
//!
//! C header: [`include/linux/blk-copy.h`](srctree/include/linux/blk-copy.h)

use super::{
    CopyRange,
    Outcome, //
};
use crate::{
    bindings,
    block::{
        bdev::BlockDevice,
        bio::WriteHint, //
    },
    error::{
        code::EINVAL,
        Error,
        Result, //
    },
    ffi::{
        c_int,
        c_uint, //
    },
    module::ModuleRef,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    types::Opaque, //
};

/// What C calls at the end with.
pub type RawParams = bindings::blk_copy_params;

/// A `struct blk_copy_params`: what to copy, and whom to tell how that has ended.
///
/// # Invariants
///
/// While the reference lives, both devices stay open, the ranges stay valid and do not change, and
/// only the engine writes the result. Anybody may set `cancelled` by [`Params::cancel`]; all other
/// fields do not change.
#[repr(transparent)]
pub struct Params(Opaque<bindings::blk_copy_params>);

// SAFETY: Any task may do the copy, and only one writes the result.
unsafe impl Send for Params {}
// SAFETY: As above.
unsafe impl Sync for Params {}

impl Params {
    /// Uses a raw pointer.
    ///
    /// # Safety
    ///
    /// `params` is valid until the copy has ended, or for `'a` if that is longer. Until the copy
    /// has ended both devices stay open, the ranges stay valid and do not change, and the caller
    /// does not access the result.
    pub unsafe fn from_raw<'a>(params: *mut bindings::blk_copy_params) -> &'a Self {
        // INVARIANT: Required of the caller.
        // SAFETY: `Params` is transparent, and the caller guarantees the rest.
        unsafe { &*params.cast() }
    }

    /// Makes params for a copy whose devices and ranges the engine is told in another way: what it
    /// needs of them is whom to tell of the end, and whether somebody has cancelled the copy.
    pub fn telling(end_io: unsafe extern "C" fn(*mut RawParams)) -> Self {
        // INVARIANT: There are no devices and no ranges.
        Self(Opaque::new(RawParams {
            end_io: Some(end_io),
            ..Default::default()
        }))
    }

    /// Returns how the copy has ended.
    ///
    /// # Safety
    ///
    /// The copy has ended, and nobody writes the result any more.
    pub unsafe fn outcome(&self) -> Outcome {
        // SAFETY: By the type invariant, the memory is valid. The caller guarantees the rest.
        unsafe { Outcome::of(self.0.get()) }
    }

    /// Returns the device that is read, and its ranges.
    pub fn src(&self) -> Result<(&BlockDevice, &[CopyRange])> {
        let raw = self.0.get();
        // SAFETY: By the type invariant, the memory is valid and these fields do not change, the
        // device is open and the ranges are valid.
        unsafe { side((*raw).src_bdev, (*raw).src, (*raw).nr_src) }
    }

    /// Returns the device that is written, and its ranges.
    pub fn dst(&self) -> Result<(&BlockDevice, &[CopyRange])> {
        let raw = self.0.get();
        // SAFETY: By the type invariant, the memory is valid and these fields do not change, the
        // device is open and the ranges are valid.
        unsafe { side((*raw).dst_bdev, (*raw).dst, (*raw).nr_dst) }
    }

    /// Returns where what is written should be placed.
    pub fn write_hint(&self) -> WriteHint {
        let raw = self.0.get();
        // SAFETY: By the type invariant, the memory is valid and these fields do not change.
        unsafe { WriteHint::new((*raw).write_hint, (*raw).write_stream) }
    }

    fn end_io(&self) -> Option<unsafe extern "C" fn(*mut bindings::blk_copy_params)> {
        // SAFETY: By the type invariant, the memory is valid, and the field does not change.
        unsafe { (*self.0.get()).end_io }
    }

    /// Returns whether the caller does not wait, but is told of the end.
    pub fn has_end_io(&self) -> bool {
        self.end_io().is_some()
    }

    /// Takes a reference to the module that has to be told of the end.
    pub fn owner(&self) -> ModuleRef {
        // SAFETY: By the type invariant, the memory is valid, and the field does not change. It is
        // null, or the module whose code begins the copy.
        unsafe { ModuleRef::new((*self.0.get()).owner) }
    }

    /// Asks for the end of the copy with these params. As only their memory is used, it does not
    /// matter whether the copy has begun, or has ended.
    ///
    /// Context: any. Does not sleep.
    ///
    /// # Safety
    ///
    /// `params` is valid while this runs.
    pub unsafe fn cancel(params: *mut bindings::blk_copy_params) {
        // SAFETY: The caller guarantees that it is valid. While a copy runs, everybody accesses the
        // field so.
        unsafe { Atomic::from_ptr(&raw mut (*params).cancelled) }.store(true, Relaxed);
    }

    /// Asks for the end of the copy, as [`Params::cancel`] does.
    ///
    /// Context: any. Does not sleep.
    pub fn cancel_this(&self) {
        // SAFETY: By the type invariant, the memory is valid.
        unsafe { Self::cancel(self.0.get()) };
    }

    /// Returns whether somebody has asked for the end of the copy.
    ///
    /// Context: any. Does not sleep.
    pub fn is_cancelled(&self) -> bool {
        // SAFETY: By the type invariant, the memory is valid, and everybody accesses the field so.
        unsafe { Atomic::from_ptr(&raw mut (*self.0.get()).cancelled) }.load(Relaxed)
    }

    /// Writes the result down for a caller who waits. Returns it as C has it: 0, or the error.
    pub fn report(&self, outcome: Outcome) -> c_int {
        let error = outcome.result.map_or_else(Error::to_errno, |()| 0);
        let raw = self.0.get();
        // SAFETY: By the type invariant, the memory is valid, and nobody else writes these fields.
        unsafe {
            (*raw).copied = outcome.copied.get();
            (*raw).error = error;
        }
        error
    }

    /// Writes the result down and tells the caller, who may free the memory then.
    ///
    /// Context: task; may sleep.
    ///
    /// # Safety
    ///
    /// This is the last use of the params.
    pub unsafe fn end(&self, outcome: Outcome) {
        self.report(outcome);
        if let Some(end_io) = self.end_io() {
            // SAFETY: The copy has ended, which is when this is to be called.
            unsafe { end_io(self.0.get()) };
        }
    }
}

/// # Safety
///
/// For `'a`, the device is open, and there are `count` ranges at `first` that do not change.
unsafe fn side<'a>(
    bdev: *mut bindings::block_device,
    first: *const bindings::blk_copy_range,
    count: c_uint,
) -> Result<(&'a BlockDevice, &'a [CopyRange])> {
    let ranges = match usize::try_from(count)? {
        0 => &[],
        _ if first.is_null() => return Err(EINVAL),
        // SAFETY: The caller guarantees that they are there; `CopyRange` is transparent.
        count => unsafe { core::slice::from_raw_parts(first.cast(), count) },
    };
    if bdev.is_null() {
        return Err(EINVAL);
    }
    // SAFETY: The caller guarantees that the device is open.
    Ok((unsafe { BlockDevice::from_raw(bdev) }, ranges))
}
