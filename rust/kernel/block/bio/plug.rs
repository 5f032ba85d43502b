// SPDX-License-Identifier: GPL-2.0

//! Requests that reach the driver together.
//!
//! C header: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h)

use crate::{
    bindings,
    types::Opaque, //
};

/// Calls a function, and holds requests back while it runs. They are sent when it returns, or when
/// the task sleeps. So several requests that follow each other reach the driver together, and in
/// the context of this task. Inside of another such function this has no effect.
///
/// Context: task; may sleep.
///
/// # Examples
///
/// ```
/// use kernel::block::bio::plugged;
///
/// let sent = plugged(|| {
///     // Submit bios here.
///     2
/// });
/// assert_eq!(sent, 2);
/// ```
pub fn plugged<R>(f: impl FnOnce() -> R) -> R {
    let plug: Opaque<bindings::blk_plug> = Opaque::uninit();
    // SAFETY: `plug` is room for a plug. It does not move before it is finished below, in the same
    // stack frame.
    unsafe { bindings::blk_start_plug(plug.get()) };
    let result = f();
    // SAFETY: This task started the plug above, and it has not moved since.
    unsafe { bindings::blk_finish_plug(plug.get()) };
    result
}
