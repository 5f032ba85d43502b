// SPDX-License-Identifier: GPL-2.0
//! What is gained if the data need not cross a network: a disk that is reached over NVMe over TCP, on a link of
//! 1 Gbit/s between two network namespaces.

use std::cell::Cell;
use std::time::Duration;

use anyhow::Result;
use blkcopy::size::human;
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

/// At least so many times as fast.
const GOAL: Goal = Goal::AtLeast(8.0);

pub fn run(options: &Options, say: &dyn Fn(&str)) -> Result<Benchmark> {
    let below = filled(2 * BYTES, &[("copy_max_bytes", "4194304")])?;
    let fabric = Fabric::new(&below, RATE)?;
    let disk = &fabric.disk;
    fill(disk, BYTES)?;
    let wire: [Cell<u64>; 4] = Default::default();
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
    let ratios = ratios.collect();
    let notes = PIECES.iter().zip(wire.chunks(2)).map(|(piece, wire)| {
        format!(
            "bytes on the wire, {} each: {} copied, {} read and written",
            human(*piece),
            wire[0].get(),
            wire[1].get()
        )
    });
    Ok(Benchmark {
        name: "fabrics".into(),
        axis: None,
        title: format!(
            "{} within one disk over NVMe over TCP, at {RATE}",
            human(BYTES)
        ),
        ratios,
        notes: notes.collect(),
        variants,
    })
}
