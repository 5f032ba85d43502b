// SPDX-License-Identifier: GPL-2.0
//! The benchmarks.

mod chunk;
mod nvme;
mod offload;
mod onload;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};
use blkcopy::aligned::AlignedBuf;
use clap::ValueEnum;

use crate::disk::Disk;
use crate::measure::Measured;
use crate::report::Benchmark;

/// What can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Name {
    /// What a command costs: small ones against large ones, by one call of the kernel
    Chunk,
    /// The kernel's reading and writing against a program's, between two disks with a latency
    Onload,
    /// `copy_file_range` within a disk against reading and writing
    Offload,
    /// The same on an NVMe device, and against Copy commands that a program makes
    Nvme,
}

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub repeat: u32,
    pub size: u64,
    pub piece: u64,
}

/// Runs one.
pub fn run(name: Name, options: &Options, say: &dyn Fn(&str)) -> Result<Benchmark> {
    match name {
        Name::Chunk => chunk::run(options, say),
        Name::Onload => onload::run(options, say),
        Name::Offload => offload::run(options, say),
        Name::Nvme => nvme::run(options, say),
    }
}

/// Copies the first bytes of a disk to those behind them.
fn copy_file_range(disk: &Disk, bytes: u64) -> Result<Duration> {
    let (src, dst) = (disk.open(false)?, disk.open(true)?);
    let (mut from, mut to) = (0, bytes);
    let started = Instant::now();
    while from < bytes {
        let left = usize::try_from(bytes - from)?;
        let copied = rustix::fs::copy_file_range(&src, Some(&mut from), &dst, Some(&mut to), left)
            .with_context(|| format!("copy_file_range failed with {left} bytes to go"))?;
        if copied == 0 {
            bail!("copy_file_range stopped with {left} bytes to go");
        }
    }
    Ok(started.elapsed())
}

/// Reads and writes, as a simple program would: one after the other, through one buffer.
fn read_and_write(src: (&Disk, u64), dst: (&Disk, u64), len: u64, piece: u64) -> Result<Duration> {
    let (from, to) = (src.0.open(false)?, dst.0.open(true)?);
    let mut buf = AlignedBuf::new(usize::try_from(piece).context("a piece is too large")?);
    let started = Instant::now();
    for_pieces(len, piece, |offset, n| {
        step(
            (&from, src.1 + offset),
            (&to, dst.1 + offset),
            &mut buf[..n],
        )
    })?;
    Ok(started.elapsed())
}

fn step(src: (&File, u64), dst: (&File, u64), buf: &mut [u8]) -> Result<()> {
    src.0
        .read_exact_at(buf, src.1)
        .context("cannot read the source")?;
    dst.0
        .write_all_at(buf, dst.1)
        .context("cannot write the destination")
}

/// Calls a function for each piece, with its offset and length.
fn for_pieces(len: u64, piece: u64, mut f: impl FnMut(u64, usize) -> Result<()>) -> Result<()> {
    let mut offset = 0;
    while offset < len {
        let n = piece.min(len - offset);
        f(offset, usize::try_from(n)?)?;
        offset += n;
    }
    Ok(())
}

/// The times of two ways, to be divided.
fn pair(variants: &[Measured], above: usize, below: usize) -> (&[f64], &[f64]) {
    (&variants[above].seconds, &variants[below].seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_leave_nothing_out() {
        let mut pieces = Vec::new();
        for_pieces(10, 4, |offset, n| {
            pieces.push((offset, n));
            Ok(())
        })
        .unwrap();
        assert_eq!(pieces, [(0, 4), (4, 4), (8, 2)]);
    }
}
