// SPDX-License-Identifier: GPL-2.0
//! What the kernel's trace says that the driver of a disk was asked to do.

use std::collections::BTreeMap;
use std::io::BufRead;

use anyhow::{Context, Result};
use blkcopy::sysfs::DevNo;
use serde::Serialize;

use crate::disk::{Disk, Driver};

/// A request that the block layer gave to a driver (`block:block_rq_issue`), or what the driver
/// made of it: a copy that null_blk executed (`nullb:nullb_copy_op`), a command that was sent to an
/// NVMe device (`nvme:nvme_setup_cmd`).
#[derive(Clone, Debug, PartialEq, Eq)]
enum Event<'a> {
    Issue {
        dev: DevNo,
        kind: Kind,
        start: u64,
        bytes: u64,
    },
    Copy {
        disk: &'a str,
        op: CopyOp,
    },
    Command {
        disk: &'a str,
        command: Command,
    },
}

/// The operation of a request, from the letters of `rwbs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
    Copy,
    Other,
}

/// An NVMe command, in blocks of the device. A Copy does not say how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Read { blocks: u64 },
    Write { blocks: u64 },
    Copy { dst: u64, ranges: u64 },
    Other,
}

/// One executed copy, in bytes of the whole disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct CopyOp {
    pub dst: u64,
    /// Where the trace tells it.
    pub src: Option<u64>,
    pub len: u64,
}

/// Parses one line of a trace; `None` for headers and other events.
fn parse(line: &str) -> Option<Event<'_>> {
    if let Some((_, fields)) = line.split_once(": block_rq_issue: ") {
        return issue(fields);
    }
    if let Some((_, fields)) = line.split_once(": nvme_setup_cmd: ") {
        return command(fields);
    }
    let (_, fields) = line.split_once(": nullb_copy_op: ")?;
    let op = CopyOp {
        dst: number(fields, " dst=")?,
        src: Some(number(fields, " src=")?),
        len: number(fields, " len=")?,
    };
    let disk = name(fields)?;
    Some(Event::Copy { disk, op })
}

/// `250,0 RS 65536 () 2048 + 128 none,0,0 [copydemo]`
fn issue(fields: &str) -> Option<Event<'_>> {
    let mut fields = fields.split_whitespace();
    let dev = fields.next()?.replace(',', ":").parse().ok()?;
    let kind = kind(fields.next()?);
    let bytes = fields.next()?.parse().ok()?;
    let start = fields.nth(1)?.parse::<u64>().ok()?.checked_mul(512)?;
    Some(Event::Issue {
        dev,
        kind,
        start,
        bytes,
    })
}

pub(crate) fn kind(rwbs: &str) -> Kind {
    // A leading F is the flush that comes before a write.
    let op = rwbs
        .strip_prefix('F')
        .filter(|rest| rest.starts_with('W'))
        .unwrap_or(rwbs);
    match op.as_bytes() {
        [b'C', ..] => Kind::Copy,
        [b'R', ..] => Kind::Read,
        // Writing zeroes carries no data.
        [b'W', b'Z', ..] => Kind::Other,
        [b'W', ..] => Kind::Write,
        _ => Kind::Other,
    }
}

/// `nvme0: disk=nvme0n1, qid=1, …, cmd=(nvme_cmd_read slba=0, len=7, …)`
fn command(fields: &str) -> Option<Event<'_>> {
    let (head, command) = fields.split_once(" cmd=(")?;
    let disk = name(head)?;
    // Blocks and ranges are counted from 0.
    let count = |key| Some(number(command, key)? + 1);
    let command = match command.split_whitespace().next()? {
        "nvme_cmd_read" => Command::Read {
            blocks: count(" len=")?,
        },
        "nvme_cmd_write" => Command::Write {
            blocks: count(" len=")?,
        },
        "nvme_cmd_copy" => Command::Copy {
            dst: number(command, " sdlba=")?,
            ranges: count(" nr_range=")?,
        },
        _ => Command::Other,
    };
    Some(Event::Command { disk, command })
}

/// The name of the disk.
fn name(fields: &str) -> Option<&str> {
    fields.split_once("disk=")?.1.split([',', ' ']).next()
}

fn number(text: &str, key: &str) -> Option<u64> {
    let (_, value) = text.split_once(key)?;
    let end = value
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(value.len());
    value[..end].parse().ok()
}

/// The disk that is looked for in a trace.
#[derive(Clone, Debug)]
pub struct Subject {
    name: String,
    driver: Driver,
    dev: DevNo,
    /// Bytes of a logical block.
    block: u64,
}

impl Subject {
    pub fn new(disk: &Disk) -> Result<Self> {
        let sysfs = disk.sysfs()?;
        Ok(Self {
            name: disk.name.clone(),
            driver: disk.driver,
            dev: sysfs.devno,
            block: sysfs.logical_block,
        })
    }
}

/// Requests of one kind, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub requests: u64,
    pub bytes: u64,
}

impl Tally {
    fn add(&mut self, bytes: u64) {
        self.requests += 1;
        self.bytes += bytes;
    }
}

/// What one disk did during one copy. Of NVMe's the commands are counted, else the requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Activity {
    /// Copies that the driver executed.
    pub copy: Tally,
    pub read: Tally,
    pub write: Tally,
    /// Anything else that reached the driver (flush, discard, ...), without
    /// the requests that carry the copies.
    pub other: Tally,
    /// The source ranges that were listed in Copy commands of NVMe.
    pub ranges: u64,
    #[serde(skip)]
    pub copies: Vec<CopyOp>,
}

impl Activity {
    /// Picks one disk's events out of a trace, which is read line by line: it
    /// may be larger than what a guest likes to hold.
    pub fn of(trace: impl BufRead, subject: &Subject) -> Result<Self> {
        let mut activity = Self::default();
        // Where Copy commands write, and how long the requests are that they come from.
        let (mut places, mut lengths) = (Vec::new(), BTreeMap::new());
        for line in trace.lines() {
            let line = line.context("cannot read the trace")?;
            match parse(&line) {
                Some(Event::Copy { disk, op }) if disk == subject.name => activity.copies.push(op),
                Some(Event::Command { disk, command }) if disk == subject.name => match command {
                    Command::Read { blocks } => activity.read.add(blocks * subject.block),
                    Command::Write { blocks } => activity.write.add(blocks * subject.block),
                    Command::Copy { dst, ranges } => {
                        activity.ranges += ranges;
                        places.push(dst * subject.block);
                    }
                    Command::Other => activity.other.add(0),
                },
                Some(Event::Issue {
                    dev,
                    kind,
                    start,
                    bytes,
                }) if dev == subject.dev => match (kind, subject.driver) {
                    (Kind::Copy, _) => {
                        lengths.insert(start, bytes);
                    }
                    (_, Driver::Nvme | Driver::NvmeTcp) => {}
                    (Kind::Read, _) => activity.read.add(bytes),
                    (Kind::Write, _) => activity.write.add(bytes),
                    (Kind::Other, _) => activity.other.add(bytes),
                },
                _ => {}
            }
        }
        activity.copies.extend(measured(places, &lengths)?);
        for copy in &activity.copies {
            activity.copy.add(copy.len);
        }
        Ok(activity)
    }

    /// Bytes that went from the device to memory or back.
    pub fn crossed_memory(&self) -> u64 {
        self.read.bytes + self.write.bytes
    }

    /// Whether the copies move `len` bytes from `src` to `dst`, each byte
    /// exactly once and none but these. Where the trace tells no source, the
    /// destination has to do.
    pub fn covers(&self, src: u64, dst: u64, len: u64) -> bool {
        let mut copies = self.copies.clone();
        copies.sort_unstable();
        let mut done = 0;
        for copy in copies {
            let right = copy.src.is_none_or(|from| from == src + done);
            if copy.dst != dst + done || !right || copy.len == 0 {
                return false;
            }
            done += copy.len;
        }
        done == len
    }

    pub fn largest_copy(&self) -> u64 {
        self.copies.iter().map(|copy| copy.len).max().unwrap_or(0)
    }
}

/// The lengths of Copy commands, which do not tell it, are those of the requests to the same
/// places. If a program has sent them there are none, but if their destinations are one after the
/// other and equally far apart, that says it as well.
fn measured(mut places: Vec<u64>, lengths: &BTreeMap<u64, u64>) -> Result<Vec<CopyOp>> {
    places.sort_unstable();
    let mut distances = places.windows(2).map(|pair| pair[1] - pair[0]);
    let step = distances.next().filter(|step| *step > 0);
    let step = step.filter(|step| distances.all(|other| other == *step));
    let copies = places.into_iter().map(|dst| {
        let len = lengths.get(&dst).copied().or(step);
        let len = len.context("the trace does not tell how long the Copy commands were")?;
        Ok(CopyOp {
            dst,
            src: None,
            len,
        })
    });
    copies.collect()
}

#[cfg(test)]
#[path = "activity_tests.rs"]
mod tests;
