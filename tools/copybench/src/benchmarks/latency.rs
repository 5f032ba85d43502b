// SPDX-License-Identifier: GPL-2.0
//! Copies within one disk whose requests take their time, however large they are: by commands of several sizes, by
//! the kernel's engine for reading and writing, and by those that users would take instead.

use std::cell::RefCell;

use anyhow::Result;
use blkcopy::size::human;
use copyreport::units::time;
use copyreport::{Benchmark, Goal, Ratio, Row};

use super::halves::Halves;
use super::ways::{best_of, RINGS, THREADS};
use super::{fill, pair, Effort, Options, SPARE_MEMORY};
use crate::hydration::Metadata;
use crate::measure::{measure, Setting, Variant};
use crate::module;
use crate::peers::{self, Memory};
use crate::way::Way;
use crate::why;

/// Microseconds.
const LATENCIES: [u64; 5] = [0, 20, 100, 1000, 5000];
const QUICK_LATENCIES: [u64; 3] = [0, 100, 5000];

const COMMANDS: [u64; 3] = [64 << 10, 1 << 20, 8 << 20];
const ALL_COMMANDS: [u64; 5] = [64 << 10, 256 << 10, 1 << 20, 4 << 20, 8 << 20];

/// What null_blk has under way at a time.
const QUEUE: u64 = 64;

const OFFLOAD_GOAL: Goal = Goal::AtLeast(0.8);
const PEERS_GOAL: Goal = Goal::AtLeast(1.0);
const KCOPYD_GOAL: Goal = Goal::AtLeast(1.5);

/// The latency that the last one is for.
const KCOPYD_LATENCY: u64 = 100;

pub fn run(options: &Options, say: &dyn Fn(&str)) -> Result<Benchmark> {
    module::load()?;
    let bytes = options.effort.of(32 << 20, 64 << 20, 256 << 20);
    let latencies = match options.effort {
        Effort::Quick => &QUICK_LATENCIES[..],
        _ => &LATENCIES,
    };
    let commands = match options.effort {
        Effort::Full => &ALL_COMMANDS[..],
        _ => &COMMANDS,
    };
    let (mut all, mut ratios) = (Vec::new(), Vec::new());
    for latency in latencies {
        say(&format!("  {latency} us"));
        let rows = with_latency(*latency, bytes, commands, options, say)?;
        ratios.extend(compare(&rows, *latency, bytes, commands));
        all.extend(rows);
    }
    Ok(Benchmark {
        name: "latency".into(),
        title: format!("{} within one disk in memory", human(bytes)),
        axis: Some("latency of a request".into()),
        variants: all,
        ratios,
        notes: Vec::new(),
    })
}

fn with_latency(
    latency: u64,
    bytes: u64,
    commands: &[u64],
    options: &Options,
    say: &dyn Fn(&str),
) -> Result<Vec<Row>> {
    let attributes = super::slow(latency, 8 << 20);
    let attributes = attributes
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let halves = Halves::new(bytes, &attributes, 3 * bytes + SPARE_MEMORY)?;
    let size = halves.disk.sysfs()?.size;
    fill(&halves.disk, size)?;
    let metadata = Metadata::new()?;
    let memory = RefCell::new(Memory::new(bytes)?);
    let (disk, src, dst) = (&halves.disk, &*halves.src, &*halves.dst);
    let (from, to) = (halves.from(), halves.to(bytes));
    let ring = peers::best(&RINGS, |shape| peers::ring(from, to, bytes, shape))?;
    let threads = peers::best(&THREADS, |shape| peers::threads(from, to, bytes, shape))?;
    let at = format!("{latency} us");
    let mut variants = vec![
        Variant::point("memcpy", &at, Way::Memory, || {
            Ok(memory.borrow_mut().copy())
        }),
        Variant::point("onload", &at, Way::Onload, || {
            module::copy("onload", from, to, bytes)
        }),
        Variant::point("dm-kcopyd", &at, Way::Kcopyd, || {
            metadata.copy(disk, src, dst, bytes)
        }),
        Variant::point("io_uring read + write", &at, Way::Program, || {
            peers::ring(from, to, bytes, ring)
        })
        .command(format!("the best of some: {}", ring.text())),
        Variant::point("threads, read + write", &at, Way::Program, || {
            peers::threads(from, to, bytes, threads)
        })
        .command(format!("the best of some: {}", threads.text())),
    ];
    for command in commands.iter().copied() {
        let series = format!("offload, {}", human(command));
        variants.push(Variant::point(
            &series,
            &at,
            Way::Offload { command },
            move || {
                disk.set_copy_max_bytes(command)?;
                module::copy("offload", from, to, bytes)
            },
        ));
    }
    let setting = Setting {
        src: disk,
        dst: disk,
        bytes,
    };
    measure(&setting, &variants, options.repeat, say)
}

/// By the places of the rows above.
fn compare(rows: &[Row], latency: u64, bytes: u64, commands: &[u64]) -> Vec<Ratio> {
    let mut ratios = Vec::new();
    let best = best_of(rows, [3, 4]);
    let sentence = format!(
        "onload is {{}} as fast as the best peer with {latency} us ({}, {})",
        rows[best].label,
        rows[best].command.as_deref().unwrap_or_default()
    );
    let name = format!("rate_latency_{latency}us_onload");
    ratios.push(
        Ratio::new(&name, sentence, pair(rows, best, 1))
            .with_goal(PEERS_GOAL)
            .because(why::requests(&rows[1], &rows[best])),
    );
    let goal = (latency == KCOPYD_LATENCY).then_some(KCOPYD_GOAL);
    let sentence = format!("onload is {{}} as fast as dm-kcopyd with {latency} us");
    let name = format!("{name}_kcopyd");
    let ratio = Ratio::new(name, sentence, pair(rows, 2, 1)).with_goal(goal);
    ratios.push(ratio.because(why::requests(&rows[1], &rows[2])));
    for (index, command) in (5..).zip(commands) {
        let sentence = format!(
            "commands of {} are {{}} as fast as memcpy with {latency} us",
            human(*command)
        );
        let name = format!("rate_latency_{latency}us_{}k", command >> 10);
        let ratio = Ratio::new(name, sentence, pair(rows, 0, index)).with_goal(OFFLOAD_GOAL);
        let found = rows[index].median_seconds;
        ratios.push(ratio.because(reason(
            found,
            rows[0].median_seconds,
            latency,
            bytes,
            *command,
        )));
    }
    ratios
}

/// Why commands are slower than memory: what takes the time that was found.
fn reason(found: f64, memcpy: f64, latency: u64, bytes: u64, command: u64) -> String {
    let commands = bytes.div_ceil(command);
    let waits = commands.div_ceil(QUEUE) as f64 * latency as f64 / 1e6;
    format!(
        "of {}, {} pass while the device takes its time ({commands} commands, at most {QUEUE} at once), {} are \
         memcpy, {} the rest",
        time(found),
        time(waits),
        time(memcpy),
        time((found - waits - memcpy).max(0.0))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_found() {
        let waits = reason(0.09, 0.01, 5000, 64 << 20, 64 << 10);
        assert_eq!(
            waits,
            "of 90.0 ms, 80.0 ms pass while the device takes its time (1024 commands, at most 64 at once), \
             10.0 ms are memcpy, 0.0 us the rest"
        );
    }
}
