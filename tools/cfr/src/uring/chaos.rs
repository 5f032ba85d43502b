// SPDX-License-Identifier: GPL-2.0
//! `cfr uring chaos`: random copies, many at a time, that are cancelled and whose rings are closed at random
//! moments. What a copy says that it has copied has to be there.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure, Context, Result};
use blkcopy::aligned::AlignedBuf;
use clap::Args;
use copyring::{Command, Copy, Range, Ring, Setup, Source};
use nix::errno::Errno;

use super::outcome;
use crate::copy::Outcome;
use crate::device::{self, Access, How};
use crate::pattern::{self, Pattern};
use crate::random::Random;
use blkcopy::size;

#[derive(Args, Clone, Debug)]
pub struct ChaosArgs {
    /// Where what is copied lies: its first quarter is written first
    device: PathBuf,
    /// Where it is copied to; without it, to the other quarters of DEVICE
    #[arg(long)]
    to: Option<PathBuf>,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// So many copies in all
    #[arg(long, default_value_t = 1000)]
    ops: u64,
    /// So many rings in all, instead
    #[arg(long)]
    rings: Option<u64>,
    /// A byte is added to this file for each ring
    #[arg(long)]
    count: Option<PathBuf>,
    /// The most that one copies
    #[arg(long, value_parser = size::parse, default_value = "2M")]
    most: u64,
    /// The device may go away: copies fail with EIO, ENXIO or ENODEV then
    #[arg(long)]
    may_fail: bool,
    /// Devices may refuse what they alone are asked to copy
    #[arg(long)]
    may_refuse: bool,
    /// Open the device without O_DIRECT, so that there are pages
    #[arg(long)]
    buffered: bool,
}

const BLOCK: u64 = 4096;
const PATTERN: Pattern = Pattern::Seed(77);

/// A copy under way.
struct Sent {
    command: Command,
    to: u64,
    len: u64,
    from: Vec<Range>,
}

/// How copies have ended.
#[derive(Default)]
struct Tally {
    complete: u64,
    short: u64,
    cancelled: u64,
    failed: u64,
    refused: u64,
    /// Of rings that were closed.
    unknown: u64,
}

struct Chaos<'a> {
    args: &'a ChaosArgs,
    random: Random,
    src: File,
    dst: File,
    quarter: u64,
    tally: Tally,
    buffer: AlignedBuf,
    want: Vec<u8>,
}

impl ChaosArgs {
    pub fn run(&self) -> Result<String> {
        let direct = !self.buffered;
        let mut src = device::open(&self.device, How::new(Access::Rw, direct))?;
        let to = self.to.as_ref().unwrap_or(&self.device);
        let mut dst = device::open(to, How::new(Access::Rw, direct))?;
        let size = device::size(&mut src)?.min(device::size(&mut dst)?);
        let quarter = (size / 4) & !(BLOCK - 1);
        ensure!(
            self.most >= BLOCK && quarter / 32 >= self.most,
            "the device is too small"
        );
        let most = usize::try_from(self.most)?;
        let mut buffer = AlignedBuf::new(most);
        for (at, len) in device::pieces(quarter, most) {
            let data = &mut buffer[..len];
            PATTERN.fill(at, data);
            device::write_all(&src, data, at)?;
        }
        let mut chaos = Chaos {
            args: self,
            random: Random::new(self.seed),
            src,
            dst,
            quarter,
            tally: Tally::default(),
            buffer,
            want: vec![0; most],
        };
        let mut count = match &self.count {
            Some(path) => Some(File::options().append(true).create(true).open(path)?),
            None => None,
        };
        let (mut done, mut rings) = (0, 0);
        while self.rings.map_or(done < self.ops, |most| rings < most) {
            done += chaos.round()?;
            rings += 1;
            if let Some(file) = &mut count {
                file.write_all(b".")?;
            }
        }
        let Tally {
            complete,
            short,
            cancelled,
            failed,
            refused,
            unknown,
        } = chaos.tally;
        Ok(format!(
            "every completion is exact: {complete} complete, {short} short, {cancelled} cancelled, \
             {failed} failed, {refused} refused, {unknown} of closed rings; {rings} rings"
        ))
    }
}

impl Chaos<'_> {
    /// Copies with one ring. Returns how many.
    fn round(&mut self) -> Result<u64> {
        let setup = [Setup::Plain, Setup::Defer, Setup::Poll][self.random.index(3)];
        let mut ring = Ring::with(128, setup).context("cannot set up a ring")?;
        let count = self.random.log(32) as u64;
        // What a closed ring has under way may be written later: to a place of its own.
        let closes = self.random.one_in(4);
        let zone = if closes { 2 } else { 1 } * self.quarter;
        let mut under_way = HashMap::new();
        for tag in 0..count {
            let sent = self.plan(zone, tag);
            let command = sent.command;
            let source = match sent.from.as_slice() {
                [one] => Source::One(one.offset),
                many => Source::Many(many),
            };
            let copy = Copy {
                command,
                dst: self.dst.as_raw_fd(),
                src: Some(self.src.as_raw_fd()),
                to: sent.to,
                len: sent.len,
                source,
            };
            ring.push(&copy, tag)?;
            under_way.insert(tag, sent);
        }
        ring.submit()?;
        self.wait_a_moment();
        if closes {
            self.tally.unknown += count;
            return Ok(count);
        }
        let cancels = self.random.index(4) as u64;
        for number in 0..cancels {
            let own = u64::MAX - number;
            if self.random.one_in(4) {
                ring.cancel_all(&self.dst, own)?;
            } else {
                ring.cancel(self.random.index(32) as u64, own)?;
            }
            if self.random.one_in(2) {
                ring.submit()?;
                self.wait_a_moment();
            }
        }
        while ring.under_way() > 0 {
            let done = ring.wait()?;
            let ended = outcome(done.result);
            match under_way.remove(&done.tag) {
                Some(sent) => self.check(&sent, ended, cancels > 0)?,
                None => check_cancel(ended)?,
            }
        }
        ensure!(under_way.is_empty(), "{} have not ended", under_way.len());
        Ok(count)
    }

    fn wait_a_moment(&mut self) {
        let until = Instant::now() + Duration::from_micros(self.random.log(2000) as u64 - 1);
        while Instant::now() < until {
            std::hint::spin_loop();
        }
    }

    /// A copy to the place of this number.
    fn plan(&mut self, zone: u64, number: u64) -> Sent {
        let most = self.args.most;
        let blocks = |random: &mut Random, most: u64| random.log((most / BLOCK) as usize) as u64;
        let mut from = Vec::new();
        let mut len = 0;
        let want = blocks(&mut self.random, most) * BLOCK;
        let many = self.random.one_in(3);
        while len < want {
            let rest = want - len;
            let now = if many {
                blocks(&mut self.random, rest) * BLOCK
            } else {
                rest
            };
            let last = (self.quarter - now) / BLOCK;
            let offset = self.random.index(last as usize + 1) as u64 * BLOCK;
            from.push(Range { offset, len: now });
            len += now;
        }
        let command = match self.random.one_in(3) {
            true => Command::Offload,
            false => Command::Copy,
        };
        Sent {
            command,
            to: zone + number * most,
            len,
            from,
        }
    }

    fn check(&mut self, sent: &Sent, ended: Outcome, may_cancel: bool) -> Result<()> {
        let copied = match ended {
            Outcome {
                error: Some(Errno::ECANCELED),
                ..
            } if may_cancel => {
                self.tally.cancelled += 1;
                return Ok(());
            }
            Outcome {
                error: Some(Errno::EOPNOTSUPP),
                ..
            } if self.args.may_refuse && sent.command == Command::Offload => {
                self.tally.refused += 1;
                return Ok(());
            }
            Outcome {
                error: Some(Errno::EIO | Errno::ENXIO | Errno::ENODEV),
                ..
            } if self.args.may_fail => {
                self.tally.failed += 1;
                return Ok(());
            }
            Outcome {
                error: Some(error), ..
            } => bail!("{error:?} of {} bytes to {}", sent.len, sent.to),
            Outcome { copied, .. } => copied,
        };
        ensure!(
            copied > 0 && copied <= sent.len && copied % BLOCK == 0,
            "{copied} of {} bytes copied",
            sent.len
        );
        if copied == sent.len {
            self.tally.complete += 1;
        } else {
            ensure!(
                may_cancel
                    || self.args.may_fail
                    || sent.command == Command::Offload && self.args.may_refuse,
                "{copied} of {} bytes copied",
                sent.len
            );
            self.tally.short += 1;
        }
        let len = usize::try_from(copied)?;
        let mut at = 0;
        for range in &sent.from {
            let now = usize::try_from(range.len)?.min(len - at);
            PATTERN.fill(range.offset, &mut self.want[at..at + now]);
            at += now;
        }
        let got = &mut self.buffer[..len];
        match device::read_exact(&self.dst, got, sent.to) {
            Err(_) if self.args.may_fail => return Ok(()),
            result => result?,
        }
        pattern::compare(sent.to, got, &self.want[..len])
    }
}

/// What a request to cancel may be answered.
fn check_cancel(ended: Outcome) -> Result<()> {
    match ended.error {
        None | Some(Errno::ENOENT | Errno::EALREADY) => Ok(()),
        Some(error) => bail!("a request to cancel has failed: {error:?}"),
    }
}
