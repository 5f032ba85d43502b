// SPDX-License-Identifier: GPL-2.0

//! Where the ranges of a copy lie below its devices, as far as that is known before they are sent.
//!
//! What is known may be out of date by the time a chunk is at the bottom of the stack: who copies
//! does not hold on to the mapping meanwhile. So nothing depends on it but how much is sent in
//! vain. A chunk that ends where its stack has a boundary need not be split, and one whose places
//! are on two devices need not be sent at all.
//!
//! Pure: plain values, no FFI, no locks. Compiled on the host too.

use crate::verdict::Reason;
use kernel::block::units::{
    SectorRange as Range,
    Sectors, //
};

/// The two sides of a copy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    /// What is read.
    Source,
    /// What is written.
    Destination,
}

/// What is below the start of a range. `D` is the domain of a device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Below<D> {
    /// The device of this domain can copy there.
    Domain(D),
    /// Nobody says.
    Unknown,
    /// No device copies there.
    Nowhere,
}

impl<D: Eq> Below<D> {
    /// Why no command has both; [`None`] if one may.
    pub(super) fn refuses(&self, other: &Self) -> Option<Reason> {
        match (self, other) {
            (Self::Nowhere, _) | (_, Self::Nowhere) => Some(Reason::NotSupported),
            (Self::Domain(one), Self::Domain(other)) if one != other => Some(Reason::Domain),
            _ => None,
        }
    }

    /// Whichever of the two says more.
    pub(super) fn or(self, other: Self) -> Self {
        match self {
            Self::Unknown => other,
            known => known,
        }
    }
}

/// The start of a range, as far as it is in one place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Extent<D> {
    /// How long it is: not zero, and no longer than the range.
    pub(crate) len: Sectors,
    pub(crate) below: Below<D>,
}

/// Says where ranges lie.
pub(crate) trait Layout {
    /// What copies between places.
    type Domain: Eq;

    /// The start of a range of one side of the copy, as far as it is in one place.
    fn extent(&self, side: Side, range: Range) -> Extent<Self::Domain>;
}

/// Nothing is known, or of interest.
pub(crate) struct Flat;

impl Layout for Flat {
    type Domain = ();

    fn extent(&self, _side: Side, range: Range) -> Extent<()> {
        Extent {
            len: range.len(),
            below: Below::Unknown,
        }
    }
}

#[cfg_attr(
    CONFIG_BLK_COPY_KUNIT_TEST,
    kernel::macros::kunit_tests(blk_copy_layout)
)]
#[cfg(any(test, CONFIG_BLK_COPY_KUNIT_TEST))]
mod tests {
    use super::{
        super::{
            Chunk,
            CommandLimits,
            Plan, //
        },
        *, //
    };
    use core::cell::Cell;
    use kernel::block::units::Sector;

    const LIMITS: CommandLimits = CommandLimits {
        max: Sectors::new(64),
        segment: Sectors::ZERO,
        src_segments: 4,
        dst_segments: 1,
    };

    /// Stripes of 16 sectors on two devices. The destination's start one sector later if `skewed`;
    /// nothing can be copied to its last stripe, which begins at sector 1072.
    struct Stripes {
        skewed: bool,
    }

    impl Layout for Stripes {
        type Domain = u64;

        fn extent(&self, side: Side, range: Range) -> Extent<u64> {
            let start = match side {
                Side::Destination if self.skewed => range.start().get() + 15,
                _ => range.start().get(),
            };
            let below = if side == Side::Destination && range.start().get() >= 1072 {
                Below::Nowhere
            } else {
                Below::Domain((start / 16) % 2)
            };
            let len = range.len().min(Sectors::new(16 - start % 16));
            Extent { len, below }
        }
    }

    /// Lengths of the chunks, negative for those that no device has, and zero after the last one.
    fn lengths(layout: &Stripes, src: &[(u64, u64)], dst: (u64, u64)) -> [i64; 8] {
        let range = |(start, len)| Range::new(Sector::new(start), Sectors::new(len));
        let Some(dst) = range(dst) else { return [0; 8] };
        let mut list = [dst; 4];
        for (to, from) in list.iter_mut().zip(src) {
            *to = range(*from).unwrap_or(dst);
        }
        let to = [dst];
        let mut plan = Plan::new(list.get(..src.len()).unwrap_or(&to), &to[..]);
        core::array::from_fn(|_| {
            let Some(chunk) = plan.peek_in(layout, &LIMITS) else {
                return 0;
            };
            plan.advance(chunk.len);
            let len = i64::try_from(chunk.len.get()).unwrap_or(0);
            if chunk.refused.is_some() {
                -len
            } else {
                len
            }
        })
    }

    #[test]
    fn chunks_end_where_the_layout_has_boundaries() {
        let layout = Stripes { skewed: false };
        let lengths = lengths(&layout, &[(8, 40)], (1032, 40));
        assert_eq!(lengths, [8, 16, 16, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn what_is_on_two_devices_is_known() {
        let layout = Stripes { skewed: false };
        assert_eq!(
            lengths(&layout, &[(8, 24)], (1048, 24)),
            [-8, -16, 0, 0, 0, 0, 0, 0]
        );
        let layout = Stripes { skewed: true };
        assert_eq!(
            lengths(&layout, &[(0, 32)], (1024, 32)),
            [1, -15, 1, -15, 0, 0, 0, 0]
        );
    }

    #[test]
    fn a_command_has_the_sources_of_one_device() {
        let layout = Stripes { skewed: false };
        // The first, third and fourth are on the device of the destination.
        let src = [(0, 4), (16, 4), (32, 4), (64, 4)];
        assert_eq!(
            lengths(&layout, &src, (1024, 16)),
            [4, -4, 8, 0, 0, 0, 0, 0]
        );
    }

    #[test]
    fn nothing_is_sent_where_no_device_copies() {
        let layout = Stripes { skewed: false };
        assert_eq!(
            lengths(&layout, &[(32, 32)], (1056, 32)),
            [16, -16, 0, 0, 0, 0, 0, 0]
        );
    }

    /// One device, to which the first answer about the destination belongs; then it is elsewhere.
    struct Moving {
        asked: Cell<u64>,
    }

    impl Layout for Moving {
        type Domain = bool;

        fn extent(&self, side: Side, range: Range) -> Extent<bool> {
            let times = u64::from(side == Side::Destination);
            let asked = self.asked.replace(self.asked.get() + times);
            Extent {
                len: range.len(),
                below: Below::Domain(side == Side::Destination && asked > 0),
            }
        }
    }

    #[test]
    fn what_moves_while_it_is_planned_is_busy() {
        let layout = Moving {
            asked: Cell::new(0),
        };
        let range = |start| Range::new(Sector::new(start), Sectors::new(8));
        let done = range(0).zip(range(1024)).map(|(src, dst)| {
            let (src, dst) = ([src], [dst]);
            let plan = Plan::new(&src[..], &dst[..]);
            let peek = || plan.peek_in(&layout, &LIMITS);
            let seen = |chunk: Option<Chunk>| chunk.map(|chunk| (chunk.len.get(), chunk.refused));
            assert_eq!(seen(peek()), Some((8, Some(Reason::Busy))));
            assert_eq!(seen(peek()), Some((8, Some(Reason::Domain))));
        });
        assert!(done.is_some());
    }

    #[test]
    fn what_is_not_known_is_tried() {
        let unknown = Below::<u64>::Unknown;
        let (one, other) = (Below::Domain(1), Below::Domain(2));
        assert_eq!(unknown.refuses(&one), None);
        assert_eq!(one.refuses(&unknown), None);
        assert_eq!(one.refuses(&other), Some(Reason::Domain));
        assert_eq!(unknown.refuses(&Below::Nowhere), Some(Reason::NotSupported));
        assert_eq!(unknown.or(Below::Domain(1)), Below::Domain(1));
        assert_eq!(Below::Domain(2).or(Below::Domain(1)), Below::Domain(2));
    }
}
