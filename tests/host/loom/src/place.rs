// SPDX-License-Identifier: GPL-2.0

//! Where chunks lie, at the top of a stack and below it.

use crate::{plan::Range, scenario::Chunk};
use kernel::block::{
    bio::Bio,
    copy::CopyOp,
    units::{Sector, Sectors},
};

/// What one command reads of one source.
const LEN: u64 = 8;
/// Where the chunks, and within them their parts, begin at the top of the stack.
const PART: u64 = 100;
pub(crate) const CHUNK: u64 = 10 * PART;
/// How far below a stacking driver they are moved.
pub(crate) const BELOW: u64 = 10 * CHUNK;

/// Where a chunk lies.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    index: u64,
    parts: u64,
}

impl Place {
    pub(crate) fn of(chunk: &Chunk, index: usize) -> Self {
        let (index, parts) = (index as u64, chunk.parts.len() as u64);
        Self { index, parts }
    }

    fn part(self, part: u64, len: u64) -> Range {
        let start = Sector::new(self.index * CHUNK + part * PART);
        Range::new(start, Sectors::new(len)).expect("it is not empty")
    }

    pub(crate) fn destination(self) -> Range {
        self.part(0, LEN * (self.parts - 1))
    }

    pub(crate) fn sources(self) -> Vec<Range> {
        (1..self.parts).map(|part| self.part(part, LEN)).collect()
    }

    /// Where a sector of a stacking driver's device lies on the one below it.
    pub(crate) fn below(start: Sector) -> Sector {
        Sector::new(start.get() + BELOW)
    }
}

/// The chunk that a bio is of.
pub(crate) fn chunk_of(bio: &Bio) -> usize {
    (bio.start().get() % BELOW / CHUNK) as usize
}

/// The chunk that a bio is of, and the part, if no stacking driver has moved it to overlap.
pub(crate) fn part_of(bio: &Bio) -> (usize, usize) {
    let part = bio.start().get() % CHUNK / PART;
    let destination = bio.copy_op() == Some(CopyOp::Dst);
    assert_eq!(destination, part == 0, "another bio");
    (chunk_of(bio), part as usize)
}
