// SPDX-License-Identifier: GPL-2.0
//! 4 KiB at a time: a copy against a write, by a system call and through io_uring, and many sources in one command.
//!
//! The places are in an area that fits into a cache: what is compared is the way to the driver and back, and a copy
//! would have to wait for memory that a write finds in the cache.

use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use anyhow::Result;
use blkcopy::aligned::AlignedBuf;
use copyreport::{Benchmark, Goal, Ratio, Row};
use copyring::{Command, Entry, Range};
use evidence::copy;
use evidence::disk::Disk;
use io_uring::{opcode, types};

use super::{filled, pair, Options};
use crate::measure::{measure, Setting, Variant};
use crate::way::Way;

pub const SIZE: u64 = 4096;
const DEPTH: u32 = 32;
const AREA: u64 = 1 << 20;
/// From one place to the next, in multiples of the size. It is odd, so all places have their turn, and no two
/// neighbours are merged.
const STEP: u64 = 4099;
const VECTORS: [u64; 4] = [1, 16, 128, 256];

const WRITE_GOAL: Goal = Goal::AtMost(1.5);
const SOURCE_GOAL: Goal = Goal::AtMost(0.35);

pub fn run(options: &Options, say: &dyn Fn(&str)) -> Result<Benchmark> {
    let bytes = options.effort.of(16 << 20, 32 << 20, 128 << 20);
    let disk = &filled(2 * AREA, &[])?;
    let way = Way::Offload { command: SIZE };
    let mut variants = vec![
        Variant::new("copy_file_range, O_DIRECT", way, || by_call(disk, bytes)),
        Variant::new("pwrite, O_DIRECT", Way::Write, || by_write(disk, bytes)),
        Variant::new(
            format!("io_uring, writes, {DEPTH} at a time"),
            Way::Write,
            || ring_writes(disk, bytes),
        ),
    ];
    for count in VECTORS {
        let label = match count {
            1 => format!("io_uring, copies, {DEPTH} at a time"),
            _ => format!("io_uring, copies of {count} sources"),
        };
        variants.push(Variant::new(label, way, move || {
            ring_copies(disk, bytes, count)
        }));
    }
    let setting = Setting {
        src: disk,
        dst: disk,
        bytes,
    };
    let rows = measure(&setting, &variants, options.repeat, say)?;
    Ok(Benchmark {
        name: "small".into(),
        title: format!(
            "{} copies of 4 KiB within one disk, by one task",
            bytes / SIZE
        ),
        axis: None,
        ratios: ratios(&rows, bytes),
        notes: Vec::new(),
        variants: rows,
    })
}

/// By the places of the rows above.
fn ratios(rows: &[Row], bytes: u64) -> Vec<Ratio> {
    let mut ratios = vec![
        Ratio::new(
            "time_small_call",
            "copy_file_range of 4 KiB takes {} as long as pwrite",
            pair(rows, 0, 1),
        )
        .with_goal(WRITE_GOAL),
        Ratio::new(
            "time_small_uring",
            "a copy of 4 KiB through io_uring takes {} as long as a write",
            pair(rows, 3, 2),
        )
        .with_goal(WRITE_GOAL),
    ];
    let entries = bytes / SIZE;
    for (index, count) in (4..).zip(&VECTORS[1..]) {
        let times = rows[3].seconds.iter().zip(&rows[index].seconds);
        let further = times.zip(&rows[2].seconds).map(|((one, many), write)| {
            further(*one, *many, *count, entries) / (write / entries as f64)
        });
        let name = format!("time_small_source_{count}");
        let sentence =
            format!("one more source of 4 KiB, of {count}, takes {{}} as long as a write");
        ratios.push(Ratio::of_rounds(name, sentence, further.collect()).with_goal(SOURCE_GOAL));
    }
    ratios
}

/// What each source of a command but the first one takes, if so many entries take this long with one source each, and
/// with `count` each.
fn further(one: f64, many: f64, count: u64, entries: u64) -> f64 {
    let one = one / entries as f64;
    let command = many / (entries / count) as f64;
    (command - one) / (count - 1) as f64
}

/// The n-th place.
fn place(n: u64) -> u64 {
    n * STEP % (AREA / SIZE) * SIZE
}

fn by_call(disk: &Disk, bytes: u64) -> Result<Duration> {
    let (src, dst) = (disk.open(false)?, disk.open(true)?);
    let started = Instant::now();
    for n in 0..bytes / SIZE {
        copy::copy_file_range((&src, place(n)), (&dst, AREA + place(n)), SIZE)?;
    }
    Ok(started.elapsed())
}

fn by_write(disk: &Disk, bytes: u64) -> Result<Duration> {
    let (dst, buf) = (disk.open(true)?, AlignedBuf::new(SIZE as usize));
    let started = Instant::now();
    for n in 0..bytes / SIZE {
        dst.write_all_at(&buf, AREA + place(n))?;
    }
    Ok(started.elapsed())
}

fn ring_writes(disk: &Disk, bytes: u64) -> Result<Duration> {
    let (dst, buf) = (disk.open(true)?, AlignedBuf::new(SIZE as usize));
    let entry = |n: u64| {
        let fd = types::Fd(dst.as_raw_fd());
        let write = opcode::Write::new(fd, buf.as_ptr(), SIZE as u32);
        write.offset(AREA + place(n)).build().user_data(n)
    };
    let started = Instant::now();
    // SAFETY: The buffer lives, and nobody uses it meanwhile.
    unsafe { copyring::execute(DEPTH, bytes / SIZE, SIZE, entry)? };
    Ok(started.elapsed())
}

/// Each entry has so many sources, and one destination that is as long as all of them.
fn ring_copies(disk: &Disk, bytes: u64, count: u64) -> Result<Duration> {
    let (src, dst) = (disk.open(false)?, disk.open(true)?);
    let sources: Vec<Range> = (0..count)
        .map(|n| Range {
            offset: place(n),
            len: SIZE,
        })
        .collect();
    let len = count * SIZE;
    let entry = |n: u64| {
        let to = if count == 1 { place(n) } else { n * len % AREA };
        let mut entry = Entry {
            fd: dst.as_raw_fd(),
            splice_fd_in: src.as_raw_fd(),
            addr: AREA + to,
            addr3: len,
            pad2: place(n),
            ..Entry::new(Command::Copy)
        };
        if count > 1 {
            entry.len = sources.len() as u32;
            entry.pad2 = sources.as_ptr().addr() as u64;
        }
        entry.with_tag(n)
    };
    let started = Instant::now();
    // SAFETY: The list of sources lives, and is only read.
    unsafe { copyring::execute(DEPTH, bytes / len, len, entry)? };
    Ok(started.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_in_the_area_and_apart() {
        let places: std::collections::BTreeSet<u64> = (0..AREA / SIZE).map(place).collect();
        assert_eq!(places.len() as u64, AREA / SIZE);
        assert!(places.iter().all(|at| at % SIZE == 0 && *at < AREA));
        assert!((0..1000).all(|n| place(n + 1) != place(n) + SIZE));
    }

    #[test]
    fn each_further_source_is_what_is_left() {
        // 1 us a command and 0.1 us a source.
        let time = |count: f64| 1024.0 / count * (1.0 + 0.1 * count) * 1e-6;
        let each = further(time(1.0), time(16.0), 16, 1024);
        assert!((each - 0.1e-6).abs() < 1e-12, "{each}");
    }
}
