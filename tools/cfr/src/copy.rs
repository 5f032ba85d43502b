// SPDX-License-Identifier: GPL-2.0
//! `cfr copy`: copy_file_range(2) with everything under the caller's control.

use std::fmt;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure, Context, Result};
use clap::Args;
use nix::errno::Errno;

use crate::alarm::{Alarm, Alarms};
use crate::device::{self, Access, How};
use crate::mark::Mark;
use blkcopy::size;

/// One system call by default: what it returned is what is printed.
#[derive(Args, Clone, Debug)]
pub struct CopyArgs {
    src: PathBuf,
    dst: PathBuf,
    #[arg(long, value_parser = size::parse, default_value = "0")]
    src_off: u64,
    #[arg(long, value_parser = size::parse, default_value = "0")]
    dst_off: u64,
    /// Bytes to copy; without it, up to the end of SRC
    #[arg(long, value_parser = size::parse)]
    len: Option<u64>,
    /// Call again until LEN bytes are copied, or nothing more is
    #[arg(long)]
    full: bool,
    /// Open SRC without O_DIRECT
    #[arg(long)]
    src_buffered: bool,
    /// Open DST without O_DIRECT
    #[arg(long)]
    dst_buffered: bool,
    /// Open both without O_DIRECT
    #[arg(long)]
    buffered: bool,
    /// Access mode of SRC
    #[arg(long, value_enum, default_value = "r")]
    src_access: Access,
    /// Access mode of DST
    #[arg(long, value_enum, default_value = "w")]
    dst_access: Access,
    /// Open DST with O_APPEND
    #[arg(long)]
    append: bool,
    /// Open DST with O_DSYNC
    #[arg(long)]
    dsync: bool,
    /// Use one descriptor, of SRC, for both sides
    #[arg(long)]
    same_fd: bool,
    /// Hand over no offsets: the files' own positions are used, and must have moved afterwards
    #[arg(long)]
    positions: bool,
    /// Do it so many times; all must end alike
    #[arg(long, default_value_t = 1)]
    repeat: u64,
    /// Do it until it fails or copies less
    #[arg(long, conflicts_with = "repeat")]
    until_error: bool,
    /// Do it until there is this file, and say how each copy ended
    #[arg(long, conflicts_with_all = ["repeat", "until_error"])]
    until: Option<PathBuf>,
    /// Let the kernel's fault injection have its way with this task while it copies
    #[arg(long)]
    make_it_fail: bool,
    /// Complain when one call takes longer than so many milliseconds
    #[arg(long)]
    max_ms: Option<u64>,
    /// Complain when the first call takes less than so many milliseconds
    #[arg(long)]
    min_ms: Option<u64>,
    /// Write `copy begins` and `copy ends` to this file around it: the trace_marker of a trace that is to tell
    /// what the copy did from what others do
    #[arg(long)]
    mark: Option<PathBuf>,
    /// Have a handler of SIGALRM run every so many milliseconds; a call of --full that it interrupts is made
    /// again. Prints also how many calls and alarms there were, and how late the handler ran at worst
    #[arg(long, conflicts_with_all = ["repeat", "until_error", "until"])]
    alarm_ms: Option<u64>,
}

/// How a copy ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub copied: u64,
    pub error: Option<Errno>,
}

impl Outcome {
    /// A copy of `copied` bytes that ended without an error.
    pub fn good(copied: u64) -> Self {
        let error = None;
        Self { copied, error }
    }

    /// Nothing was copied.
    pub fn nothing(error: Errno) -> Self {
        let (copied, error) = (0, Some(error));
        Self { copied, error }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.error {
            None => write!(f, "copied {}", self.copied),
            Some(error) => write!(f, "error {error:?} (copied {})", self.copied),
        }
    }
}

/// What `cfr copy` has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    pub outcome: Outcome,
    /// Calls and alarms, if there were any of the latter.
    pub alarms: Option<(u64, Alarms)>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.outcome)?;
        match self.alarms {
            None => Ok(()),
            Some((calls, alarms)) => write!(f, ", {calls} calls, {alarms}"),
        }
    }
}

/// One copy_file_range(2) with offsets.
pub fn copy_at(src: &File, src_off: u64, dst: &File, dst_off: u64, len: u64) -> Result<Outcome> {
    let mut from = i64::try_from(src_off).context("source offset is above 2^63")?;
    let mut to = i64::try_from(dst_off).context("destination offset is above 2^63")?;
    let len = usize::try_from(len).context("the length does not fit this machine")?;
    Ok(
        match nix::fcntl::copy_file_range(src, Some(&mut from), dst, Some(&mut to), len) {
            Ok(copied) => {
                let copied = copied as u64;
                ensure!(
                    from.unsigned_abs() == src_off + copied
                        && to.unsigned_abs() == dst_off + copied,
                    "{copied} bytes copied, but the offsets became {from} and {to}"
                );
                Outcome::good(copied)
            }
            Err(error) => Outcome::nothing(error),
        },
    )
}

/// One copy_file_range(2) at the files' positions, which are set before and checked after.
fn copy_at_positions(
    mut src: &File,
    src_off: u64,
    mut dst: &File,
    dst_off: u64,
    len: u64,
) -> Result<Outcome> {
    src.seek(SeekFrom::Start(src_off))?;
    dst.seek(SeekFrom::Start(dst_off))?;
    let len = usize::try_from(len).context("the length does not fit this machine")?;
    let outcome = match nix::fcntl::copy_file_range(src, None, dst, None, len) {
        Ok(copied) => Outcome {
            copied: copied as u64,
            error: None,
        },
        Err(error) => Outcome::nothing(error),
    };
    let (from, to) = (src.stream_position()?, dst.stream_position()?);
    ensure!(
        from == src_off + outcome.copied && to == dst_off + outcome.copied,
        "{outcome}, but the positions became {from} and {to}"
    );
    Ok(outcome)
}

impl CopyArgs {
    fn open(&self) -> Result<(File, File)> {
        let direct_src = !self.buffered && !self.src_buffered;
        let direct_dst = !self.buffered && !self.dst_buffered;
        if self.same_fd {
            ensure!(
                self.src == self.dst,
                "--same-fd needs the same file on both sides"
            );
            let file = device::open(&self.src, How::new(Access::Rw, direct_src))?;
            let other = file
                .try_clone()
                .context("cannot duplicate the descriptor")?;
            return Ok((file, other));
        }
        let how = How {
            append: self.append,
            dsync: self.dsync,
            ..How::new(self.dst_access, direct_dst)
        };
        Ok((
            device::open(&self.src, How::new(self.src_access, direct_src))?,
            device::open(&self.dst, how)?,
        ))
    }

    /// One call, or as many as it takes; how it ended, and how many there were.
    fn once(&self, src: &File, dst: &File, len: u64) -> Result<(Outcome, u64)> {
        let mut total = Outcome::good(0);
        let mut calls = 0;
        loop {
            let (from, to) = (self.src_off + total.copied, self.dst_off + total.copied);
            let rest = len - total.copied;
            let one = if self.positions {
                copy_at_positions(src, from, dst, to, rest)?
            } else {
                copy_at(src, from, dst, to, rest)?
            };
            calls += 1;
            total.copied += one.copied;
            total.error = one.error;
            let again =
                one.copied > 0 || self.alarm_ms.is_some() && one.error == Some(Errno::EINTR);
            if !self.full || !again || total.copied >= len {
                return Ok((total, calls));
            }
        }
    }

    /// Copies as the arguments say, and tells how the (last) copy ended.
    pub fn run(&self) -> Result<Report> {
        let (mut src, dst) = self.open()?;
        let len = match self.len {
            Some(len) => len,
            None => device::range(&mut src, self.src_off, None)?,
        };
        let mark = self.make_it_fail.then(Mark::new).transpose()?;
        let alarm = self.alarm_ms.map(Duration::from_millis);
        let alarm = alarm.map(Alarm::every).transpose()?;
        let trace = self.mark.as_ref().map(|path| {
            let file = File::options().write(true).open(path);
            file.with_context(|| format!("cannot open {}", path.display()))
        });
        let trace = trace.transpose()?;
        let say = |text: &[u8]| match trace.as_ref() {
            Some(mut file) => file.write_all(text).context("cannot mark the trace"),
            None => Ok(()),
        };
        say(b"copy begins\n")?;
        let result = self.repeat(&src, &dst, len);
        say(b"copy ends\n")?;
        let seen = alarm.as_ref().map(Alarm::seen);
        drop(alarm);
        drop(mark);
        let (outcome, calls) = result?;
        Ok(Report {
            outcome,
            alarms: seen.map(|seen| (calls, seen)),
        })
    }

    /// Does it as often as it is told to; how it ended, and how many calls the first time took.
    fn repeat(&self, src: &File, dst: &File, len: u64) -> Result<(Outcome, u64)> {
        let start = Instant::now();
        let (first, calls) = self.once(src, dst, len)?;
        let mut took = start.elapsed();
        if self
            .min_ms
            .is_some_and(|min| took < Duration::from_millis(min))
        {
            bail!("{first}, but already after {} ms", took.as_millis());
        }
        let mut last = first;
        let mut done = 1;
        while self.goes_on(last, len, done) {
            if self.until.is_some() {
                println!("{last}");
            }
            let start = Instant::now();
            (last, _) = self.once(src, dst, len)?;
            took = took.max(start.elapsed());
            done += 1;
            if !self.until_error && self.until.is_none() && last != first {
                bail!("{first} at first, but {last} the {done}th time");
            }
        }
        if self
            .max_ms
            .is_some_and(|max| took > Duration::from_millis(max))
        {
            bail!("{last}, but only after {} ms", took.as_millis());
        }
        Ok((last, calls))
    }

    /// Whether another copy follows `last`, which was the copy number `done`.
    fn goes_on(&self, last: Outcome, len: u64, done: u64) -> bool {
        match &self.until {
            Some(stop) => !stop.exists(),
            None if self.until_error => last.copied == len && last.error.is_none(),
            None => done < self.repeat,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(src: &std::path::Path, dst: &std::path::Path) -> CopyArgs {
        CopyArgs {
            src: src.into(),
            dst: dst.into(),
            src_off: 0,
            dst_off: 0,
            len: None,
            full: false,
            src_buffered: false,
            dst_buffered: false,
            buffered: true,
            src_access: Access::R,
            dst_access: Access::W,
            append: false,
            dsync: false,
            same_fd: false,
            positions: false,
            repeat: 1,
            until_error: false,
            until: None,
            make_it_fail: false,
            max_ms: None,
            min_ms: None,
            mark: None,
            alarm_ms: None,
        }
    }

    #[test]
    fn copies_and_reports() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        std::fs::write(&a, [7; 10000]).unwrap();
        std::fs::write(&b, []).unwrap();
        let mut args = args(&a, &b);
        args.src_off = 4000;
        assert_eq!(args.run().unwrap().to_string(), "copied 6000");
        args.positions = true;
        args.repeat = 3;
        args.full = true;
        assert_eq!(args.run().unwrap().to_string(), "copied 6000");
        assert_eq!(std::fs::read(&b).unwrap(), [7; 6000]);
    }

    #[test]
    fn copies_until_there_is_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b, stop] = ["a", "b", "stop"].map(|name| dir.path().join(name));
        std::fs::write(&a, [7; 100]).unwrap();
        std::fs::write(&b, []).unwrap();
        let mut args = args(&a, &b);
        args.until = Some(stop.clone());
        let stopper = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            std::fs::write(&stop, []).unwrap();
        });
        assert_eq!(args.run().unwrap().to_string(), "copied 100");
        stopper.join().unwrap();
    }

    #[test]
    fn tells_of_alarms() {
        // There is only one timer in this program, and another test has it.
        let (count, latest) = (9, Duration::from_millis(3));
        let report = Report {
            outcome: Outcome {
                copied: 4096,
                error: None,
            },
            alarms: Some((5, Alarms { count, latest })),
        };
        let text = "copied 4096, 5 calls, 9 alarms, 3 ms late";
        assert_eq!(report.to_string(), text);
    }

    #[test]
    fn names_the_error() {
        let dir = tempfile::tempdir().unwrap();
        let a = dir.path().join("a");
        std::fs::write(&a, [7; 10000]).unwrap();
        let mut args = args(&a, &a);
        args.same_fd = true;
        args.len = Some(100);
        assert_eq!(args.run().unwrap().to_string(), "error EINVAL (copied 0)");
    }
}
