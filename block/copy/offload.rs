// SPDX-License-Identifier: GPL-2.0

//! Copies by asking the device to, batch by batch.

use super::{
    context,
    job::{
        Job,
        REFILL, //
    },
    memory::Memory,
    plan::Limits,
    progress::{
        window,
        WINDOW, //
    },
    shared::Shared, //
};
use core::pin::Pin;
use kernel::block::units::Sectors;

/// Commands that one batch may have. The window has room for two such batches.
pub(crate) const MAX_COMMANDS: usize = REFILL;

/// Sectors of a command of a batch of several. What is longer costs so much by itself that a second
/// bio does not matter.
const SMALL: Sectors = Sectors::new(64);

/// Sectors of such a batch. If a source of it fails, so much has failed.
const MOST: Sectors = Sectors::new(256);

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
        let most = self.most_commands(limits.max);
        let mut left = room;
        while left > 0 {
            let limits = match self.cut.checked_sub(self.ahead.offset()) {
                Some(len) if !len.is_zero() => &limits.at_most(len),
                _ => limits,
            };
            // SAFETY: The pool outlives the job, and that its chunks.
            let next = unsafe { Memory::for_batch(self.pool, &self.ahead, limits, most.min(left)) };
            let Some((batch, memory)) = next else { break };
            let Some(slot) = shared.begin(batch.each(), batch.chunks()) else {
                break;
            };
            // SAFETY: The memory was made for this batch, of which the limits allow one destination
            // and no more than the devices do. The rest is required of the caller.
            unsafe { context::submit(bdevs, &self.ahead, &batch, memory, shared, slot) };
            self.ahead.advance(batch.whole().len);
            left -= batch.chunks();
        }
        left < room
    }

    /// Most commands of at most `max` sectors that one batch may have.
    fn most_commands(&self, max: Sectors) -> usize {
        // A stacking driver may map the source of several commands to several places.
        if self.request.src_bdev.has_submit_bio() || self.request.dst_bdev.has_submit_bio() {
            return 1;
        }
        if max > SMALL {
            return 1;
        }
        let most = MOST.get().checked_div(max.get()).unwrap_or(0);
        usize::try_from(most).unwrap_or(0).clamp(1, MAX_COMMANDS)
    }
}
