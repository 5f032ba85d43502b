// SPDX-License-Identifier: GPL-2.0

//! The tracepoints of copies, as safe functions.
//!
//! C header:
//! [`include/trace/events/block_copy.h`](srctree/include/trace/events/block_copy.h)

use crate::{
    bindings,
    block::{
        bdev::Dev,
        units::{
            Sector,
            Sectors, //
        }, //
    },
    error::{
        Error,
        Result, //
    },
    ffi::c_int, //
};

crate::declare_trace! {
    /// # Safety
    ///
    /// Always safe to call.
    unsafe fn block_copy_submit(
        src_dev: Dev, src: u64, dst_dev: Dev, dst: u64, nr_sects: u64
    );

    /// # Safety
    ///
    /// Always safe to call.
    unsafe fn block_copy_dispatch(
        src_dev: Dev, src: u64, dst_dev: Dev, dst: u64, nr_sects: u64
    );

    /// # Safety
    ///
    /// Always safe to call.
    unsafe fn block_copy_onload(
        src_dev: Dev, src: u64, dst_dev: Dev, dst: u64, nr_sects: u64
    );

    /// # Safety
    ///
    /// Always safe to call.
    unsafe fn block_copy_park(dev: Dev, sector: u64, nr_sects: u64, dst: bool);

    /// # Safety
    ///
    /// Always safe to call.
    unsafe fn block_copy_done(
        dst_dev: Dev, dst: u64, nr_sects: u64, outcome: u8, error: c_int
    );
}

/// A place on a device.
///
/// # Examples
///
/// ```
/// use kernel::block::{
///     bdev::BlockDevice,
///     copy::trace::Place,
///     units::Sector, //
/// };
///
/// /// Returns where a device begins.
/// fn start(bdev: &BlockDevice) -> Place {
///     Place {
///         dev: bdev.dev(),
///         sector: Sector::new(0),
///     }
/// }
/// ```
#[derive(Clone, Copy)]
pub struct Place {
    /// The device.
    pub dev: Dev,
    /// The first sector there.
    pub sector: Sector,
}

/// What a tracepoint is about, apart from its name.
#[derive(Clone, Copy)]
pub enum Phase {
    /// A chunk sets out.
    Submit,
    /// All bios of a chunk are there, and the command goes to the driver.
    Dispatch,
    /// So much is read and written instead.
    Onload,
}

/// Traces a phase of a copy from one place to another: `block_copy_submit`, `block_copy_dispatch`
/// or `block_copy_onload`.
#[inline(always)]
pub fn phase(phase: Phase, src: Place, dst: Place, len: Sectors) {
    let (from, to, len) = (src.sector.get(), dst.sector.get(), len.get());
    // SAFETY: Always safe to call.
    unsafe {
        match phase {
            Phase::Submit => block_copy_submit(src.dev, from, dst.dev, to, len),
            Phase::Dispatch => block_copy_dispatch(src.dev, from, dst.dev, to, len),
            Phase::Onload => block_copy_onload(src.dev, from, dst.dev, to, len),
        }
    }
}

/// Traces that a bio is at the bottom of the stack: `block_copy_park`.
#[inline(always)]
pub fn park(at: Place, len: Sectors, is_destination: bool) {
    // SAFETY: Always safe to call.
    unsafe { block_copy_park(at.dev, at.sector.get(), len.get(), is_destination) };
}

/// Traces that a chunk is over, or a buffer: `block_copy_done`.
#[inline(always)]
pub fn done(dst: Place, len: Sectors, outcome: u8, result: Result) {
    let error = result.map_or_else(Error::to_errno, |()| 0);
    // SAFETY: Always safe to call.
    unsafe { block_copy_done(dst.dev, dst.sector.get(), len.get(), outcome, error) };
}

/// Returns whether anybody listens to `block_copy_park`, for arguments that cost something.
#[inline(always)]
pub fn wants_park() -> bool {
    #[cfg(CONFIG_TRACEPOINTS)]
    {
        // SAFETY: This is the key of a tracepoint.
        unsafe {
            crate::jump_label::static_branch_unlikely!(
                bindings::__tracepoint_block_copy_park,
                bindings::tracepoint,
                key
            )
        }
    }
    #[cfg(not(CONFIG_TRACEPOINTS))]
    {
        false
    }
}
