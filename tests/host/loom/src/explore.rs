// SPDX-License-Identifier: GPL-2.0

//! Runs a scenario in every interleaving of its threads.

use crate::{
    job,
    scenario::Scenario,
    seen::Seen,
    stack::{BlockLayer, Devices},
    world::{self, World},
};
use kernel::{block::layer, memory};
use loom::model::Builder;
use std::{
    cell::Cell,
    io::Write as _,
    sync::{Mutex, Once},
};

thread_local! {
    static SCENARIO: Cell<Option<&'static Scenario>> = const { Cell::new(None) };
}

/// Shows what went wrong, and in which scenario, also where a panic ends the test at once: nothing
/// may unwind through a function that C calls.
fn report_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if let Some(scenario) = SCENARIO.get() {
                // Not captured by the test harness, as what `eprintln!` writes is.
                let _ = writeln!(std::io::stderr(), "\n{info}\nin {scenario:?}");
            }
            before(info);
        }));
    });
}

/// Runs a copy in every interleaving of its threads.
///
/// # Panics
///
/// If one of them does what must not be. The process may abort then.
pub fn explore(scenario: Scenario) -> Seen {
    scenario.validate();
    report_panics();
    // Some bytes a scenario that are never freed, for references that threads can take along.
    let scenario: &'static Scenario = Box::leak(Box::new(scenario));
    let devices: &'static Devices = Box::leak(Box::new(Devices::new()));
    let seen: &'static Mutex<Seen> = Box::leak(Box::default());
    SCENARIO.set(Some(scenario));
    layer::set(&BlockLayer);
    let mut builder = Builder::new();
    builder.preemption_bound = scenario.preemptions;
    builder.check(move || {
        seen.lock().unwrap().runs += 1;
        memory::begin(scenario.scarce);
        world::begin(World::new(scenario, devices, seen));
        job::drive(scenario);
    });
    SCENARIO.set(None);
    let seen = seen.lock().unwrap();
    seen.clone()
}
