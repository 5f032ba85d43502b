// SPDX-License-Identifier: GPL-2.0

//! Buffers of copies that are read and written.

use crate::plan::Range;
use kernel::block::{
    buffer::{
        self,
        Direction,
        Share, //
    },
    units::Sectors, //
};

/// The most buffers of one copy: 8 MiB.
pub(super) const MAX: usize = (8 << 20) / buffer::SIZE;

/// All copies of a pool may have 16 MiB together, and 256 KiB each in any case.
pub(super) const SHARE: Share = Share { each: 4, all: 256 };

/// What a buffer is used for.
#[derive(Clone, Copy)]
pub(super) struct Use {
    pub(super) direction: Direction,
    /// Where it begins, counted from the start of the copy.
    pub(super) offset: Sectors,
    /// Where it stands among the buffers of the copy, in the order of their offsets.
    pub(super) number: usize,
    /// Where it is to be written.
    pub(super) to: Range,
}

pub(super) type Buffer = buffer::Buffer<Option<Use>>;
pub(super) type BufferList = buffer::BufferList<Option<Use>>;
pub(super) type BufferPool = buffer::BufferPool<Option<Use>>;
