// SPDX-License-Identifier: GPL-2.0
//! What the kernel adds to the Copy commands of an NVMe device, and what they gain.

use anyhow::{bail, Context, Result};
use blkcopy::size::human;
use evidence::disk::Disk;

use super::{copy_file_range, fill, pair, read_and_write, Options};
use crate::measure::{measure, Setting, Variant};
use crate::passthrough::{self, Limits};
use crate::way::Way;
use crate::why;
use copyreport::{Benchmark, Goal, Ratio};

/// What the loop reads before it writes, if it does well.
const STEP: u64 = 1 << 20;

/// What the kernel has under way at a time: so many commands, and no more than so much.
const DEPTH: u64 = 32;
const UNDER_WAY: u64 = 8 << 20;

/// At least as fast as the commands themselves, but for little.
const AGAINST_COMMANDS: Goal = Goal::AtLeast(0.9);
/// At least so many times as fast as reading and writing.
const AGAINST_LOOP: Goal = Goal::AtLeast(3.0);

pub fn run(options: &Options, say: &dyn Fn(&str)) -> Result<Benchmark> {
    let disk = Disk::nvme()?;
    let disk = disk
        .context("no NVMe device has a serial number that begins with `copy`: run `./x bench`")?;
    let (bytes, size) = (options.size, disk.sysfs()?.size);
    if bytes % STEP != 0 || size / 2 < bytes {
        bail!(
            "{} has {}, and cannot hold {} twice",
            disk.name,
            human(size),
            human(bytes)
        );
    }
    let limits = Limits::of(&disk)?;
    let command = limits.command();
    if disk.copy_max_hw_bytes()? != command {
        bail!(
            "the device copies {} with a command, the kernel {}",
            human(command),
            human(disk.copy_max_hw_bytes()?)
        );
    }
    fill(&disk, 2 * bytes)?;
    let depth = (UNDER_WAY / command).clamp(1, DEPTH);
    let (disk, piece) = (&disk, options.piece);
    let variants = [
        Variant::new("copy_file_range", Way::Offload { command }, move || {
            copy_file_range(disk, bytes)
        }),
        Variant::new(
            format!("Copy commands by ioctl, {depth} at a time"),
            Way::Passthrough { command },
            move || passthrough::copy(disk, limits, bytes, depth),
        ),
        Variant::new(
            format!("read + write, {} each", human(STEP)),
            Way::Program,
            move || read_and_write((disk, 0), (disk, bytes), bytes, STEP),
        ),
        Variant::new(
            format!("read + write, {} each", human(piece)),
            Way::Program,
            move || read_and_write((disk, 0), (disk, bytes), bytes, piece),
        ),
    ];
    let setting = Setting {
        src: disk,
        dst: disk,
        bytes,
    };
    let variants = measure(&setting, &variants, options.repeat, say)?;
    let commands = String::from("copy_file_range is {} as fast as the same commands by ioctl");
    let program = |each: u64| {
        format!(
            "copy_file_range is {{}} as fast as a program that reads and writes {} each",
            human(each)
        )
    };
    let ratios = vec![
        Ratio::new("rate_nvme_commands", commands, pair(&variants, 1, 0))
            .with_goal(AGAINST_COMMANDS)
            .because(why::commands(&variants[0], &variants[1])),
        Ratio::new("rate_nvme_program", program(STEP), pair(&variants, 2, 0))
            .with_goal(AGAINST_LOOP)
            .because(why::against_reading(&variants[0], &variants[2])),
        Ratio::new("rate_nvme_pieces", program(piece), pair(&variants, 3, 0))
            .with_goal(AGAINST_LOOP)
            .because(why::against_reading(&variants[0], &variants[3])),
    ];
    Ok(Benchmark {
        name: "nvme".into(),
        axis: None,
        title: format!(
            "{} within one NVMe device, {} a command",
            human(bytes),
            human(command)
        ),
        ratios,
        notes: Vec::new(),
        variants,
    })
}
