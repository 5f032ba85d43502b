// SPDX-License-Identifier: GPL-2.0

//! Commands of io_uring for block devices.

use crate::uring::{
    self,
    Ask, //
};
use core::ptr::NonNull;
use kernel::{
    bindings,
    block::{
        copy::Way,
        file::BlockFile, //
    },
    io_uring::{
        self,
        Issue, //
    },
    prelude::*, //
};

/// `uring_cmd` of block devices, for copies.
///
/// Context: task; does not wait for I/O.
///
/// # Safety
///
/// `->uring_cmd` of a block device was called with these two.
#[export]
pub(crate) unsafe extern "C" fn blk_copy_uring_cmd(
    cmd: *mut bindings::io_uring_cmd,
    issue_flags: c_uint,
) -> c_int {
    let Some(cmd) = NonNull::new(cmd) else {
        return EINVAL.to_errno();
    };
    if issue_flags & bindings::io_uring_cmd_flags_IO_URING_F_CANCEL.cast_unsigned() != 0 {
        // SAFETY: Required of the caller. All copies keep this.
        unsafe { io_uring::stop::<Ask>(cmd) };
        return 0;
    }
    // SAFETY: Required of the caller.
    let issue = unsafe { Issue::from_raw(cmd, issue_flags) };
    let way = match issue.op() {
        bindings::BLOCK_URING_CMD_COPY => Way::Any,
        bindings::BLOCK_URING_CMD_COPY_OFFLOAD => Way::Offload,
        _ => return EINVAL.to_errno(),
    };
    // SAFETY: Required of the caller; the file stays open while the command is issued.
    let dst = unsafe { BlockFile::from_raw(issue.file()) };
    match uring::take_up(issue, way, dst) {
        Ok(()) => EIOCBQUEUED.to_errno(),
        Err(error) => error.to_errno(),
    }
}
