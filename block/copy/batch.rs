// SPDX-License-Identifier: GPL-2.0

//! What one context copies.
//!
//! Pure: plain values, no FFI, no locks. Compiled on the host too.

use super::{
    plan::Chunk,
    range::Range, //
};
use kernel::block::units::Sectors;

/// Chunks of one length that follow each other, and of which all sources, and all destinations, are
/// one range; or one chunk of any kind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Batch {
    first: Chunk,
    chunks: usize,
}

impl Batch {
    /// So many chunks, of which this is the first.
    pub(super) fn new(first: Chunk, chunks: usize) -> Self {
        Self { first, chunks }
    }

    /// How many chunks.
    pub(crate) fn chunks(&self) -> usize {
        self.chunks
    }

    /// How long each of them is.
    pub(crate) fn each(&self) -> Sectors {
        self.first.len
    }

    /// Where the chunk of that index begins, counted from the start of the first.
    pub(crate) fn offset(&self, index: usize) -> Sectors {
        self.each().checked_mul(index).unwrap_or_default()
    }

    /// What the chunk of that index takes of the first source, or of the destination, of all.
    pub(crate) fn piece(&self, index: usize, whole: Range) -> Range {
        whole.part(self.offset(index), self.each()).unwrap_or(whole)
    }

    /// All of them, as if it were one.
    pub(crate) fn whole(&self) -> Chunk {
        let mut whole = self.first;
        whole.len = self.offset(self.chunks);
        whole
    }
}
