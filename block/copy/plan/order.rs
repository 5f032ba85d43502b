// SPDX-License-Identifier: GPL-2.0

//! Whether ranges overlap. If they come in the order of their starts, one look at each suffices.
//!
//! Pure: plain values, no FFI, no locks. Compiled on the host too.

use super::Range;

/// Whether two of these ranges overlap, which come in the order of their starts.
pub(crate) fn overlap(mut ranges: impl Iterator<Item = Range>) -> bool {
    let Some(mut last) = ranges.next() else {
        return false;
    };
    ranges.any(|range| {
        let overlaps = last.overlaps(range);
        last = later(last, range);
        overlaps
    })
}

/// Whether one of these ranges overlaps one of the others. Both come in the order of their starts,
/// and may overlap among themselves.
pub(crate) fn meet(
    ranges: impl Iterator<Item = Range>,
    others: impl Iterator<Item = Range>,
) -> bool {
    let (mut ranges, mut others) = (ranges.peekable(), others.peekable());
    // Of those that were looked at, on either side, the one that ends last.
    let (mut last, mut last_other) = (None::<Range>, None::<Range>);
    loop {
        let is_other = match (ranges.peek(), others.peek()) {
            (Some(range), Some(other)) => other.start() < range.start(),
            // What remains on the other side is met by what has been looked at here, or by nothing.
            (Some(_), None) => false,
            (None, Some(_)) => true,
            (None, None) => return false,
        };
        let (next, same, opposite) = if is_other {
            (others.next(), &mut last_other, last)
        } else {
            (ranges.next(), &mut last, last_other)
        };
        let Some(next) = next else { return false };
        if opposite.is_some_and(|before| before.overlaps(next)) {
            return true;
        }
        *same = Some(same.map_or(next, |before| later(before, next)));
    }
}

/// The one that ends last.
fn later(range: Range, other: Range) -> Range {
    let end = |range: Range| range.start().checked_add(range.len());
    if end(other) > end(range) {
        other
    } else {
        range
    }
}

#[cfg_attr(
    CONFIG_BLK_COPY_KUNIT_TEST,
    kernel::macros::kunit_tests(blk_copy_order)
)]
#[cfg(any(test, CONFIG_BLK_COPY_KUNIT_TEST))]
mod tests {
    use super::*;
    use kernel::block::units::{
        Sector,
        Sectors, //
    };

    fn ranges(list: &[(u64, u64)]) -> impl Iterator<Item = Range> + '_ {
        let range = |(start, len): &(u64, u64)| Range::new(Sector::new(*start), Sectors::new(*len));
        list.iter().filter_map(range)
    }

    fn both(list: &[(u64, u64)], others: &[(u64, u64)]) -> bool {
        let result = meet(ranges(list), ranges(others));
        assert_eq!(meet(ranges(others), ranges(list)), result);
        result
    }

    #[test]
    fn a_list_that_overlaps_itself() {
        assert!(!overlap(ranges(&[])));
        assert!(!overlap(ranges(&[(0, 8), (8, 8), (24, 8)])));
        assert!(overlap(ranges(&[(0, 8), (8, 8), (15, 8)])));
        assert!(overlap(ranges(&[(8, 8), (8, 4)])));
        // Not with its neighbour.
        assert!(overlap(ranges(&[(0, 100), (100, 1), (100, 1)])));
        assert!(overlap(ranges(&[(0, 100), (4, 1), (99, 2)])));
    }

    #[test]
    fn two_lists_that_meet() {
        assert!(!both(&[], &[(0, 8)]));
        assert!(!both(&[(0, 8), (16, 8)], &[(8, 8), (24, 8)]));
        assert!(both(&[(0, 8), (16, 9)], &[(8, 8), (24, 8)]));
        assert!(both(&[(8, 8)], &[(8, 8)]));
        // A long range before short ones; and those of one list may overlap.
        assert!(both(&[(0, 100), (4, 1), (5, 1)], &[(99, 1)]));
        assert!(!both(&[(0, 100), (4, 1), (5, 100)], &[(105, 1)]));
    }
}
