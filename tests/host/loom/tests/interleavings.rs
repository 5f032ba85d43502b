// SPDX-License-Identifier: GPL-2.0

//! Batches whose bios go every way, on threads of their own. What must hold in each interleaving is
//! checked by the model; that what a test is about did happen in one of them is checked here.

use std::collections::BTreeSet;

use copy_loom::explore;
use copy_loom::Device;
use copy_loom::Driver;
use copy_loom::Error;
use copy_loom::Event;
use copy_loom::Event::*;
use copy_loom::Scenario;
use copy_loom::Seen;
use copy_loom::Thread;
use copy_loom::Thread::*;
use copy_loom::Way;
use copy_loom::Way::*;

const THREADS: [Thread; 2] = [Same, Own];
const DEVICE: (Device, Thread) = (Device::Succeeds, Own);

/// What the caller of such a command may be told.
fn verdicts(scenario: &Scenario) -> BTreeSet<Option<Error>> {
    let errors: BTreeSet<_> = scenario
        .ways
        .iter()
        .enumerate()
        .filter_map(|(part, (way, _))| match way {
            Arrives => None,
            // The second is refused, and ends when the command has.
            Doubles if part > 0 => None,
            Strays => Some(Error::Domain),
            Fails | FailsInside => Some(Error::Broken),
            Splits | Doubles | Ignored => Some(Error::Ignored),
        })
        .map(Some)
        .collect();
    match scenario.device.0 {
        _ if !errors.is_empty() => errors,
        Device::Fails => BTreeSet::from([Some(Error::Medium)]),
        Device::Succeeds | Device::FailsOver => BTreeSet::from([None]),
    }
}

/// Explores a scenario. Some interleaving must have had each of the events `some`.
fn check(scenario: Scenario, some: &[Event]) -> Seen {
    let expected = verdicts(&scenario);
    let seen = explore(scenario.clone());
    println!("{:?} {:?}: {seen:?}", scenario.ways, scenario.device);
    for event in &seen.events {
        if let Verdict(verdict) = event {
            assert!(expected.contains(verdict), "{scenario:?}: {verdict:?}");
        }
    }
    for event in some {
        assert!(seen.events.contains(event), "{scenario:?}: no {event:?}");
    }
    seen
}

fn two(carrier: (Way, Thread), source: (Way, Thread)) -> Scenario {
    Scenario::new(&[carrier, source], DEVICE)
}

fn stacked(scenario: Scenario) -> Scenario {
    Scenario {
        stacked: true,
        ..scenario
    }
}

fn three(ways: [Way; 3], preemptions: usize) -> Scenario {
    Scenario {
        preemptions: Some(preemptions),
        ..Scenario::new(&ways.map(|way| (way, Own)), DEVICE)
    }
}

#[test]
fn a_command_and_each_of_its_ends() {
    for device in [Device::Succeeds, Device::Fails, Device::FailsOver] {
        for ended_on in THREADS {
            for carrier_on in THREADS {
                for source_on in THREADS {
                    let ways = [(Arrives, carrier_on), (Arrives, source_on)];
                    let scenario = Scenario::new(&ways, (device, ended_on));
                    let seen = check(scenario, &[Held, Dispatched, EndedParked]);
                    assert_eq!(seen.events.contains(&Passed), device == Device::FailsOver);
                }
            }
        }
    }
}

#[test]
fn all_enter_a_stack_or_none() {
    for carrier_on in THREADS {
        for source_on in THREADS {
            let scenario = stacked(two((Arrives, carrier_on), (Arrives, source_on)));
            check(scenario, &[Outside, Entered, Dispatched]);
        }
    }
    let first = check(stacked(two((Fails, Own), (Arrives, Own))), &[Outside, Late]);
    assert!(!first.events.contains(&Entered));
    let inside = stacked(two((FailsInside, Own), (Arrives, Own)));
    check(inside, &[Entered, Held, Late, EndedParked]);
    let splits = Scenario {
        preemptions: Some(3),
        ..stacked(two((Arrives, Own), (Splits, Own)))
    };
    check(splits, &[Entered, Duplicate, Refused]);
    let fails_over = Scenario {
        device: (Device::FailsOver, Own),
        ..stacked(two((Arrives, Own), (Arrives, Own)))
    };
    check(fails_over, &[Entered, Passed]);
}

/// Two preemptions a run.
#[test]
fn a_stack_in_every_way() {
    let ways = [Arrives, Strays, Fails, FailsInside, Ignored];
    let mut events = BTreeSet::new();
    for (carrier, source) in pairs(&ways) {
        let scenario = stacked(two((carrier, Own), (source, Own)));
        events.extend(check(scenario, &[]).events);
        let scenario = stacked(three([carrier, source, Arrives], 2));
        events.extend(check(scenario, &[]).events);
    }
    let all = [Outside, Entered, Held, Late, Dispatched, Refused];
    assert!(events.is_superset(&BTreeSet::from(all)), "{events:?}");
}

#[test]
fn the_last_user_is_who_ended_last() {
    let both = two((Arrives, Own), (Arrives, Own));
    check(both, &[LastIsPart(1)]);
    let fails = two((Arrives, Own), (Fails, Own));
    check(fails, &[LastIsPart(0)]);
}

#[test]
fn an_early_end_ends_what_is_parked() {
    for way in [Fails, Ignored] {
        let source = two((Arrives, Own), (way, Own));
        check(source, &[Held, Late, EndedParked]);
        let carrier = two((way, Own), (Arrives, Own));
        check(carrier, &[Held, Late, EndedParked]);
    }
}

#[test]
fn an_error_in_the_submitter_itself() {
    check(two((Arrives, Own), (Fails, Same)), &[Late]);
    check(
        two((Fails, Same), (Arrives, Own)),
        &[Held, Late, EndedParked],
    );
}

#[test]
fn parts_that_no_command_spans_are_refused() {
    check(two((Arrives, Own), (Strays, Own)), &[Held, Refused]);
    check(two((Arrives, Same), (Strays, Own)), &[Held, Refused]);
}

/// Three preemptions a run. Without a bound there are many times as many, with no event more.
#[test]
fn a_part_that_arrives_in_pieces_or_twice() {
    for (way, happens) in [(Splits, Refused), (Doubles, Dispatched)] {
        for other in [Arrives, Fails] {
            let scenario = Scenario {
                preemptions: Some(3),
                ..two((other, Own), (way, Own))
            };
            let seen = check(scenario, &[Held, Duplicate]);
            assert_eq!(seen.events.contains(&happens), other == Arrives);
        }
    }
    for (way, happens) in [(Splits, Refused), (Doubles, Dispatched)] {
        let carrier = Scenario {
            preemptions: Some(3),
            ..two((way, Own), (Arrives, Own))
        };
        check(carrier, &[Held, Duplicate, happens]);
    }
}

#[test]
fn a_copy_that_a_worker_goes_on_with() {
    for (way, happens) in [(Arrives, Dispatched), (Strays, Refused), (Fails, Late)] {
        let scenario = Scenario {
            driver: Driver::Worker,
            ..two((Arrives, Own), (way, Own))
        };
        check(scenario, &[happens, Worked]);
    }
}

#[test]
fn two_parts_in_every_way_on_every_thread() {
    let ways = [Arrives, Strays, Fails, Ignored];
    let mut events = BTreeSet::new();
    for (carrier, source) in pairs(&ways) {
        for (carrier_on, source_on) in pairs(&THREADS) {
            let scenario = two((carrier, carrier_on), (source, source_on));
            events.extend(check(scenario, &[]).events);
        }
    }
    let all = [Held, Late, Dispatched, Refused, EndedParked];
    assert!(events.is_superset(&BTreeSet::from(all)), "{events:?}");
}

/// Two preemptions a run.
#[test]
fn three_parts_in_every_way() {
    let ways = [Arrives, Strays, Fails, Ignored];
    let mut events = BTreeSet::new();
    for (carrier, first) in pairs(&ways) {
        for second in ways {
            events.extend(check(three([carrier, first, second], 2), &[]).events);
        }
    }
    let all = [Held, Late, Dispatched, Refused, EndedParked];
    assert!(events.is_superset(&BTreeSet::from(all)), "{events:?}");
    let last = [LastIsPart(0), LastIsPart(1), LastIsPart(2)];
    assert!(events.is_superset(&BTreeSet::from(last)), "{events:?}");
}

/// Three or four preemptions a run. Without a bound there are many times as many runs.
#[test]
fn three_parts_in_depth() {
    check(three([Arrives; 3], 4), &[Dispatched, EndedParked]);
    check(three([Arrives, Arrives, Fails], 4), &[Late, EndedParked]);
    check(three([Arrives, Fails, Ignored], 3), &[Late]);
    check(three([Arrives, Strays, Arrives], 3), &[Refused]);
}

fn pairs<T: Copy>(of: &[T]) -> impl Iterator<Item = (T, T)> + '_ {
    of.iter()
        .flat_map(|first| of.iter().map(|second| (*first, *second)))
}

/// Commands that share a source, each of which goes its way. Three preemptions a run.
fn shared(commands: &[(Way, Thread)], source: (Way, Thread), preemptions: usize) -> Scenario {
    let ways = [commands, &[source]].concat();
    Scenario {
        commands: commands.len(),
        preemptions: Some(preemptions),
        ..Scenario::new(&ways, DEVICE)
    }
}

/// Explores such a scenario: some interleaving must have had each of the events `some`, and none
/// may have had any of `none`.
fn check_shared(scenario: Scenario, some: &[Event], none: &[Event]) {
    let seen = explore(scenario.clone());
    println!("{:?}: {seen:?}", scenario.ways);
    for event in some {
        assert!(seen.events.contains(event), "{scenario:?}: no {event:?}");
    }
    for event in none {
        assert!(!seen.events.contains(event), "{scenario:?}: {event:?}");
    }
}

#[test]
fn commands_that_share_a_source() {
    let failures = [Error::Broken, Error::Medium, Error::Domain, Error::Ignored];
    let failures = failures.map(|error| Verdict(Some(error)));
    for source in THREADS {
        let scenario = shared(&[(Arrives, Own), (Arrives, Same)], (Arrives, source), 3);
        let some = [Dispatched, OthersLeft, Verdict(None)];
        check_shared(scenario, &some, &failures);
    }
    // As they usually go: one after the other.
    let scenario = shared(&[(Arrives, Same); 3], (Arrives, Same), 2);
    check_shared(scenario, &[Dispatched, OthersLeft], &failures);
    let waiting = shared(&[(Arrives, Same); 3], (Arrives, Own), 2);
    check_shared(waiting, &[Waited, OthersLeft], &failures);
}

#[test]
fn a_command_that_fails_alone() {
    for (way, error) in [
        (Fails, Error::Broken),
        (Ignored, Error::Ignored),
        (Strays, Error::Domain),
    ] {
        for on in THREADS {
            let scenario = shared(&[(way, on), (Arrives, Own)], (Arrives, Own), 3);
            let some = [Verdict(Some(error)), Verdict(None), Dispatched];
            check_shared(scenario, &some, &[Late]);
        }
    }
}

#[test]
fn a_shared_source_that_fails() {
    for (way, error) in [(Fails, Error::Broken), (Ignored, Error::Ignored)] {
        let scenario = shared(&[(Arrives, Own), (Arrives, Own)], (way, Own), 3);
        let some = [Held, Late, EndedParked, Verdict(Some(error))];
        check_shared(scenario, &some, &[Dispatched, Verdict(None)]);
    }
    let scenario = shared(&[(Arrives, Own), (Fails, Own)], (Fails, Own), 3);
    check_shared(scenario, &[Late, EndedParked], &[Dispatched]);
}

#[test]
fn commands_that_all_fail() {
    let scenario = shared(&[(Fails, Own), (Fails, Own)], (Arrives, Own), 3);
    check_shared(scenario, &[Held, Late, EndedParked], &[Dispatched]);
    let device = Scenario {
        device: (Device::Fails, Own),
        ..shared(&[(Arrives, Same), (Arrives, Own)], (Arrives, Same), 3)
    };
    let some = [Dispatched, Verdict(Some(Error::Medium))];
    check_shared(device, &some, &[Verdict(None)]);
}
