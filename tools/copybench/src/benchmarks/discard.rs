// SPDX-License-Identifier: GPL-2.0
//! What the cheapest command of all costs, to compare others with: a discard of what was never written. It
//! is one bio without data, and the driver has nothing to do.

use std::fs::File;
use std::os::fd::AsFd;
use std::time::Instant;

use anyhow::{ensure, Context, Result};
use evidence::disk::Disk;
use rustix::ioctl::{ioctl, opcode, Opcode, Setter};

use super::SPARE_MEMORY;
use copyreport::stats::median;

/// `BLKDISCARD`: a start and a length, in bytes.
const DISCARD: Opcode = opcode::none(0x12, 119);

/// How many nanoseconds each further command takes if `bytes` are discarded in commands of `small` instead
/// of `large` bytes.
pub fn nanoseconds_each(bytes: u64, small: u64, large: u64, repeat: u32) -> Result<f64> {
    let disk = Disk::in_memory(bytes, &[("discard", "1")], SPARE_MEMORY)?;
    let file = disk.open(true)?;
    let mut each = Vec::new();
    for _ in 0..repeat {
        let few = once(&disk, &file, bytes, large)?;
        let many = once(&disk, &file, bytes, small)?;
        let further = (bytes / small - bytes / large) as f64;
        each.push((many - few) * 1e9 / further);
    }
    Ok(median(&each))
}

/// Seconds, for commands of `max` bytes.
fn once(disk: &Disk, file: &File, bytes: u64, max: u64) -> Result<f64> {
    disk.set_discard_max_bytes(max)?;
    let before = disk.discards()?;
    let started = Instant::now();
    discard(file, bytes).context("cannot discard")?;
    let seconds = started.elapsed().as_secs_f64();
    let count = disk.discards()? - before;
    ensure!(
        count == bytes / max,
        "{count} discards instead of {}",
        bytes / max
    );
    Ok(seconds)
}

fn discard(file: &File, bytes: u64) -> rustix::io::Result<()> {
    // SAFETY: The ioctl takes two such numbers and changes nothing in this program's memory.
    unsafe { ioctl(file.as_fd(), Setter::<DISCARD, [u64; 2]>::new([0, bytes])) }
}
