// SPDX-License-Identifier: GPL-2.0
//! `cfr sweep workers`: memory is missing for the kernel's workers, after more and more of it.

use std::fs;
use std::path::Path;

use anyhow::{ensure, Context, Result};
use clap::{Args, ValueEnum};

use super::region::WriteBack;
use super::{CopyArgs, Stage};
use crate::copy::Outcome;

#[derive(Args, Clone, Debug)]
pub struct WorkersArgs {
    #[command(flatten)]
    copy: CopyArgs,
    /// What is missing
    #[arg(long, value_enum, default_value = "slab")]
    what: Memory,
    /// So often, one time after the other; 1: only the one allocation is missing
    #[arg(long, default_value_t = 1)]
    times: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Memory {
    Slab,
    Pages,
}

/// No copy of this size needs more for its workers, in bytes or pages.
const MOST: u64 = 1 << 20;

impl Memory {
    fn dir(self) -> &'static Path {
        Path::new(match self {
            Memory::Slab => "/sys/kernel/debug/failslab",
            Memory::Pages => "/sys/kernel/debug/fail_page_alloc",
        })
    }

    /// From one step to the next.
    fn step(self, space: u64) -> u64 {
        match self {
            Memory::Slab => 64 + space / 16,
            Memory::Pages => 1 + space / 16,
        }
    }
}

/// An attribute of the kernel's fault injection, for workers alone. It is as before when dropped.
struct Faults {
    dir: &'static Path,
    before: Vec<(&'static str, String)>,
}

impl Faults {
    fn new(what: Memory) -> Result<Self> {
        let mut faults = Faults {
            dir: what.dir(),
            before: Vec::new(),
        };
        let all = [
            ("task-filter", "Y"),
            ("verbose", "0"),
            ("interval", "1"),
            ("ignore-gfp-wait", "N"),
            ("space", "0"),
            ("times", "0"),
        ];
        let of_pages = [("ignore-gfp-highmem", "N"), ("min-order", "0")];
        let of_pages = of_pages.iter().filter(|_| what == Memory::Pages);
        for (name, value) in all.iter().chain(of_pages) {
            let before = fs::read_to_string(faults.dir.join(name))?;
            faults.before.push((name, before.trim().into()));
            faults.set(name, value)?;
        }
        Ok(faults)
    }

    fn set(&self, name: &str, value: &str) -> Result<()> {
        let path = self.dir.join(name);
        fs::write(&path, value).with_context(|| format!("cannot write {}", path.display()))
    }

    fn arm(&self, space: u64, times: u64) -> Result<()> {
        self.set("space", &space.to_string())?;
        self.set("times", &times.to_string())?;
        self.set("probability", "100")
    }

    /// Returns how often it has failed.
    fn disarm(&self, times: u64) -> Result<u64> {
        self.set("probability", "0")?;
        let left = fs::read_to_string(self.dir.join("times"))?;
        let left: u64 = left.trim().parse().context("times has no number")?;
        Ok(times.saturating_sub(left))
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        let _ = self.set("probability", "0");
        for (name, before) in &self.before {
            let _ = self.set(name, before);
        }
        mark("0");
    }
}

/// Whether allocations of the workers that there are may fail.
fn mark(value: &str) {
    for dir in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let dir = dir.path();
        let name = fs::read_to_string(dir.join("comm"));
        if name.is_ok_and(|name| name.starts_with("kworker/")) {
            // One that has gone meanwhile does nothing.
            let _ = fs::write(dir.join("make-it-fail"), value);
        }
    }
}

impl WorkersArgs {
    pub fn run(&self) -> Result<String> {
        let mut stage = Stage::new(&self.copy)?;
        let faults = Faults::new(self.what)?;
        let (mut space, mut steps, mut mattered) = (0, 0, 0);
        loop {
            ensure!(space < MOST, "it has no end");
            steps += 1;
            let failed = self.step(&mut stage, &faults, steps, space);
            match failed.with_context(|| format!("with {space} {:?}", self.what))? {
                0 => break,
                _ => mattered += 1,
            }
            space += self.what.step(space);
        }
        stage.log(&format!(
            "{}: {:?} were missing {mattered} times, the last time after {space}",
            self.copy.way, self.what
        ))?;
        ensure!(mattered > 0, "nothing was injected");
        Ok("all is copied".into())
    }

    /// Returns how often something has failed.
    fn step(&self, stage: &mut Stage, faults: &Faults, number: u32, space: u64) -> Result<u64> {
        stage.prepare(number)?;
        // There may be new ones.
        mark("1");
        faults.arm(space, self.times)?;
        let outcome = stage.copier.copy();
        let failed = faults.disarm(self.times);
        let outcome = outcome?;
        let failed = failed?;
        ensure!(
            outcome == Outcome::good(self.copy.len),
            "memory was missing {failed} times: {outcome}"
        );
        stage.check(outcome, WriteBack::Whole)?;
        Ok(failed)
    }
}
