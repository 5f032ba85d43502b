// SPDX-License-Identifier: GPL-2.0
//! Copies through io_uring: small ones against writes of the same size, which go the same way to the driver, and
//! large ones against `blkdev_copy_offload()`. One task, and many under way.

use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use anyhow::Result;
use blkcopy::aligned::AlignedBuf;
use blkcopy::size::human;
use copyring::{Command, Entry};
use evidence::disk::Disk;
use io_uring::{opcode, squeue, types};

use super::{filled, pair, Options};
use crate::measure::{measure, Setting, Variant};
use crate::module;
use crate::peers::{Place, Shape};
use crate::way::Way;
use crate::why;
use copyreport::{Benchmark, Goal, Ratio};

const BYTES: u64 = 64 << 20;
/// Large entries copy more, so that the time to make the ring hardly counts.
const LARGE_BYTES: u64 = 256 << 20;
const SMALL: u64 = 4096;
const LARGE: u64 = 1 << 20;
const DEPTH: u32 = 32;
/// What the places of small ones are in. It fits into a cache: what is compared is the way to the driver and back, and a copy
/// would have to wait for memory that a write finds in the cache.
const AREA: u64 = 1 << 20;
/// From one place of a small one to the next, in multiples of what an entry does. It is odd, so all places have their
/// turn. Large ones follow each other, as the commands of the engine do.
const STEP: u64 = 4099;

/// How much longer small copies may take than small writes: 1 / 0.67.
const SMALL_GOAL: Goal = Goal::AtMost(1.49);
/// How much longer large copies may take than the engine alone.
const LARGE_GOAL: Goal = Goal::AtMost(1.1);

pub fn run(options: &Options, say: &dyn Fn(&str)) -> Result<Benchmark> {
    module::load()?;
    let disk = filled(2 * LARGE_BYTES, &[])?;
    disk.set_copy_max_bytes(LARGE)?;
    let copies = |len: u64| {
        Variant::new(
            format!("io_uring, copies of {}", human(len)),
            Way::Offload { command: len },
            {
                let disk = &disk;
                move || copy(disk, len)
            },
        )
        .bytes(bytes(len))
    };
    let variants = [
        copies(SMALL),
        Variant::new(
            format!("io_uring, writes of {}", human(SMALL)),
            Way::Write,
            || write(&disk, SMALL),
        ),
        copies(LARGE),
        Variant::new(
            "blkdev_copy_offload",
            Way::Offload { command: LARGE },
            || module::copy("offload", (&disk, 0), (&disk, LARGE_BYTES), LARGE_BYTES),
        )
        .bytes(LARGE_BYTES),
    ];
    let setting = Setting {
        src: &disk,
        dst: &disk,
        bytes: BYTES,
    };
    let variants = measure(&setting, &variants, options.repeat, say)?;
    let nothing_moved = nothing_moved(options, say)?;
    let small = format!("copies of {} take {{}} as long as writes", human(SMALL));
    let large = format!("copies of {} take {{}} as long as the engine", human(LARGE));
    Ok(Benchmark {
        name: "uring".into(),
        axis: None,
        title: format!(
            "{} by small ones and {} by large ones within one disk, {DEPTH} at a time, by one task",
            human(BYTES),
            human(LARGE_BYTES)
        ),
        ratios: vec![
            Ratio::new("time_uring_small", small, pair(&variants, 0, 1))
                .with_goal(SMALL_GOAL)
                .because(why::way_there(&variants[0], nothing_moved)),
            Ratio::new("time_uring_large", large, pair(&variants, 2, 3))
                .with_goal(LARGE_GOAL)
                .because(why::commands(&variants[2], &variants[3])),
        ],
        notes: Vec::new(),
        variants,
    })
}

/// How long a small copy takes if the disk has nothing to move, in seconds.
fn nothing_moved(options: &Options, say: &dyn Fn(&str)) -> Result<f64> {
    say("  the same where nothing was ever written");
    let disk = &Disk::unwritten(2 * BYTES, &[])?;
    let way = Way::Offload { command: SMALL };
    let copies = Variant::new("nothing moved", way, || copy(disk, SMALL));
    let setting = Setting {
        src: disk,
        dst: disk,
        bytes: BYTES,
    };
    let rows = measure(&setting, &[copies], options.repeat, say)?;
    Ok(rows.first().map_or(0.0, why::each_command))
}

/// Copies all of it, so much with each command.
fn copy(disk: &Disk, len: u64) -> Result<Duration> {
    let (src, dst) = (disk.open(false)?, disk.open(true)?);
    let entry = |tag: u64, at: u64| {
        let entry = Entry {
            fd: dst.as_raw_fd(),
            splice_fd_in: src.as_raw_fd(),
            addr: bytes(len) + at,
            addr3: len,
            pad2: at,
            ..Entry::new(Command::Copy)
        };
        entry.with_tag(tag)
    };
    all(len, entry)
}

/// Copies from one place to another by entries of this shape, one after the other.
pub fn copies(from: Place<'_>, to: Place<'_>, len: u64, shape: Shape) -> Result<Duration> {
    let (src, dst) = (from.0.open(false)?, to.0.open(true)?);
    let entry = |tag: u64| {
        let at = tag * shape.piece;
        let entry = Entry {
            fd: dst.as_raw_fd(),
            splice_fd_in: src.as_raw_fd(),
            addr: to.1 + at,
            addr3: shape.piece,
            pad2: from.1 + at,
            ..Entry::new(Command::Copy)
        };
        entry.with_tag(tag)
    };
    let depth = u32::try_from(shape.depth)?;
    let started = Instant::now();
    // SAFETY: The entries name no memory.
    unsafe { copyring::execute(depth, len / shape.piece, shape.piece, entry)? };
    Ok(started.elapsed())
}

/// Writes as much.
fn write(disk: &Disk, len: u64) -> Result<Duration> {
    let dst = disk.open(true)?;
    let mut buf = AlignedBuf::new(usize::try_from(len)?);
    buf.fill(0x5a);
    let entry = |tag: u64, at: u64| {
        let fd = types::Fd(dst.as_raw_fd());
        let write = opcode::Write::new(fd, buf.as_ptr(), u32::try_from(len).unwrap_or(0));
        write.offset(BYTES + at).build().user_data(tag)
    };
    all(len, entry)
}

/// Returns how many bytes one run copies by entries of `len` bytes.
fn bytes(len: u64) -> u64 {
    match len {
        LARGE => LARGE_BYTES,
        _ => BYTES,
    }
}

/// Executes all entries of a run, each of `len` bytes. The order of small ones keeps the block layer from merging them.
fn all(len: u64, entry: impl Fn(u64, u64) -> squeue::Entry) -> Result<Duration> {
    let count = bytes(len) / len;
    let (places, step) = match len {
        LARGE => (count, 1),
        _ => (AREA / len, STEP),
    };
    let started = Instant::now();
    // SAFETY: The buffer that is written from, if there is one, is the caller's, who does not use it meanwhile.
    unsafe {
        copyring::execute(DEPTH, count, len, |tag| {
            entry(tag, tag * step % places * len)
        })?;
    };
    Ok(started.elapsed())
}
