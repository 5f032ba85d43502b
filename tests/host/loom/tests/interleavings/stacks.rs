// SPDX-License-Identifier: GPL-2.0

//! Chunks that are sent through stacking drivers.

use super::*;

#[test]
fn all_enter_a_stack_or_none() {
    for stack in [Clones, Paths, ClonesOverPaths] {
        for (destination_on, source_on) in pairs(&THREADS) {
            let scenario = two((Arrives, destination_on), (Arrives, source_on)).through(stack);
            check(scenario, &[Held, Dispatched, COPIED]);
        }
        let outside = two((Fails, Own), (Arrives, Own)).through(stack);
        check_not(outside, &[Held, Refused], &[Parked(Source), Dispatched]);
        let both = inside(two((Arrives, Own), (Arrives, Own)).through(stack));
        check(both, &[Parked(Source), Parked(Destination), COPIED]);
        let fails = inside(two((FailsInside, Own), (Arrives, Own)).through(stack));
        check_not(fails, &[Held, Parked(Source), Refused], &[Dispatched]);
    }
}

#[test]
fn a_stack_in_every_way() {
    let ways = [Arrives, Strays, Fails, FailsInside, Busy, Ignored];
    let mut events = BTreeSet::new();
    for (destination, source) in pairs(&ways) {
        for stack in [Clones, Paths] {
            let scenario = two((destination, Own), (source, Own)).through(stack);
            events.extend(check(scenario.clone(), &[]).events);
            events.extend(check(inside(scenario), &[]).events);
        }
    }
    let all = [Held, Parked(Source), Parked(Destination), Refused];
    assert!(events.is_superset(&BTreeSet::from(all)), "{events:?}");
}

/// Three preemptions a run.
#[test]
fn three_parts_through_a_stack() {
    for first in [Arrives, FailsInside, Busy] {
        for second in [Arrives, Strays, Splits(4)] {
            let scenario = three([Arrives, first, second]).through(Clones);
            check(scenario.clone(), &[Held]);
            let scenario = Scenario {
                device: (Device::Succeeds, Same),
                ..inside(scenario).bound(3)
            };
            check(scenario, &[Parked(Destination)]);
        }
    }
}

#[test]
fn each_side_through_a_stack_of_its_own() {
    let both = two((Arrives, Own), (Arrives, Own));
    for (source, destination) in [(Direct, Clones), (Clones, Direct), (Paths, ClonesOverPaths)] {
        let scenario = both.clone().through_each(source, destination);
        check(scenario.clone(), &[Held, COPIED]);
        check(inside(scenario), &[COPIED]);
    }
    let domain = both.through_each(Direct, Paths);
    let seen = explore(domain);
    assert!(seen.events.contains(&Verdict(0, Told::Domain)));
    assert!(!seen.events.contains(&Dispatched));
}

#[test]
fn the_command_takes_another_path() {
    let both = two((Arrives, Own), (Arrives, Own));
    for stack in [Clones, Paths, ClonesOverPaths] {
        let scenario = Scenario {
            device: (Device::FailsOver, Own),
            ..both.clone().through(stack)
        };
        check(scenario.clone(), &[Held, FailedOver, COPIED]);
        check(inside(scenario), &[FailedOver, COPIED]);
    }
    let elsewhere = Scenario {
        device: (Device::FailsOverElsewhere, Own),
        ..both.through(Clones)
    };
    check_not(elsewhere, &[FailedOver, Refused], &[COPIED]);
}

#[test]
fn a_path_that_goes_away_while_bios_are_parked() {
    for stack in [Paths, ClonesOverPaths] {
        for source in [Arrives, FailsInside, Busy] {
            let scenario = Scenario {
                paths: GoWhileParked,
                ..two((Arrives, Own), (source, Own)).through(stack)
            };
            check(scenario.clone(), &[Parked(Destination)]);
            let seen = check(inside(scenario), &[Parked(Destination)]);
            assert_eq!(seen.events.contains(&Dispatched), source == Arrives);
        }
    }
}

#[test]
fn a_command_that_waits_for_a_path() {
    for device in [Device::Succeeds, Device::Fails, Device::FailsOver] {
        let scenario = Scenario {
            paths: AwayForTheCommand,
            device: (device, Same),
            ..two((Arrives, Own), (Arrives, Own)).through(Paths)
        };
        check(scenario.clone(), &[Resubmitted, Waited]);
        check(inside(scenario), &[Resubmitted, Waited]);
    }
}

/// Three preemptions a run.
#[test]
fn a_part_that_arrives_in_pieces_or_twice() {
    for (way, happens) in [(Halves, Refused), (Doubles, Dispatched)] {
        for other in [Arrives, Fails] {
            let scenario = two((other, Own), (way, Own)).through(Clones).bound(3);
            let seen = check(scenario, &[Refused]);
            let happened = seen.events.contains(&happens);
            assert_eq!(happened, other == Arrives || happens == Refused);
        }
        let destination = two((way, Own), (Arrives, Own)).through(Clones).bound(3);
        check(destination, &[Refused, happens]);
        let source = two((Arrives, Own), (way, Own)).through(Clones);
        let source = Scenario {
            device: (Device::Succeeds, Same),
            ..inside(source).bound(3)
        };
        check(source, &[Refused, happens]);
    }
}

#[test]
fn a_chunk_that_is_to_be_split() {
    let at = |len| Verdict(0, Told::Split(len));
    let through = |destination, source| {
        let scenario = two((destination, Own), (source, Own)).through(Clones);
        [scenario.clone(), inside(scenario)]
    };
    for scenario in through(Arrives, Splits(4)) {
        check_not(scenario, &[at(4)], &[Dispatched]);
    }
    let [_, both] = through(Splits(3), Splits(4));
    check_not(both, &[at(3)], &[at(4)]);
    let second = three([Arrives, Arrives, Splits(4)]).through(Paths);
    check_not(second, &[at(12)], &[Dispatched]);
    // An error counts more; among others the first one does.
    let [_, fails] = through(FailsInside, Splits(4));
    check(fails, &[Verdict(0, Told::Broken)]);
    let [_, busy] = through(Busy, Splits(4));
    check(busy, &[at(4), Verdict(0, Told::Busy)]);
}
