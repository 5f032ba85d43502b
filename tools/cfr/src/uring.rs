// SPDX-License-Identifier: GPL-2.0
//! `cfr uring`: copies through io_uring.

mod bad;
mod chaos;
mod discard;
mod rate;

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{ensure, Context, Result};
use clap::{Args, Subcommand, ValueEnum};
use copyring::{Command, Copy, Entry, Range, Ring, Setup, Source};
use nix::errno::Errno;

use crate::copy::Outcome;
use crate::device::{self, Access, How};
use blkcopy::size;

#[derive(Args, Clone, Debug)]
pub struct UringArgs {
    #[command(subcommand)]
    command: What,
}

#[derive(Subcommand, Clone, Debug)]
enum What {
    /// One copy; prints `copied N` or `error NAME (copied 0)`
    Copy(CopyArgs),
    /// Everything that has to be refused; prints each case with its error
    Bad(bad::BadArgs),
    /// Discards, right and wrong ones; prints each case with its result
    Discard(discard::DiscardArgs),
    /// Random copies, many at a time, that are cancelled and whose rings are closed at random moments
    Chaos(chaos::ChaosArgs),
    /// Many copies, or writes, of one size; prints how many in a second
    Rate(rate::RateArgs),
}

impl UringArgs {
    pub fn run(&self) -> Result<String> {
        match &self.command {
            What::Copy(args) => args.run(),
            What::Bad(args) => args.run(),
            What::Discard(args) => args.run(),
            What::Chaos(args) => args.run(),
            What::Rate(args) => args.run(),
        }
    }
}

/// How the ring is set up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum RingKind {
    Plain,
    #[default]
    Defer,
    Poll,
}

impl From<RingKind> for Setup {
    fn from(kind: RingKind) -> Self {
        match kind {
            RingKind::Plain => Setup::Plain,
            RingKind::Defer => Setup::Defer,
            RingKind::Poll => Setup::Poll,
        }
    }
}

#[derive(Args, Clone, Debug)]
struct CopyArgs {
    src: PathBuf,
    dst: PathBuf,
    #[arg(long, value_parser = size::parse, default_value = "0")]
    src_off: u64,
    #[arg(long, value_parser = size::parse, default_value = "0")]
    dst_off: u64,
    #[arg(long, value_parser = size::parse)]
    len: u64,
    /// Many sources, as START+LENGTH,START+LENGTH
    #[arg(long, value_delimiter = ',', value_parser = range, conflicts_with = "src_off")]
    sources: Vec<Range>,
    /// The device or nothing
    #[arg(long)]
    offload: bool,
    /// Open both without O_DIRECT
    #[arg(long)]
    buffered: bool,
    /// Open DST with O_DSYNC
    #[arg(long)]
    dsync: bool,
    /// Access mode of SRC
    #[arg(long, value_enum, default_value = "r")]
    src_access: Access,
    /// Access mode of DST
    #[arg(long, value_enum, default_value = "w")]
    dst_access: Access,
    /// One descriptor, of DST, for both sides
    #[arg(long)]
    same_fd: bool,
    /// DST is a registered file
    #[arg(long)]
    fixed: bool,
    /// Have a worker of io_uring take it up (IOSQE_ASYNC)
    #[arg(long)]
    r#async: bool,
    /// Close the source's descriptor, and overwrite the list of sources, as soon as it was submitted
    #[arg(long)]
    forget: bool,
    /// Cancel it so many milliseconds later; prints also what came of that
    #[arg(long)]
    cancel_ms: Option<u64>,
    /// Cancel the copy after so many milliseconds, by a call that waits up to 20 s for its end, and print the answer
    #[arg(long, conflicts_with = "cancel_ms")]
    cancel_now_ms: Option<u64>,
    /// Cancel all copies after so many milliseconds, and print how many the kernel has found
    #[arg(long, conflicts_with_all = ["cancel_ms", "cancel_now_ms"])]
    cancel_all_ms: Option<u64>,
    /// Complain when submitting takes longer than so many milliseconds
    #[arg(long)]
    max_submit_ms: Option<u64>,
    #[arg(long, value_enum, default_value = "defer")]
    ring: RingKind,
    /// So many copies like this at the same time, each behind the one before; all must end alike
    #[arg(long, default_value_t = 1)]
    count: u64,
}

/// START+LENGTH.
fn range(text: &str) -> Result<Range, String> {
    let (offset, len) = text.split_once('+').ok_or("want START+LENGTH")?;
    let (offset, len) = (size::parse(offset)?, size::parse(len)?);
    Ok(Range { offset, len })
}

/// What has come of a copy.
pub fn outcome(result: std::io::Result<u64>) -> Outcome {
    match result {
        Ok(copied) => Outcome {
            copied,
            error: None,
        },
        Err(error) => Outcome::nothing(Errno::from_raw(error.raw_os_error().unwrap_or(0))),
    }
}

impl CopyArgs {
    fn run(&self) -> Result<String> {
        let access = if self.same_fd {
            Access::Rw
        } else {
            self.dst_access
        };
        let direct = !self.buffered;
        let dst = if self.dsync {
            open_dsync(&self.dst)?
        } else {
            device::open(&self.dst, How::new(access, direct))?
        };
        let src = match self.same_fd {
            true => None,
            false => Some(device::open(&self.src, How::new(self.src_access, direct))?),
        };
        let depth = u32::try_from(self.count * 2)?.next_power_of_two();
        let mut ring = Ring::with(depth, self.ring.into()).context("cannot set up a ring")?;
        if self.fixed {
            ring.register(&[dst.as_raw_fd()])?;
        }
        let mut sources = self.sources.clone();
        for tag in 0..self.count {
            self.push(&mut ring, (src.as_ref(), &dst), &sources, tag)?;
        }
        let started = Instant::now();
        ring.submit()?;
        let took = started.elapsed();
        if self
            .max_submit_ms
            .is_some_and(|most| took > Duration::from_millis(most))
        {
            println!("submitting took {} ms", took.as_millis());
        }
        if self.forget {
            drop(src);
            sources.fill(Range::default());
        }
        let mut said = String::new();
        if let Some(after) = self.cancel_ms {
            sleep(Duration::from_millis(after));
            ring.cancel(0, u64::MAX)?;
        }
        if let Some(after) = self.cancel_all_ms {
            sleep(Duration::from_millis(after));
            ring.cancel_all(&dst, u64::MAX)?;
        }
        if let Some(after) = self.cancel_now_ms {
            sleep(Duration::from_millis(after));
            let result = ring.cancel_now(0, 20);
            said = format!(", cancel: {}", answer(result.map(|()| 0)));
        }
        let mut all = Vec::new();
        while ring.under_way() > 0 {
            let done = ring.wait()?;
            match done.tag {
                u64::MAX if self.cancel_all_ms.is_some() => {
                    said = format!("{} cancelled", done.result?);
                }
                u64::MAX => said = format!(", cancel: {}", answer(done.result)),
                _ => all.push(outcome(done.result)),
            }
        }
        if self.cancel_all_ms.is_some() {
            return Ok(said);
        }
        let first = *all.first().context("nothing has ended")?;
        ensure!(all.iter().all(|other| *other == first), "{all:?}");
        Ok(format!("{first}{said}"))
    }

    fn push(
        &self,
        ring: &mut Ring,
        (src, dst): (Option<&File>, &File),
        sources: &[Range],
        tag: u64,
    ) -> Result<()> {
        let command = match self.offload {
            true => Command::Offload,
            false => Command::Copy,
        };
        let by = tag * self.len;
        if self.fixed || self.r#async || self.forget {
            // What the library keeps for the kernel is not kept here.
            let mut entry = Entry {
                fd: dst.as_raw_fd(),
                addr: self.dst_off + by,
                addr3: self.len,
                splice_fd_in: src.map_or(-1, AsRawFd::as_raw_fd),
                pad2: self.src_off + by,
                ..Entry::new(command)
            };
            if !sources.is_empty() {
                entry.len = u32::try_from(sources.len())?;
                entry.pad2 = sources.as_ptr().addr() as u64;
            }
            if self.fixed {
                entry.fd = 0;
                entry.flags |= Entry::FIXED_FILE;
            }
            if self.r#async {
                entry.flags |= Entry::ASYNC;
            }
            return Ok(ring.push_entry(&entry, tag)?);
        }
        let source = match sources {
            [] => Source::One(self.src_off + by),
            sources => Source::Many(sources),
        };
        let copy = Copy {
            command,
            dst: dst.as_raw_fd(),
            src: src.map(AsRawFd::as_raw_fd),
            to: self.dst_off + by,
            len: self.len,
            source,
        };
        Ok(ring.push(&copy, tag)?)
    }
}

fn open_dsync(path: &std::path::Path) -> Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = nix::fcntl::OFlag::O_DSYNC | nix::fcntl::OFlag::O_DIRECT;
    let mut options = File::options();
    let options = options.read(true).write(true).custom_flags(flags.bits());
    options
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))
}

/// What a request to cancel was answered.
fn answer(result: std::io::Result<u64>) -> String {
    match outcome(result) {
        Outcome { error: None, .. } => "done".into(),
        Outcome {
            error: Some(error), ..
        } => format!("{error:?}"),
    }
}
