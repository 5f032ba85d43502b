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
    io_uring::Issue,
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
    // SAFETY: Required of the caller. All copies keep this.
    let Some(issue) = (unsafe { Issue::from_raw::<Ask>(cmd, issue_flags) }) else {
        return 0;
    };
    let way = match issue.op() {
        bindings::BLOCK_URING_CMD_COPY => Way::Any,
        bindings::BLOCK_URING_CMD_COPY_OFFLOAD => Way::Offload,
        _ => return EINVAL.to_errno(),
    };
    let taken = BlockFile::new(issue.file())
        .ok_or(EINVAL)
        .and_then(|dst| uring::take_up(issue, way, dst));
    match taken {
        Ok(()) => EIOCBQUEUED.to_errno(),
        Err(error) => error.to_errno(),
    }
}
