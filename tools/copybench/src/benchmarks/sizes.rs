// SPDX-License-Identifier: GPL-2.0
//! What a byte costs in copies of several sizes: the same amount by many small calls, and by few large ones. Once
//! where data is moved; and once where nothing was ever written, which null_blk copies without moving anything, so that
//! sizes are possible that do not fit into memory.

use std::time::{Duration, Instant};

use anyhow::Result;
use blkcopy::size::human;
use copyreport::{Benchmark, Goal, Ratio, Row};
use evidence::copy;
use evidence::disk::Disk;

use super::{filled, read_and_write, Effort, Options};
use crate::measure::{measure, Setting, Variant};
use crate::peers::Place;
use crate::way::Way;
use crate::why;

const SIZES: [u64; 5] = [4 << 10, 64 << 10, 1 << 20, 16 << 20, 256 << 20];
const QUICK_SIZES: [u64; 4] = [4 << 10, 64 << 10, 1 << 20, 32 << 20];

/// Of copies that move nothing.
const LARGE_SIZES: [u64; 4] = [1 << 20, 64 << 20, 4 << 30, 64 << 30];
const QUICK_LARGE_SIZES: [u64; 3] = [1 << 20, 64 << 20, 4 << 30];

/// What a program reads before it writes.
const PIECE: u64 = 1 << 20;

/// The most calls of one run, but for those of copies that are larger than [`CALL_MAX`].
const CALLS: u64 = 4096;

/// What one call can copy. More is copied by several, as any program does.
const CALL_MAX: u64 = 1 << 30;

const CALL: &str = "copy_file_range, O_DIRECT";
const LOOP: &str = "read + write";
const NOTHING: &str = "copy_file_range, nothing moved";

/// How much more a byte of the largest copy may cost than one of a smaller one.
const FLAT: Goal = Goal::AtMost(1.1);

pub fn run(options: &Options, say: &dyn Fn(&str)) -> Result<Benchmark> {
    let mut rows = moved(options, say)?;
    rows.extend(unmoved(options, say)?);
    let benchmark = Benchmark {
        name: "sizes".into(),
        title: "Copies of several sizes within one disk in memory, one call after the other".into(),
        axis: Some("bytes of a call".into()),
        ratios: Vec::new(),
        notes: Vec::new(),
        variants: rows,
    };
    Ok(Benchmark {
        ratios: flat(&benchmark, options),
        ..benchmark
    })
}

fn sizes(options: &Options) -> &'static [u64] {
    match options.effort {
        Effort::Quick => &QUICK_SIZES,
        _ => &SIZES,
    }
}

fn large_sizes(options: &Options) -> &'static [u64] {
    match options.effort {
        Effort::Quick => &QUICK_LARGE_SIZES,
        _ => &LARGE_SIZES,
    }
}

/// As many calls as go into the largest size.
fn count(size: u64, largest: u64) -> u64 {
    (largest / size).clamp(1, CALLS)
}

fn moved(options: &Options, say: &dyn Fn(&str)) -> Result<Vec<Row>> {
    let sizes = sizes(options);
    let largest = sizes.iter().copied().max().unwrap_or_default();
    let disk = &filled(2 * largest, &[])?;
    let command = disk.copy_max_hw_bytes()?;
    let mut variants = Vec::new();
    for size in sizes.iter().copied() {
        let bytes = size * count(size, largest);
        let way = Way::Offload {
            command: command.min(size),
        };
        let call = move || in_calls(disk, largest, bytes, size);
        variants.push(Variant::point(CALL, &human(size), way, call).bytes(bytes));
        let program = move || {
            let (from, to): (Place<'_>, Place<'_>) = ((disk, 0), (disk, largest));
            read_and_write(from, to, bytes, size.min(PIECE))
        };
        variants.push(Variant::point(LOOP, &human(size), Way::Program, program).bytes(bytes));
    }
    let setting = Setting {
        src: disk,
        dst: disk,
        bytes: largest,
    };
    measure(&setting, &variants, options.repeat, say)
}

fn unmoved(options: &Options, say: &dyn Fn(&str)) -> Result<Vec<Row>> {
    let sizes = large_sizes(options);
    let largest = sizes.iter().copied().max().unwrap_or_default();
    let disk = &Disk::unwritten(2 * largest, &[])?;
    let command = disk.copy_max_hw_bytes()?;
    let variants = sizes.iter().copied().map(|size| {
        let bytes = size * count(size, largest);
        let way = Way::Offload {
            command: command.min(size),
        };
        let call = move || in_calls(disk, largest, bytes, size);
        Variant::point(NOTHING, &human(size), way, call).bytes(bytes)
    });
    let variants: Vec<_> = variants.collect();
    let setting = Setting {
        src: disk,
        dst: disk,
        bytes: largest,
    };
    measure(&setting, &variants, options.repeat, say)
}

/// Copies the first bytes to another place by calls of one size.
fn in_calls(disk: &Disk, to: u64, bytes: u64, size: u64) -> Result<Duration> {
    let (src, dst) = (disk.open(false)?, disk.open(true)?);
    let started = Instant::now();
    copy::pieces(bytes, usize::try_from(size.min(CALL_MAX))?, |offset, n| {
        copy::copy_file_range((&src, offset), (&dst, to + offset), n as u64).map(drop)
    })?;
    Ok(started.elapsed())
}

/// Whether a byte of the largest copy costs as much as one of smaller ones.
fn flat(benchmark: &Benchmark, options: &Options) -> Vec<Ratio> {
    let large = large_sizes(options);
    let Some((largest, smaller)) = large.split_last() else {
        return Vec::new();
    };
    let row = |size: u64| benchmark.at(NOTHING, &human(size));
    let ratio = |size: u64| {
        let (above, below) = (row(*largest)?, row(size)?);
        let each = |row: &Row| -> Vec<f64> {
            let bytes = row.bytes as f64;
            row.seconds.iter().map(|time| time / bytes).collect()
        };
        let sentence = format!(
            "a byte costs {{}} in copies of {} of what it costs in copies of {}",
            human(*largest),
            human(size)
        );
        let name = format!("time_sizes_{}m", size >> 20);
        let ratio = Ratio::new(name, sentence, (&each(above), &each(below))).with_goal(FLAT);
        Some(ratio.because(why::commands(above, below)))
    };
    smaller.iter().filter_map(|size| ratio(*size)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_few_enough() {
        assert_eq!(count(4096, 256 << 20), CALLS);
        assert_eq!(count(1 << 20, 256 << 20), 256);
        assert_eq!(count(256 << 20, 256 << 20), 1);
        assert_eq!(count(64 << 30, 256 << 20), 1);
    }
}
