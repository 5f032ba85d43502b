// SPDX-License-Identifier: GPL-2.0

//! Several chunks of one copy.

use super::*;

/// Two chunks of one window.
fn window(first: [(Way, Thread); 2], second: [(Way, Thread); 2]) -> Scenario {
    let mut scenario = two(first[0], first[1]);
    let mut chunk = scenario.chunks[0].clone();
    chunk.parts = second.to_vec();
    scenario.chunks.push(chunk);
    scenario.device.1 = Same;
    scenario
}

#[test]
fn two_chunks_of_one_window() {
    for (first, second) in pairs(&[Arrives, Fails, Ignored]) {
        let [first, second] = [first, second].map(|source| [(Arrives, Same), (source, Own)]);
        let chunks = window(first, second);
        for low in [0, 1] {
            for driver in [Driver::Caller, Driver::Worker] {
                let scenario = Scenario {
                    low,
                    driver,
                    ..chunks.clone()
                };
                check(scenario, &[InFlight(1), InFlight(2)]);
            }
        }
        let scarce = Scenario {
            scarce: true,
            ..chunks
        };
        check_not(scarce, &[InFlight(1)], &[InFlight(2)]);
    }
}

/// Three preemptions a run, or two in a stack.
#[test]
fn two_chunks_with_a_thread_for_each_bio() {
    for second in [Arrives, Strays, Fails] {
        let scenario = window([(Arrives, Own); 2], [(Arrives, Own), (second, Own)]);
        check(scenario.bound(3), &[InFlight(2), COPIED]);
    }
    for stack in [Clones, Paths] {
        for second in [Arrives, FailsInside, Splits(4)] {
            let scenario = window([(Arrives, Own); 2], [(Arrives, Own), (second, Own)]);
            let scenario = inside(scenario.through(stack)).bound(2);
            check(scenario, &[InFlight(2), COPIED]);
        }
    }
}

/// Two preemptions a run.
#[test]
fn two_chunks_that_are_to_be_split() {
    let first = [(Arrives, Own), (Splits(4), Own)];
    let second = [(Arrives, Own), (Splits(3), Own)];
    let scenario = inside(window(first, second).through(Clones)).bound(2);
    let splits = [Verdict(0, Told::Split(4)), Verdict(1, Told::Split(3))];
    check(scenario, &[&[InFlight(2)], &splits[..]].concat());
}
