// SPDX-License-Identifier: GPL-2.0
//! The faults: by number, or by place.

use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure, Context, Result};
use clap::Args;
use nix::errno::Errno;

use super::judge::Fault;
use super::way::Way;
use blkcopy::size;

/// What can fail, by the names of the kernel's attributes.
const IN_DEBUGFS: [(&str, Fault); 5] = [
    ("failslab", Fault::Memory),
    ("fail_page_alloc", Fault::Memory),
    ("fail_mempool_alloc", Fault::Reserve),
    ("fail_mempool_alloc_bulk", Fault::Reserve),
    ("fail_make_request", Fault::Bio),
];
/// The same of each null_blk.
const IN_CONFIGFS: [(&str, Fault); 2] = [
    ("requeue_inject", Fault::Requeue),
    ("timeout_inject", Fault::Timeout),
];
/// How often each may fail.
const TIMES: u64 = 1_000_000;

/// Something that can fail. The kernel counts down how often it still may.
struct Attribute {
    name: &'static str,
    fault: Fault,
    times: PathBuf,
    left: u64,
}

impl Attribute {
    fn new(name: &'static str, fault: Fault, dir: &Path) -> Result<Self> {
        let times = dir.join(name).join("times");
        fs::write(&times, TIMES.to_string())
            .with_context(|| format!("cannot write {}", times.display()))?;
        let left = TIMES;
        Ok(Attribute {
            name,
            fault,
            times,
            left,
        })
    }

    /// How often it has failed since it was last asked.
    fn failed(&mut self) -> Result<u64> {
        let text = fs::read_to_string(&self.times).context("cannot read what has failed")?;
        let left = text.trim().parse().context("this is no number")?;
        Ok(std::mem::replace(&mut self.left, left).saturating_sub(left))
    }
}

/// The kernel's fault injection, for this task.
pub struct Nth {
    file: File,
    attributes: Vec<Attribute>,
}

impl Nth {
    pub fn open() -> Result<Self> {
        let path = "/proc/thread-self/fail-nth";
        let file = File::options().read(true).write(true).open(path);
        let debugfs = Path::new("/sys/kernel/debug");
        let mut attributes = Vec::new();
        for (name, fault) in IN_DEBUGFS {
            attributes.push(Attribute::new(name, fault, debugfs)?);
        }
        for entry in fs::read_dir("/sys/kernel/config/nullb").context("there is no null_blk")? {
            let dir = entry?.path();
            if dir.is_dir() {
                for (name, fault) in IN_CONFIGFS {
                    attributes.push(Attribute::new(name, fault, &dir)?);
                }
            }
        }
        Ok(Nth {
            file: file.with_context(|| format!("cannot open {path}"))?,
            attributes,
        })
    }

    /// From now on, the call of this number fails, of those of this task that can.
    pub fn arm(&self, number: u32) -> Result<()> {
        self.write(&number.to_string())
    }

    /// No other fails. Returns how many calls are still to go; 0 if one has failed.
    pub fn disarm(&self) -> Result<u32> {
        let mut answer = [0; 16];
        let len = self.file.read_at(&mut answer, 0);
        self.write("0")?;
        let answer = String::from_utf8_lossy(&answer[..len.context("cannot read fail-nth")?]);
        answer.trim().parse().context("fail-nth has no number")
    }

    fn write(&self, text: &str) -> Result<()> {
        self.file
            .write_all_at(text.as_bytes(), 0)
            .context("cannot write fail-nth")
    }

    /// What it was that has failed, with its name.
    pub fn what_failed(&mut self) -> Result<(Fault, &'static str)> {
        for attribute in &mut self.attributes {
            match attribute.failed()? {
                0 => {}
                1 => return Ok((attribute.fault, attribute.name)),
                more => bail!("{} has failed {more} times", attribute.name),
            }
        }
        bail!("something has failed that is not known here");
    }
}

/// Where and how it is to fail.
#[derive(Args, Clone, Debug)]
pub struct PlaceArgs {
    /// A rule of the block layer's error injection, as DISK:OPERATION:STATUS; or `DISK:bad`, bad blocks of a null_blk
    #[arg(long)]
    rule: String,
    /// Where the part of the disk begins that is read or written
    #[arg(long, value_parser = size::parse)]
    start: u64,
    /// From one place to the next
    #[arg(long, value_parser = size::parse, default_value = "16K")]
    pub step: u64,
    /// From one place to the next in the copy, if other disks have what is between; without it as --step
    #[arg(long, value_parser = size::parse)]
    every: Option<u64>,
    /// Where in the copy the first part begins that is on this disk
    #[arg(long, value_parser = size::parse, default_value = "0")]
    first: u64,
    /// The copy ends with this error, less than so many bytes before the place; without it the copy is whole
    #[arg(long, value_parser = errno)]
    pub due: Option<Errno>,
    /// See --due
    #[arg(long, value_parser = size::parse, default_value = "16K")]
    pub within: u64,
    /// A command of --within bytes that has failed may have copied a part of them
    #[arg(long, requires = "due")]
    pub partly: bool,
    /// The copy itself is whole; a sync after it ends with --due
    #[arg(long, requires = "due")]
    pub late: bool,
    /// The sweep waits this number of milliseconds before each step
    #[arg(long, default_value_t = 0)]
    pub pause_ms: u64,
    /// The disk below DST whose counters tell whether it was asked to copy and has refused; without it those of DST do
    #[arg(long)]
    pub below: Option<PathBuf>,
}

impl PlaceArgs {
    fn every(&self) -> u64 {
        self.every.unwrap_or(self.step)
    }

    /// Returns the number of places that a copy of `len` bytes has.
    pub fn steps(&self, len: u64) -> u64 {
        len.saturating_sub(self.first).div_ceil(self.every())
    }

    /// Place `step` in the copy.
    pub fn at(&self, step: u64) -> u64 {
        self.first + step * self.every() + self.step / 2
    }

    /// Whether the rule is about what is read.
    fn is_source(&self) -> bool {
        let mut words = self.rule.split(':');
        matches!(words.nth(1), Some("COPY_SRC" | "READ"))
    }

    /// The same on the disk, from its `start` on.
    fn on_disk(&self, step: u64, way: &Way, len: u64) -> u64 {
        if self.every() == self.step && self.is_source() {
            way.source_of(self.at(step), len)
        } else {
            step * self.step + self.step / 2
        }
    }
}

fn errno(name: &str) -> Result<Errno, String> {
    let all = [
        Errno::EIO,
        Errno::ENODATA,
        Errno::ENOSPC,
        Errno::EOPNOTSUPP,
        Errno::ETIMEDOUT,
        Errno::EAGAIN,
    ];
    let found = all.into_iter().find(|errno| format!("{errno:?}") == name);
    found.ok_or_else(|| format!("{name} is none of {all:?}"))
}

enum Rule {
    /// Up to the place.
    Injected(String),
    Bad,
}

/// One place that fails.
pub struct Place {
    name: String,
    file: PathBuf,
    rule: Rule,
    args: PlaceArgs,
    /// What takes it back.
    undo: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)
    }
}

impl Place {
    pub fn open(args: &PlaceArgs) -> Result<Self> {
        let words: Vec<_> = args.rule.split(':').collect();
        let (file, rule) = match words.as_slice() {
            [disk, "bad"] => (
                format!("/sys/kernel/config/nullb/{disk}/badblocks"),
                Rule::Bad,
            ),
            [disk, operation, status] => (
                format!("/sys/kernel/debug/block/{disk}/error_injection"),
                Rule::Injected(format!("add,op={operation},status={status}")),
            ),
            _ => bail!("{} is no rule", args.rule),
        };
        ensure!(
            args.start % 512 == 0 && args.step % 1024 == 0,
            "places are sectors"
        );
        Ok(Place {
            name: args.rule.clone(),
            file: file.into(),
            rule,
            args: args.clone(),
            undo: String::new(),
        })
    }

    /// Makes the sector of place `step` fail from now on. The copy has `len` bytes, and begins `moved` bytes behind the
    /// first one.
    pub fn arm(&mut self, step: u64, way: &Way, len: u64, moved: u64) -> Result<()> {
        let sector = (self.args.start + moved + self.args.on_disk(step, way, len)) / 512;
        let text = match &self.rule {
            Rule::Injected(rule) => {
                self.undo = "removeall".into();
                format!("{rule},start={sector},nr_sectors=1")
            }
            Rule::Bad => {
                self.undo = format!("-{sector}-{sector}");
                format!("+{sector}-{sector}")
            }
        };
        self.write(&text)
    }

    pub fn disarm(&self) -> Result<()> {
        self.write(&self.undo)
    }

    fn write(&self, text: &str) -> Result<()> {
        fs::write(&self.file, text)
            .with_context(|| format!("cannot write {text} to {}", self.file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(rule: &str) -> PlaceArgs {
        PlaceArgs {
            rule: rule.into(),
            start: 4096,
            step: 16384,
            every: None,
            first: 0,
            due: None,
            within: 16384,
            partly: false,
            late: false,
            pause_ms: 0,
            below: None,
        }
    }

    fn place(rule: &str) -> Result<Place> {
        Place::open(&args(rule))
    }

    #[test]
    fn places_are_on_a_disk() {
        let (read, written) = (args("nullb1:COPY_SRC:IOERR"), args("nullb1:bad"));
        let list = "uring-list".parse().unwrap();
        assert_eq!(read.steps(131_072), 8);
        assert_eq!((read.at(1), read.at(8)), (24576, 139_264));
        assert_eq!(read.on_disk(1, &Way::File, 131_072), 24576);
        assert_eq!(read.on_disk(1, &list, 131_072), 12 * 8192);
        assert_eq!(written.on_disk(1, &list, 131_072), 24576);
        // The second of two disks that take turns.
        let second = PlaceArgs {
            every: Some(32768),
            first: 16384,
            ..args("nullb2:COPY_DST:IOERR")
        };
        assert_eq!(second.steps(131_072), 4);
        assert_eq!((second.at(0), second.at(1)), (24576, 57344));
        assert_eq!(second.on_disk(1, &Way::File, 131_072), 24576);
    }

    #[test]
    fn rules_have_a_file() {
        let file = |rule| place(rule).unwrap().file.display().to_string();
        assert_eq!(
            file("nullb1:bad"),
            "/sys/kernel/config/nullb/nullb1/badblocks"
        );
        assert_eq!(
            file("dm-0:COPY_SRC:IOERR"),
            "/sys/kernel/debug/block/dm-0/error_injection"
        );
        assert!(place("dm-0").is_err());
    }

    #[test]
    fn errors_have_names() {
        assert_eq!(errno("EIO"), Ok(Errno::EIO));
        assert!(errno("EVERYTHING").is_err());
    }
}
