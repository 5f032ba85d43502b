// SPDX-License-Identifier: GPL-2.0
//! What `copy_file_range` adds to the engine below it: the same copy by the system call, and by
//! `blkdev_copy_offload()`, for several latencies and sizes of commands.
//!
//! Nothing was ever written to the disks, so that moving data does not hide what else takes time.

use anyhow::Result;
use blkcopy::size::human;
use evidence::disk::Disk;

use super::{copy_file_range, pair, unwritten, Options, Slow};
use crate::measure::{measure, Setting, Variant};
use crate::module;
use crate::way::Way;
use crate::why;
use copyreport::{Benchmark, Goal, Ratio, Row};

const BYTES: u64 = 512 << 20;
const LATENCIES: [u64; 3] = [0, 1, 5];
const COMMANDS: [u64; 3] = [64 << 10, 1 << 20, 8 << 20];

/// How much longer the system call may take.
const GOAL: Goal = Goal::AtMost(1.1);

pub fn run(options: &Options, say: &dyn Fn(&str)) -> Result<Benchmark> {
    module::load()?;
    let mut all = Vec::new();
    let mut ratios = Vec::new();
    for latency in LATENCIES {
        say(&format!("  {latency} ms"));
        let variants = with_latency(latency, options, say)?;
        for (index, command) in COMMANDS.into_iter().enumerate() {
            let name = format!("time_range_{latency}ms_{}k", command >> 10);
            let sentence = format!(
                "copy_file_range takes {{}} as long as blkdev_copy_offload with {latency} ms and commands of {}",
                human(command)
            );
            let times = pair(&variants, 2 * index, 2 * index + 1);
            let reason = why::commands(&variants[2 * index], &variants[2 * index + 1]);
            let ratio = Ratio::new(name, sentence, times).with_goal(GOAL);
            ratios.push(ratio.because(reason));
        }
        all.extend(variants);
    }
    Ok(Benchmark {
        name: "range".into(),
        axis: None,
        title: format!(
            "{} within one disk, which moves no data, by one call",
            human(BYTES)
        ),
        variants: all,
        ratios,
        notes: Vec::new(),
    })
}

/// The system call and the engine in turns, for each size of commands.
fn with_latency(latency: u64, options: &Options, say: &dyn Fn(&str)) -> Result<Vec<Row>> {
    let largest = COMMANDS.into_iter().max().unwrap_or_default();
    let slow = Slow::new(1000 * latency, largest);
    let disk = unwritten(2 * BYTES, &slow.attributes())?;
    let variants: Vec<_> = COMMANDS
        .into_iter()
        .flat_map(|command| pair_of_variants(&disk, latency, command))
        .collect();
    let setting = Setting {
        src: &disk,
        dst: &disk,
        bytes: BYTES,
    };
    measure(&setting, &variants, options.repeat, say)
}

fn pair_of_variants(disk: &Disk, latency: u64, command: u64) -> [Variant<'_>; 2] {
    let label = |what: &str| format!("{latency} ms, {}: {what}", human(command));
    let way = Way::Offload { command };
    [
        Variant::new(label("copy_file_range"), way, move || {
            disk.set_copy_max_bytes(command)?;
            copy_file_range(disk, BYTES)
        }),
        Variant::new(label("blkdev_copy_offload"), way, move || {
            disk.set_copy_max_bytes(command)?;
            module::copy("offload", (disk, 0), (disk, BYTES), BYTES)
        }),
    ]
}
