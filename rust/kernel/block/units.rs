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
