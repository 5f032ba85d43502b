// SPDX-License-Identifier: GPL-2.0
//! Splitting a range into pieces of work, and knowing how far a copy got
//! without a gap when several threads finish pieces out of order.

use std::collections::BTreeMap;

/// One piece of work; `offset` counts from the start of the copied range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    pub offset: u64,
    pub len: u64,
}

/// A range of `length` bytes cut into pieces of `chunk` bytes, the last one
/// possibly shorter.
#[derive(Clone, Copy, Debug)]
pub struct Split {
    length: u64,
    chunk: u64,
}

impl Split {
    /// A `chunk` of 0 means: do not cut.
    pub fn new(length: u64, chunk: u64) -> Self {
        let chunk = if chunk == 0 { u64::MAX } else { chunk };
        Self { length, chunk }
    }

    /// The same in pieces of at most `chunk` bytes.
    pub fn at_most(self, chunk: u64) -> Self {
        Self {
            chunk: self.chunk.min(chunk),
            ..self
        }
    }

    pub fn length(&self) -> u64 {
        self.length
    }

    /// How many pieces there are.
    pub fn count(&self) -> u64 {
        self.length.div_ceil(self.chunk)
    }

    /// Piece number `index`, or `None` after the last.
    pub fn get(&self, index: u64) -> Option<Piece> {
        let offset = index.checked_mul(self.chunk)?;
        let len = self.length.checked_sub(offset)?.min(self.chunk);
        (len > 0).then_some(Piece { offset, len })
    }
}

/// Collects what was copied and tells the gap-free prefix.
#[derive(Debug, Default)]
pub struct Prefix {
    end: u64,
    total: u64,
    beyond: BTreeMap<u64, u64>,
}

impl Prefix {
    /// Notes that `len` bytes from `offset` on have been copied. No byte may
    /// be noted twice.
    pub fn add(&mut self, offset: u64, len: u64) {
        if len == 0 {
            return;
        }
        self.total += len;
        self.beyond.insert(offset, len);
        while let Some(len) = self.beyond.remove(&self.end) {
            self.end += len;
        }
    }

    /// Bytes copied from the start on without a gap.
    pub fn gap_free(&self) -> u64 {
        self.end
    }

    /// All bytes copied, those behind a gap included.
    pub fn total(&self) -> u64 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn splits_with_a_short_tail() {
        let split = Split::new(10, 4);
        let pieces: Vec<_> = (0..).map_while(|i| split.get(i)).collect();
        let expected = [(0, 4), (4, 4), (8, 2)].map(|(offset, len)| Piece { offset, len });
        assert_eq!(pieces, expected);
        assert_eq!(Split::new(0, 4).get(0), None);
        assert_eq!(Split::new(10, 0).at_most(4).count(), 3);
        assert_eq!(Split::new(10, 4).at_most(5).count(), 3);
        assert_eq!(Split::new(9, 0).get(0), Some(Piece { offset: 0, len: 9 }));
    }

    #[test]
    fn prefix_waits_for_the_gap() {
        let mut prefix = Prefix::default();
        prefix.add(4, 4);
        assert_eq!((prefix.gap_free(), prefix.total()), (0, 4));
        prefix.add(0, 3);
        assert_eq!((prefix.gap_free(), prefix.total()), (3, 7));
        prefix.add(3, 1);
        assert_eq!((prefix.gap_free(), prefix.total()), (8, 8));
    }

    proptest! {
        #[test]
        fn pieces_cover_the_range_once(length in 0u64..1 << 40, chunk in (1u64 << 28)..1 << 41) {
            let split = Split::new(length, chunk);
            let mut end = 0;
            for index in 0..split.count() {
                let piece = split.get(index).unwrap();
                prop_assert_eq!(piece.offset, end);
                prop_assert!(piece.len > 0 && piece.len <= chunk);
                prop_assert!(piece.len == chunk || index + 1 == split.count());
                end += piece.len;
            }
            prop_assert_eq!(end, length);
            prop_assert_eq!(split.get(split.count()), None);
        }

        #[test]
        fn no_index_overflows(length: u64, chunk: u64, index: u64) {
            if let Some(piece) = Split::new(length, chunk).get(index) {
                prop_assert!(piece.offset.checked_add(piece.len).unwrap() <= length);
            }
        }

        #[test]
        fn prefix_of_a_shuffle(
            length in 1u64..10_000,
            chunk in 1u64..700,
            missing in any::<prop::sample::Index>(),
            seed in any::<u64>(),
        ) {
            let split = Split::new(length, chunk);
            let missing = missing.index(usize::try_from(split.count()).unwrap()) as u64;
            let mut order: Vec<u64> = (0..split.count()).collect();
            order.sort_by_key(|i| i.wrapping_add(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let mut prefix = Prefix::default();
            for index in order.into_iter().filter(|&i| i != missing) {
                let piece = split.get(index).unwrap();
                prefix.add(piece.offset, piece.len);
            }
            let hole = split.get(missing).unwrap();
            prop_assert_eq!(prefix.gap_free(), hole.offset);
            prefix.add(hole.offset, hole.len);
            prop_assert_eq!(prefix.gap_free(), length);
            prop_assert_eq!(prefix.total(), length);
        }
    }
}
