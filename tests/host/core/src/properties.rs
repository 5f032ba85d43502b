// SPDX-License-Identifier: GPL-2.0

//! Properties of the core, of random values, against the plainest way to compute the same.

use crate::{
    limits::{parse_max_bytes, Wish},
    plan::{
        order,
        progress::{Look, OnFallback, Progress},
        window::WINDOW,
        CommandLimits, Plan, Range,
    },
    verdict::{Counter, Reason, Verdict},
};
use kernel::block::units::{Sector, Sectors};
use proptest::prelude::*;

fn range(start: u64, len: u64) -> Option<Range> {
    Range::new(Sector::new(start), Sectors::new(len))
}

fn sectors_of(range: Range) -> std::ops::Range<u64> {
    range.start().get()..range.start().get() + range.len().get()
}

/// Lengths of ranges, in blocks.
fn lengths() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(1_u64..12, 1..10)
}

/// Ranges anywhere, some of which overlap.
fn places() -> impl Strategy<Value = Vec<Range>> {
    let place = (0_u64..120, 1_u64..16);
    let place = place.prop_map(|(start, len)| range(start, len).expect("a small range"));
    prop::collection::vec(place, 0..8)
}

fn limits() -> impl Strategy<Value = CommandLimits> {
    (1_u64..20, 0_u64..5, 1_usize..5, 1_usize..4).prop_map(|(max, segment, src, dst)| {
        CommandLimits {
            max: Sectors::new(max),
            segment: Sectors::new(segment),
            src_segments: src,
            dst_segments: dst,
        }
    })
}

fn scaled(limits: CommandLimits, block: u64) -> CommandLimits {
    CommandLimits {
        max: Sectors::new(limits.max.get() * block),
        segment: Sectors::new(limits.segment.get() * block),
        ..limits
    }
}

/// A source of such lengths, with gaps, and a destination of as many sectors cut elsewhere.
fn lists(src: &[u64], cuts: &[u64], block: u64) -> (Vec<Range>, Vec<Range>) {
    let place = |base: u64, lengths: &[u64]| {
        let mut at = base;
        let mut list = Vec::new();
        for len in lengths {
            list.push(range(at * block, len * block).expect("a small range"));
            at += len + 3;
        }
        list
    };
    let mut left: u64 = src.iter().sum();
    let mut dst = Vec::new();
    for cut in cuts {
        dst.push(left.min(*cut));
        left -= left.min(*cut);
    }
    dst.push(left);
    dst.retain(|len| *len > 0);
    (place(0, src), place(10_000, &dst))
}

/// Whether one command can take this.
fn fits(src: &[Range], dst: &[Range], limits: &CommandLimits) -> bool {
    let sum = |list: &[Range]| list.iter().map(|piece| piece.len().get()).sum::<u64>();
    let segments: u64 = match limits.segment.get() {
        0 => src.len() as u64,
        most => src
            .iter()
            .map(|piece| piece.len().get().div_ceil(most))
            .sum(),
    };
    sum(src) == sum(dst)
        && sum(src) <= limits.max.get()
        && segments <= limits.src_segments as u64
        && dst.len() <= limits.dst_segments
}

/// The pieces of a list from sector `from` to sector `to` of the copy.
fn part(list: &[Range], from: u64, to: u64) -> Vec<Range> {
    let mut at = 0;
    let mut part = Vec::new();
    for piece in list {
        let (start, end) = (from.max(at), to.min(at + piece.len().get()));
        if start < end {
            part.extend(range(piece.start().get() + start - at, end - start));
        }
        at += piece.len().get();
    }
    part
}

/// The fewest commands that can copy all of it, tried in full.
fn fewest(src: &[Range], dst: &[Range], limits: &CommandLimits) -> usize {
    let total: u64 = src.iter().map(|piece| piece.len().get()).sum();
    let mut best = vec![usize::MAX; total as usize + 1];
    best[0] = 0;
    for from in 0..total {
        let so_far = best[from as usize];
        if so_far == usize::MAX {
            continue;
        }
        for to in from + 1..=total.min(from + limits.max.get()) {
            if fits(&part(src, from, to), &part(dst, from, to), limits) {
                let here = &mut best[to as usize];
                *here = (*here).min(so_far + 1);
            }
        }
    }
    best[total as usize]
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
    fn lists_in_order_overlap_if_two_ranges_do(ours in places(), theirs in places()) {
        let sorted = |list: &[Range]| {
            let mut list = list.to_vec();
            list.sort_by_key(|range| range.start());
            list.into_iter()
        };
        let meet = ours.iter().any(|range| theirs.iter().any(|other| range.overlaps(*other)));
        prop_assert_eq!(order::meet(sorted(&ours), sorted(&theirs)), meet);
        let itself = ours.iter().enumerate().any(|(index, range)| {
            ours.iter().take(index).any(|other| range.overlaps(*other))
        });
        prop_assert_eq!(order::overlap(sorted(&ours)), itself);
    }

    #[test]
    fn a_plan_copies_every_sector_once_in_order(
        src in lengths(), cuts in lengths(), limits in limits(), block in block(),
    ) {
        let (src, dst) = lists(&src, &cuts, block);
        let limits = scaled(limits, block);
        let mut plan = Plan::new(&src[..], &dst[..]);
        let (mut read, mut written) = (Vec::new(), Vec::new());
        while let Some(chunk) = plan.peek(&limits) {
            prop_assert_eq!(chunk.offset.get(), read.len() as u64);
            let from: Vec<Range> = plan.sources(&chunk).collect();
            let to: Vec<Range> = plan.destinations(&chunk).collect();
            prop_assert!(fits(&from, &to, &limits), "{:?}", chunk);
            for piece in from.iter().chain(&to) {
                prop_assert!(piece.is_aligned(Sectors::new(block)));
            }
            read.extend(from.into_iter().flat_map(sectors_of));
            written.extend(to.into_iter().flat_map(sectors_of));
            prop_assert_eq!(read.len(), written.len());
            plan.advance(chunk.len);
        }
        let all = |list: &[Range]| list.iter().copied().flat_map(sectors_of).collect::<Vec<u64>>();
        prop_assert_eq!(read, all(&src));
        prop_assert_eq!(written, all(&dst));
    }

    #[test]
    fn no_plan_has_fewer_chunks(src in lengths(), cuts in lengths(), limits in limits()) {
        let (src, dst) = lists(&src, &cuts, 1);
        let mut plan = Plan::new(&src[..], &dst[..]);
        let mut chunks = 0;
        while let Some(chunk) = plan.peek(&limits) {
            plan.advance(chunk.len);
            chunks += 1;
        }
        prop_assert_eq!(chunks, fewest(&src, &dst, &limits));
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
    fn chunks_are_taken_in_order_and_the_gap_is_the_first(
        verdicts in prop::collection::vec(verdict(), 1..WINDOW),
        order in any::<prop::sample::Index>(),
        fails in any::<bool>(),
    ) {
        let on_fallback = if fails { OnFallback::Fail } else { OnFallback::Onload };
        let mut progress = Progress::new(on_fallback);
        let slots: Vec<_> = (1..=verdicts.len() as u64)
            .map(|len| progress.begin(Sectors::new(len)).unwrap())
            .collect();
        let start = |chunk: usize| Sectors::new((1..=chunk as u64).sum());
        let mut turned: Vec<usize> = (0..verdicts.len()).collect();
        turned.rotate_left(order.index(verdicts.len()));
        for chunk in turned {
            progress.end(slots[chunk], verdicts[chunk], |_| chunk);
        }
        prop_assert_eq!(progress.in_flight(), 0);
        let ends = |verdict: &Verdict<u8>| match verdict {
            Verdict::Failed(_) => true,
            Verdict::Fallback(Reason::Split(_)) | Verdict::Offloaded => false,
            Verdict::Fallback(_) => fails,
        };
        let first = verdicts.iter().position(ends);
        let gap = progress.look(Look::Keep).gap;
        prop_assert_eq!(gap.get(), first.map(|chunk| (start(chunk), chunk)));
        let mut taken = Vec::new();
        let mut len = 0;
        progress.finish(|run| {
            taken.extend(std::iter::repeat_n(run.counter, run.chunks as usize));
            len += run.len.get();
        });
        prop_assert_eq!(len, start(verdicts.len()).get());
        let counters: Vec<Counter> = verdicts.iter().map(Verdict::counter).collect();
        prop_assert_eq!(taken, counters);
        prop_assert_eq!(progress.look(Look::Take).in_flight, 0);
    }
}

fn verdict() -> impl Strategy<Value = Verdict<u8>> {
    prop_oneof![
        3 => Just(Verdict::Offloaded),
        1 => Just(Verdict::Failed(1)),
        1 => Just(Verdict::Fallback(Reason::NotSupported)),
        1 => Just(Verdict::Fallback(Reason::Domain)),
        1 => Just(Verdict::Fallback(Reason::Busy)),
        1 => (1_u64..4).prop_map(|len| Verdict::Fallback(Reason::Split(Sectors::new(len)))),
    ]
}
