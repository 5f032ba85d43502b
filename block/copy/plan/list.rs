// SPDX-License-Identifier: GPL-2.0

//! Lists of ranges, and places in them.
//!
//! Pure: plain values, no FFI, no locks. Compiled on the host too.

use kernel::block::units::{
    SectorRange as Range,
    Sectors, //
};

/// A list of ranges, which may have to be converted as they are asked for.
pub(crate) trait Ranges {
    /// The range at `index`; [`None`] past the end.
    fn get(&self, index: usize) -> Option<Range>;

    /// All ranges.
    fn iter(&self) -> impl Iterator<Item = Range> {
        (0..).map_while(|index| self.get(index))
    }

    /// The sum of all lengths; [`None`] if it overflows.
    fn total(&self) -> Option<Sectors> {
        let mut total = Sectors::ZERO;
        for range in self.iter() {
            total = total.checked_add(range.len())?;
        }
        Some(total)
    }
}

impl Ranges for &[Range] {
    fn get(&self, index: usize) -> Option<Range> {
        <[Range]>::get(self, index).copied()
    }
}

/// A place in a list of ranges.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Cursor {
    index: usize,
    offset: Sectors,
}

impl Cursor {
    /// So far into the range of that index.
    pub(crate) fn new(index: usize, offset: Sectors) -> Self {
        Self { index, offset }
    }

    /// The index of the range, and how far into it.
    pub(crate) fn get(self) -> (usize, Sectors) {
        (self.index, self.offset)
    }

    /// What is left of the range that the cursor is in.
    pub(crate) fn rest(self, list: &impl Ranges) -> Option<Range> {
        let range = list.get(self.index)?;
        Range::new(
            range.start().checked_add(self.offset)?,
            range.len().checked_sub(self.offset)?,
        )
    }

    /// The cursor `taken` sectors further on, of the `rest` that it was in.
    pub(crate) fn after(self, rest: Range, taken: Sectors) -> Self {
        match self.offset.checked_add(taken) {
            Some(offset) if taken < rest.len() => Self { offset, ..self },
            _ => Self {
                index: self.index + 1,
                offset: Sectors::ZERO,
            },
        }
    }
}

/// The ranges of a list that one chunk takes.
#[derive(Clone)]
pub(crate) struct Taken<L> {
    list: L,
    cursor: Cursor,
    left: Sectors,
}

impl<L: Ranges> Iterator for Taken<L> {
    type Item = Range;

    fn next(&mut self) -> Option<Range> {
        if self.left.is_zero() {
            return None;
        }
        let rest = self.cursor.rest(&self.list)?;
        let (range, _) = rest.split_at_most(self.left);
        self.left = self.left.checked_sub(range.len())?;
        self.cursor = self.cursor.after(rest, range.len());
        Some(range)
    }
}

impl<L> Taken<L> {
    /// What follows the ranges that were taken.
    pub(super) fn cursor(&self) -> Cursor {
        self.cursor
    }
}

/// Takes `left` sectors of a list, from where the cursor is.
pub(super) fn taken<L>(list: L, cursor: Cursor, left: Sectors) -> Taken<L> {
    Taken { list, cursor, left }
}
