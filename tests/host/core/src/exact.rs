// SPDX-License-Identifier: GPL-2.0

//! What single functions return: what the callers in the kernel need of them, and no other test here
//! looks at.

use crate::{
    chunk::protocol::{Levels, Machine, Next},
    plan::{
        gap::Gap,
        progress::{Look, OnFallback, Progress},
        share,
        window::{REFILL, WINDOW},
        CommandLimits, Cursor, Plan, Range, Ranges, Side,
    },
    span::Span,
    verdict::{Counter, Reason, Verdict},
};
use kernel::block::units::{Sector, Sectors};

fn range(start: u64, len: u64) -> Range {
    Range::new(Sector::new(start), Sectors::new(len)).expect("a small range")
}

#[test]
fn limits_are_taken_down() {
    let limits = CommandLimits {
        max: Sectors::new(64),
        segment: Sectors::new(8),
        src_segments: 4,
        dst_segments: 2,
    };
    let one = limits.one_source();
    assert_eq!((one.max, one.segment), (limits.max, limits.segment));
    assert_eq!((one.src_segments, one.dst_segments), (1, 1));
    assert_eq!(limits.at_most(Sectors::new(16)).max, Sectors::new(16));
    let more = limits.at_most(Sectors::new(100));
    assert_eq!((more.max, more.segment), (limits.max, limits.segment));
    assert_eq!((more.src_segments, more.dst_segments), (4, 2));
}

#[test]
fn a_plan_says_where_it_is() {
    let (src, dst) = ([range(0, 8), range(100, 8)], [range(1000, 16)]);
    let mut plan = Plan::new(&src[..], &dst[..]);
    let limits = CommandLimits::one_to_one(Sectors::new(64));
    for (offset, ranges) in [
        (0, (range(0, 8), range(1000, 8))),
        (8, (range(100, 8), range(1008, 8))),
    ] {
        assert_eq!(plan.offset(), Sectors::new(offset));
        let chunk = plan.peek(&limits).expect("there is more");
        assert_eq!(plan.first_ranges(&chunk), Some(ranges));
        plan.advance(chunk.len);
    }
    assert_eq!(plan.offset(), Sectors::new(16));
    assert_eq!(plan.peek(&limits), None);
}

#[test]
fn lists_are_read_from_their_start() {
    let list = [range(0, 8), range(100, 3)];
    let list = &list[..];
    assert!(Ranges::iter(&list).eq(list.iter().copied()));
    assert_eq!(list.total(), Some(Sectors::new(11)));
    let most = [range(0, u64::MAX), range(0, 1)];
    assert_eq!((&most[..]).total(), None);
    let cursor = Cursor::new(1, Sectors::new(2));
    assert_eq!(cursor.get(), (1, Sectors::new(2)));
    assert_eq!(cursor.rest(&list), Some(range(102, 1)));
}

#[test]
fn a_gap_is_there_once_it_was_noted() {
    let mut gap = Gap::NONE;
    assert!(gap.is_none());
    gap.note(Sectors::new(8), ());
    assert!(!gap.is_none());
}

#[test]
fn bytes_that_meet_on_a_disk() {
    let meet = |from, to, len, starts| Span { from, to, len }.overlaps(starts);
    assert_eq!(meet(0, 8, 8, (0, 0)), Some(false));
    assert_eq!(meet(8, 0, 8, (0, 0)), Some(false));
    assert_eq!(meet(0, 8, 9, (0, 0)), Some(true));
    assert_eq!(meet(8, 0, 9, (0, 0)), Some(true));
    assert_eq!(meet(4, 4, 1, (0, 0)), Some(true));
    // A whole disk, and a partition that begins at 100.
    assert_eq!(meet(100, 0, 8, (0, 100)), Some(true));
    assert_eq!(meet(92, 0, 8, (0, 100)), Some(false));
    assert_eq!(meet(0, 100, 8, (100, 0)), Some(true));
    assert_eq!(meet(0, 108, 8, (100, 0)), Some(false));
    assert_eq!(meet(u64::MAX, 0, 1, (1, 0)), None);
    assert_eq!(meet(0, u64::MAX, 1, (0, 1)), None);
    assert_eq!(meet(0, u64::MAX, 1, (0, 0)), None);
    assert_eq!(meet(u64::MAX, 0, 1, (0, 0)), None);
}

#[test]
fn places_that_are_off_a_boundary_alike_are_off_it() {
    let direct = |from, to, len| {
        let span = Span { from, to, len };
        span.for_direct(4096, (1 << 30, 1 << 30), 1 << 20)
    };
    assert_eq!(direct(512, 8192 + 512, 4096), None);
    assert_eq!(direct(512, 8192, 512), None);
    assert_eq!(direct(0, 8192 + 512, 512), None);
    let span = Span {
        from: 4096,
        to: 8192,
        len: 4096,
    };
    assert_eq!(direct(4096, 8192, 4096), Some(span));
}

#[test]
fn a_span_is_its_parts() {
    let span = Span {
        from: 100,
        to: 1000,
        len: 16,
    };
    let parts = |len| (span.first(len), span.behind(len));
    let (first, behind) = parts(4);
    assert_eq!(
        (first.source(), first.destination()),
        (100..104, 1000..1004)
    );
    assert_eq!(
        (behind.source(), behind.destination()),
        (104..116, 1004..1016)
    );
    let (first, behind) = parts(17);
    assert_eq!(first, span);
    assert_eq!(
        (behind.source(), behind.destination()),
        (116..116, 1016..1016)
    );
}

#[test]
fn a_source_that_ends_before_its_command_changes_nothing() {
    let mut chunk = Machine::<usize, Vec<usize>, u8>::new(2, Levels::One);
    let yes = || Verdict::Offloaded;
    assert_eq!(chunk.arrive(Side::Source, 1, yes), Next::Waits);
    let dispatch = Next::GoOn(vec![0]);
    assert_eq!(chunk.arrive(Side::Destination, 0, yes), dispatch);
    let early = chunk.ended(Side::Source, Verdict::Failed(5));
    assert_eq!((early.others, early.verdict), (vec![], Verdict::Offloaded));
    // The command can still lose its path.
    assert_eq!(chunk.again(Side::Destination, 0), dispatch);
    let late = chunk.ended(Side::Destination, Verdict::Fallback(Reason::Busy));
    assert_eq!(late.others, [1]);
    assert_eq!(late.verdict, Verdict::Fallback(Reason::Busy));
    assert!(late.last.is_some());
}

/// Chunks of 8 sectors that were sent.
fn sent(chunks: usize) -> Progress<&'static str> {
    let mut progress = Progress::new(OnFallback::Onload);
    for chunk in 0..chunks {
        assert_eq!(progress.begin(Sectors::new(8)), Some(chunk));
    }
    progress
}

fn end(progress: &mut Progress<&'static str>, slot: usize, verdict: Verdict<u8>) {
    progress.end(slot, verdict, |_| "an error");
}

#[test]
fn a_copy_is_looked_at_once_enough_has_ended() {
    let mut progress = sent(3);
    assert_eq!(progress.in_flight(), 3);
    assert!(!progress.is_ready(3));
    end(&mut progress, 1, Verdict::Offloaded);
    assert_eq!(progress.in_flight(), 2);
    assert!(progress.is_ready(3) && progress.is_ready(2) && !progress.is_ready(1));
    progress.look(Look::Keep);
    assert!(!progress.is_ready(2));
    end(&mut progress, 0, Verdict::Failed(1));
    assert!(progress.is_ready(1) && !progress.is_ready(0));
}

#[test]
fn others_may_note_a_gap() {
    let mut progress = sent(3);
    progress.note(Sectors::new(20), "a signal");
    assert_eq!(
        progress.look(Look::Take).gap.get(),
        Some((Sectors::new(20), "a signal"))
    );
    end(&mut progress, 1, Verdict::Failed(1));
    let gap = progress.look(Look::Take).gap;
    assert_eq!(gap.get(), Some((Sectors::new(8), "an error")));
    assert_eq!(progress.failure(), Some("an error"));
}

#[test]
fn only_the_oldest_chunk_says_where_it_is_to_be_split() {
    let mut progress = sent(2);
    let split = Reason::Split(Sectors::new(2));
    end(&mut progress, 1, Verdict::Fallback(split));
    end(&mut progress, 0, Verdict::Offloaded);
    let glance = progress.look(Look::Take);
    assert_eq!(glance.run.map(|run| run.counter), Some(Counter::Offloaded));
    assert_eq!(glance.split, Sectors::ZERO);
    let glance = progress.look(Look::Take);
    assert_eq!(glance.run.map(|run| run.counter), Some(Counter::Split));
    assert_eq!(glance.split, Sectors::new(2));
}

#[test]
fn a_window_is_filled_again_when_half_of_it_is_left() {
    assert_eq!(REFILL * 2, WINDOW);
}

#[test]
fn a_crowd_begins_at_its_limit() {
    let mib = |count: u64| Sectors::new(count * 2048);
    let alone = |all| share::allowed(all, Sectors::ZERO, mib(32));
    let less = mib(512).checked_sub(Sectors::ONE).expect("it is more");
    assert_eq!(alone(less), mib(32));
    assert_eq!(alone(mib(512)), share::SHORT);
}
