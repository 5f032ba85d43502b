// SPDX-License-Identifier: GPL-2.0
//! The benchmarks.

mod buffered;
mod chunk;
mod discard;
mod fabrics;
mod halves;
mod instructions;
mod latency;
mod nvme;
mod offload;
mod onload;
mod processes;
mod range;
mod sizes;
mod small;
mod snapshot;
mod stacks;
mod uring;
mod ways;

use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use blkcopy::aligned::AlignedBuf;
use clap::ValueEnum;
use copyreport::{Benchmark, Row};
use evidence::copy;
use evidence::disk::Disk;

use crate::peers::Place;

/// What can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Name {
    /// Everything that copies within one disk, side by side
    Ways,
    /// The same where requests take their time, and for several sizes of commands
    Latency,
    /// Calls of several sizes, and whether large copies cost as much a byte as small ones
    Sizes,
    /// 4 KiB at a time, against writes, and many sources in one command
    Small,
    /// What a command costs: small ones against large ones, by one call of the kernel
    Chunk,
    /// `copy_file_range` against the engine below it, for several latencies and commands
    Range,
    /// Several tasks that copy on one disk against one
    Processes,
    /// The kernel's reading and writing against a program's, between two disks with a latency
    Onload,
    /// Copies through io_uring against writes through io_uring, and against the engine below them
    Uring,
    /// `copy_file_range` within a disk against reading and writing
    Offload,
    /// Writes to a device of which there is a snapshot with chunks of 4 KiB, with and without the offload
    Snapshot,
    /// Copies on stacked devices: dm-linear, dm-stripe, loop
    Stacks,
    /// `cp` and `fsync` with and without the offload: without `O_DIRECT`
    Buffered,
    /// Copies over NVMe over TCP, on a link of 1 Gbit/s, against reading and writing: of a disk, and of a file on XFS
    Fabrics,
    /// The same as `offload` on an NVMe device, and against Copy commands that a program makes
    Nvme,
    /// The same as `small`, in a guest whose time counts instructions; only if it is named
    Instructions,
}

/// How much time it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    Quick,
    Normal,
    Full,
}

impl Effort {
    /// The one of three that is meant for it.
    pub fn of<T>(self, quick: T, normal: T, full: T) -> T {
        match self {
            Self::Quick => quick,
            Self::Normal => normal,
            Self::Full => full,
        }
    }
}

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub effort: Effort,
    pub repeat: u32,
    pub size: u64,
    pub piece: u64,
}

/// Runs one.
pub fn run(name: Name, options: &Options, say: &dyn Fn(&str)) -> Result<Benchmark> {
    match name {
        Name::Ways => ways::run(options, say),
        Name::Latency => latency::run(options, say),
        Name::Sizes => sizes::run(options, say),
        Name::Small => small::run(options, say),
        Name::Chunk => chunk::run(options, say),
        Name::Range => range::run(options, say),
        Name::Processes => processes::run(options, say),
        Name::Onload => onload::run(options, say),
        Name::Uring => uring::run(options, say),
        Name::Offload => offload::run(options, say),
        Name::Snapshot => snapshot::run(options, say),
        Name::Stacks => stacks::run(options, say),
        Name::Buffered => buffered::run(options, say),
        Name::Fabrics => fabrics::run(options, say),
        Name::Instructions => instructions::run(options, say),
        Name::Nvme => nvme::run(options, say),
    }
}

/// What everything else in the guest needs beside the disks.
pub const SPARE_MEMORY: u64 = 128 << 20;

/// A disk with data everywhere: what was never written is not copied, but forgotten.
fn filled(size: u64, attributes: &[(&str, &str)]) -> Result<Disk> {
    let disk = Disk::in_memory(size, attributes, SPARE_MEMORY)?;
    fill(&disk, size)?;
    Ok(disk)
}

/// Writes data to the first bytes.
fn fill(disk: &Disk, size: u64) -> Result<()> {
    let mut buf = AlignedBuf::new(1 << 20);
    let file = disk.open(true)?;
    copy::pieces(size, buf.len(), |offset, n| {
        buf.fill(u8::try_from((offset >> 20) % 255).unwrap_or(0) + 1);
        file.write_all_at(&buf[..n], offset)
            .with_context(|| format!("cannot fill {}", disk.path.display()))
    })
}

/// A disk on which nothing was ever written. It takes no memory, and what is not there null_blk copies
/// without moving data: so nothing but the way to the driver and back takes time.
fn unwritten(size: u64, attributes: &[(&str, &str)]) -> Result<Disk> {
    Disk::in_memory(size, attributes, SPARE_MEMORY)
}

/// The attributes of a disk whose requests take their time.
struct Slow([(&'static str, String); 4]);

impl Slow {
    /// Sectors of the largest request: 1 MiB, as many NVMe drives have it.
    const REQUEST: u32 = 2048;

    /// Each request takes so many microseconds, and a command copies at most so many bytes.
    fn new(microseconds: u64, command: u64) -> Self {
        Self::with_requests(microseconds, command, Self::REQUEST)
    }

    /// The same, and a request has at most so many sectors.
    fn with_requests(microseconds: u64, command: u64, sectors: u32) -> Self {
        // By a timer, or else as null_blk does if it is not told otherwise.
        let irqmode = if microseconds > 0 { "2" } else { "1" };
        Self([
            ("copy_max_bytes", command.to_string()),
            ("max_sectors", sectors.to_string()),
            ("irqmode", irqmode.into()),
            ("completion_nsec", (microseconds * 1000).to_string()),
        ])
    }

    fn attributes(&self) -> [(&'static str, &str); 4] {
        self.0
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()))
    }
}

/// Copies the first bytes of a disk to those behind them.
fn copy_file_range(disk: &Disk, bytes: u64) -> Result<Duration> {
    copy_between((disk, 0), (disk, bytes), bytes)
}

/// Copies from one place to another.
fn copy_between(from: Place<'_>, to: Place<'_>, len: u64) -> Result<Duration> {
    let (src, dst) = (from.0.open(false)?, to.0.open(true)?);
    let started = Instant::now();
    copy::copy_file_range((&src, from.1), (&dst, to.1), len)?;
    Ok(started.elapsed())
}

/// Reads and writes, as a simple program would: one after the other, through one buffer.
fn read_and_write(src: (&Disk, u64), dst: (&Disk, u64), len: u64, piece: u64) -> Result<Duration> {
    let (from, to) = (src.0.open(false)?, dst.0.open(true)?);
    let mut buf = AlignedBuf::new(usize::try_from(piece).context("a piece is too large")?);
    let started = Instant::now();
    copy::read_and_write((&from, src.1), (&to, dst.1), len, &mut buf)?;
    Ok(started.elapsed())
}

/// The times of two ways, to be divided.
fn pair(variants: &[Row], above: usize, below: usize) -> (&[f64], &[f64]) {
    (&variants[above].seconds, &variants[below].seconds)
}
