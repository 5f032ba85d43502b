// SPDX-License-Identifier: GPL-2.0
//! `cfr ranges`: random copies of several ranges, as kernel code asks for them, against a model.
//!
//! They go through the file in debugfs of the module `blk_copy_test`. Between them there are copies with
//! copy_file_range(2), writes past the page cache and through it, and changes of the limit. Devices may be
//! partitions of each other. The sequence is a function of the seed.

mod disk;
mod place;
mod plan;

use std::path::PathBuf;

use anyhow::{ensure, Context, Result};
use clap::Args;
use nix::errno::Errno;

use self::disk::Disks;
use self::place::{Range, SECTOR};
use self::plan::{total, Copy, Mode, Operation, Plan};
use crate::copy::{copy_at, Outcome};
use crate::module::{self, Module};
use crate::recent::Recent;
use blkcopy::size;

/// All is compared after so many operations.
const EVERY: u64 = 100;

#[derive(Args, Clone, Debug)]
pub struct RangesArgs {
    /// Disks and their partitions. All that is on them is lost
    #[arg(required = true)]
    devices: Vec<PathBuf>,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, value_parser = size::parse, default_value = "1000")]
    ops: u64,
    /// How the module is to copy
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "offload,onload,auto"
    )]
    modes: Vec<Mode>,
    /// The file of the module
    #[arg(long, default_value = module::PATH)]
    module: PathBuf,
    /// Copies may fail or stop early; what they claim to have copied must still be there
    #[arg(long)]
    may_fail: bool,
}

struct Model {
    disks: Disks,
    plan: Plan,
    module: Module,
    may_fail: bool,
    recent: Recent,
}

impl RangesArgs {
    pub fn run(&self) -> Result<String> {
        let mut model = Model::new(self)?;
        for number in 0..self.ops {
            model.step(number).map_err(|err| {
                let at = format!("operation {number} of seed {}", self.seed);
                model.recent.explain(at, &err)
            })?;
        }
        model.disks.check_all(false).context("at the end")?;
        Ok(format!("{} operations, model agrees", self.ops))
    }
}

impl Model {
    fn new(args: &RangesArgs) -> Result<Self> {
        let mut disks = Disks::open(&args.devices)?;
        for dev in 0..args.devices.len() {
            let len = disks.places()[dev].len;
            disks.write(dev, Range { start: 0, len }, false)?;
        }
        disks.check_all(false)?;
        Ok(Model {
            plan: Plan::new(args.seed, disks.places().to_vec(), args.modes.clone()),
            disks,
            module: Module::open(&args.module)?,
            may_fail: args.may_fail,
            recent: Recent::new(8),
        })
    }

    fn step(&mut self, number: u64) -> Result<()> {
        let operation = self.plan.next();
        let text: String = format!("{operation:?}").chars().take(600).collect();
        self.recent.note(format!("{number}: {text}"));
        match operation {
            Operation::Copy(copy) => self.copy(&copy)?,
            Operation::CopyFile { src, dst, from, to } => self.copy_file(src, dst, from, to)?,
            Operation::Write {
                dev,
                range,
                buffered,
            } => {
                self.disks.write(dev, range, buffered)?;
                // Reading past the page cache would clean it.
                if !buffered || self.plan.random.one_in(2) {
                    self.disks.check(dev, &[range], buffered)?;
                }
            }
            Operation::Limit { disk, bytes } => self.disks.set_limit(disk, bytes)?,
        }
        if number % EVERY == EVERY - 1 {
            let buffered = self.plan.random.one_in(8);
            self.disks.check_once(buffered).context("all compared")?;
        }
        Ok(())
    }

    /// Through the module, which knows nothing of page caches.
    fn copy(&mut self, copy: &Copy) -> Result<()> {
        self.disks.settle(copy.src, false)?;
        self.disks.settle(copy.dst, false)?;
        let line = format!(
            "{} {} {} {} {}\n",
            copy.how,
            self.disks.path(copy.src).display(),
            self.disks.path(copy.dst).display(),
            text(&copy.from),
            text(&copy.to)
        );
        let outcome = self.module.run(&line)?;
        let sectors = total(&copy.to);
        match self.plan.expected(copy, &self.disks.can_copy()) {
            Err(error) => {
                let due = Outcome::nothing(error);
                // Whether the devices can copy shows when it is tried, and that may fail first.
                let tried = self.may_fail && error == Errno::EOPNOTSUPP;
                ensure!(
                    outcome == due || (tried && outcome.copied == 0 && outcome.error.is_some()),
                    "{outcome}, but {due} was due"
                );
            }
            Ok(()) => {
                let copied = usize::try_from(outcome.copied)?;
                let whole = copied == sectors && outcome.error.is_none();
                ensure!(
                    whole || (self.may_fail && copied < sectors && outcome.error.is_some()),
                    "{outcome}, but {sectors} were due"
                );
                let new = self.disks.gather(copy.src, &copy.from);
                if whole {
                    self.disks.scatter(copy.dst, &copy.to, &new);
                } else {
                    self.disks.accept_torn(copy.dst, &copy.to, &new, copied)?;
                }
            }
        }
        let buffered = self.plan.random.one_in(8);
        self.disks.check(copy.dst, &copy.to, buffered)
    }

    /// As programs do it. The page caches of these two devices need no care.
    fn copy_file(&mut self, src: usize, dst: usize, from: Range, to: Range) -> Result<()> {
        let places = self.disks.places();
        let shared = places[src].disk == places[dst].disk;
        let (on_src, on_dst) = (from.moved(places[src].start), to.moved(places[dst].start));
        let refused = shared && on_src.overlaps(on_dst);
        self.disks.settle(src, !shared || src == dst)?;
        self.disks.settle(dst, !shared || src == dst)?;
        let bytes = |sectors: usize| (sectors * SECTOR) as u64;
        let outcome = copy_at(
            self.disks.direct(src),
            bytes(from.start),
            self.disks.direct(dst),
            bytes(to.start),
            bytes(from.len),
        )?;
        let due = if refused {
            Outcome::nothing(Errno::EINVAL)
        } else {
            Outcome {
                copied: bytes(from.len),
                error: None,
            }
        };
        let new = self.disks.gather(src, &[from]);
        if outcome == due {
            if !refused {
                self.disks.scatter(dst, &[to], &new);
            }
        } else {
            ensure!(self.may_fail && !refused, "{outcome}, but {due} was due");
            let copied = usize::try_from(outcome.copied)? / SECTOR;
            self.disks.accept_torn(dst, &[to], &new, copied)?;
        }
        let buffered = self.plan.random.one_in(8);
        self.disks.check(dst, &[to], buffered)
    }
}

/// As the module reads it.
fn text(list: &[Range]) -> String {
    let list: Vec<_> = list
        .iter()
        .map(|range| format!("{}+{}", range.start, range.len))
        .collect();
    list.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speaks_the_language_of_the_module() {
        let range = |start, len| Range { start, len };
        assert_eq!(text(&[range(0, 8), range(64, 1)]), "0+8,64+1");
    }
}
