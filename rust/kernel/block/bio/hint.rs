// SPDX-License-Identifier: GPL-2.0

//! Where a device should place what is written.
//!
//! C headers: [`include/linux/rw_hint.h`](srctree/include/linux/rw_hint.h),
//! [`include/linux/blk_types.h`](srctree/include/linux/blk_types.h)

use super::Bio;
use crate::bindings;

/// Where a device should place what is written: beside what is expected to stay as long, or what
/// is of the same stream. The default says nothing.
///
/// # Examples
///
/// ```
/// use kernel::block::bio::WriteHint;
///
/// assert!(WriteHint::default().fits(0));
/// // A device without streams has none but the first one, which says nothing.
/// assert!(!WriteHint::new(0, 1).fits(0));
/// assert!(WriteHint::new(0, 1).fits(8));
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct WriteHint {
    lifetime: bindings::rw_hint,
    stream: u8,
}

impl WriteHint {
    /// Makes a hint of a lifetime (`WRITE_LIFE_*`) and a write stream, from 1 on; 0: none.
    pub const fn new(lifetime: bindings::rw_hint, stream: u8) -> Self {
        Self { lifetime, stream }
    }

    /// Returns the hint of a direct write to a device with `streams` write streams, by a file with
    /// this lifetime. The lifetime is the stream as well, if there are so many
    /// (`blkdev_direct_IO()` in `block/fops.c`).
    pub fn of_lifetime(lifetime: bindings::rw_hint, streams: u16) -> Self {
        let stream = Some(lifetime).filter(|stream| u16::from(*stream) <= streams);
        Self::new(lifetime, stream.unwrap_or(0))
    }

    /// Returns the lifetime.
    pub fn lifetime(self) -> bindings::rw_hint {
        self.lifetime
    }

    /// Returns the write stream; 0: none.
    pub fn stream(self) -> u8 {
        self.stream
    }

    /// Returns whether a device with `streams` write streams has this one.
    pub fn fits(self, streams: u16) -> bool {
        u16::from(self.stream) <= streams
    }
}

impl Bio {
    /// Sets where what the bio writes should be placed.
    pub fn set_write_hint(&mut self, hint: WriteHint) {
        let bio = self.raw();
        // SAFETY: By the type invariant, the bio is initialized. Nobody else has a reference to it.
        unsafe {
            (*bio).bi_write_hint = hint.lifetime;
            (*bio).bi_write_stream = hint.stream;
        }
    }

    /// Returns the write stream of the bio; 0: none.
    pub fn write_stream(&self) -> u8 {
        // SAFETY: Only the owner of the bio changes the field.
        unsafe { (*self.raw()).bi_write_stream }
    }
}
