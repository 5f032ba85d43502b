// SPDX-License-Identifier: GPL-2.0
//! What programs gain that know nothing of copy offload, and so do not open devices with `O_DIRECT`:
//! `cp` from one partition to another and `fsync`, with and without the offload. Nothing of the source is in
//! the page cache, or all of it is, or all of it was written just now. `dd` reads and writes, whatever the device can,
//! and should not be slower for that.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use blkcopy::size::human;
use evidence::copy;
use evidence::system;

use super::halves::Halves;
use super::{copy_between, pair, Options, SPARE_MEMORY};
use crate::measure::{measure, Setting, Variant};
use crate::way::Way;
use copyreport::units::time;
use copyreport::{Benchmark, Goal, Ratio};

const BYTES: u64 = 256 << 20;

/// What the page cache has of the source before the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Cold,
    Cached,
    Dirty,
}

impl Source {
    fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Cached => "cached",
            Self::Dirty => "dirty",
        }
    }

    /// Brings the page cache into this state, and keeps it there while the file is open. Nothing is
    /// read, because what is read counts.
    fn prepare(self, path: &Path) -> Result<Option<File>> {
        if self == Self::Cold {
            return Ok(None);
        }
        let file = fill(path)?;
        if self == Self::Cached {
            file.sync_all().context("cannot sync")?;
        }
        Ok(Some(file))
    }
}

/// Who copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    Cp,
    /// This one, which need not be started.
    Call,
    /// It asks nobody to copy.
    Dd,
}

/// What is measured, each with and without the offload.
const CASES: [(Program, Source); 7] = [
    (Program::Cp, Source::Cold),
    (Program::Cp, Source::Cached),
    (Program::Cp, Source::Dirty),
    (Program::Call, Source::Cold),
    (Program::Call, Source::Cached),
    (Program::Call, Source::Dirty),
    (Program::Dd, Source::Cold),
];

impl Program {
    fn name(self) -> &'static str {
        match self {
            Self::Cp => "cp",
            Self::Call => "copy_file_range",
            Self::Dd => "dd",
        }
    }

    /// Which way the data goes where the device copies, with commands of so many bytes, and where it does not.
    fn ways(self, source: Source, command: u64) -> [Way; 2] {
        match (self, source) {
            (Self::Dd, _) => [Way::Program; 2],
            (_, Source::Cold) => [Way::Offload { command }, Way::Kernel],
            (_, _) => [Way::Offload { command }, Way::Cached],
        }
    }

    /// How much longer it may take where the device copies.
    fn goal(self, source: Source) -> Goal {
        match (self, source) {
            // It is the same, but for noise.
            (Self::Dd, _) => Goal::AtMost(1.05),
            (_, Source::Cold) => Goal::AtMost(0.35),
            (_, _) => Goal::AtMost(1.1),
        }
    }

    /// What its ratio says.
    fn claim(self, source: Source) -> String {
        let (name, source) = (self.name(), source.name());
        match self {
            Self::Dd => format!(
                "{name} takes {{}} as long where the device could copy, with a {source} source"
            ),
            _ => format!("{name} takes {{}} as long if it is offloaded, with a {source} source"),
        }
    }

    /// Why it takes so long where the device copies, and with `O_DIRECT` so much of it.
    fn reason(self, source: Source, found: f64, direct: f64) -> String {
        let rest = time((found - direct).max(0.0));
        let text = format!(
            "of {}, {} are the disk's, as the same call with O_DIRECT shows; {rest} pass",
            time(found),
            time(direct)
        );
        match (self, source) {
            (Self::Dd, _) => "it reads and writes in both cases".into(),
            (_, Source::Cold) => text + " in the program and in the page cache",
            (_, Source::Cached) => {
                text + " in the program and in the page cache, which without the offload need not read"
            }
            (_, Source::Dirty) => {
                text + " in the program and while the source is written back, which it is not without the offload"
            }
        }
    }

    fn copy(self, src: &Path, dst: &Path) -> Result<()> {
        match self {
            Self::Cp => {
                system::command("cp", &[&src.to_string_lossy(), &dst.to_string_lossy()]).map(drop)
            }
            Self::Call => {
                let (src, dst) = (open(src)?, open(dst)?);
                copy::copy_file_range((&src, 0), (&dst, 0), BYTES).map(drop)
            }
            Self::Dd => {
                let (from, to) = (
                    format!("if={}", src.display()),
                    format!("of={}", dst.display()),
                );
                system::command("dd", &[&from, &to, "bs=1M", "conv=notrunc"]).map(drop)
            }
        }
    }
}

pub fn run(options: &Options, say: &dyn Fn(&str)) -> Result<Benchmark> {
    let halves = Halves::new(BYTES, &[], 2 * BYTES + SPARE_MEMORY)?;
    let (disk, src, dst) = (&halves.disk, &halves.src, &halves.dst);
    drop(fill(src)?);
    let command = disk.copy_max_hw_bytes()?;
    let mut variants = Vec::new();
    for (program, source) in CASES {
        let name = format!("{}, {} source", program.name(), source.name());
        let [on, off] = program.ways(source, command);
        for (label, way, max) in [
            (name.clone(), on, command),
            (format!("{name}, copy_max_bytes=0"), off, 0),
        ] {
            variants.push(Variant::new(label, way, move || {
                disk.set_copy_max_bytes(max)?;
                timed(program, source, src, dst)
            }));
        }
    }
    // What the disk itself takes.
    variants.push(Variant::new(
        "copy_file_range, O_DIRECT",
        Way::Offload { command },
        || {
            disk.set_copy_max_bytes(command)?;
            copy_between(halves.from(), halves.to(BYTES), BYTES)
        },
    ));
    let setting = Setting {
        src: disk,
        dst: disk,
        bytes: BYTES,
    };
    let variants = measure(&setting, &variants, options.repeat, say)?;
    let direct = variants.last().map_or(0.0, |row| row.median_seconds);
    let ratios = CASES
        .into_iter()
        .enumerate()
        .map(|(index, (program, source))| {
            let short = match program {
                Program::Cp => "cp",
                Program::Call => "call",
                Program::Dd => "dd",
            };
            Ratio::new(
                format!("time_{short}_{}", source.name()),
                program.claim(source),
                pair(&variants, 2 * index, 2 * index + 1),
            )
            .with_goal(program.goal(source))
            .because(program.reason(
                source,
                variants[2 * index].median_seconds,
                direct,
            ))
        });
    let ratios = ratios.collect();
    Ok(Benchmark {
        name: "buffered".into(),
        axis: None,
        title: format!(
            "{} from one partition to another without O_DIRECT, and fsync",
            human(BYTES)
        ),
        ratios,
        notes: Vec::new(),
        variants,
    })
}

/// Copies all of a partition, and makes it durable.
fn timed(program: Program, source: Source, src: &Path, dst: &Path) -> Result<Duration> {
    let held = source.prepare(src)?;
    // What is written when the last one closes the device is written by `fsync`.
    let target = open(dst)?;
    let started = Instant::now();
    program.copy(src, dst)?;
    target.sync_all().context("cannot sync")?;
    let time = started.elapsed();
    drop(held);
    Ok(time)
}

fn open(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))
}

/// Writes data through the page cache.
fn fill(path: &Path) -> Result<File> {
    let file = open(path)?;
    let mut buf = vec![0; 1 << 20];
    copy::pieces(BYTES, buf.len(), |offset, n| {
        buf.fill(u8::try_from((offset >> 20) % 255).unwrap_or(0) + 1);
        file.write_all_at(&buf[..n], offset)
            .with_context(|| format!("cannot fill {}", path.display()))
    })?;
    Ok(file)
}
