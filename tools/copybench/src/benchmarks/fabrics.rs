// SPDX-License-Identifier: GPL-2.0
//! What is gained if the data need not cross a network: a disk that is reached over NVMe over TCP, on a link of
//! 1 Gbit/s between two network namespaces.

use std::cell::Cell;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{ensure, Result};
use blkcopy::aligned::AlignedBuf;
use blkcopy::size::human;
use copyreport::units::time;
use copyreport::{Benchmark, Goal, Ratio, Row};
use copyring::{Command, Entry, Range};
use evidence::copy;
use evidence::disk::{open_direct, Disk};
use evidence::fabric::Fabric;

use super::{copy_file_range, fill, filled, pair, Options};
use crate::measure::{measure, Setting, Variant};
use crate::peers::{self, Shape};
use crate::sharing::SharedFile;
use crate::way::Way;
use crate::why;

const BYTES: u64 = 64 << 20;
const RATE: &str = "1gbit";
const BYTES_PER_SECOND: f64 = 1e9 / 8.0;

/// What a command copies, or a program reads before it writes.
const PIECES: [u64; 2] = [8 << 10, 1 << 20];

/// How many a program has under way.
const THREADS: u64 = 8;

/// Pieces of the first size that one command gathers, where a program hands over so many at a time, and how many
/// such commands it has under way.
const GATHERED: u64 = 16;
const DEPTH: u32 = 32;

/// From one piece that is gathered to the next, in pieces. It is odd, so all have their turn, and none is beside the
/// one before.
const STEP: u64 = 4099;

/// At least so many times as fast.
const GOAL: Goal = Goal::AtLeast(8.0);

/// What the target serves.
enum Target {
    Disk(Disk),
    /// Its file system shares blocks instead of copying them.
    File(SharedFile),
}

impl Target {
    fn path(&self) -> &Path {
        match self {
            Self::Disk(disk) => &disk.path,
            Self::File(file) => &file.path,
        }
    }

    /// Before labels, and in names.
    fn words(&self) -> (&'static str, &'static str) {
        match self {
            Self::Disk(_) => ("", ""),
            Self::File(_) => ("a file on XFS: ", "_file"),
        }
    }

    /// Gives the destination blocks of its own again: what is shared already would not be shared once more.
    fn prepare(&self) -> Result<()> {
        let Self::File(file) = self else {
            return Ok(());
        };
        let file = open_direct(&file.path, true)?;
        let mut buf = AlignedBuf::new(1 << 20);
        buf.fill(0xa5);
        copy::pieces(BYTES, buf.len(), |offset, n| {
            Ok(file.write_all_at(&buf[..n], BYTES + offset)?)
        })
    }

    /// Copies, and makes sure that blocks are shared if they can be: then no data is read from the disk below.
    fn copied(&self, copy: &dyn Fn() -> Result<Duration>) -> Result<Duration> {
        let Self::File(file) = self else {
            return copy();
        };
        let before = file.disk.read()?.bytes;
        let time = copy()?;
        let read = file.disk.read()?.bytes - before;
        ensure!(
            read < BYTES / 8,
            "{} were read below the file, so it does not share blocks",
            human(read)
        );
        Ok(time)
    }
}

pub fn run(options: &Options, say: &dyn Fn(&str)) -> Result<Benchmark> {
    let mut benchmark = Benchmark {
        name: "fabrics".into(),
        axis: None,
        title: format!(
            "{} within one disk over NVMe over TCP, at {RATE}",
            human(BYTES)
        ),
        ratios: Vec::new(),
        notes: Vec::new(),
        variants: Vec::new(),
    };
    say("  a disk");
    let disk = filled(2 * BYTES, &[("copy_max_bytes", "4194304")])?;
    add(&mut benchmark, &Target::Disk(disk), options, say)?;
    say("  a file");
    let file = SharedFile::new(2 * BYTES)?;
    add(&mut benchmark, &Target::File(file), options, say)?;
    Ok(benchmark)
}

/// Measures with one target, and adds what was found.
fn add(
    benchmark: &mut Benchmark,
    target: &Target,
    options: &Options,
    say: &dyn Fn(&str),
) -> Result<()> {
    let fabric = Fabric::new(target.path(), RATE)?;
    let disk = &fabric.disk;
    fill(disk, BYTES)?;
    let wire: [Cell<u64>; 5] = Default::default();
    let counted = |cell: usize, copy: &dyn Fn() -> Result<Duration>| {
        target.prepare()?;
        let before = fabric.bytes()?;
        let time = copy()?;
        wire[cell].set(fabric.bytes()? - before);
        Ok(time)
    };
    let counted = &counted;
    let (prefix, infix) = target.words();
    let mut variants = Vec::new();
    for (index, piece) in PIECES.into_iter().enumerate() {
        variants.push(Variant::new(
            format!("{prefix}copy_file_range, commands of {}", human(piece)),
            Way::Offload { command: piece },
            move || {
                disk.set_copy_max_bytes(piece)?;
                counted(2 * index, &|| {
                    target.copied(&|| copy_file_range(disk, BYTES))
                })
            },
        ));
        variants.push(Variant::new(
            format!("{prefix}read + write, {THREADS} × {}", human(piece)),
            Way::Program,
            move || {
                let shape = Shape::new(THREADS, piece);
                counted(2 * index + 1, &|| {
                    peers::threads((disk, 0), (disk, BYTES), BYTES, shape)
                })
            },
        ));
    }
    let command = GATHERED * PIECES[0];
    variants.push(Variant::new(
        format!(
            "{prefix}io_uring, {GATHERED} × {} from all over in a command",
            human(PIECES[0])
        ),
        Way::Offload { command },
        move || {
            disk.set_copy_max_bytes(command)?;
            counted(4, &|| target.copied(&|| gather(disk)))
        },
    ));
    let setting = Setting {
        src: disk,
        dst: disk,
        bytes: BYTES,
    };
    let rows = measure(&setting, &variants, options.repeat, say)?;
    for (index, piece) in PIECES.iter().enumerate() {
        let [copied, read] = [2 * index, 2 * index + 1];
        let (piece, bytes) = (human(*piece), [copied, read].map(|cell| wire[cell].get()));
        let name = piece.replace(' ', "_").to_lowercase();
        let sentence = format!(
            "{prefix}commands of {piece} are {{}} as fast as a program that reads and writes as much at a time"
        );
        let ratio = Ratio::new(
            format!("rate_fabrics{infix}_{name}"),
            sentence,
            pair(&rows, read, copied),
        );
        let reason = reason(&rows[copied], &rows[read], bytes);
        benchmark.ratios.push(ratio.with_goal(GOAL).because(reason));
        benchmark.notes.push(format!(
            "{prefix}bytes on the wire, {piece} each: {} copied, {} read and written",
            bytes[0], bytes[1]
        ));
    }
    let piece = human(PIECES[0]);
    let sentence = format!(
        "{prefix}commands that gather {GATHERED} × {piece} are {{}} as fast as a program that reads and writes \
         {piece} at a time"
    );
    let ratio = Ratio::new(
        format!("rate_fabrics{infix}_gathered"),
        sentence,
        pair(&rows, 1, 4),
    );
    let bytes = [wire[4].get(), wire[1].get()];
    let reason = reason(&rows[4], &rows[1], bytes);
    benchmark.ratios.push(ratio.with_goal(GOAL).because(reason));
    benchmark.notes.push(format!(
        "{prefix}bytes on the wire, {GATHERED} × {piece} in a command: {} copied",
        bytes[0]
    ));
    benchmark.variants.extend(rows);
    Ok(())
}

/// Why copies are not much faster: what takes the time, and what of it the wire needs.
fn reason(copied: &Row, read: &Row, wire: [u64; 2]) -> String {
    // The data goes once in each direction, and each has the rate for itself.
    let [copied_wire, read_wire] = wire.map(|bytes| time(bytes as f64 / 2.0 / BYTES_PER_SECOND));
    format!(
        "the wire needs {read_wire} of the {} that reading and writing takes; copying takes {}, {} for each of {} \
         commands, and the wire needs {copied_wire}",
        time(read.median_seconds),
        time(copied.median_seconds),
        time(why::each_command(copied)),
        copied.proof.copies
    )
}

/// Copies all pieces, so many from all over the disk with each entry.
fn gather(disk: &Disk) -> Result<Duration> {
    let (src, dst) = (disk.open(false)?, disk.open(true)?);
    let sources: Vec<Range> = (0..BYTES / PIECES[0])
        .map(|number| Range {
            offset: scattered(number),
            len: PIECES[0],
        })
        .collect();
    let lists: Vec<&[Range]> = sources.chunks(GATHERED as usize).collect();
    let len = GATHERED * PIECES[0];
    let entry = |number: u64| {
        let list = lists[number as usize];
        let entry = Entry {
            fd: dst.as_raw_fd(),
            splice_fd_in: src.as_raw_fd(),
            addr: BYTES + number * len,
            addr3: len,
            len: list.len() as u32,
            pad2: list.as_ptr().addr() as u64,
            ..Entry::new(Command::Copy)
        };
        entry.with_tag(number)
    };
    let started = Instant::now();
    // SAFETY: The lists of sources live, and are only read.
    unsafe { copyring::execute(DEPTH, BYTES / len, len, entry)? };
    Ok(started.elapsed())
}

/// Where a piece that is gathered is.
fn scattered(number: u64) -> u64 {
    number * STEP % (BYTES / PIECES[0]) * PIECES[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_gathered_and_none_beside_the_one_before() {
        let count = BYTES / PIECES[0];
        let mut all: Vec<_> = (0..count).map(scattered).collect();
        assert!(all.windows(2).all(|two| two[1] != two[0] + PIECES[0]));
        all.sort_unstable();
        assert!(all.iter().copied().eq((0..count).map(|n| n * PIECES[0])));
    }
}
