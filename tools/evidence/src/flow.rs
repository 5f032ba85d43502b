// SPDX-License-Identifier: GPL-2.0
//! How much of the data of a copy is in memory at a time, and how much the disk copies at a time: from a trace of
//! what is read, written and copied.

use std::collections::BTreeSet;
use std::fs;
use std::io::BufRead;
use std::path::Path;

use anyhow::{Context, Result};
use blkcopy::sysfs::DevNo;

use crate::activity::{kind, Kind};
use crate::disk::Disk;
use crate::system;

const BLOCK: &str = "/sys/block";

/// What happened to data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// A bio asks for it: there is memory for it from now on.
    Read,
    /// It was not read: the bio has failed, or would have had to wait and is going to be sent again.
    NotRead,
    /// It is written: its memory is free.
    Written,
    /// The driver is asked to copy it.
    Copies,
    /// It is copied, or the driver is going to be asked again.
    Copied,
}

/// What some disks did during a copy, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    read: u64,
    written: u64,
    /// The most that was read, or about to be, and not yet written.
    held: u64,
    copying: u64,
    /// The most that the driver was asked to copy and had not copied yet.
    most_copying: u64,
}

impl Flow {
    /// Follows what a trace says of these devices.
    pub fn of(trace: impl BufRead, devices: &BTreeSet<DevNo>) -> Result<Self> {
        let mut flow = Self::default();
        for line in trace.lines() {
            let line = line.context("cannot read the trace")?;
            if let Some((dev, step, bytes)) = parse(&line) {
                if devices.contains(&dev) {
                    flow.take(step, bytes);
                }
            }
        }
        Ok(flow)
    }

    fn take(&mut self, step: Step, bytes: u64) {
        match step {
            Step::Read => self.read += bytes,
            Step::NotRead => self.read = self.read.saturating_sub(bytes),
            Step::Written => self.written += bytes,
            Step::Copies => self.copying += bytes,
            Step::Copied => self.copying = self.copying.saturating_sub(bytes),
        }
        self.held = self.held.max(self.read.saturating_sub(self.written));
        self.most_copying = self.most_copying.max(self.copying);
    }

    /// The most data that was in memory: read, or about to be, and not yet written. `None` if not just what was read
    /// was written, because then there was other data in memory.
    pub fn most_in_memory(&self) -> Option<u64> {
        (self.read == self.written).then_some(self.held)
    }

    /// The most that the driver was asked to copy at a time.
    pub fn most_copying(&self) -> u64 {
        self.most_copying
    }
}

fn parse(line: &str) -> Option<(DevNo, Step, u64)> {
    let event = |name: &str| line.split_once(name).map(|(_, fields)| fields);
    let (fields, steps) = if let Some(fields) = event(": block_bio_queue: ") {
        (fields, [Some(Step::Read), None, None])
    } else if let Some(fields) = event(": block_bio_complete: ") {
        (fields, [Some(Step::NotRead), None, None])
    } else if let Some(fields) = event(": block_rq_issue: ") {
        (fields, [None, None, Some(Step::Copies)])
    } else if let Some(fields) = event(": block_rq_complete: ") {
        (fields, [None, Some(Step::Written), Some(Step::Copied)])
    } else {
        (
            event(": block_rq_requeue: ")?,
            [None, None, Some(Step::Copied)],
        )
    };
    let mut words = fields.split_whitespace();
    let dev = words.next()?.replace(',', ":").parse().ok()?;
    let [read, write, copy] = steps;
    let step = match kind(words.next()?) {
        Kind::Read => read,
        Kind::Write => write,
        Kind::Copy => copy,
        Kind::Other => None,
    };
    let (_, count) = fields.split_once(" + ")?;
    let sectors: u64 = count.split_whitespace().next()?.parse().ok()?;
    Some((dev, step?, sectors.checked_mul(512)?))
}

/// The devices whose requests move the data of a disk: itself and its partitions, or those that it is made of.
pub fn devices(disk: &Disk) -> Result<BTreeSet<DevNo>> {
    let mut found = BTreeSet::new();
    collect(Path::new(BLOCK), &disk.name, &mut found)?;
    Ok(found)
}

fn collect(blocks: &Path, name: &str, found: &mut BTreeSet<DevNo>) -> Result<()> {
    let dir = blocks.join(name);
    let names = |dir: &Path| -> Vec<String> {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.collect()
    };
    let below = names(&dir.join("slaves"));
    if !below.is_empty() {
        return below
            .iter()
            .try_for_each(|name| collect(blocks, name, found));
    }
    let partitions = names(&dir)
        .into_iter()
        .filter(|part| part.starts_with(name));
    for dir in partitions.map(|part| dir.join(part)).chain([dir.clone()]) {
        found.insert(system::get(&dir.join("dev"))?.parse()?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "\
# tracer: nop
        cb-33 [000] ..... 1.01: block_bio_queue: 250,0 RS 0 + 128 [cb]
        cb-33 [000] ..... 1.01: block_bio_queue: 250,1 R 128 + 128 [cb]
        cb-33 [000] ..... 1.01: block_bio_queue: 251,0 R 128 + 128 [a + 9 b]
        cb-33 [000] ..... 1.01: block_bio_queue: 250,0 WS 128 + 128 [cb]
        cb-33 [000] ..... 1.01: block_bio_queue: 250,0 RS 512 + 2048 [cb]
        cb-33 [000] ..... 1.01: block_bio_complete: 250,0 RS 512 + 2048 [-11]
        cb-33 [000] ..... 1.02: block_rq_complete: 250,0 RS () 0 + 256 none,0,0 [0]
        cb-33 [000] ..... 1.03: block_rq_complete: 250,0 WS () 900 + 128 none,0,0 [0]
        cb-33 [000] ..... 1.04: block_bio_queue: 250,0 RA 256 + 64 [cb]
        cb-33 [000] ..... 1.05: block_rq_complete: 250,0 FWFS () 900 + 192 none,0,0 [0]
        cb-33 [000] ..... 1.06: block_rq_issue: 250,0 CWS 65536 () 16 + 128 none,0,0 [cb]
        cb-33 [000] ..... 1.06: block_rq_requeue: 250,0 CWS () 16 + 128 none,0,0 [0]
        cb-33 [000] ..... 1.06: block_rq_issue: 250,0 CWS 65536 () 16 + 128 none,0,0 [cb]
        cb-33 [000] ..... 1.06: block_rq_issue: 250,0 CWS 4096 () 16 + 8 none,0,0 [cb]
        cb-33 [000] ..... 1.07: block_rq_complete: 250,0 CWS () 16 + 128 none,0,0 [0]
";

    fn flow(text: &str) -> Flow {
        let devices = ["250:0", "250:1"].map(|dev| dev.parse().unwrap());
        Flow::of(text.as_bytes(), &BTreeSet::from(devices)).unwrap()
    }

    #[test]
    fn data_is_in_memory_until_it_is_written() {
        let found = flow(TRACE);
        assert_eq!((found.read, found.written), (320 * 512, 320 * 512));
        assert_eq!(found.most_in_memory(), Some(2304 * 512));
        assert_eq!(found.most_copying(), 136 * 512);
        assert_eq!(flow("").most_in_memory(), Some(0));
    }

    #[test]
    fn what_was_not_read_is_not_known() {
        let write =
            "cb-33 [000] ..... 1.0: block_rq_complete: 250,0 WS () 900 + 128 none,0,0 [0]\n";
        assert_eq!(flow(write).most_in_memory(), None);
        assert_eq!(flow(&format!("{TRACE}{write}")).most_in_memory(), None);
    }

    #[test]
    fn a_stacked_disk_is_what_it_is_made_of() {
        let dir = tempfile::tempdir().unwrap();
        for (disk, dev) in [
            ("dm-0", "252:0"),
            ("nullb0", "250:0"),
            ("nullb0/nullb0p1", "250:1"),
            ("nullb1", "250:2"),
        ] {
            fs::create_dir_all(dir.path().join(disk).join("slaves")).unwrap();
            fs::write(dir.path().join(disk).join("dev"), format!("{dev}\n")).unwrap();
        }
        fs::create_dir(dir.path().join("dm-0/slaves/nullb0")).unwrap();
        fs::create_dir(dir.path().join("dm-0/slaves/nullb1")).unwrap();
        let mut found = BTreeSet::new();
        collect(dir.path(), "dm-0", &mut found).unwrap();
        let expected = ["250:0", "250:1", "250:2"].map(|dev| dev.parse().unwrap());
        assert_eq!(found, BTreeSet::from(expected));
        assert!(collect(dir.path(), "sda", &mut found).is_err());
    }
}
