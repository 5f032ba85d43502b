// SPDX-License-Identifier: GPL-2.0

//! What the state machine does with the parts of one chunk, step by step.

use super::*;

impl BioList<u8> for [Option<u8>; 4] {
    fn push(&mut self, bio: u8) {
        if let Some(free) = self.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(bio);
        }
    }
}

#[cfg_attr(
    CONFIG_BLK_COPY_KUNIT_TEST,
    kernel::macros::kunit_tests(blk_copy_protocol)
)]
mod machine {
    use super::*;

    type List = [Option<u8>; 4];
    type Small = Machine<u8, List, u8>;

    const SRC: Side = Side::Source;
    const DST: Side = Side::Destination;
    const NOBODY: List = [None; 4];
    const COMMAND: u8 = 100;
    const OK: Verdict<u8> = Verdict::Offloaded;
    const BROKEN: Verdict<u8> = Verdict::Failed(5);
    const IGNORED: Verdict<u8> = Verdict::Fallback(Reason::NotSupported);
    const DOMAIN: Verdict<u8> = Verdict::Fallback(Reason::Domain);
    const BUSY: Verdict<u8> = Verdict::Fallback(Reason::Busy);

    fn direct(parts: usize) -> Small {
        Small::new(parts, Levels::One)
    }

    fn list(bios: &[u8]) -> List {
        let mut list = NOBODY;
        for bio in bios {
            list.push(*bio);
        }
        list
    }

    fn ended(others: &[u8], verdict: Verdict<u8>) -> Ended<List, u8> {
        Ended {
            others: list(others),
            verdict,
            last: None,
        }
    }

    fn last(verdict: Verdict<u8>) -> Ended<List, u8> {
        Ended {
            last: Some(Sole(())),
            ..ended(&[], verdict)
        }
    }

    fn yes() -> Verdict<u8> {
        OK
    }

    #[test]
    fn the_command_goes_when_all_parts_are_there() {
        let mut chunk = direct(3);
        assert_eq!(chunk.arrive(SRC, 1, yes), Next::Waits);
        assert_eq!(chunk.arrive(DST, COMMAND, yes), Next::Waits);
        assert_eq!(chunk.arrive(SRC, 0, yes), Next::GoOn(list(&[COMMAND])));
        assert_eq!(chunk.ended(DST, OK), ended(&[1, 0], OK));
        assert_eq!(chunk.ended(SRC, OK), ended(&[], OK));
        assert_eq!(chunk.ended(SRC, OK), last(OK));
    }

    #[test]
    fn a_source_that_fails_ends_what_is_parked() {
        let mut chunk = direct(3);
        assert_eq!(chunk.arrive(SRC, 0, yes), Next::Waits);
        assert_eq!(chunk.arrive(DST, COMMAND, yes), Next::Waits);
        assert_eq!(chunk.ended(SRC, BROKEN), ended(&[0, COMMAND], BROKEN));
        assert_eq!(chunk.ended(DST, BROKEN), ended(&[], BROKEN));
        assert_eq!(chunk.ended(SRC, BROKEN), last(BROKEN));
    }

    #[test]
    fn what_comes_too_late_is_refused() {
        let mut chunk = direct(2);
        assert_eq!(chunk.ended(DST, BROKEN), ended(&[], BROKEN));
        let refused = Next::End(list(&[0]), BROKEN);
        assert_eq!(chunk.arrive(SRC, 0, yes), refused);
        assert_eq!(chunk.ended(SRC, BROKEN), last(BROKEN));
    }

    #[test]
    fn a_failure_outweighs_a_fallback() {
        let mut chunk = direct(2);
        assert_eq!(chunk.ended(SRC, BUSY), ended(&[], BUSY));
        assert_eq!(chunk.ended(DST, BROKEN), last(BROKEN));
        let mut chunk = direct(2);
        assert_eq!(chunk.ended(DST, BROKEN), ended(&[], BROKEN));
        assert_eq!(chunk.ended(SRC, BUSY), last(BROKEN));
    }

    #[test]
    fn a_part_that_ends_well_without_a_command_is_no_success() {
        let mut chunk = direct(2);
        assert_eq!(chunk.arrive(DST, COMMAND, yes), Next::Waits);
        assert_eq!(chunk.ended(SRC, OK), ended(&[COMMAND], IGNORED));
        assert_eq!(chunk.ended(DST, IGNORED), last(IGNORED));
    }

    #[test]
    fn parts_that_no_device_has_are_all_ended() {
        let mut chunk = direct(2);
        assert_eq!(chunk.arrive(SRC, 0, yes), Next::Waits);
        let over = Next::End(list(&[0, COMMAND]), DOMAIN);
        assert_eq!(chunk.arrive(DST, COMMAND, || DOMAIN), over);
        assert_eq!(chunk.ended(SRC, IGNORED), ended(&[], DOMAIN));
        assert_eq!(chunk.ended(DST, IGNORED), last(DOMAIN));
    }

    #[test]
    fn a_command_that_failed_ends_the_sources() {
        let mut chunk = direct(2);
        assert_eq!(chunk.arrive(SRC, 0, yes), Next::Waits);
        let dispatch = Next::GoOn(list(&[COMMAND]));
        assert_eq!(chunk.arrive(DST, COMMAND, yes), dispatch);
        assert_eq!(chunk.again(DST, COMMAND), dispatch);
        assert_eq!(chunk.ended(DST, BROKEN), ended(&[0], BROKEN));
        // A stacking driver above may say something else.
        assert_eq!(chunk.ended(SRC, IGNORED), last(BROKEN));
    }

    #[test]
    fn all_enter_or_none() {
        let mut chunk = Small::new(2, Levels::Several);
        assert_eq!(chunk.enter(0), Next::Waits);
        let all = Next::GoOn(list(&[0, COMMAND]));
        assert_eq!(chunk.enter(COMMAND), all);
        assert_eq!(chunk.enter(0), Next::GoOn(list(&[0])));
        assert_eq!(chunk.arrive(DST, COMMAND, yes), Next::Waits);
        assert_eq!(chunk.arrive(SRC, 0, yes), Next::GoOn(list(&[COMMAND])));
        assert_eq!(chunk.enter(COMMAND), Next::GoOn(list(&[COMMAND])));
    }

    #[test]
    fn what_fails_before_it_enters_ends_the_others() {
        let mut chunk = Small::new(2, Levels::Several);
        assert_eq!(chunk.enter(0), Next::Waits);
        assert_eq!(chunk.ended(DST, BROKEN), ended(&[0], BROKEN));
        assert_eq!(chunk.ended(SRC, BROKEN), last(BROKEN));
        let mut chunk = Small::new(2, Levels::Several);
        assert_eq!(chunk.ended(SRC, BROKEN), ended(&[], BROKEN));
        let refused = Next::End(list(&[COMMAND]), BROKEN);
        assert_eq!(chunk.enter(COMMAND), refused);
        assert_eq!(chunk.ended(DST, BROKEN), last(BROKEN));
    }

    #[test]
    fn a_part_that_comes_twice_is_refused() {
        let mut chunk = direct(3);
        assert_eq!(chunk.arrive(SRC, 1, yes), Next::Waits);
        let refused = Next::End(list(&[3]), IGNORED);
        assert_eq!(chunk.again(SRC, 3), refused);
        let refused = Next::End(list(&[COMMAND]), IGNORED);
        assert_eq!(chunk.again(DST, COMMAND), refused);
    }

    #[test]
    fn the_nearest_split_counts() {
        let split = |len| Verdict::Fallback(Reason::Split(Sectors::new(len)));
        let mut chunk = direct(2);
        chunk.split(Sectors::new(24));
        chunk.split(Sectors::new(8));
        chunk.split(Sectors::new(16));
        assert_eq!(chunk.ended(SRC, IGNORED), ended(&[], split(8)));
        assert_eq!(chunk.ended(DST, IGNORED), last(split(8)));
    }
}
