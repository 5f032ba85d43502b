// SPDX-License-Identifier: GPL-2.0

//! Units of the block layer: positions and lengths in sectors of 512 bytes.
//!
//! [`Sector`] is a position on a device, and [`Sectors`] is a length. They do not mix. Arithmetic
//! on them is checked: an overflow in the kernel is a bug, so every operation that could overflow
//! returns an [`Option`].
//!
//! This file uses nothing but [`core`], so it compiles on the host too.
//!
//! C header: [`include/linux/blk_types.h`](srctree/include/linux/blk_types.h) (`SECTOR_SHIFT`)

/// A sector has `1 << SHIFT` bytes.
const SHIFT: u32 = 9;

/// A position on a block device, in sectors of 512 bytes from its start.
///
/// # Examples
///
/// ```
/// use kernel::block::units::{Sector, Sectors};
///
/// let start = Sector::new(8);
/// assert_eq!(start.to_bytes(), Some(4096));
/// assert_eq!(start.checked_add(Sectors::new(2)), Some(Sector::new(10)));
/// assert!(start.is_aligned(Sectors::new(8)));
///
/// // Not on a sector boundary.
/// assert_eq!(Sector::from_bytes(4097), None);
/// // Past the last position that there can be.
/// assert_eq!(Sector::new(u64::MAX).checked_add(Sectors::ONE), None);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Sector(u64);

impl Sector {
    /// Makes a position from a raw `sector_t`.
    pub const fn new(raw: u64) -> Self {
        Self(raw)
    }

    /// Makes a position from a byte offset. Returns [`None`] if it is not on a sector boundary.
    pub const fn from_bytes(bytes: u64) -> Option<Self> {
        match Sectors::from_bytes(bytes) {
            Some(sectors) => Some(Self(sectors.0)),
            None => None,
        }
    }

    /// Returns the raw `sector_t`.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Returns the byte offset, or [`None`] if it does not fit in 64 bits.
    pub const fn to_bytes(self) -> Option<u64> {
        Sectors(self.0).to_bytes()
    }

    /// Returns the position that is `len` further on, or [`None`] if there is none.
    pub const fn checked_add(self, len: Sectors) -> Option<Self> {
        match self.0.checked_add(len.0) {
            Some(raw) => Some(Self(raw)),
            None => None,
        }
    }

    /// Returns whether the position is on a boundary of `block`, a power of two.
    pub const fn is_aligned(self, block: Sectors) -> bool {
        Sectors(self.0).is_aligned(block)
    }
}

/// A length, in sectors of 512 bytes.
///
/// # Examples
///
/// ```
/// use kernel::block::units::Sectors;
///
/// let len = Sectors::from_bytes_floor(5000);
/// assert_eq!(len, Sectors::new(9));
/// assert_eq!(len.round_down(Sectors::new(8)), Sectors::new(8));
/// assert_eq!(len.checked_sub(Sectors::new(10)), None);
/// assert_eq!(len.checked_mul(2), Some(Sectors::new(18)));
/// assert_eq!(len.to_bytes(), Some(4608));
///
/// // Not a whole number of sectors.
/// assert_eq!(Sectors::from_bytes(5000), None);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Sectors(u64);

impl Sectors {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The smallest length.
    pub const ONE: Self = Self(1);

    /// Makes a length from a raw number of sectors.
    pub const fn new(raw: u64) -> Self {
        Self(raw)
    }

    /// Makes a length from bytes. Returns [`None`] if it is not a whole number of sectors.
    pub const fn from_bytes(bytes: u64) -> Option<Self> {
        if bytes & ((1 << SHIFT) - 1) == 0 {
            Some(Self(bytes >> SHIFT))
        } else {
            None
        }
    }

    /// Makes a length from bytes. It leaves out what does not fill a sector.
    pub const fn from_bytes_floor(bytes: u64) -> Self {
        Self(bytes >> SHIFT)
    }

    /// Returns the raw number of sectors.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Returns the length in bytes, or [`None`] if it does not fit in 64 bits.
    pub const fn to_bytes(self) -> Option<u64> {
        self.0.checked_mul(1 << SHIFT)
    }

    /// Returns whether there is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Returns the sum, or [`None`] if it overflows.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(raw) => Some(Self(raw)),
            None => None,
        }
    }

    /// Returns the difference, or [`None`] if `other` is longer.
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(raw) => Some(Self(raw)),
            None => None,
        }
    }

    /// Returns `count` times this length, or [`None`] if it overflows.
    pub fn checked_mul(self, count: usize) -> Option<Self> {
        let count = u64::try_from(count).ok()?;
        self.0.checked_mul(count).map(Self)
    }

    /// Returns whether the length is a multiple of `block`, a power of two. Only zero is a multiple
    /// of a block that has no sectors.
    pub const fn is_aligned(self, block: Self) -> bool {
        self.0 & block.0.saturating_sub(1) == 0 && (block.0 != 0 || self.0 == 0)
    }

    /// Returns the length rounded down to a multiple of `block`, a power of two.
    pub const fn round_down(self, block: Self) -> Self {
        Self(self.0 & !block.0.saturating_sub(1))
    }
}

/// A range of a block device: `len` sectors from `start` on. It is never empty, and its end fits in
/// a [`Sector`].
///
/// # Invariants
///
/// `len` is not zero, and `start + len` does not overflow.
///
/// # Examples
///
/// ```
/// use kernel::block::units::{
///     Sector,
///     SectorRange,
///     Sectors, //
/// };
///
/// let range = |start, len| SectorRange::new(Sector::new(start), Sectors::new(len));
/// let pair = range(0, 16).zip(range(8, 16));
/// assert!(pair.is_some_and(|(first, second)| first.overlaps(second)));
/// assert!(range(8, 16).is_some_and(|range| range.fits(Sectors::new(24))));
/// assert!(range(8, 0).is_none());
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SectorRange {
    start: Sector,
    len: Sectors,
}

impl SectorRange {
    /// Makes a range. Returns [`None`] if it would be empty, or would end past the largest
    /// [`Sector`].
    pub const fn new(start: Sector, len: Sectors) -> Option<Self> {
        if len.is_zero() || start.checked_add(len).is_none() {
            return None;
        }
        // INVARIANT: Both parts were just checked.
        Some(Self { start, len })
    }

    /// Returns the first sector.
    pub const fn start(self) -> Sector {
        self.start
    }

    /// Returns the length, which is not zero.
    pub const fn len(self) -> Sectors {
        self.len
    }

    /// Returns whether the range lies within a device of `size` sectors.
    pub fn fits(self, size: Sectors) -> bool {
        size.checked_sub(self.len)
            .is_some_and(|last_start| self.start.get() <= last_start.get())
    }

    /// Returns whether both ends are on a boundary of `block`, a power of two.
    pub const fn is_aligned(self, block: Sectors) -> bool {
        self.start.is_aligned(block) && self.len.is_aligned(block)
    }

    /// Returns whether a sector is in both ranges.
    pub fn overlaps(self, other: Self) -> bool {
        let (first, second) = if self.start <= other.start {
            (self, other)
        } else {
            (other, self)
        };
        second.start.get() - first.start.get() < first.len.get()
    }

    /// Returns the smallest range that both are in.
    pub fn hull(self, other: Self) -> Self {
        let start = self.start.min(other.start);
        let end = |range: Self| range.start.get() + range.len.get();
        let len = Sectors::new(end(self).max(end(other)) - start.get());
        // INVARIANT: The end is that of one of them, so it fits; neither is empty.
        Self { start, len }
    }

    /// Returns the range `by` sectors further on, where the start of a partition moves it. Returns
    /// [`None`] if its end would not fit any more.
    pub fn moved(self, by: Sectors) -> Option<Self> {
        Self::new(self.start.checked_add(by)?, self.len)
    }

    /// Returns how many segments of at most `max` sectors the range takes. A `max` of zero is no
    /// limit. A range of 2^32 sectors or more takes more segments than any limit allows:
    /// [`usize::MAX`].
    #[inline]
    pub fn segments(self, max: Sectors) -> usize {
        if max.is_zero() || self.len <= max {
            return 1;
        }
        let raw = |sectors: Sectors| u32::try_from(sectors.get()).ok();
        let count = raw(self.len)
            .zip(raw(max))
            .map(|(len, max)| len.div_ceil(max));
        count.map_or(usize::MAX, |count| count as usize)
    }

    /// Returns the segment of that index, if the range is cut into segments of at most `max`
    /// sectors. A `max` of zero is no limit.
    #[inline]
    pub fn segment(self, max: Sectors, index: usize) -> Option<Self> {
        let max = if max.is_zero() { self.len } else { max };
        self.part(max.checked_mul(index)?, max)
    }

    /// Returns what is left of the range after `skip` sectors, at most `len` of them. Returns
    /// [`None`] if nothing is left.
    pub fn part(self, skip: Sectors, len: Sectors) -> Option<Self> {
        let left = self.len.checked_sub(skip)?;
        Self::new(self.start.checked_add(skip)?, left.min(len))
    }

    /// Splits the range after `len` sectors. Returns what comes before, and what remains. Nothing
    /// remains of a range that is not longer than `len`. A `len` of zero is taken as one sector, so
    /// that a loop that splits always ends.
    #[inline]
    pub fn split_at_most(self, len: Sectors) -> (Self, Option<Self>) {
        let len = len.max(Sectors::ONE);
        let rest = self
            .len
            .checked_sub(len)
            .and_then(|rest| Self::new(self.start.checked_add(len)?, rest));
        match rest {
            // INVARIANT: `len` is at least one, and less than a length that did not overflow.
            Some(_) => (Self { len, ..self }, rest),
            None => (self, None),
        }
    }
}

#[cfg_attr(CONFIG_KUNIT, crate::macros::kunit_tests(rust_kernel_block_units))]
#[cfg(any(test, CONFIG_KUNIT))]
mod tests {
    use super::*;

    fn range(start: u64, len: u64) -> Option<SectorRange> {
        SectorRange::new(Sector::new(start), Sectors::new(len))
    }

    #[test]
    fn a_part_of_a_range() {
        let part = |skip, len| {
            let whole = range(100, 16)?;
            whole.part(Sectors::new(skip), Sectors::new(len))
        };
        assert_eq!(part(0, 16), range(100, 16));
        assert_eq!(part(4, 8), range(104, 8));
        assert_eq!(part(12, 8), range(112, 4));
        assert_eq!(part(16, 8), None);
        assert_eq!(part(17, 8), None);
        assert_eq!(part(4, 0), None);
    }

    #[test]
    fn refuses_empty_and_overflowing() {
        assert!(range(0, 0).is_none());
        assert!(range(1, u64::MAX).is_none());
        assert!(range(0, u64::MAX).is_some());
    }

    #[test]
    fn fits_up_to_the_last_sector() {
        assert!(range(90, 10).is_some_and(|r| r.fits(Sectors::new(100))));
        assert!(range(91, 10).is_some_and(|r| !r.fits(Sectors::new(100))));
        assert!(range(0, 101).is_some_and(|r| !r.fits(Sectors::new(100))));
        assert!(range(0, 1).is_some_and(|r| !r.fits(Sectors::ZERO)));
    }

    #[test]
    fn overlap_is_symmetric_and_exact() {
        for (a, b, expected) in [
            ((0, 8), (8, 8), false),
            ((0, 9), (8, 8), true),
            ((8, 8), (8, 8), true),
            ((0, 100), (50, 1), true),
            ((u64::MAX - 8, 8), (0, 8), false),
        ] {
            let pair = range(a.0, a.1).zip(range(b.0, b.1));
            assert!(pair.is_some_and(|(a, b)| a.overlaps(b) == expected));
            assert!(pair.is_some_and(|(a, b)| b.overlaps(a) == expected));
        }
    }

    #[test]
    fn a_range_that_no_command_can_have_takes_more_segments_than_any_allows() {
        let segments = range(0, 1 << 33).map(|range| range.segments(Sectors::new(8)));
        assert_eq!(segments, Some(usize::MAX));
    }

    #[test]
    fn segments_leave_nothing_out() {
        let done = range(8, 20).map(|whole| {
            let max = Sectors::new(8);
            assert_eq!(whole.segments(max), 3);
            assert_eq!(whole.segment(max, 0), range(8, 8));
            assert_eq!(whole.segment(max, 1), range(16, 8));
            assert_eq!(whole.segment(max, 2), range(24, 4));
            assert_eq!(whole.segment(max, 3), None);
            assert_eq!(whole.segments(Sectors::ZERO), 1);
            assert_eq!(whole.segment(Sectors::ZERO, 0), Some(whole));
            assert_eq!(whole.segment(Sectors::ZERO, 1), None);
        });
        assert!(done.is_some());
    }

    #[test]
    fn split_leaves_nothing_out() {
        assert!(range(8, 8).is_some_and(|r| r.split_at_most(Sectors::new(8)) == (r, None)));
        assert!(range(8, 8).is_some_and(|r| {
            let (head, tail) = r.split_at_most(Sectors::new(3));
            range(8, 3) == Some(head) && range(11, 5) == tail
        }));
        assert!(range(8, 8).is_some_and(|r| {
            let (head, tail) = r.split_at_most(Sectors::ZERO);
            range(8, 1) == Some(head) && range(9, 7) == tail
        }));
    }
}
