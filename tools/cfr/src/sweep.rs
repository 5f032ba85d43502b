// SPDX-License-Identifier: GPL-2.0
//! `cfr sweep`: one small copy again and again, with a fault at the first, the second, the third... place, until it
//! meets none.
//!
//! After each step its answer, all data, and the counter of what is in flight have to be right. With `--leaks` the
//! steps are then repeated. A slab cache that grows by one object a step is a leak, and so are pages that are missing,
//! one a step. The sweep waits for what is given back late. KASAN keeps what was freed for a while, but gives it back
//! when a cache is shrunk.

mod fault;
mod judge;
mod place;
mod region;
mod slab;
mod unread;
mod way;
mod workers;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure, Context, Result};
use clap::{Args, Subcommand};

use self::fault::Nth;
use self::judge::Fault;
use self::place::ByPlaceArgs;
use self::region::{Region, WriteBack};
use self::slab::Counts;
use self::unread::UnreadArgs;
use self::way::{Copier, Way};
use self::workers::WorkersArgs;
use crate::copy::Outcome;
use blkcopy::size;

/// So often does a slab cache grow that something leaks into.
const TRIES: u32 = 3;

/// So long may it take until something is given back.
const PATIENCE: Duration = Duration::from_secs(2);

/// No copy of this size has so many places.
const MOST_STEPS: u32 = 5000;

#[derive(Args, Clone, Debug)]
pub struct SweepArgs {
    #[command(subcommand)]
    command: What,
}

#[derive(Subcommand, Clone, Debug)]
enum What {
    /// By the kernel's fault injection (fail-nth): whatever can fail for this task, allocations, bios, requests
    Nth(NthArgs),
    /// By place: the first, the second... part of the source or of the destination cannot be read or written
    Place(ByPlaceArgs),
    /// By the list of sources of io_uring: none, one, two... entries of it can be read
    Unread(UnreadArgs),
    /// Memory, for the kernel's workers, after more and more of it
    Workers(WorkersArgs),
}

#[derive(Args, Clone, Debug)]
struct CopyArgs {
    /// `file`, `buffered`, `buffered-cold`, `uring`, `uring-offload`, `uring-list`, `uring-list-offload`, `module:HOW`,
    /// or `clone:DEVICE`, a dm-clone device of DST and SRC with regions of LEN
    way: Way,
    src: PathBuf,
    dst: PathBuf,
    #[arg(long, value_parser = size::parse, default_value = "0")]
    src_off: u64,
    #[arg(long, value_parser = size::parse, default_value = "0")]
    dst_off: u64,
    #[arg(long, value_parser = size::parse, default_value = "64K")]
    len: u64,
    /// Append to this file what happened
    #[arg(long)]
    log: PathBuf,
}

#[derive(Args, Clone, Debug)]
struct NthArgs {
    #[command(flatten)]
    copy: CopyArgs,
    /// Then repeat the steps in which memory or a bio failed so many times, and look for what was not given back
    #[arg(long, default_value_t = 0)]
    leaks: u32,
    /// DST is a stacked device, whose driver needs memory for bios
    #[arg(long)]
    stacked: bool,
}

impl SweepArgs {
    pub fn run(&self) -> Result<String> {
        match &self.command {
            What::Nth(args) => args.run(),
            What::Place(args) => args.run(),
            What::Unread(args) => args.run(),
            What::Workers(args) => args.run(),
        }
    }
}

/// The copy, and all that is looked at.
struct Stage {
    args: CopyArgs,
    region: Region,
    copier: Copier,
}

impl Stage {
    fn new(args: &CopyArgs) -> Result<Self> {
        let (from, to) = (args.src_off, args.dst_off);
        let copier = Copier::new(&args.way, &args.src, &args.dst, (from, to, args.len))?;
        Ok(Stage {
            region: Region::open(&args.way, &args.src, &args.dst, copier.place())?,
            copier,
            args: args.clone(),
        })
    }

    /// Before step `number`.
    fn prepare(&mut self, number: u32) -> Result<()> {
        let (from, to, _) = self.copier.place();
        self.region.prepare(number, (from, to))
    }

    /// After a copy: data, and what is in flight to the destination.
    fn check(&mut self, outcome: Outcome, write_back: WriteBack) -> Result<()> {
        let copied = match outcome.error {
            Some(_) if !self.args.way.tells_part() => self.region.prefix()?,
            _ => outcome.copied,
        };
        self.region.check(copied, write_back)?;
        nothing_in_flight(&self.args.dst)
    }

    fn log(&self, text: &str) -> Result<()> {
        let log = File::options()
            .append(true)
            .create(true)
            .open(&self.args.log);
        let mut log = log.context("cannot open the log")?;
        writeln!(log, "{text}").context("cannot write to the log")
    }
}

/// Is there nothing that this device was asked to copy, and that is not known to have ended?
fn nothing_in_flight(dst: &Path) -> Result<()> {
    let in_flight = counted(dst, "in_flight_sectors")?;
    ensure!(in_flight == 0, "{in_flight} sectors are still in flight");
    Ok(())
}

/// A counter of `copy_stats` of a destination.
fn counted(dst: &Path, name: &str) -> Result<u64> {
    let stats = stats_of(dst)?;
    counter(&stats, name).with_context(|| format!("copy_stats has no {name}"))
}

fn stats_of(dst: &Path) -> Result<String> {
    let name = dst.file_name().context("this names no device")?;
    let path = Path::new("/sys/kernel/debug/block")
        .join(name)
        .join("copy_stats");
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

fn counter(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line?.trim().parse().ok()
}

/// How the steps of one kind of fault have ended, and how often.
type Tally = BTreeMap<(&'static str, String), u64>;

/// One answer, without what differs from step to step.
fn kind_of(outcome: Outcome, len: u64) -> String {
    match outcome.error {
        Some(error) if outcome.copied == 0 => format!("{error:?}"),
        Some(error) => format!("{error:?} after a part"),
        None if outcome.copied < len => "short".into(),
        None => "whole".into(),
    }
}

fn text(tally: &Tally) -> String {
    let mut text = String::new();
    for ((name, answer), count) in tally {
        let _ = write!(text, ", {name}: {count} {answer}");
    }
    text
}

impl NthArgs {
    /// Returns what has failed.
    fn run(&self) -> Result<String> {
        let mut stage = Stage::new(&self.copy)?;
        let mut nth = Nth::open()?;
        let mut tally = Tally::new();
        let (mut kinds, mut cheap) = (BTreeSet::new(), Vec::new());
        let mut steps = 0;
        loop {
            steps += 1;
            ensure!(steps < MOST_STEPS, "it has no end");
            let met = self.step(&mut stage, &mut nth, steps, &mut tally);
            let met = met.with_context(|| format!("step {steps}"))?;
            let Some(fault) = met else { break };
            kinds.insert(fault);
            if matches!(fault, Fault::Memory | Fault::Bio) {
                cheap.push(steps);
            }
        }
        stage.log(&format!("{}: {steps} steps{}", self.copy.way, text(&tally)))?;
        self.leak(&mut stage, &mut nth, &cheap)?;
        ensure!(!kinds.is_empty(), "nothing was injected");
        let kinds: Vec<_> = kinds.iter().map(Fault::to_string).collect();
        Ok(kinds.join(", "))
    }

    /// Returns what has failed, if anything.
    fn step(
        &self,
        stage: &mut Stage,
        nth: &mut Nth,
        number: u32,
        tally: &mut Tally,
    ) -> Result<Option<Fault>> {
        stage.prepare(number)?;
        nth.arm(number)?;
        let outcome = stage.copier.copy();
        let left = nth.disarm()?;
        let outcome = outcome?;
        let (fault, name) = match left {
            0 => nth.what_failed()?,
            _ => {
                let whole = outcome == Outcome::good(self.copy.len);
                ensure!(whole, "nothing has failed, but {outcome}");
                stage.check(outcome, WriteBack::Whole)?;
                return Ok(None);
            }
        };
        let context = || format!("{name} has failed, {outcome}");
        judge::after(&self.copy.way, self.stacked, fault, outcome, self.copy.len)
            .with_context(context)?;
        let write_back = match fault {
            Fault::Bio | Fault::Timeout => WriteBack::MayFail,
            _ => WriteBack::Whole,
        };
        stage.check(outcome, write_back).with_context(context)?;
        *tally
            .entry((name, kind_of(outcome, self.copy.len)))
            .or_default() += 1;
        Ok(Some(fault))
    }

    /// Repeats these steps, and compares the number of objects in each slab cache. What others have allocated
    /// meanwhile does not grow each time.
    fn leak(&self, stage: &mut Stage, nth: &mut Nth, steps: &[u32]) -> Result<()> {
        if self.leaks == 0 {
            return Ok(());
        }
        let mut suspects: Option<BTreeSet<String>> = None;
        for _ in 0..TRIES {
            // What was freed counts until its cache is shrunk. That takes long, so only suspects are.
            let shrink = suspects.clone().unwrap_or_default();
            stage.prepare(1)?;
            slab::shrink(&shrink);
            let before = slab::count()?;
            for _ in 0..self.leaks {
                for step in steps {
                    nth.arm(*step)?;
                    let outcome = stage.copier.copy();
                    nth.disarm()?;
                    outcome?;
                }
            }
            stage.prepare(1)?;
            let (grown, most) = self.grown(&before, &shrink)?;
            stage.log(&format!(
                "{}: {} steps {} times; {most}",
                self.copy.way,
                steps.len(),
                self.leaks
            ))?;
            let left: BTreeSet<_> = match suspects.take() {
                None => grown.into_iter().collect(),
                Some(before) => grown
                    .into_iter()
                    .filter(|name| before.contains(name))
                    .collect(),
            };
            if left.is_empty() {
                return Ok(());
            }
            suspects = Some(left);
        }
        let names: Vec<_> = suspects.into_iter().flatten().collect();
        bail!("not all is given back: {} grew each time", names.join(", "));
    }

    /// Returns what has grown since then. It waits for what shrinks soon: a pool goes only after its last waiter.
    fn grown(&self, before: &Counts, shrink: &BTreeSet<String>) -> Result<(Vec<String>, String)> {
        let end = Instant::now() + PATIENCE;
        loop {
            slab::shrink(shrink);
            let grown = slab::grown(before, &slab::count()?, self.leaks.into());
            if grown.0.is_empty() || Instant::now() > end {
                return Ok(grown);
            }
            sleep(Duration::from_millis(100));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;

    #[test]
    fn finds_a_counter() {
        let text = "offloaded 3\noffloaded_sectors 24\nin_flight_sectors 8\n";
        assert_eq!(counter(text, "in_flight_sectors"), Some(8));
        assert_eq!(counter(text, "in_flight"), None);
        assert_eq!(counter(text, "nothing"), None);
    }

    #[test]
    fn answers_are_told_in_a_word() {
        let kind = |copied, error| kind_of(Outcome { copied, error }, 4096);
        assert_eq!(kind(4096, None), "whole");
        assert_eq!(kind(512, None), "short");
        assert_eq!(kind(0, Some(Errno::EIO)), "EIO");
        assert_eq!(kind(512, Some(Errno::EIO)), "EIO after a part");
    }
}
