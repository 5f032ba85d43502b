// SPDX-License-Identifier: GPL-2.0
//! What programs gain that know nothing of copy offload, and so do not open devices with `O_DIRECT`:
//! `cp` from one partition to another and `fsync`, with and without the offload. Nothing of the source is in
//! the page cache, or all of it is, or all of it was written just now.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use blkcopy::size::human;
use evidence::copy;
use evidence::system;

use super::halves::Halves;
use super::{pair, Options, SPARE_MEMORY};
use crate::measure::{measure, Setting, Variant};
use crate::way::Way;
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
    const ALL: [Self; 3] = [Self::Cold, Self::Cached, Self::Dirty];

    fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Cached => "cached",
            Self::Dirty => "dirty",
        }
    }

    /// How much longer a copy by the device may take than one through the page cache.
    fn goal(self) -> Goal {
        match self {
            Self::Cold => Goal::AtMost(0.35),
            Self::Cached | Self::Dirty => Goal::AtMost(1.1),
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
}

impl Program {
    const ALL: [Self; 2] = [Self::Cp, Self::Call];

    fn name(self) -> &'static str {
        match self {
            Self::Cp => "cp",
            Self::Call => "copy_file_range",
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
        }
    }
}

pub fn run(options: &Options, say: &dyn Fn(&str)) -> Result<Benchmark> {
    let Halves { disk, src, dst } = Halves::new(BYTES, &[], 2 * BYTES + SPARE_MEMORY)?;
    drop(fill(&src)?);
    let command = disk.copy_max_hw_bytes()?;
    let mut variants = Vec::new();
    let mut ratios = Vec::new();
    for program in Program::ALL {
        for source in Source::ALL {
            let name = format!("{}, {} source", program.name(), source.name());
            let cached = match source {
                Source::Cold => Way::Kernel,
                _ => Way::Cached,
            };
            for (label, way, max) in [
                (name.clone(), Way::Offload { command }, command),
                (format!("{name}, copy_max_bytes=0"), cached, 0),
            ] {
                let (disk, src, dst) = (&disk, &src, &dst);
                variants.push(Variant::new(label, way, move || {
                    disk.set_copy_max_bytes(max)?;
                    timed(program, source, src, dst)
                }));
            }
        }
    }
    let setting = Setting {
        src: &disk,
        dst: &disk,
        bytes: BYTES,
    };
    let variants = measure(&setting, &variants, options.repeat, say)?;
    let all = Program::ALL
        .into_iter()
        .flat_map(|program| Source::ALL.map(|source| (program, source)));
    for (index, (program, source)) in all.enumerate() {
        let short = match program {
            Program::Cp => "cp",
            Program::Call => "call",
        };
        ratios.push(
            Ratio::new(
                format!("time_{short}_{}", source.name()),
                format!(
                    "{} takes {{}} as long if it is offloaded, with a {} source",
                    program.name(),
                    source.name()
                ),
                pair(&variants, 2 * index, 2 * index + 1),
            )
            .with_goal(source.goal()),
        );
    }
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
