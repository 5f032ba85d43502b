// SPDX-License-Identifier: GPL-2.0

//! Positions, lengths and ranges: what the core takes for granted of them.

use kernel::block::units::{Sector, SectorRange, Sectors};

fn range(start: u64, len: u64) -> SectorRange {
    SectorRange::new(Sector::new(start), Sectors::new(len)).expect("a small range")
}

#[test]
fn bytes_are_sectors_if_they_fill_them() {
    for (bytes, sectors) in [(0, Some(0)), (512, Some(1)), (5120, Some(10))] {
        assert_eq!(Sectors::from_bytes(bytes), sectors.map(Sectors::new));
        assert_eq!(Sector::from_bytes(bytes), sectors.map(Sector::new));
    }
    for bytes in [1, 2, 256, 511, 513, 1023, 1025, u64::MAX] {
        assert_eq!(Sectors::from_bytes(bytes), None);
        assert_eq!(Sector::from_bytes(bytes), None);
    }
    for (bytes, sectors) in [(0, 0), (511, 0), (512, 1), (5119, 9), (5120, 10)] {
        assert_eq!(Sectors::from_bytes_floor(bytes), Sectors::new(sectors));
    }
}

#[test]
fn sectors_are_bytes_if_those_can_be_counted() {
    for (sectors, bytes) in [(0, Some(0)), (3, Some(1536)), (1 << 55, None)] {
        assert_eq!(Sectors::new(sectors).to_bytes(), bytes);
        assert_eq!(Sector::new(sectors).to_bytes(), bytes);
    }
}

#[test]
fn sums_that_overflow_are_none() {
    let (five, three) = (Sectors::new(5), Sectors::new(3));
    assert_eq!(five.checked_add(three), Some(Sectors::new(8)));
    assert_eq!(five.checked_sub(three), Some(Sectors::new(2)));
    assert_eq!(five.checked_mul(3), Some(Sectors::new(15)));
    assert_eq!(Sector::new(7).checked_add(five), Some(Sector::new(12)));
    let most = Sectors::new(u64::MAX);
    assert_eq!(most.checked_add(Sectors::ONE), None);
    assert_eq!(three.checked_sub(five), None);
    assert_eq!(most.checked_mul(2), None);
    assert_eq!(Sector::new(u64::MAX).checked_add(Sectors::ONE), None);
    assert!(Sectors::ZERO.is_zero() && !Sectors::ONE.is_zero());
}

#[test]
fn boundaries_of_blocks() {
    // A block without sectors has the start of a disk for its only boundary.
    for block in [0, 1, 2, 8, 64] {
        for at in 0..200 {
            let boundary = at == 0 || block > 0 && at % block == 0;
            let length = Sectors::new(block);
            assert_eq!(Sectors::new(at).is_aligned(length), boundary);
            assert_eq!(Sector::new(at).is_aligned(length), boundary);
            let down = if block == 0 { at } else { at - at % block };
            assert_eq!(Sectors::new(at).round_down(length), Sectors::new(down));
        }
    }
    let block = Sectors::new(8);
    assert!(range(8, 16).is_aligned(block));
    assert!(!range(4, 16).is_aligned(block));
    assert!(!range(8, 12).is_aligned(block));
    assert!(!range(4, 12).is_aligned(block));
}

#[test]
fn the_hull_of_two_ranges_has_both_and_no_more() {
    for (a, b, hull) in [
        ((0, 8), (16, 8), (0, 24)),
        ((8, 8), (12, 8), (8, 12)),
        ((8, 24), (12, 2), (8, 24)),
        ((5, 3), (5, 9), (5, 9)),
    ] {
        let (a, b) = (range(a.0, a.1), range(b.0, b.1));
        let hull = range(hull.0, hull.1);
        assert_eq!((a.hull(b), b.hull(a)), (hull, hull));
    }
}

#[test]
fn a_range_of_a_partition_lies_further_on_the_disk() {
    assert_eq!(range(8, 4).moved(Sectors::new(100)), Some(range(108, 4)));
    assert_eq!(range(8, 4).moved(Sectors::ZERO), Some(range(8, 4)));
    assert_eq!(range(8, 4).moved(Sectors::new(u64::MAX - 11)), None);
}

#[test]
fn as_many_segments_as_are_needed() {
    for (len, max, segments) in [(1, 8, 1), (8, 8, 1), (9, 8, 2), (16, 8, 2), (17, 8, 3)] {
        assert_eq!(range(3, len).segments(Sectors::new(max)), segments);
    }
    // No limit, also for what is too long to be counted.
    assert_eq!(range(3, 1 << 40).segments(Sectors::ZERO), 1);
    assert_eq!(range(3, 1 << 40).segments(Sectors::new(1 << 40)), 1);
    assert_eq!(range(3, 1 << 40).segments(Sectors::ONE), usize::MAX);
}
