// SPDX-License-Identifier: GPL-2.0

//! The model finds mistakes: each of these is in one step of the glue, and in no test may it go
//! unnoticed.

use copy_loom::explore;
use copy_loom::Device;
use copy_loom::Driver;
use copy_loom::Fault;
use copy_loom::Scenario;
use copy_loom::Thread::*;
use copy_loom::Way;
use copy_loom::Way::*;

/// A batch of one command whose source goes this way, with a mistake.
fn explore_fault(fault: Fault, source: Way) {
    let ways = [(Arrives, Own), (source, Own)];
    explore(Scenario {
        fault: Some(fault),
        ..Scenario::new(&ways, (Device::Succeeds, Own))
    });
}

macro_rules! faults {
    ($($name:ident: $fault:ident, $source:ident, $message:literal;)*) => {$(
        #[test]
        #[should_panic(expected = $message)]
        fn $name() {
            explore_fault(Fault::$fault, $source);
        }
    )*};
}

faults! {
    what_waits_ended_with_the_lock: EndsLocked, Fails, "deadlock";
    the_rest_not_submitted_after_an_error: StopsEarly, Fails, "deadlock";
    the_batch_looked_at_after_the_last_part: LooksBack, Arrives, "Causality violation";
    the_batch_not_freed: Leaks, Arrives, "leaked";
    a_refused_command_ended_twice: EndsCommandTwice, Strays, "used after it was freed";
    the_parked_forgotten: LosesParked, Strays, "deadlock";
    a_place_written_without_the_lock: PlacesUnlocked, Arrives, "Causality violation";
    ready_before_the_place_is_written: ReadyEarly, Arrives, "Causality violation";
    ready_in_no_order: ReadyRelaxed, Arrives, "Causality violation";
    a_failure_that_is_not_told: FailsUnsaid, Strays, "a success that was none";
    the_copy_woken_without_the_lock: WakesLate, Arrives, "Causality violation";
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_stack_entered_with_the_lock() {
    explore(Scenario {
        fault: Some(Fault::EntersLocked),
        stacked: true,
        ..Scenario::new(
            &[(Arrives, Own), (FailsInside, Own)],
            (Device::Succeeds, Own),
        )
    });
}

/// Two commands that share a source, with a mistake.
fn explore_two(fault: Fault) {
    explore(Scenario {
        fault: Some(fault),
        commands: 2,
        preemptions: Some(2),
        ..Scenario::new(&[(Arrives, Own); 3], (Device::Succeeds, Same))
    });
}

#[test]
#[should_panic(expected = "Causality violation")]
fn ends_counted_in_no_order() {
    explore_two(Fault::CountsRelaxed);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn the_batch_looked_at_when_others_are_left() {
    explore_two(Fault::LooksBackAtOthers);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_copy_queued_that_is_being_driven() {
    explore(Scenario {
        fault: Some(Fault::WakesAlways),
        driver: Driver::Worker,
        ..Scenario::new(&[(Arrives, Own), (Fails, Own)], (Device::Succeeds, Own))
    });
}
