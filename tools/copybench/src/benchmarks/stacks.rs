// SPDX-License-Identifier: GPL-2.0
//! Copies on stacked devices: by the device at the bottom where that is possible, by the kernel that reads and writes,
//! and by the best of programs that do. A null_blk alone, dm-linear over it, dm-stripe over several, and a loop device
//! over a file on XFS, which does not copy.

use std::time::Duration;

use anyhow::Result;
use blkcopy::size::human;
use copyreport::units::time;
use copyreport::{Benchmark, Goal, Ratio, Row};
use evidence::disk::Disk;

use super::ways::{best_of, RINGS, THREADS};
use super::{copy_file_range, fill, filled, pair, Options};
use crate::mapper::{self, Mapped};
use crate::measure::{measure, Setting, Variant};
use crate::peers::{self, Shape};
use crate::sharing::{Loop, SharedFile};
use crate::way::Way;
use crate::why;

/// What dm-stripe has on a disk before it goes on on the next one, and the most that it can have copied at a time.
const CHUNK: u64 = 64 << 10;

/// Disks of dm-stripe.
const STRIPES: u64 = 4;

/// What one command copies elsewhere.
const COMMAND: u64 = 1 << 20;

/// Reading and writing by the kernel is at least as fast as by a program.
const ONLOAD_GOAL: Goal = Goal::AtLeast(1.0);

/// One disk, and how it is looked at.
struct Stack<'a> {
    name: &'static str,
    disk: &'a Disk,
    /// The first disk below, of so many that do the same.
    below: Option<(&'a Disk, u64)>,
    /// The most that one command can copy; 0 if it cannot.
    command: u64,
    ring: Shape,
    threads: Shape,
}

impl<'a> Stack<'a> {
    /// Finds the best sizes for the programs.
    fn new(
        name: &'static str,
        disk: &'a Disk,
        below: Option<(&'a Disk, u64)>,
        command: u64,
        bytes: u64,
    ) -> Result<Self> {
        let (from, to) = ((disk, 0), (disk, bytes));
        Ok(Self {
            name,
            disk,
            below,
            command,
            ring: peers::best(&RINGS, |shape| peers::ring(from, to, bytes, shape))?,
            threads: peers::best(&THREADS, |shape| peers::threads(from, to, bytes, shape))?,
        })
    }

    /// Has commands of this size sent, to itself and to what is below.
    fn allow(&self, max: u64) -> Result<()> {
        if self.command == 0 {
            return Ok(());
        }
        if let Some((below, _)) = self.below {
            below.set_copy_max_bytes(COMMAND)?;
        }
        self.disk.set_copy_max_bytes(max)
    }

    fn offload(&self, command: u64, bytes: u64) -> Variant<'_> {
        let what = format!("copy_file_range, {} a command", human(command));
        self.variant(&what, Way::Offload { command }, move || {
            self.allow(command)?;
            copy_file_range(self.disk, bytes)
        })
    }

    /// The kernel, and two programs.
    fn read_and_written(&self, bytes: u64) -> [Variant<'_>; PEERS + 1] {
        let (from, to) = ((self.disk, 0), (self.disk, bytes));
        let off = match self.command {
            0 => "copy_file_range",
            _ => "copy_file_range, copy_max_bytes=0",
        };
        let best = |shape: Shape| format!("the best of some: {}", shape.text());
        [
            self.variant(off, Way::Onload, move || {
                self.allow(0)?;
                copy_file_range(self.disk, bytes)
            }),
            self.variant("io_uring read + write", Way::Program, move || {
                peers::ring(from, to, bytes, self.ring)
            })
            .command(best(self.ring)),
            self.variant("threads, read + write", Way::Program, move || {
                peers::threads(from, to, bytes, self.threads)
            })
            .command(best(self.threads)),
        ]
    }

    fn variant<'b>(
        &'b self,
        what: &str,
        way: Way,
        copy: impl Fn() -> Result<Duration> + 'b,
    ) -> Variant<'b> {
        Variant::new(format!("{}: {what}", self.name), way, copy).within(self.disk, self.below)
    }
}

/// Programs that a way is compared with.
const PEERS: usize = 2;

pub fn run(options: &Options, say: &dyn Fn(&str)) -> Result<Benchmark> {
    mapper::load()?;
    let bytes: u64 = options.effort.of(32 << 20, 64 << 20, 128 << 20);
    let raw = filled(2 * bytes, &[])?;
    let parts = (0..STRIPES).map(|_| filled(2 * bytes / STRIPES, &[]));
    let parts: Vec<Disk> = parts.collect::<Result<_>>()?;
    let linear = Mapped::new("copybench-linear", &linear_table(&raw, 2 * bytes))?;
    let striped = Mapped::new("copybench-striped", &striped_table(&parts, 2 * bytes))?;
    let file = SharedFile::new(2 * bytes)?;
    let looped = Loop::new(&file.path)?;
    fill(&looped.disk, 2 * bytes)?;
    let (linear, striped) = (linear.disk()?, striped.disk()?);
    let part = parts.first().map(|disk| (disk, STRIPES));

    say("  the best sizes");
    let stacks = [
        Stack::new("null_blk", &raw, None, COMMAND, bytes)?,
        Stack::new("dm-linear", &linear, Some((&raw, 1)), COMMAND, bytes)?,
        Stack::new("dm-stripe", &striped, part, CHUNK, bytes)?,
        Stack::new("loop on XFS", &looped.disk, None, 0, bytes)?,
    ];
    let (mut variants, mut offloads, mut onloads) = (Vec::new(), Vec::new(), Vec::new());
    for stack in &stacks {
        // The null_blk alone also does as dm-stripe has to.
        let commands = match stack.below {
            None if stack.command > CHUNK => vec![stack.command, CHUNK],
            _ => vec![stack.command],
        };
        for command in commands.into_iter().filter(|command| *command > 0) {
            offloads.push((variants.len(), stack.name, command));
            variants.push(stack.offload(command, bytes));
        }
        onloads.push((variants.len(), stack.name));
        variants.extend(stack.read_and_written(bytes));
    }
    let setting = Setting {
        src: &raw,
        dst: &raw,
        bytes,
    };
    let rows = measure(&setting, &variants, options.repeat, say)?;
    let mut ratios = over_raw(&rows, &offloads);
    ratios.extend(over_reading(&rows, &offloads, &onloads));
    Ok(Benchmark {
        name: "stacks".into(),
        title: format!(
            "{} within one stacked device; dm-stripe over {STRIPES} disks by chunks of {}",
            human(bytes),
            human(CHUNK)
        ),
        axis: None,
        ratios,
        notes: further(&rows, &offloads).into_iter().collect(),
        variants: rows,
    })
}

/// A row, its stack, and the size of its commands.
type Offload = (usize, &'static str, u64);
/// A row of the kernel that reads and writes, before those of programs.
type Onload = (usize, &'static str);

/// Stacks against the null_blk alone with commands of the same size.
fn over_raw(rows: &[Row], offloads: &[Offload]) -> Vec<Ratio> {
    let raw = |size: u64| {
        offloads
            .iter()
            .find(|(_, name, command)| (*name, *command) == ("null_blk", size))
    };
    let ratio = |&(index, name, command): &Offload| {
        let (raw, ..) = *raw(command)?;
        let sentence = format!(
            "copies on {name} are {{}} as fast as on the null_blk alone, {} a command",
            human(command)
        );
        let name = format!("rate_stacks_{}_raw", short(name));
        (raw != index).then(|| Ratio::new(name, sentence, pair(rows, raw, index)))
    };
    offloads.iter().filter_map(ratio).collect()
}

/// On each stack: the device against the best program, and the kernel that reads and writes against it.
fn over_reading(rows: &[Row], offloads: &[Offload], onloads: &[Onload]) -> Vec<Ratio> {
    let mut ratios = Vec::new();
    for &(onload, name) in onloads {
        let best = best_of(rows, onload + 1..=onload + PEERS);
        let offload = offloads.iter().find(|(_, other, _)| *other == name);
        if let Some((offload, ..)) = offload {
            let sentence = format!(
                "copies on {name} are {{}} as fast as the best program that reads and writes there ({})",
                rows[best].command.as_deref().unwrap_or_default()
            );
            let name = format!("rate_stacks_{}_program", short(name));
            ratios.push(Ratio::new(name, sentence, pair(rows, best, *offload)));
        }
        let sentence = format!(
            "the kernel reads and writes on {name} {{}} as fast as the best program ({})",
            rows[best].label
        );
        let name = format!("rate_stacks_{}_onload", short(name));
        ratios.push(
            Ratio::new(name, sentence, pair(rows, best, onload))
                .with_goal(ONLOAD_GOAL)
                .because(why::requests(&rows[onload], &rows[best])),
        );
    }
    ratios
}

/// What each command costs on the null_blk alone if there are more of them.
fn further(rows: &[Row], offloads: &[Offload]) -> Option<String> {
    let mut raw = offloads.iter().filter(|(_, name, _)| *name == "null_blk");
    let [large, small] = [raw.next()?, raw.next()?].map(|(index, ..)| &rows[*index]);
    let each = why::further_command(small, large)?;
    Some(format!(
        "on the null_blk alone each further command of {} takes {}: dm-stripe needs as many",
        human(CHUNK),
        time(each)
    ))
}

fn short(name: &str) -> &str {
    name.split([' ', '-']).next_back().unwrap_or(name)
}

fn linear_table(disk: &Disk, len: u64) -> String {
    format!("0 {} linear {} 0", len / 512, disk.path.display())
}

fn striped_table(disks: &[Disk], len: u64) -> String {
    let places = disks
        .iter()
        .map(|disk| format!(" {} 0", disk.path.display()));
    let places: String = places.collect();
    let (sectors, count, chunk) = (len / 512, disks.len(), CHUNK / 512);
    format!("0 {sectors} striped {count} {chunk}{places}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use evidence::disk::Driver;

    #[test]
    fn tables() {
        let disk =
            |name: &str| Disk::found(name.into(), format!("/dev/{name}").into(), Driver::NullBlk);
        let disks = ["a", "b"].map(disk);
        assert_eq!(linear_table(&disks[0], 1 << 20), "0 2048 linear /dev/a 0");
        assert_eq!(
            striped_table(&disks, 1 << 20),
            "0 2048 striped 2 128 /dev/a 0 /dev/b 0"
        );
    }
}
