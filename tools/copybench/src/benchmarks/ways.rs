// SPDX-License-Identifier: GPL-2.0
//! Everything that a user would take to copy within one disk, side by side. Those that have a choice of sizes get the
//! best of some, each of which is tried once before.

use std::cell::RefCell;
use std::time::Duration;

use anyhow::Result;
use blkcopy::size::human;
use copyreport::units::time;
use copyreport::{Benchmark, Goal, Ratio, Row};
use evidence::disk::Disk;

use super::halves::Halves;
use super::{fill, pair, uring, Options, SPARE_MEMORY};
use crate::hydration::Metadata;
use crate::measure::{measure, Setting, Variant};
use crate::module;
use crate::peers::{self, Memory, Shape};
use crate::way::Way;
use crate::why;

/// What a program through io_uring copies with each entry, and how many it has under way.
const ENTRY: Shape = Shape::new(32, 1 << 20);

pub const RINGS: [Shape; 4] = [
    Shape::new(8, 1 << 20),
    Shape::new(32, 256 << 10),
    Shape::new(32, 64 << 10),
    Shape::new(128, 64 << 10),
];

pub const THREADS: [Shape; 4] = [
    Shape::new(2, 1 << 20),
    Shape::new(8, 1 << 20),
    Shape::new(8, 256 << 10),
    Shape::new(32, 64 << 10),
];

/// Of `dd`, which has one under way.
const DD: [Shape; 5] = [
    Shape::new(1, 64 << 10),
    Shape::new(1, 256 << 10),
    Shape::new(1, 1 << 20),
    Shape::new(1, 4 << 20),
    Shape::new(1, 16 << 20),
];

const OFFLOAD_GOAL: Goal = Goal::AtLeast(0.8);
const ONLOAD_GOAL: Goal = Goal::AtLeast(1.0);

pub fn run(options: &Options, say: &dyn Fn(&str)) -> Result<Benchmark> {
    module::load()?;
    let bytes: u64 = options.effort.of(64 << 20, 256 << 20, 256 << 20);
    let halves = Halves::new(bytes, &[], 3 * bytes + SPARE_MEMORY)?;
    let size = halves.disk.sysfs()?.size;
    fill(&halves.disk, size)?;
    let metadata = Metadata::new()?;
    let command = halves.disk.copy_max_hw_bytes()?;
    let memory = RefCell::new(Memory::new(bytes)?);
    let (disk, src, dst) = (&halves.disk, &*halves.src, &*halves.dst);
    let (from, to) = (halves.from(), halves.to(bytes));

    say("  the best sizes");
    let ring = peers::best(&RINGS, |shape| peers::ring(from, to, bytes, shape))?;
    let threads = peers::best(&THREADS, |shape| peers::threads(from, to, bytes, shape))?;
    let dd = peers::best(&DD, |shape| peers::dd(src, dst, shape.piece))?.piece;

    let offload = Way::Offload { command };
    // Has the device copy, or has it not.
    let with = |max: u64, copy: &dyn Fn() -> Result<Duration>| {
        disk.set_copy_max_bytes(max)?;
        copy()
    };
    let call = || super::copy_between(from, to, bytes);
    let cp = format!("cp {} {}", src.display(), dst.display());
    let variants = [
        Variant::new("memcpy, page by page", Way::Memory, || {
            Ok(memory.borrow_mut().copy())
        }),
        Variant::new("copy_file_range, O_DIRECT", offload, || {
            with(command, &call)
        }),
        Variant::new(
            format!("io_uring copies, {}", ENTRY.text()),
            offload,
            || with(command, &|| uring::copies(from, to, bytes, ENTRY)),
        ),
        Variant::new("blkdev_copy_offload", offload, || {
            with(command, &|| module::copy("offload", from, to, bytes))
        }),
        Variant::new("copy_file_range, buffered, fsync", offload, || {
            with(command, &|| peers::copy_file_range(src, dst, bytes))
        }),
        Variant::new("cp, fsync", offload, || {
            with(command, &|| peers::cp(src, dst))
        })
        .command(&cp),
        Variant::new("blkdev_copy_onload", Way::Onload, || {
            module::copy("onload", from, to, bytes)
        }),
        Variant::new(
            "copy_file_range, O_DIRECT, offload off",
            Way::Onload,
            || with(0, &call),
        ),
        Variant::new("dm-kcopyd (dm-clone)", Way::Kcopyd, || {
            metadata.copy(disk, src, dst, bytes)
        }),
        Variant::new("io_uring read + write, fixed buffers", Way::Program, || {
            peers::ring(from, to, bytes, ring)
        })
        .command(format!("the best of some: {}", ring.text())),
        Variant::new("threads, read + write", Way::Program, || {
            peers::threads(from, to, bytes, threads)
        })
        .command(format!("the best of some: {}", threads.text())),
        Variant::new("dd, direct", Way::Program, || peers::dd(src, dst, dd))
            .command(peers::dd_command(src, dst, dd)),
        Variant::new("splice, buffered, fsync", Way::Program, || {
            peers::spliced(src, dst, bytes)
        }),
        Variant::new("cp, fsync, offload off", Way::Kernel, || {
            with(0, &|| peers::cp(src, dst))
        })
        .command(&cp),
    ];
    let setting = Setting {
        src: disk,
        dst: disk,
        bytes,
    };
    let rows = measure(&setting, &variants, options.repeat, say)?;
    let way_there = nothing_moved(bytes, options.repeat, say)?;
    Ok(Benchmark {
        name: "ways".into(),
        title: format!(
            "{} within one disk in memory, {} a command",
            human(bytes),
            human(command)
        ),
        axis: None,
        ratios: ratios(&rows, way_there),
        notes: vec![format!(
            "copy_file_range takes {} where nothing was ever written, so null_blk moves nothing: that is the way \
             to the driver and back",
            time(way_there)
        )],
        variants: rows,
    })
}

/// How long the copy takes if the disk has nothing to move, in seconds.
fn nothing_moved(bytes: u64, repeat: u32, say: &dyn Fn(&str)) -> Result<f64> {
    let disk = &Disk::unwritten(2 * bytes, &[])?;
    let command = disk.copy_max_hw_bytes()?;
    let copy = Variant::new("nothing moved", Way::Offload { command }, || {
        super::copy_file_range(disk, bytes)
    });
    let setting = Setting {
        src: disk,
        dst: disk,
        bytes,
    };
    let rows = measure(&setting, &[copy], repeat, say)?;
    Ok(rows.first().map_or(0.0, |row| row.median_seconds))
}

/// By the places of the rows above.
fn ratios(rows: &[Row], way_there: f64) -> Vec<Ratio> {
    let reason = |row: &Row| {
        format!(
            "the way to the driver and back is {} of {}; the rest is null_blk, which looks up and copies page by page",
            time(way_there),
            time(row.median_seconds)
        )
    };
    let mut ratios: Vec<Ratio> = [1, 2, 3]
        .map(|index| {
            let name = ["call", "uring", "engine"][index - 1];
            let sentence = format!("{} is {{}} as fast as memcpy", rows[index].label);
            Ratio::new(
                format!("rate_ways_{name}_memcpy"),
                sentence,
                pair(rows, 0, index),
            )
            .with_goal(OFFLOAD_GOAL)
            .because(reason(&rows[index]))
        })
        .into();
    let best = best_of(rows, 9..rows.len() - 1);
    let sentence = format!(
        "onload is {{}} as fast as the best peer ({})",
        rows[best].label
    );
    ratios.push(
        Ratio::new("rate_ways_onload_best", sentence, pair(rows, best, 6))
            .with_goal(ONLOAD_GOAL)
            .because(why::requests(&rows[6], &rows[best])),
    );
    for (name, index) in [("kcopyd", 8), ("dd", 11), ("cp", 13)] {
        let sentence = format!("copy_file_range is {{}} as fast as {}", rows[index].label);
        ratios.push(Ratio::new(
            format!("rate_ways_call_{name}"),
            sentence,
            pair(rows, index, 1),
        ));
    }
    ratios
}

/// The fastest of these rows.
pub fn best_of(rows: &[Row], range: impl IntoIterator<Item = usize>) -> usize {
    let by_time = |a: &usize, b: &usize| {
        let [a, b] = [a, b].map(|index| rows[*index].median_seconds);
        a.total_cmp(&b)
    };
    range.into_iter().min_by(by_time).unwrap_or_default()
}
