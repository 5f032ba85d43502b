// SPDX-License-Identifier: GPL-2.0
//! Copies within one disk whose requests take their time, however large they are: by commands of several sizes, by
//! the kernel's engine for reading and writing, and by those that users would take instead.

use std::cell::RefCell;

use anyhow::Result;
use blkcopy::size::human;
use copyreport::units::time;
use copyreport::{Benchmark, Goal, Ratio, Row};
use evidence::disk::Disk;

use super::halves::Halves;
use super::ways::{best_of, RINGS, THREADS};
use super::{fill, pair, Effort, Options, Slow, SPARE_MEMORY};
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

/// Where the row of the program through io_uring is; that of the threads follows.
const RING: usize = 3;

/// What null_blk has under way at a time.
const QUEUE: u64 = 64;

/// Sectors of the largest request of null_blk by itself: 127.5 KiB. Two whole buffers of the engine, of 64 KiB each, do
/// not fit into it.
const SMALL_REQUEST: u32 = 255;

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
    let (mut all, mut ratios, mut rings) = (Vec::new(), Vec::new(), Vec::new());
    for latency in latencies {
        let at = format!("{latency} us");
        say(&format!("  {at}"));
        let slow = Slow::new(*latency, 8 << 20);
        let rows = copy_within(&slow, &at, bytes, commands, options, say)?;
        let ways_there = nothing_moved(&slow, bytes, commands, options, say)?;
        ratios.push(against_peers(&rows, &format!("{latency}us"), &at));
        ratios.extend(compare(&rows, &ways_there, *latency, commands));
        rings.push((*latency, rows[RING].clone()));
        all.extend(rows);
    }
    if let Some(latency) = latencies.last() {
        let at = format!("{latency} us and requests of 127.5 KiB");
        say(&format!("  {at}"));
        let slow = Slow::with_requests(*latency, 8 << 20, SMALL_REQUEST);
        let rows = copy_within(&slow, &at, bytes, &[], options, say)?;
        ratios.push(against_peers(&rows, &format!("{latency}us_small"), &at));
        all.extend(rows);
    }
    Ok(Benchmark {
        name: "latency".into(),
        title: format!("{} within one disk in memory", human(bytes)),
        axis: Some("latency of a request".into()),
        variants: all,
        ratios,
        notes: timers(&rings).into_iter().collect(),
    })
}

/// Says what the interrupt of a timer costs. A timer ends each request that has a latency. The program through io_uring
/// has many requests under way, so it does not wait for the latency itself. What remains of the time that the least
/// latency adds is the timer's.
fn timers(rings: &[(u64, Row)]) -> Option<String> {
    let (_, without) = rings.iter().find(|(latency, _)| *latency == 0)?;
    let (latency, with) = rings.iter().find(|(latency, _)| *latency > 0)?;
    // It writes by as many.
    let requests = 2 * with.proof.reads;
    let more = (with.median_seconds - without.median_seconds) / requests.max(1) as f64;
    (more > 0.0).then(|| {
        format!(
            "a request of the program through io_uring costs {} more with {latency} us than with none: that is about what \
             the timer costs that ends each request, and each command, in this guest",
            time(more)
        )
    })
}

fn copy_within(
    slow: &Slow,
    at: &str,
    bytes: u64,
    commands: &[u64],
    options: &Options,
    say: &dyn Fn(&str),
) -> Result<Vec<Row>> {
    let halves = Halves::new(bytes, &slow.attributes(), 3 * bytes + SPARE_MEMORY)?;
    let size = halves.disk.sysfs()?.size;
    fill(&halves.disk, size)?;
    let metadata = Metadata::new()?;
    let memory = RefCell::new(Memory::new(bytes)?);
    let (disk, src, dst) = (&halves.disk, &*halves.src, &*halves.dst);
    let (from, to) = (halves.from(), halves.to(bytes));
    let ring = peers::best(&RINGS, |shape| peers::ring(from, to, bytes, shape))?;
    let threads = peers::best(&THREADS, |shape| peers::threads(from, to, bytes, shape))?;
    let mut variants = vec![
        Variant::point("memcpy", at, Way::Memory, || Ok(memory.borrow_mut().copy())),
        Variant::point("onload", at, Way::Onload, || {
            module::copy("onload", from, to, bytes)
        }),
        Variant::point("dm-kcopyd", at, Way::Kcopyd, || {
            metadata.copy(disk, src, dst, bytes)
        }),
        Variant::point("io_uring read + write", at, Way::Program, || {
            peers::ring(from, to, bytes, ring)
        })
        .command(format!("the best of some: {}", ring.text())),
        Variant::point("threads, read + write", at, Way::Program, || {
            peers::threads(from, to, bytes, threads)
        })
        .command(format!("the best of some: {}", threads.text())),
    ];
    for command in commands.iter().copied() {
        let series = format!("offload, {}", human(command));
        variants.push(Variant::point(
            &series,
            at,
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

/// Measures commands of each size on a disk that has nothing to move. Returns the seconds that all bytes take.
fn nothing_moved(
    slow: &Slow,
    bytes: u64,
    commands: &[u64],
    options: &Options,
    say: &dyn Fn(&str),
) -> Result<Vec<f64>> {
    let disk = &Disk::unwritten(2 * bytes, &slow.attributes())?;
    let variants = commands.iter().map(|command| {
        let name = format!("nothing moved, {}", human(*command));
        Variant::new(name, Way::Offload { command: *command }, move || {
            disk.set_copy_max_bytes(*command)?;
            module::copy("offload", (disk, 0), (disk, bytes), bytes)
        })
    });
    let setting = Setting {
        src: disk,
        dst: disk,
        bytes,
    };
    let variants: Vec<_> = variants.collect();
    let rows = measure(&setting, &variants, options.repeat, say)?;
    Ok(rows.iter().map(|row| row.median_seconds).collect())
}

/// The kernel's engine and the best of those that read and write, by the places of the rows above.
fn against_peers(rows: &[Row], name: &str, at: &str) -> Ratio {
    let best = best_of(rows, [RING, RING + 1]);
    let sentence = format!(
        "onload is {{}} as fast as the best peer with {at} ({}, {})",
        rows[best].label,
        rows[best].command.as_deref().unwrap_or_default()
    );
    let name = format!("rate_latency_{name}_onload");
    Ratio::new(name, sentence, pair(rows, best, 1))
        .with_goal(PEERS_GOAL)
        .because(why::requests(&rows[1], &rows[best]))
}

/// By the places of the rows above.
fn compare(rows: &[Row], ways_there: &[f64], latency: u64, commands: &[u64]) -> Vec<Ratio> {
    let mut ratios = Vec::new();
    let goal = (latency == KCOPYD_LATENCY).then_some(KCOPYD_GOAL);
    let sentence = format!("onload is {{}} as fast as dm-kcopyd with {latency} us");
    let name = format!("rate_latency_{latency}us_onload_kcopyd");
    let ratio = Ratio::new(name, sentence, pair(rows, 2, 1)).with_goal(goal);
    ratios.push(ratio.because(why::requests(&rows[1], &rows[2])));
    for ((index, command), way_there) in (5..).zip(commands).zip(ways_there) {
        let sentence = format!(
            "commands of {} are {{}} as fast as memcpy with {latency} us",
            human(*command)
        );
        let name = format!("rate_latency_{latency}us_{}k", command >> 10);
        let ratio = Ratio::new(name, sentence, pair(rows, 0, index)).with_goal(OFFLOAD_GOAL);
        ratios.push(ratio.because(reason(&rows[index], &rows[0], *way_there, latency)));
    }
    ratios
}

/// Why commands are slower than memory: what takes the time that was found.
fn reason(row: &Row, memcpy: &Row, way_there: f64, latency: u64) -> String {
    let (found, memcpy) = (row.median_seconds, memcpy.median_seconds);
    let commands = row.proof.copies;
    let waits = commands.div_ceil(QUEUE) as f64 * latency as f64 / 1e6;
    format!(
        "of {}, {} pass on a disk that has nothing to move ({commands} commands, at most {QUEUE} at once, whose latency \
         alone is {}; the rest is the way to the driver and back, and the guest's timer), {} are memcpy, {} remain: \
         null_blk looks up and copies page by page, while its timer interrupts it",
        time(found),
        time(way_there),
        time(waits),
        time(memcpy),
        time((found - way_there - memcpy).max(0.0))
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::why::tests::row;

    #[test]
    fn what_a_timer_costs() {
        let rings = [(0, row(0.01, 0, 1000)), (20, row(0.05, 0, 1000))];
        let note = timers(&rings).unwrap();
        assert!(
            note.contains("costs 20.0 us more with 20 us than with none"),
            "{note}"
        );
        assert_eq!(timers(&rings[..1]), None);
        assert_eq!(timers(&rings[1..]), None);
        let faster = [rings[0].clone(), (20, row(0.005, 0, 1000))];
        assert_eq!(timers(&faster), None);
    }

    #[test]
    fn a_reason_is_found() {
        assert_eq!(
            reason(&row(0.1, 1024, 0), &row(0.01, 0, 0), 0.085, 5000),
            "of 100.0 ms, 85.0 ms pass on a disk that has nothing to move (1024 commands, at most 64 at once, whose \
             latency alone is 80.0 ms; the rest is the way to the driver and back, and the guest's timer), 10.0 ms are \
             memcpy, 5.0 ms remain: null_blk looks up and copies page by page, while its timer interrupts it"
        );
    }
}
