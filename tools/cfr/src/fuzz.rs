// SPDX-License-Identifier: GPL-2.0
//! `cfr fuzz`: random Copy commands of NVMe, past the block layer, as a hostile host sends them.
//!
//! Right ones and such that are wrong in every way that can be thought of, writes among them, by several threads
//! that have a part of the namespace each. Every answer has to be one that the specification allows, and what
//! is on the namespace has to be what a model says.

mod plan;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{anyhow, bail, ensure, Context, Result};
use blkcopy::aligned::AlignedBuf;
use clap::Args;

use self::plan::{meaning, Meaning, Operation, Plan, Region};
use crate::device;
use crate::nvme::command::{Answer, Command, Limits, Namespace, Range};
use crate::pattern::{self, Pattern};
use crate::recent::Recent;
use blkcopy::size;

/// All of a region is compared after so many operations.
const EVERY: u64 = 64;

/// Statuses of a command that was cut off: its queue or its namespace has gone, or its path.
const CUT_OFF: [u16; 6] = [0x007, 0x008, 0x00b, 0x303, 0x370, 0x371];

/// How long a command that was cut off may still be on its way in the target.
const SETTLE: Duration = Duration::from_millis(500);

/// How often the start is tried again, while there is no path.
const TRIES: u32 = 20;

#[derive(Args, Clone, Debug)]
pub struct FuzzArgs {
    /// A namespace. All that is on its first part is lost
    device: PathBuf,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Operations in all
    #[arg(long, value_parser = size::parse, default_value = "1000")]
    ops: u64,
    /// Go on after these until there is such a file
    #[arg(long)]
    until: Option<PathBuf>,
    #[arg(long, default_value_t = 4)]
    threads: u64,
    /// Bytes of the namespace that each thread has
    #[arg(long, value_parser = size::parse, default_value = "512K")]
    size: u64,
    /// Connections may be cut, and namespaces disabled, meanwhile
    #[arg(long)]
    may_fail: bool,
}

/// How commands ended.
#[derive(Default)]
struct Tally(BTreeMap<String, u64>);

impl Tally {
    fn count(&mut self, name: String) {
        *self.0.entry(name).or_default() += 1;
    }

    fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }
}

impl FuzzArgs {
    pub fn run(&self) -> Result<String> {
        let limits = retry(|| Namespace::open(&self.device)?.limits())?;
        ensure!(limits.mcl > 0, "the namespace cannot copy");
        let blocks = self.size / limits.block;
        ensure!(blocks >= 16, "too small");
        ensure!(blocks * self.threads <= limits.blocks, "too large");
        let results: Vec<Result<Tally>> = thread::scope(|scope| {
            let start = |number| {
                let start = number * blocks;
                scope.spawn(move || {
                    Fuzzer::new(self, limits, Region { start, blocks }, number)?.run()
                })
            };
            let threads: Vec<_> = (0..self.threads).map(start).collect();
            let join = |thread: thread::ScopedJoinHandle<'_, _>| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err(anyhow!("a thread panicked")))
            };
            threads.into_iter().map(join).collect()
        });
        let mut all = Tally::default();
        for result in results {
            for (name, count) in result?.0 {
                *all.0.entry(name).or_default() += count;
            }
        }
        let (copied, failed) = (all.of("copied"), all.of("cut off"));
        let refused = all.0.values().sum::<u64>() - copied - failed;
        eprintln!("{:?}", all.0);
        ensure!(
            copied > 0 && refused > 0,
            "{copied} copied, {refused} refused"
        );
        ensure!(failed == 0 || self.may_fail, "{failed} were cut off");
        Ok(format!("{} operations, model agrees", self.ops))
    }
}

struct Fuzzer<'a> {
    args: &'a FuzzArgs,
    namespace: Namespace,
    limits: Limits,
    region: Region,
    plan: Plan,
    /// The region's right content.
    model: Vec<u8>,
    buffer: AlignedBuf,
    recent: Recent,
    number: u64,
}

impl<'a> Fuzzer<'a> {
    fn new(args: &'a FuzzArgs, limits: Limits, region: Region, number: u64) -> Result<Self> {
        let size = usize::try_from(args.size)?;
        let mut fuzzer = Self {
            args,
            namespace: retry(|| Namespace::open(&args.device))?,
            limits,
            region,
            plan: Plan::new(args.seed.wrapping_add(number << 32), limits, region),
            model: vec![0; size],
            buffer: AlignedBuf::new(size),
            recent: Recent::new(8),
            number,
        };
        fuzzer.write(region.start, region.blocks, args.seed)?;
        Ok(fuzzer)
    }

    fn run(mut self) -> Result<Tally> {
        let mut tally = Tally::default();
        let mut numbers = 0..;
        while let Some(number) = numbers.next().filter(|number| self.goes_on(*number)) {
            let what = self.step(number).map_err(|err| {
                let (thread, seed) = (self.number, self.args.seed);
                let at = format!("operation {number} of thread {thread}, seed {seed}");
                self.recent.explain(at, &err)
            })?;
            tally.count(what);
        }
        self.compare(self.region.start, self.region.blocks)
            .context("at the end")?;
        Ok(tally)
    }

    /// Whether there is another operation after so many.
    fn goes_on(&self, done: u64) -> bool {
        let waits = |file: &PathBuf| !file.exists();
        done < self.args.ops / self.args.threads || self.args.until.as_ref().is_some_and(waits)
    }

    /// One operation. Returns how it ended.
    fn step(&mut self, number: u64) -> Result<String> {
        let what = match self.plan.next() {
            Operation::Write { at, blocks, seed } => {
                self.note(format!("{number}: write {at}+{blocks}"));
                self.write(at, blocks, seed)?;
                String::from("written")
            }
            Operation::Copy(mut command) => {
                let meaning = meaning(&command, self.limits);
                self.copy(number, &mut command, &meaning)?
            }
        };
        if number % EVERY == EVERY - 1 {
            self.compare(self.region.start, self.region.blocks)?;
        }
        Ok(what)
    }

    fn note(&mut self, text: String) {
        self.recent.note(text.chars().take(400).collect());
    }

    fn copy(&mut self, number: u64, command: &mut Command, meaning: &Meaning) -> Result<String> {
        let answer = self.namespace.send(command);
        self.note(format!(
            "{number}: {answer:?} of {} due, count={} format={} len={} to={:?} from={:?}",
            meaning.due.len(),
            command.count,
            command.format,
            command.data.len(),
            meaning.to,
            meaning.sources
        ));
        match answer {
            Answer::Status(0, _) if meaning.due.is_empty() => {
                self.apply(meaning);
                self.compare(meaning.to.start, u64::from(meaning.to.blocks))?;
                Ok(String::from("copied"))
            }
            Answer::Status(status, missing) if meaning.due.contains(&status) => {
                ensure!(
                    missing == 0,
                    "nothing was copied, but range {missing} is the first one that was not"
                );
                Ok(format!("{status:#x}"))
            }
            Answer::Status(status, _) if self.args.may_fail && CUT_OFF.contains(&status) => {
                self.accept_torn(meaning)?;
                Ok(String::from("cut off"))
            }
            Answer::Errno(_) if self.args.may_fail => {
                self.accept_torn(meaning)?;
                Ok(String::from("cut off"))
            }
            answer => bail!("{answer:?}, but {:#x?} was due", meaning.due),
        }
    }

    /// Where blocks are in the model.
    fn bytes(&self, range: Range) -> std::ops::Range<usize> {
        let at = ((range.start - self.region.start) * self.limits.block) as usize;
        at..at + (u64::from(range.blocks) * self.limits.block) as usize
    }

    fn new_data(&self, meaning: &Meaning) -> Vec<u8> {
        let parts = meaning
            .sources
            .iter()
            .map(|source| &self.model[self.bytes(*source)]);
        parts.flatten().copied().collect()
    }

    fn apply(&mut self, meaning: &Meaning) {
        let new = self.new_data(meaning);
        let place = self.bytes(meaning.to);
        self.model[place].copy_from_slice(&new);
    }

    /// After a command that was cut off: each block is either old or new, if it was right.
    fn accept_torn(&mut self, meaning: &Meaning) -> Result<()> {
        thread::sleep(SETTLE);
        if !meaning.due.is_empty() {
            return Ok(());
        }
        let new = self.new_data(meaning);
        let place = self.bytes(meaning.to);
        let at = meaning.to.start * self.limits.block;
        let got = &mut self.buffer[..new.len()];
        read(&self.namespace, got, at)?;
        let old = &mut self.model[place];
        let block = self.limits.block as usize;
        let blocks = got
            .chunks(block)
            .zip(old.chunks(block))
            .zip(new.chunks(block));
        for (number, ((got, old), new)) in blocks.enumerate() {
            ensure!(
                got == old || got == new,
                "block {number} of it is neither old nor new"
            );
        }
        old.copy_from_slice(got);
        Ok(())
    }

    fn write(&mut self, at: u64, blocks: u64, seed: u64) -> Result<()> {
        let place = self.bytes(Range {
            start: at,
            blocks: u32::try_from(blocks)?,
        });
        let buf = &mut self.buffer[..place.len()];
        Pattern::Seed(seed).fill(at * self.limits.block, buf);
        self.model[place].copy_from_slice(buf);
        retry(|| device::write_all(&self.namespace.file, buf, at * self.limits.block))
    }

    fn compare(&mut self, at: u64, blocks: u64) -> Result<()> {
        let place = self.bytes(Range {
            start: at,
            blocks: u32::try_from(blocks)?,
        });
        let got = &mut self.buffer[..place.len()];
        read(&self.namespace, got, at * self.limits.block)?;
        pattern::compare(at * self.limits.block, got, &self.model[place])
    }
}

fn read(namespace: &Namespace, buf: &mut [u8], at: u64) -> Result<()> {
    retry(|| device::read_exact(&namespace.file, buf, at))
}

/// While there is no path, nothing can be done.
fn retry<T>(mut f: impl FnMut() -> Result<T>) -> Result<T> {
    for _ in 1..TRIES {
        if let Ok(value) = f() {
            return Ok(value);
        }
        thread::sleep(SETTLE);
    }
    f()
}
