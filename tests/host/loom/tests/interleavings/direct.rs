// SPDX-License-Identifier: GPL-2.0

//! Chunks that are sent to a device.

use super::*;

#[test]
fn a_command_and_each_of_its_ends() {
    for device in [Device::Succeeds, Device::Fails, Device::Waits] {
        for ended_on in THREADS {
            for (destination_on, source_on) in pairs(&THREADS) {
                let scenario = Scenario {
                    device: (device, ended_on),
                    ..two((Arrives, destination_on), (Arrives, source_on))
                };
                let seen = check(scenario, &[Dispatched]);
                assert_eq!(seen.events.contains(&Waited), device == Device::Waits);
            }
        }
    }
}

#[test]
fn whoever_comes_first_is_parked() {
    let both = two((Arrives, Own), (Arrives, Own));
    check(both, &[Parked(Source), Parked(Destination), COPIED]);
}

#[test]
fn the_last_user_is_who_ended_last() {
    check(two((Arrives, Own), (Arrives, Own)), &[LastIsPart(1)]);
    check(two((Arrives, Own), (Fails, Own)), &[LastIsPart(0)]);
}

#[test]
fn an_early_end_ends_what_is_parked() {
    for way in [Fails, Ignored] {
        let source = two((Arrives, Own), (way, Own));
        check_not(source, &[Parked(Destination), Refused], &[Dispatched]);
        let destination = two((way, Own), (Arrives, Own));
        check_not(destination, &[Parked(Source), Refused], &[Dispatched]);
    }
}

#[test]
fn an_error_in_the_submitter_itself() {
    check(two((Arrives, Own), (Fails, Same)), &[Refused]);
    let destination = two((Fails, Same), (Arrives, Own));
    check(destination, &[Refused, Parked(Source)]);
    let nobody_else = two((Fails, Same), (Arrives, Same));
    check(nobody_else, &[Parked(Source), LastIsPart(1)]);
}

#[test]
fn places_that_no_device_has() {
    let domain = Verdict(0, Told::Domain);
    for on in THREADS {
        let strays = two((Arrives, on), (Strays, Own));
        check_not(strays, &[Refused, domain], &[Dispatched]);
    }
    let overlaps = two((Arrives, Own), (Overlaps, Own)).through(Clones);
    for scenario in [overlaps.clone(), inside(overlaps)] {
        let overlap = Verdict(0, Told::Overlap);
        check_not(scenario, &[Refused, overlap], &[Dispatched]);
    }
}

#[test]
fn two_parts_in_every_way_on_every_thread() {
    let ways = [Arrives, Strays, Fails, Ignored];
    let mut events = BTreeSet::new();
    for (destination, source) in pairs(&ways) {
        for (destination_on, source_on) in pairs(&THREADS) {
            let scenario = two((destination, destination_on), (source, source_on));
            events.extend(check(scenario, &[]).events);
        }
    }
    let all = [Parked(Source), Parked(Destination), Refused, Dispatched];
    assert!(events.is_superset(&BTreeSet::from(all)), "{events:?}");
}

#[test]
fn three_parts_in_every_way() {
    let ways = [Arrives, Strays, Fails, Ignored];
    let mut events = BTreeSet::new();
    for (index, first) in ways.into_iter().enumerate() {
        for (destination, second) in
            pairs(&ways).filter(|(_, second)| !ways[..index].contains(second))
        {
            let scenario = three([destination, first, second]);
            events.extend(check(scenario, &[]).events);
        }
    }
    let last = [LastIsPart(0), LastIsPart(1), LastIsPart(2)];
    assert!(events.is_superset(&BTreeSet::from(last)), "{events:?}");
}

#[test]
fn a_copy_that_a_worker_goes_on_with() {
    for (way, happens) in [(Arrives, Dispatched), (Strays, Refused), (Fails, Refused)] {
        let scenario = Scenario {
            driver: Driver::Worker,
            ..two((Arrives, Own), (way, Own))
        };
        check(scenario, &[happens, Worked]);
    }
}
