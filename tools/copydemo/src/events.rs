// SPDX-License-Identifier: GPL-2.0
//! What the kernel's trace says that the driver was asked to do.

use std::io::BufRead;

use anyhow::{Context, Result};
use blkcopy::sysfs::DevNo;
use serde::Serialize;

/// A request that the block layer gave to a driver (`block:block_rq_issue`),
/// or a copy that null_blk executed (`nullb:nullb_copy_op`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Issue { dev: DevNo, kind: Kind, bytes: u64 },
    Copy { disk: String, op: CopyOp },
}

/// The operation of a request, from the letters of `rwbs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Read,
    Write,
    Copy,
    Other,
}

/// One executed copy, in bytes of the whole disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct CopyOp {
    pub dst: u64,
    pub src: u64,
    pub len: u64,
}

/// Parses one line of a trace; `None` for headers and other events.
pub fn parse(line: &str) -> Option<Event> {
    if let Some((_, fields)) = line.split_once(": block_rq_issue: ") {
        return issue(fields);
    }
    let (_, fields) = line.split_once(": nullb_copy_op: ")?;
    let disk = fields.trim_start().strip_prefix("disk=")?;
    let disk = disk.split([',', ' ']).next()?.to_string();
    let op = CopyOp {
        dst: number(fields, " dst=")?,
        src: number(fields, " src=")?,
        len: number(fields, " len=")?,
    };
    Some(Event::Copy { disk, op })
}

/// `250,0 RS 65536 () 2048 + 128 none,0,0 [copydemo]`
fn issue(fields: &str) -> Option<Event> {
    let mut fields = fields.split_whitespace();
    let dev = fields.next()?.replace(',', ":").parse().ok()?;
    let kind = kind(fields.next()?);
    let bytes = fields.next()?.parse().ok()?;
    Some(Event::Issue { dev, kind, bytes })
}

fn kind(rwbs: &str) -> Kind {
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

fn number(text: &str, key: &str) -> Option<u64> {
    let (_, value) = text.split_once(key)?;
    let end = value
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(value.len());
    value[..end].parse().ok()
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

/// What one disk did during one copy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Activity {
    /// Copies that the driver executed.
    pub copy: Tally,
    pub read: Tally,
    pub write: Tally,
    /// Anything else that reached the driver (flush, discard, ...), without
    /// the requests that carry the copies.
    pub other: Tally,
    #[serde(skip)]
    pub copies: Vec<CopyOp>,
}

impl Activity {
    /// Picks one disk's events out of a trace, which is read line by line: it
    /// may be larger than what a guest likes to hold.
    pub fn of(trace: impl BufRead, disk: &str, dev: DevNo) -> Result<Self> {
        let mut activity = Self::default();
        for line in trace.lines() {
            let Some(event) = parse(&line.context("cannot read the trace")?) else {
                continue;
            };
            match event {
                Event::Copy { disk: name, op } if name == disk => {
                    activity.copy.add(op.len);
                    activity.copies.push(op);
                }
                Event::Issue {
                    dev: of,
                    kind,
                    bytes,
                } if of == dev => match kind {
                    Kind::Read => activity.read.add(bytes),
                    Kind::Write => activity.write.add(bytes),
                    Kind::Copy => {}
                    Kind::Other => activity.other.add(bytes),
                },
                _ => {}
            }
        }
        Ok(activity)
    }

    /// Bytes that went from the device to memory or back.
    pub fn crossed_memory(&self) -> u64 {
        self.read.bytes + self.write.bytes
    }

    /// Whether the copies move `len` bytes from `src` to `dst`, each byte
    /// exactly once and none but these.
    pub fn covers(&self, src: u64, dst: u64, len: u64) -> bool {
        let mut copies = self.copies.clone();
        copies.sort_unstable();
        let mut done = 0;
        for copy in copies {
            if copy.dst != dst + done || copy.src != src + done || copy.len == 0 {
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

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "\
# tracer: nop
#
# entries-in-buffer/entries-written: 5/5   #P:1
#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION
        copydemo-33      [000] .....     1.000001: nullb_copy_op: disk=nullb0, req=COPY_DST       : dst=8192, src=0, len=4096
        copydemo-33      [000] ...1.     1.000002: block_rq_issue: 250,0 CWS 4096 () 16 + 8 none,0,0 [copydemo]
        copydemo-33      [000] .....     1.000003: nullb_copy_op: disk=nullb0, req=COPY_DST       : dst=12288, src=4096, len=512
        copydemo-33      [000] .....     1.000003: nullb_copy_op: disk=nullb01, req=COPY_DST       : dst=0, src=0, len=512
    kworker/0:1H-9       [000] .....     1.000004: block_rq_issue: 250,0 RS 65536 () 2048 + 128 none,0,0 [kworker/0:1H]
    kworker/0:1H-9       [000] .....     1.000005: block_rq_issue: 250,0 FWFS 512 () 2048 + 1 be,0,4 [kworker/0:1H]
    kworker/0:1H-9       [000] .....     1.000005: block_rq_issue: 250,0 FF 0 () 0 + 0 none,0,0 [kworker/0:1H]
    kworker/0:1H-9       [000] .....     1.000006: block_rq_issue: 250,1 W 512 () 2048 + 1 none,0,0 [kworker/0:1H]
    kworker/0:1H-9       [000] .....     1.000006: block_rq_complete: 250,0 R () 2048 + 1 none,0,0 [0]
";

    fn activity() -> Activity {
        Activity::of(TRACE.as_bytes(), "nullb0", "250:0".parse().unwrap()).unwrap()
    }

    #[test]
    fn counts_one_disk() {
        let activity = activity();
        assert_eq!(
            activity.copy,
            Tally {
                requests: 2,
                bytes: 4608
            }
        );
        assert_eq!(
            activity.read,
            Tally {
                requests: 1,
                bytes: 65536
            }
        );
        assert_eq!(
            activity.write,
            Tally {
                requests: 1,
                bytes: 512
            }
        );
        assert_eq!(
            activity.other,
            Tally {
                requests: 1,
                bytes: 0
            }
        );
        assert_eq!(activity.crossed_memory(), 66048);
        assert_eq!(activity.largest_copy(), 4096);
    }

    #[test]
    fn coverage_is_exact() {
        let activity = activity();
        assert!(activity.covers(0, 8192, 4608));
        assert!(!activity.covers(0, 8192, 4096));
        assert!(!activity.covers(0, 8192, 8192));
        assert!(!activity.covers(512, 8192, 4608));
        assert!(Activity::default().covers(0, 0, 0));
        let mut twice = activity.clone();
        twice.copies.push(twice.copies[0]);
        assert!(!twice.covers(0, 8192, 4608));
        let mut reversed = activity;
        reversed.copies.reverse();
        assert!(reversed.covers(0, 8192, 4608));
    }

    #[test]
    fn letters() {
        for (rwbs, expected) in [
            ("R", Kind::Read),
            ("RA", Kind::Read),
            ("WFS", Kind::Write),
            ("FWS", Kind::Write),
            ("CW", Kind::Copy),
            ("CRS", Kind::Copy),
            ("WZ", Kind::Other),
            ("D", Kind::Other),
            ("ZR", Kind::Other),
            ("FF", Kind::Other),
            ("N", Kind::Other),
        ] {
            assert_eq!(kind(rwbs), expected, "{rwbs}");
        }
    }

    #[test]
    fn other_lines() {
        for line in [
            "",
            "# comment",
            "x: block_rq_issue: ",
            "x: nullb_copy_op: disk=a",
            "x: sched_switch: y",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
