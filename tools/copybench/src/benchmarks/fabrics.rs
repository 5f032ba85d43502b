// SPDX-License-Identifier: GPL-2.0
//! What is gained if the data need not cross a network: a disk that is reached over NVMe over TCP, on a link of
//! 1 Gbit/s between two network namespaces.

use std::cell::Cell;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use anyhow::Result;
use blkcopy::size::human;
use copyring::{Command, Entry, Range};
use evidence::disk::Disk;
use evidence::fabric::Fabric;

use super::{copy_file_range, fill, filled, pair, Options};
use crate::measure::{measure, Setting, Variant};
use crate::peers::{self, Shape};
use crate::way::Way;
use copyreport::{Benchmark, Goal, Ratio};

const BYTES: u64 = 64 << 20;
const RATE: &str = "1gbit";

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

pub fn run(options: &Options, say: &dyn Fn(&str)) -> Result<Benchmark> {
    let below = filled(2 * BYTES, &[("copy_max_bytes", "4194304")])?;
    let fabric = Fabric::new(&below, RATE)?;
    let disk = &fabric.disk;
    fill(disk, BYTES)?;
    let wire: [Cell<u64>; 5] = Default::default();
    let counted = |cell: usize, copy: &dyn Fn() -> Result<Duration>| {
        let before = fabric.bytes()?;
        let time = copy()?;
        wire[cell].set(fabric.bytes()? - before);
        Ok(time)
    };
    let counted = &counted;
    let mut variants = Vec::new();
    for (index, piece) in PIECES.into_iter().enumerate() {
        variants.push(Variant::new(
            format!("copy_file_range, commands of {}", human(piece)),
            Way::Offload { command: piece },
            move || {
                disk.set_copy_max_bytes(piece)?;
                counted(2 * index, &|| copy_file_range(disk, BYTES))
            },
        ));
        variants.push(Variant::new(
            format!("read + write, {THREADS} × {}", human(piece)),
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
            "io_uring, {GATHERED} × {} from all over in a command",
            human(PIECES[0])
        ),
        Way::Offload { command },
        move || {
            disk.set_copy_max_bytes(command)?;
            counted(4, &|| gather(disk))
        },
    ));
    let setting = Setting {
        src: disk,
        dst: disk,
        bytes: BYTES,
    };
    let variants = measure(&setting, &variants, options.repeat, say)?;
    let ratios = PIECES.iter().enumerate().map(|(index, piece)| {
        let piece = human(*piece);
        let name = format!("rate_fabrics_{}", piece.replace(' ', "_").to_lowercase());
        let sentence = format!("commands of {piece} are {{}} as fast as a program that reads and writes as much at a time");
        Ratio::new(name, sentence, pair(&variants, 2 * index + 1, 2 * index)).with_goal(GOAL)
    });
    let piece = human(PIECES[0]);
    let sentence = format!("commands that gather {GATHERED} × {piece} are {{}} as fast as a program that reads and writes {piece} at a time");
    let gathered = Ratio::new("rate_fabrics_gathered", sentence, pair(&variants, 1, 4));
    let ratios = ratios.chain([gathered.with_goal(GOAL)]).collect();
    let notes = PIECES.iter().zip(wire.chunks(2)).map(|(piece, wire)| {
        format!(
            "bytes on the wire, {} each: {} copied, {} read and written",
            human(*piece),
            wire[0].get(),
            wire[1].get()
        )
    });
    let gathered = format!(
        "bytes on the wire, {GATHERED} × {piece} in a command: {} copied",
        wire[4].get()
    );
    Ok(Benchmark {
        name: "fabrics".into(),
        axis: None,
        title: format!(
            "{} within one disk over NVMe over TCP, at {RATE}",
            human(BYTES)
        ),
        ratios,
        notes: notes.chain([gathered]).collect(),
        variants,
    })
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
