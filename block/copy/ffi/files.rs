// SPDX-License-Identifier: GPL-2.0

//! `copy_file_range(2)` of block devices.

use crate::file;
use kernel::{
    bindings,
    block::file::BlockFile,
    error::from_result,
    prelude::*, //
};

/// Bytes that a copy can write from `pos_out` on, or an error.
///
/// Context: task; does not sleep.
///
/// # Safety
///
/// `file_out` is an open file of a block device.
#[export]
pub(crate) unsafe extern "C" fn blkdev_copy_room(
    file_out: *mut bindings::file,
    pos_out: bindings::loff_t,
) -> bindings::loff_t {
    // SAFETY: Required of the caller.
    let dst = unsafe { BlockFile::from_raw(file_out) };
    from_result(|| {
        Ok(bindings::loff_t::try_from(file::room(
            dst,
            u64::try_from(pos_out)?,
        )?)?)
    })
}

/// `copy_file_range` of block devices.
///
/// Context: task; may sleep.
///
/// # Safety
///
/// Called by the VFS, which has checked both files to be block devices.
#[export]
pub(crate) unsafe extern "C" fn blkdev_copy_file_range(
    file_in: *mut bindings::file,
    pos_in: bindings::loff_t,
    file_out: *mut bindings::file,
    pos_out: bindings::loff_t,
    len: usize,
    _flags: c_uint,
) -> isize {
    // SAFETY: Required of the caller.
    let (src, dst) = unsafe { (BlockFile::from_raw(file_in), BlockFile::from_raw(file_out)) };
    from_result(|| {
        let copied = file::copy(
            src,
            u64::try_from(pos_in)?,
            dst,
            u64::try_from(pos_out)?,
            len,
        )?;
        Ok(isize::try_from(copied)?)
    })
}
