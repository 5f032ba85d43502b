// SPDX-License-Identifier: GPL-2.0
//! Writes to a device of which there is a snapshot: kcopyd saves each chunk before it is overwritten. It asks the
//! device to copy it, or reads and writes it.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use blkcopy::aligned::AlignedBuf;
use blkcopy::size::human;
use copyreport::{Benchmark, Goal, Ratio, Row};
use evidence::copy;
use evidence::disk::open_direct;

use super::halves::Halves;
use super::{fill, pair, Options, SPARE_MEMORY};
use crate::mapper::{self, Mapped};
use crate::measure::{measure, Setting, Variant};
use crate::way::Way;
use crate::why;

/// Microseconds.
const LATENCIES: [u64; 2] = [0, 100];

/// Bytes of what the snapshot saves at a time, and sectors.
const CHUNK: u64 = 4096;
const CHUNK_SECTORS: u64 = CHUNK / 512;

/// What is written at a time.
const WRITE: usize = 1 << 20;

/// With the offload, writes are at least as fast as without.
const GOAL: Goal = Goal::AtLeast(1.0);

pub fn run(options: &Options, say: &dyn Fn(&str)) -> Result<Benchmark> {
    mapper::load()?;
    let bytes = options.effort.of(16 << 20, 64 << 20, 128 << 20);
    let (mut variants, mut ratios) = (Vec::new(), Vec::new());
    for latency in LATENCIES {
        say(&format!("  {latency} us"));
        let rows = with_latency(latency, bytes, options.repeat, say)?;
        let sentence = format!("with the offload, writes are {{}} as fast with {latency} us");
        let ratio = Ratio::new(
            format!("rate_snapshot_{latency}us"),
            sentence,
            pair(&rows, 0, 1),
        );
        let reason = why::against_reading(&rows[1], &rows[0]);
        ratios.push(ratio.with_goal(GOAL).because(reason));
        variants.extend(rows);
    }
    Ok(Benchmark {
        name: "snapshot".into(),
        title: format!(
            "{} written, {} at a time, to a device of which there is a snapshot (dm-snapshot, chunks of {})",
            human(bytes),
            human(WRITE as u64),
            human(CHUNK)
        ),
        axis: Some("latency of a request".into()),
        variants,
        ratios,
        notes: Vec::new(),
    })
}

fn with_latency(latency: u64, bytes: u64, repeat: u32, say: &dyn Fn(&str)) -> Result<Vec<Row>> {
    let slow = super::Slow::new(latency, 1 << 20);
    let halves = Halves::new(bytes, &slow.attributes(), SPARE_MEMORY)?;
    fill(&halves.disk, halves.disk.sysfs()?.size)?;
    let (origin, store) = (&*halves.src, &*halves.dst);
    let at = format!("{latency} us");
    let variants = [
        Variant::point("read and written", &at, Way::Kcopyd, || {
            written(origin, store, bytes, false)
        })
        .command("kcopyd_copy_offload=0"),
        Variant::point("offload", &at, Way::Gathered { piece: CHUNK }, || {
            written(origin, store, bytes, true)
        })
        .command("kcopyd_copy_offload=1"),
    ];
    let setting = Setting {
        src: &halves.disk,
        dst: &halves.disk,
        bytes,
    };
    let rows = measure(&setting, &variants, repeat, say);
    mapper::kcopyd_asks(false)?;
    rows
}

/// Makes a new snapshot, in which nothing is saved yet, and returns how long it takes to write all of its origin.
fn written(origin: &Path, store: &Path, bytes: u64, asks: bool) -> Result<Duration> {
    mapper::kcopyd_asks(asks)?;
    let (sectors, origin, store) = (bytes / 512, origin.display(), store.display());
    // It keeps no record on the disk, so only what is saved is written there.
    let table = format!("0 {sectors} snapshot {origin} {store} N {CHUNK_SECTORS}");
    let _snapshot = Mapped::new("copybench-snapshot", &table)?;
    let table = format!("0 {sectors} snapshot-origin {origin}");
    let origin = Mapped::new("copybench-origin", &table)?;
    let path = origin.path()?;
    let file = open_direct(&path, true)?;
    let mut buf = AlignedBuf::new(WRITE);
    buf.fill(0x5a);
    let started = Instant::now();
    copy::pieces(bytes, buf.len(), |offset, n| {
        file.write_all_at(&buf[..n], offset)
            .with_context(|| format!("cannot write {}", path.display()))
    })?;
    Ok(started.elapsed())
}
