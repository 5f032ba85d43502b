// SPDX-License-Identifier: GPL-2.0

//! Limits of a queue. See `rust/kernel/block/limits.rs`.

use super::units::Sectors;

/// The limits of a queue.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    pub logical_block: Sectors,
    pub max_copy: Sectors,
    pub max_copy_segment: Sectors,
    pub max_copy_src_segments: u16,
}

impl QueueLimits {
    pub fn logical_block(&self) -> Sectors {
        self.logical_block
    }

    pub fn max_copy(&self) -> Sectors {
        self.max_copy
    }

    pub fn max_copy_segment(&self) -> Sectors {
        self.max_copy_segment
    }

    pub fn max_copy_src_segments(&self) -> u16 {
        self.max_copy_src_segments
    }
}
