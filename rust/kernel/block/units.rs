// SPDX-License-Identifier: GPL-2.0

//! Units of the block layer: positions and lengths in sectors of 512 bytes.
//!
//! [`Sector`] is a place on a device, [`Sectors`] a length. They do not mix, and arithmetic on
//! them is checked: an overflow in the kernel is a bug, so every operation that could overflow
//! returns an [`Option`].
//!
//! This file uses nothing but [`core`], so that it compiles on the host too.
//!
//! C header: [`include/linux/blk_types.h`](srctree/include/linux/blk_types.h) (`SECTOR_SHIFT`)

/// A sector is `1 << SHIFT` bytes.
const SHIFT: u32 = 9;

/// A position on a block device, in sectors of 512 bytes from its start.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Sector(u64);

impl Sector {
    /// Makes a position from a raw `sector_t`.
    pub const fn new(raw: u64) -> Self {
        Self(raw)
    }

    /// Makes a position from a byte offset; [`None`] if it is not on a sector boundary.
    pub const fn from_bytes(bytes: u64) -> Option<Self> {
        match Sectors::from_bytes(bytes) {
            Some(sectors) => Some(Self(sectors.0)),
            None => None,
        }
    }

    /// The raw `sector_t`.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The byte offset; [`None`] if it does not fit in 64 bits.
    pub const fn to_bytes(self) -> Option<u64> {
        Sectors(self.0).to_bytes()
    }

    /// The position `len` further on.
    pub const fn checked_add(self, len: Sectors) -> Option<Self> {
        match self.0.checked_add(len.0) {
            Some(raw) => Some(Self(raw)),
            None => None,
        }
    }

    /// Whether the position is on a boundary of `block`, a power of two.
    pub const fn is_aligned(self, block: Sectors) -> bool {
        Sectors(self.0).is_aligned(block)
    }
}

/// A length, in sectors of 512 bytes.
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

    /// Makes a length from bytes; [`None`] if it is not a whole number of sectors.
    pub const fn from_bytes(bytes: u64) -> Option<Self> {
        if bytes & ((1 << SHIFT) - 1) == 0 {
            Some(Self(bytes >> SHIFT))
        } else {
            None
        }
    }

    /// Makes a length from bytes, leaving out what does not fill a sector.
    pub const fn from_bytes_floor(bytes: u64) -> Self {
        Self(bytes >> SHIFT)
    }

    /// The raw number of sectors.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The length in bytes; [`None`] if it does not fit in 64 bits.
    pub const fn to_bytes(self) -> Option<u64> {
        self.0.checked_mul(1 << SHIFT)
    }

    /// Whether there is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(raw) => Some(Self(raw)),
            None => None,
        }
    }

    /// The difference; [`None`] if `other` is longer.
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(raw) => Some(Self(raw)),
            None => None,
        }
    }

    /// So many times this; [`None`] if it overflows.
    pub fn checked_mul(self, count: usize) -> Option<Self> {
        let count = u64::try_from(count).ok()?;
        self.0.checked_mul(count).map(Self)
    }

    /// Whether the length is a multiple of `block`, a power of two. Nothing but zero is a multiple
    /// of a block of no sectors.
    pub const fn is_aligned(self, block: Self) -> bool {
        self.0 & block.0.saturating_sub(1) == 0 && (block.0 != 0 || self.0 == 0)
    }

    /// The length rounded down to a multiple of `block`, a power of two.
    pub const fn round_down(self, block: Self) -> Self {
        Self(self.0 & !block.0.saturating_sub(1))
    }
}
