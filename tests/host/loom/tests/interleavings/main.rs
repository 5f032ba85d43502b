// SPDX-License-Identifier: GPL-2.0

//! Chunks whose bios go every way, on threads of their own. What must hold in each interleaving is
//! checked by the model; what became of the chunks, and that what a test is about did happen in one
//! of them, is checked here.

use std::collections::BTreeSet;

use copy_loom::explore;
use copy_loom::Chunk;
use copy_loom::Device;
use copy_loom::Driver;
use copy_loom::Event;
use copy_loom::Event::*;
use copy_loom::Paths::*;
use copy_loom::Scenario;
use copy_loom::Seen;
use copy_loom::Side::*;
use copy_loom::Stack::*;
use copy_loom::Thread;
use copy_loom::Thread::*;
use copy_loom::Told;
use copy_loom::Way;
use copy_loom::Way::*;

mod direct;
mod stacks;
mod windows;

const THREADS: [Thread; 2] = [Same, Own];
const DEVICE: (Device, Thread) = (Device::Succeeds, Own);
const COPIED: Event = Verdict(0, Told::Copied);

/// What the owner of a chunk may be told.
fn verdicts(scenario: &Scenario, chunk: &Chunk) -> BTreeSet<Told> {
    let mut told = BTreeSet::new();
    for (part, (way, _)) in chunk.parts.iter().enumerate() {
        told.extend(match way {
            Arrives | Strays => None,
            // The second is refused, and ends when the command has.
            Doubles if part > 0 => None,
            Overlaps => Some(Told::Overlap),
            Fails | FailsInside => Some(Told::Broken),
            Busy => Some(Told::Busy),
            Halves | Doubles | Ignored => Some(Told::NotSupported),
            Splits(len) => {
                let before = 8 * part.saturating_sub(1) as u64;
                Some(Told::Split(before + len))
            }
        });
    }
    let strays = |part: usize| {
        let stray = |(way, _): &(Way, Thread)| *way == Strays;
        match (part, chunk.src_stack) {
            // All sources are submitted to one device.
            (1.., Direct) => chunk.parts[1..].iter().any(stray),
            _ => stray(&chunk.parts[part]),
        }
    };
    if (1..chunk.parts.len()).any(|part| strays(part) != strays(0)) {
        told.insert(Told::Domain);
    }
    match scenario.device.0 {
        _ if !told.is_empty() => told,
        Device::Fails => BTreeSet::from([Told::Medium]),
        Device::FailsOverElsewhere => BTreeSet::from([Told::NotSupported]),
        Device::Succeeds | Device::Waits | Device::FailsOver => BTreeSet::from([Told::Copied]),
    }
}

/// Explores a scenario. Some interleaving must have had each of the events `some`.
fn check(scenario: Scenario, some: &[Event]) -> Seen {
    let seen = explore(scenario.clone());
    println!("{} runs of {scenario:?}", seen.runs);
    for event in &seen.events {
        if let Verdict(index, told) = event {
            let expected = verdicts(&scenario, &scenario.chunks[*index]);
            let is_expected = expected.contains(told);
            assert!(is_expected, "became {told:?}, in {scenario:?}");
        }
    }
    for event in some {
        let happened = seen.events.contains(event);
        assert!(happened, "no {event:?}, in {scenario:?}");
    }
    seen
}

/// The same, but no interleaving may have had any of the events `none`.
fn check_not(scenario: Scenario, some: &[Event], none: &[Event]) {
    let seen = check(scenario.clone(), some);
    for event in none {
        let happened = seen.events.contains(event);
        assert!(!happened, "{event:?}, in {scenario:?}");
    }
}

fn two(destination: (Way, Thread), source: (Way, Thread)) -> Scenario {
    Scenario::new(&[destination, source], DEVICE)
}

/// With two sources, all on threads of their own.
fn three(ways: [Way; 3]) -> Scenario {
    Scenario::new(&ways.map(|way| (way, Own)), DEVICE)
}

/// The same, but each bio gets a thread of its own once it is in a stacking driver, not before.
fn inside(mut scenario: Scenario) -> Scenario {
    scenario.inside = Own;
    for chunk in &mut scenario.chunks {
        for part in &mut chunk.parts {
            part.1 = Same;
        }
    }
    scenario
}

fn pairs<T: Copy>(of: &[T]) -> impl Iterator<Item = (T, T)> + '_ {
    of.iter()
        .flat_map(|first| of.iter().map(|second| (*first, *second)))
}
