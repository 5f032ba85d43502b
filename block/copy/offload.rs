// SPDX-License-Identifier: GPL-2.0

//! Copies by asking the device to, chunk by chunk.

use super::{
    context,
    job::Job,
    memory::Memory,
    plan::Limits,
    progress::{
        window,
        WINDOW, //
    },
    shared::Shared, //
};
use core::pin::Pin;

impl Job<'_> {
    /// Sends chunks, as far as there is room for them in the window. Returns whether it sent any.
    ///
    /// # Safety
    ///
    /// As for [`Job::turn`]; the limits are those of the devices.
    pub(super) unsafe fn offload(
        &mut self,
        limits: &Limits,
        room: usize,
        shared: Pin<&Shared>,
    ) -> bool {
        // Of the whole window, so many may be under way.
        let room = room.saturating_sub(WINDOW - window(limits.max));
        let bdevs = (self.request.src_bdev, self.request.dst_bdev);
        let mut sent = false;
        for _ in 0..room {
            let limits = match self.cut.checked_sub(self.ahead.offset()) {
                Some(len) if !len.is_zero() => &limits.at_most(len),
                _ => limits,
            };
            // SAFETY: The pool outlives the job, and that its chunks.
            let next = unsafe { Memory::for_chunk(self.pool, &self.ahead, limits) };
            let Some((chunk, memory)) = next else { break };
            let Some(slot) = shared.begin(chunk.len) else {
                break;
            };
            // SAFETY: The memory was made for this chunk, of which the limits allow one destination
            // and no more than the devices do. The rest is required of the caller.
            unsafe { context::submit(bdevs, &self.ahead, &chunk, memory, shared, slot) };
            self.ahead.advance(chunk.len);
            sent = true;
        }
        sent
    }
}
