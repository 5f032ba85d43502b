// SPDX-License-Identifier: GPL-2.0
//! Several tasks that copy on one disk at the same time, against one that copies as much: with a latency, and
//! calls of one command each, the disk could do the commands of all of them at once.
//!
//! Where data is moved, a processor does that in place of the disk, and several tasks do not make it faster.
//! So the same is done where nothing was ever written, which null_blk copies without moving anything. The
//! engine below, which tasks can call through the module, shows what is possible on this machine.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{anyhow, Context, Result};
use blkcopy::size::human;
use evidence::copy;
use evidence::disk::Disk;

use super::{fill, pair, unwritten, Options, Slow};
use crate::measure::{measure, Setting, Variant};
use crate::module;
use crate::way::Way;
use crate::why;
use copyreport::{Benchmark, Goal, Ratio, Row};

const BYTES: u64 = 256 << 20;
const COMMAND: u64 = 8 << 20;
/// Milliseconds.
const LATENCY: u64 = 5;
const TASKS: [u64; 4] = [1, 2, 4, 8];

/// At least so many times as much by four tasks as by one.
const GOAL: Goal = Goal::AtLeast(3.0);

pub fn run(options: &Options, say: &dyn Fn(&str)) -> Result<Benchmark> {
    module::load()?;
    let mut all = Vec::new();
    let mut ratios = Vec::new();
    for (data, written) in [("no data", false), ("data", true)] {
        say(&format!("  {data}"));
        let variants = with_data(data, written, options, say)?;
        for (what, label) in LABELS.into_iter().enumerate() {
            let name = format!(
                "rate_processes_{}_{}",
                data.replace(' ', "_"),
                ["call", "engine"][what]
            );
            for (index, tasks) in TASKS.into_iter().enumerate().skip(1) {
                let sentence =
                    format!("{tasks} tasks are {{}} as fast as one by {label}, {data} moved");
                let first = what * TASKS.len();
                let times = pair(&variants, first, first + index);
                let goal = (tasks == 4 && what == 0 && !written).then_some(GOAL);
                let ratio = Ratio::new(format!("{name}_{tasks}"), sentence, times).with_goal(goal);
                let reason = why::commands(&variants[first + index], &variants[first]);
                ratios.push(ratio.because(reason));
            }
        }
        all.extend(variants);
    }
    Ok(Benchmark {
        name: "processes".into(),
        axis: Some("tasks".into()),
        title: format!(
            "{} within one disk with a latency of {LATENCY} ms, by calls of {}",
            human(BYTES),
            human(COMMAND)
        ),
        variants: all,
        ratios,
        notes: vec![
            "moving data takes a processor's time, of which several tasks have no more than one"
                .into(),
        ],
    })
}

const LABELS: [&str; 2] = ["copy_file_range", "blkdev_copy_offload"];

fn with_data(data: &str, written: bool, options: &Options, say: &dyn Fn(&str)) -> Result<Vec<Row>> {
    let slow = Slow::new(1000 * LATENCY, COMMAND);
    let disk = &unwritten(2 * BYTES, &slow.attributes())?;
    disk.set_copy_max_bytes(COMMAND)?;
    if written {
        fill(disk, 2 * BYTES)?;
    }
    let mut variants = Vec::new();
    for (what, label) in LABELS.into_iter().enumerate() {
        let series = format!("{label}, {data} moved");
        for tasks in TASKS {
            let copy = [by_call, by_module][what];
            let run = move || at_once(disk, tasks, copy);
            variants.push(Variant::point(
                &series,
                &tasks.to_string(),
                Way::Offload { command: COMMAND },
                run,
            ));
        }
    }
    let setting = Setting {
        src: disk,
        dst: disk,
        bytes: BYTES,
    };
    measure(&setting, &variants, options.repeat, say)
}

/// Copies a part of the disk, from this place on, when all tasks are at the barrier.
type Copy = fn(&Disk, u64, u64, &Barrier) -> Result<Instant>;

/// Has so many tasks copy together, each its share, and returns how long that took.
fn at_once(disk: &Disk, tasks: u64, copy: Copy) -> Result<Duration> {
    let share = BYTES / tasks;
    let barrier = &Barrier::new(usize::try_from(tasks)?);
    let starts: Vec<_> = thread::scope(|scope| {
        let tasks: Vec<_> = (0..tasks)
            .map(|task| scope.spawn(move || copy(disk, task * share, share, barrier)))
            .collect();
        tasks.into_iter().map(|task| task.join()).collect()
    });
    let ended = Instant::now();
    let mut first = ended;
    for start in starts {
        first = first.min(start.map_err(|_| anyhow!("a task has panicked"))??);
    }
    Ok(ended - first)
}

fn by_call(disk: &Disk, from: u64, len: u64, barrier: &Barrier) -> Result<Instant> {
    let (src, dst) = (disk.open(false)?, disk.open(true)?);
    barrier.wait();
    let started = Instant::now();
    copy::pieces(len, usize::try_from(COMMAND)?, |offset, n| {
        let at = from + offset;
        copy::copy_file_range((&src, at), (&dst, BYTES + at), n as u64).map(|_| ())
    })?;
    Ok(started)
}

fn by_module(disk: &Disk, from: u64, len: u64, barrier: &Barrier) -> Result<Instant> {
    barrier.wait();
    let started = Instant::now();
    copy::pieces(len, usize::try_from(COMMAND)?, |offset, n| {
        let at = from + offset;
        module::copy("offload", (disk, at), (disk, BYTES + at), n as u64)
            .map(|_| ())
            .context("blkdev_copy_offload")
    })?;
    Ok(started)
}
