// SPDX-License-Identifier: GPL-2.0

//! What a queue can copy: the arithmetic behind `struct queue_limits` and its sysfs files.
//!
//! Pure: plain values, no FFI, no locks. Compiled on the host too.

use kernel::block::units::Sectors;

/// What drivers and the administrator ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// `max_hw_copy_sectors`: most that one command of the device can copy.
    pub(crate) hw: Sectors,
    /// `max_user_copy_sectors`: most that the administrator wants in one command.
    pub(crate) user: Sectors,
    /// Logical block size, a power of two.
    pub(crate) block: Sectors,
    /// `max_copy_src_segments`: source ranges of one command.
    pub(crate) src_segments: u16,
    /// `max_copy_dst_segments`: destination ranges of one command.
    pub(crate) dst_segments: u16,
    /// `max_copy_segment_sectors`: most in one source range; zero for no limit of its own.
    pub(crate) segment: Sectors,
    /// The queue is of a kind that cannot copy: with per-block metadata.
    pub(crate) excluded: bool,
}

/// What comes of a [`Wish`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Effective {
    /// `max_hw_copy_sectors`, or zero: not supported.
    pub(crate) hw: Sectors,
    /// `max_copy_sectors`: most in one command, a multiple of the logical block; zero: off.
    pub(crate) max: Sectors,
    /// `max_copy_segment_sectors`: a multiple of the logical block, or zero.
    pub(crate) segment: Sectors,
}

impl Effective {
    /// Copying is not supported.
    const NONE: Self = Self {
        hw: Sectors::ZERO,
        max: Sectors::ZERO,
        segment: Sectors::ZERO,
    };
}

impl Wish {
    /// The length of a bio is 32 bits of bytes, and a chunk is a bio.
    const BIO_MAX: Sectors = Sectors::from_bytes_floor(u32::MAX as u64);

    /// Combines the limits. A combination that cannot work disables copying instead of failing
    /// the update of all the other limits of the queue.
    pub(crate) fn effective(&self) -> Effective {
        let hw = self.hw.min(Self::BIO_MAX).round_down(self.block);
        let segment = self.segment.round_down(self.block);
        let broken = self.excluded
            || hw.is_zero()
            || self.src_segments == 0
            || self.dst_segments == 0
            || (segment.is_zero() && !self.segment.is_zero());
        if broken {
            return Effective::NONE;
        }
        Effective {
            hw,
            max: self.user.min(hw).round_down(self.block),
            segment,
        }
    }
}

/// What was written to `queue/copy_max_bytes` is not a number of bytes, or not a multiple of the
/// logical block.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct InvalidBytes;

/// Reads what was written to `queue/copy_max_bytes`: decimal bytes, a multiple of the logical
/// block. Returns `max_user_copy_sectors`; what does not fit is as good as no limit, because
/// [`Wish::effective`] cuts it to what the device can.
pub(crate) fn parse_max_bytes(text: &[u8], block: Sectors) -> Result<u32, InvalidBytes> {
    let text = core::str::from_utf8(text).map_err(|_| InvalidBytes)?;
    let bytes: u64 = text.trim().parse().map_err(|_| InvalidBytes)?;
    let sectors = Sectors::from_bytes(bytes).ok_or(InvalidBytes)?;
    if !sectors.is_aligned(block) {
        return Err(InvalidBytes);
    }
    Ok(u32::try_from(sectors.get()).unwrap_or(u32::MAX))
}

#[cfg_attr(
    CONFIG_BLK_COPY_KUNIT_TEST,
    kernel::macros::kunit_tests(blk_copy_limits)
)]
#[cfg(any(test, CONFIG_BLK_COPY_KUNIT_TEST))]
mod tests {
    use super::*;

    const WISH: Wish = Wish {
        hw: Sectors::new(2048),
        user: Sectors::new(0xffff_ffff),
        block: Sectors::new(8),
        src_segments: 1,
        dst_segments: 1,
        segment: Sectors::ZERO,
        excluded: false,
    };

    #[test]
    fn minimum_rounded_down_to_the_block() {
        assert_eq!(WISH.effective().max, Sectors::new(2048));
        let user = |user| {
            Wish {
                user: Sectors::new(user),
                ..WISH
            }
            .effective()
        };
        assert_eq!(user(100).max, Sectors::new(96));
        assert_eq!(user(100).hw, Sectors::new(2048));
        assert_eq!(user(7).max, Sectors::ZERO);
        assert_eq!(user(0).max, Sectors::ZERO);
        assert_eq!(user(0).hw, Sectors::new(2048));
    }

    #[test]
    fn broken_combinations_disable() {
        for wish in [
            Wish {
                hw: Sectors::ZERO,
                ..WISH
            },
            Wish {
                hw: Sectors::new(7),
                ..WISH
            },
            Wish {
                src_segments: 0,
                ..WISH
            },
            Wish {
                dst_segments: 0,
                ..WISH
            },
            Wish {
                segment: Sectors::new(7),
                ..WISH
            },
            Wish {
                excluded: true,
                ..WISH
            },
        ] {
            assert_eq!(wish.effective(), Effective::NONE);
        }
    }

    #[test]
    fn a_chunk_fits_in_a_bio() {
        let wish = Wish {
            hw: Sectors::new(0xffff_ffff),
            ..WISH
        };
        let max = wish.effective().max;
        assert!(max
            .to_bytes()
            .is_some_and(|bytes| bytes <= u64::from(u32::MAX)));
        assert!(max.is_aligned(WISH.block));
    }

    #[test]
    fn written_values() {
        let parse = |text: &str| parse_max_bytes(text.as_bytes(), Sectors::new(8));
        assert_eq!(parse("0\n"), Ok(0));
        assert_eq!(parse("4096\n"), Ok(8));
        assert_eq!(parse(" 1048576 "), Ok(2048));
        assert_eq!(parse("18446744073709547520"), Ok(u32::MAX));
        for bad in [
            "",
            "\n",
            "512",
            "4095",
            "-4096",
            "4k",
            "0x1000",
            "18446744073709551616",
        ] {
            assert_eq!(parse(bad), Err(InvalidBytes));
        }
    }
}
