// SPDX-License-Identifier: GPL-2.0

//! Properties of the core, of random values, against the plainest way to compute the same.

use crate::{
    limits::{parse_max_bytes, Wish},
    plan::Plan,
    progress::Progress,
    range::Range,
};
use kernel::block::units::{Sector, Sectors};
use proptest::prelude::*;

fn range(start: u64, len: u64) -> Option<Range> {
    Range::new(Sector::new(start), Sectors::new(len))
}

fn sectors_of(range: Range) -> std::ops::Range<u64> {
    range.start().get()..range.start().get() + range.len().get()
}

fn block() -> impl Strategy<Value = u64> {
    prop::sample::select(vec![1_u64, 2, 4, 8, 16])
}

proptest! {
    #[test]
    fn overlap_is_a_common_sector(a in 0_u64..40, b in 0_u64..40, m in 1_u64..20, n in 1_u64..20) {
        let (x, y) = range(a, m).zip(range(b, n)).expect("small ranges");
        let common = (a..a + m).any(|sector| (b..b + n).contains(&sector));
        prop_assert_eq!(x.overlaps(y), common);
    }

    #[test]
    fn a_plan_copies_every_sector_once(
        src in 0_u64..1000, dst in 0_u64..1000, len in 1_u64..2000, max in 1_u64..300,
    ) {
        let (from, to) = range(src, len).zip(range(dst, len)).expect("small ranges");
        let pieces: Vec<_> = Plan::new(from, to, Sectors::new(max)).expect("a plan").collect();
        let read: Vec<u64> = pieces.iter().flat_map(|piece| sectors_of(piece.src)).collect();
        let written: Vec<u64> = pieces.iter().flat_map(|piece| sectors_of(piece.dst)).collect();
        prop_assert!(read.iter().copied().eq(src..src + len));
        prop_assert!(written.iter().copied().eq(dst..dst + len));
        prop_assert!(pieces.iter().all(|piece| piece.src.len().get() <= max));
        // No plan has fewer.
        prop_assert_eq!(pieces.len() as u64, len.div_ceil(max));
    }

    #[test]
    fn an_aligned_plan_stays_aligned(
        block in block(), src in 0_u64..100, dst in 0_u64..100, len in 1_u64..100, max in 1_u64..20,
    ) {
        let (from, to) = range(src * block, len * block)
            .zip(range(dst * block, len * block))
            .expect("small ranges");
        for piece in Plan::new(from, to, Sectors::new(max * block)).expect("a plan") {
            prop_assert!(piece.src.is_aligned(Sectors::new(block)));
            prop_assert!(piece.dst.is_aligned(Sectors::new(block)));
        }
    }

    #[test]
    fn limits_never_exceed_a_wish(
        hw in any::<u32>(), user in any::<u32>(), block in block(), segment in any::<u32>(),
        src_segments in any::<u16>(), dst_segments in any::<u16>(), excluded in any::<bool>(),
    ) {
        let wish = Wish {
            hw: Sectors::new(hw.into()),
            user: Sectors::new(user.into()),
            block: Sectors::new(block),
            src_segments,
            dst_segments,
            segment: Sectors::new(segment.into()),
            excluded,
        };
        let limits = wish.effective();
        prop_assert!(limits.hw <= wish.hw && limits.max <= limits.hw && limits.max <= wish.user);
        prop_assert!(limits.max.is_aligned(wish.block) && limits.hw.is_aligned(wish.block));
        prop_assert!(limits.max.to_bytes().is_some_and(|bytes| bytes <= u32::MAX.into()));
        // Validating what was validated changes nothing: limits are stacked and updated often.
        let again = Wish { hw: limits.hw, segment: limits.segment, ..wish };
        prop_assert_eq!(again.effective(), limits);
    }

    #[test]
    fn every_multiple_of_the_block_can_be_written(bytes in any::<u64>(), block in block()) {
        let size = block * 512;
        let parsed = parse_max_bytes(format!("{bytes}\n").as_bytes(), Sectors::new(block));
        if bytes % size == 0 {
            prop_assert_eq!(parsed, Ok(u32::try_from(bytes / 512).unwrap_or(u32::MAX)));
        } else {
            prop_assert!(parsed.is_err());
        }
    }

    #[test]
    fn what_is_written_to_sysfs_never_panics(text in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = parse_max_bytes(&text, Sectors::new(8));
    }

    #[test]
    fn the_prefix_ends_at_the_first_gap(
        verdicts in prop::collection::vec(prop::option::weighted(0.2, any::<u8>()), 1..40),
        seed in any::<prop::sample::Index>(),
    ) {
        let mut progress = Progress::new();
        for chunk in 0..verdicts.len() as u64 {
            progress.begin(Sectors::new(chunk + 1));
        }
        let mut order: Vec<usize> = (0..verdicts.len()).collect();
        order.rotate_left(seed.index(verdicts.len()));
        for chunk in order {
            progress.end(Sectors::new(chunk as u64), verdicts[chunk]);
        }
        let gap = verdicts.iter().position(Option::is_some);
        let expected = gap.unwrap_or(verdicts.len()) as u64;
        prop_assert_eq!(progress.in_flight(), 0);
        prop_assert_eq!(progress.result(), (Sectors::new(expected), gap.and_then(|gap| verdicts[gap])));
    }
}
