// SPDX-License-Identifier: GPL-2.0

//! Requests that reach the driver together.
//!
//! C header: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h)

use crate::{
    bindings,
    types::Opaque, //
};

/// Calls a function while requests are held back; they are sent when it returns, or when the task
/// sleeps. So several that follow each other reach the driver together, and in the context of this
/// task. Inside of another such function it has no effect.
///
/// Context: task; may sleep.
pub fn plugged<R>(f: impl FnOnce() -> R) -> R {
    let plug: Opaque<bindings::blk_plug> = Opaque::uninit();
    // SAFETY: `plug` is room for a plug, which is finished below, before its frame goes away, and
    // does not move before that.
    unsafe { bindings::blk_start_plug(plug.get()) };
    let result = f();
    // SAFETY: The plug was started by this task above and has not moved since.
    unsafe { bindings::blk_finish_plug(plug.get()) };
    result
}

/// Says how many bios for one queue follow each other now, in a function that [`plugged`] calls:
/// the block layer makes their requests at once, if it can.
///
/// Context: task; does not sleep.
pub fn expect(bios: usize) {
    // SAFETY: The current task is valid. Only itself writes its plug, which is on its stack.
    unsafe {
        let plug = (*bindings::get_current()).plug;
        if !plug.is_null() {
            (*plug).nr_ios = u16::try_from(bios).unwrap_or(1);
        }
    }
}
