// SPDX-License-Identifier: GPL-2.0
//! `cfr hostile`: copies with arguments that no honest program has.
//!
//! Offsets near 2^63 and 2^64, lengths of any size, flags, bad pointers and descriptors of all kinds, for
//! copy_file_range(2) and for the commands of io_uring, by several threads. Meanwhile others write to the limits
//! of the queues, and have partitions looked for. Every answer has to be one that is documented, and nothing may
//! be written but where a copy that is in order writes.

mod call;
mod entry;
mod files;
mod noise;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail, ensure, Result};
use blkcopy::aligned::AlignedBuf;
use clap::Args;
use nix::errno::Errno;

use self::files::{Files, Kind};
use crate::copy::Outcome;
use crate::device;
use crate::pattern::{self, Pattern};
use crate::random::Random;
use crate::recent::Recent;
use blkcopy::size;

/// What is in the first quarter of each device.
const GUARD: Pattern = Pattern::Seed(31);

/// The logical block that a copy in order is made of.
const BLOCK: u64 = 4096;

/// Addresses where this program has nothing: the first page, the end of what programs have, beyond that, and the
/// kernel.
const BAD_ADDRESSES: [usize; 5] = [1, 4095, 1 << 47, usize::MAX << 47, usize::MAX - 3];

#[derive(Args, Clone, Debug)]
pub struct HostileArgs {
    /// Devices whose first quarter has pattern 31, which is not written. All else there is lost
    #[arg(required = true)]
    devices: Vec<PathBuf>,
    /// The same, as large as the first of DEVICES, but it is suspended and gets another size meanwhile
    #[arg(long)]
    shaky: Vec<PathBuf>,
    /// A device that goes away and comes back meanwhile
    #[arg(long)]
    lost: Vec<PathBuf>,
    /// A copy_max_bytes that is written to meanwhile
    #[arg(long)]
    limit: Vec<PathBuf>,
    /// Have the partitions of DEVICES looked for meanwhile
    #[arg(long)]
    rescan: bool,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Copies in all
    #[arg(long, value_parser = size::parse, default_value = "1000")]
    ops: u64,
    /// Fewer, if they take longer than so many seconds
    #[arg(long, default_value_t = 3600)]
    seconds: u64,
    #[arg(long, default_value_t = 4)]
    threads: u64,
}

/// How copies have ended, by their kind.
#[derive(Default)]
struct Tally(BTreeMap<String, u64>);

impl Tally {
    fn count(&mut self, kind: &str, outcome: Outcome) {
        let name = match outcome {
            Outcome {
                error: Some(error), ..
            } => format!("{kind} {error:?}"),
            Outcome { copied: 0, .. } => format!("{kind} nothing"),
            Outcome { .. } => format!("{kind} copied"),
        };
        *self.0.entry(name).or_default() += 1;
    }
}

impl HostileArgs {
    pub fn run(&self) -> Result<String> {
        let stop = AtomicBool::new(false);
        let results: Vec<Result<Tally>> = thread::scope(|scope| {
            let noises: Vec<_> = self
                .noises()
                .into_iter()
                .map(|noise| scope.spawn(|| noise.until(&stop)))
                .collect();
            let threads: Vec<_> = (0..self.threads)
                .map(|number| scope.spawn(move || Hostile::new(self, number)?.run()))
                .collect();
            let copied = threads.into_iter().map(join).collect::<Vec<_>>();
            stop.store(true, Relaxed);
            let made = noises.into_iter().map(join);
            copied.into_iter().chain(made).collect()
        });
        let mut all = Tally::default();
        for result in results {
            for (name, count) in result?.0 {
                *all.0.entry(name).or_default() += count;
            }
        }
        let list = all.0.iter().map(|(name, count)| format!("{name}: {count}"));
        Ok(list.collect::<Vec<_>>().join("\n"))
    }

    fn noises(&self) -> Vec<noise::Noise> {
        let mut noises = Vec::new();
        for (path, seed) in self.limit.iter().zip(self.seed..) {
            let (path, random) = (path.clone(), Random::new(seed ^ 0xf00d));
            noises.push(noise::Noise::Limit(path, random));
        }
        if self.rescan {
            noises.extend(self.devices.iter().cloned().map(noise::Noise::Rescan));
        }
        noises
    }
}

fn join<T>(thread: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    let panicked = |_| Err(anyhow!("a thread panicked"));
    thread.join().unwrap_or_else(panicked)
}

/// A thread that copies.
struct Hostile {
    ops: u64,
    end: Instant,
    number: u64,
    threads: u64,
    random: Random,
    files: Files,
    tally: Tally,
    buffer: AlignedBuf,
    want: Vec<u8>,
    call: call::Memory,
    ring: Option<copyring::Ring>,
}

impl Hostile {
    fn new(args: &HostileArgs, number: u64) -> Result<Self> {
        let files = Files::open(&args.devices, &args.shaky, &args.lost)?;
        for target in &files.targets {
            let zone = target.size / 4 / args.threads;
            ensure!(zone >= 64 * BLOCK, "a device is too small");
        }
        Ok(Self {
            ops: args.ops / args.threads,
            end: Instant::now() + Duration::from_secs(args.seconds),
            number,
            threads: args.threads,
            random: Random::new(pattern::mix(args.seed) ^ number),
            files,
            tally: Tally::default(),
            buffer: AlignedBuf::new(device::BUFFER),
            want: vec![0; device::BUFFER],
            call: call::Memory::new()?,
            ring: None,
        })
    }

    fn run(mut self) -> Result<Tally> {
        let mut recent = Recent::new(12);
        let mut done = 0;
        while done < self.ops && Instant::now() < self.end {
            let result = if self.random.one_in(2) {
                self.call(&mut recent).map(|()| 1)
            } else {
                self.entries(&mut recent)
            };
            let at = format!("thread {}, copy {done}", self.number);
            done += result.map_err(|error| recent.explain(at, &error))?;
        }
        Ok(self.tally)
    }

    /// The bytes of a device that this thread alone writes.
    fn zone(&self, size: u64) -> Range<u64> {
        let len = (size / 4 / self.threads) & !(BLOCK - 1);
        let start = size / 4 + self.number * len;
        start..start + len
    }

    /// Any offset: such that there are, and such that there are not.
    fn any_offset(&mut self, size: u64) -> u64 {
        let near = self.random.index(3) as u64 * BLOCK + self.random.index(3) as u64;
        let edge = match self.random.index(6) {
            0 => 0,
            1 => size,
            2 => 1 << 63,
            3 => u64::from(u32::MAX),
            4 => self.random.next(),
            _ => self.random.next() % size,
        };
        match self.random.one_in(2) {
            true => edge.wrapping_add(near),
            false => edge.wrapping_sub(near),
        }
    }

    /// Any length.
    fn any_length(&mut self, size: u64) -> u64 {
        match self.random.index(16) {
            0 => 0,
            1 => self.random.log(5000) as u64,
            2 => copyring::MOST + self.random.index(3) as u64 * BLOCK - BLOCK,
            3 => size,
            4 => u64::MAX - self.random.index(5000) as u64,
            5 => (1 << 63) - self.random.index(5000) as u64,
            6 => 1 << self.random.index(64),
            _ => self.random.log(1 << 20) as u64 & !(BLOCK - 1),
        }
    }

    /// Blocks of the guard: a source whose data is known.
    fn good_source(&mut self, size: u64, len: u64) -> u64 {
        let last = (size / 4).saturating_sub(len) / BLOCK;
        self.random.index(usize::try_from(last).unwrap_or(0)) as u64 * BLOCK
    }

    /// Counts an answer, and looks whether it is allowed.
    fn judge(&mut self, answer: &Answer<'_>) -> Result<()> {
        let Answer { kind, outcome, .. } = *answer;
        self.tally.count(kind, outcome);
        if let Some(error) = outcome.error {
            let gone = [Errno::EIO, Errno::ENODEV];
            let known = answer.errors.contains(&error) || answer.may_fail && gone.contains(&error);
            ensure!(known, "{error:?} is not documented for this");
            return Ok(());
        }
        let copied = outcome.copied;
        ensure!(copied <= answer.len, "{copied} of {} bytes", answer.len);
        if copied > 0 && answer.refused {
            bail!("{copied} bytes were copied, though something was wrong");
        }
        Ok(())
    }

    /// Compares what was copied with what was read.
    fn compare(
        &mut self,
        target: usize,
        to: u64,
        from: impl Iterator<Item = Range<u64>>,
        copied: u64,
    ) -> Result<()> {
        let target = &self.files.targets[target];
        let len = usize::try_from(copied)?;
        ensure!(len <= self.want.len(), "{copied} bytes are too many");
        let mut at = 0;
        for range in from {
            let now = usize::try_from(range.end - range.start)?.min(len - at);
            GUARD.fill(range.start, &mut self.want[at..at + now]);
            at += now;
        }
        ensure!(at == len, "{copied} bytes were copied of {at}");
        let got = &mut self.buffer[..len];
        device::read_exact(target.buffered(), got, to)?;
        pattern::compare(to, got, &self.want[..len])
    }
}

/// What a copy was answered.
struct Answer<'a> {
    kind: &'a str,
    outcome: Outcome,
    /// How much was to be copied.
    len: u64,
    /// Something was wrong for which nothing may be copied.
    refused: bool,
    /// A device may have gone, or become smaller.
    may_fail: bool,
    errors: &'a [Errno],
}

/// Whether a copy to there leaves alone what has to stay as it is.
fn may_write(size: u64, zone: &Range<u64>, at: u64, len: u64) -> bool {
    let in_zone = zone.contains(&at) && len <= zone.end - at;
    at >= size / 2 || in_zone
}

impl Kind {
    fn may_fail(self) -> bool {
        self != Kind::Steady
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_guarded_is_not_written() {
        let zone = 256..320;
        for (at, len, fine) in [
            (0, 1, false),
            (255, 1, false),
            (256, 64, true),
            (256, 65, false),
            (319, u64::MAX, false),
            (320, 1, false),
            (512, u64::MAX, true),
            (u64::MAX, u64::MAX, true),
        ] {
            assert_eq!(may_write(1024, &zone, at, len), fine, "{at} {len}");
        }
    }

    #[test]
    fn answers_are_counted_by_kind_and_error() {
        let mut tally = Tally::default();
        let copied = |copied| Outcome {
            copied,
            error: None,
        };
        tally.count("call", copied(0));
        tally.count("call", copied(7));
        tally.count("ring", Outcome::nothing(Errno::EFAULT));
        let names: Vec<_> = tally.0.keys().map(String::as_str).collect();
        assert_eq!(names, ["call copied", "call nothing", "ring EFAULT"]);
    }
}
