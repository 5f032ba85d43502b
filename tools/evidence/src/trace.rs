// SPDX-License-Identifier: GPL-2.0
//! A trace instance of our own, so that nobody else's tracing is disturbed and nobody disturbs the
//! counts.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{bail, Context, Result};

use crate::activity::{Activity, Subject};
use crate::disk::{Disk, Driver};
use crate::flow::{devices, Flow};
use crate::system;

const TRACING: &str = "/sys/kernel/tracing";

/// Memory of one event in the buffer, and some more.
const EVENT: u64 = 128;

/// Requests that the block layer gives to any driver.
const ISSUE: &str = "block/block_rq_issue";
/// Bios that are sent to any device, or have ended; requests that have ended, or are going to be sent again.
const QUEUE: &str = "block/block_bio_queue";
const BIO_COMPLETE: &str = "block/block_bio_complete";
const COMPLETE: &str = "block/block_rq_complete";
const REQUEUE: &str = "block/block_rq_requeue";
/// Copies that null_blk executes.
const NULLB_COPY: &str = "nullb/nullb_copy_op";
/// Commands that are sent to an NVMe device.
const NVME_COMMAND: &str = "nvme/nvme_setup_cmd";

/// What is recorded of what a driver does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Copies.
    Copies,
    /// All but copies, of which a kernel without copy offload knows nothing.
    Others,
    All,
    /// When data is read, written and copied, whoever the driver is.
    Flow,
}

impl Scope {
    /// The events, with filters.
    fn events(self, driver: Driver) -> &'static [(&'static str, Option<&'static str>)] {
        const READS: Option<&str> = Some("rwbs ~ \"R*\"");
        const COPIES: Option<&str> = Some("rwbs ~ \"C*\"");
        match (self, driver) {
            (Self::Flow, _) => &[
                (QUEUE, READS),
                (BIO_COMPLETE, Some("rwbs ~ \"R*\" && error != 0")),
                (ISSUE, COPIES),
                (REQUEUE, COPIES),
                (COMPLETE, None),
            ],
            (Self::Copies, Driver::NullBlk) => &[(NULLB_COPY, None)],
            (Self::Copies, Driver::Nvme | Driver::NvmeTcp) => {
                &[(NVME_COMMAND, Some("opcode == 0x19"))]
            }
            (Self::Others, Driver::NullBlk) => &[(ISSUE, None)],
            (Self::Others, Driver::Nvme | Driver::NvmeTcp) => &[(NVME_COMMAND, None)],
            (Self::All, Driver::NullBlk) => &[(NULLB_COPY, None), (ISSUE, None)],
            (Self::All, Driver::Nvme | Driver::NvmeTcp) => &[(NVME_COMMAND, None), (ISSUE, None)],
        }
    }
}

/// Memory on each CPU for so many events.
pub fn buffer_size(events: u64) -> u64 {
    events.saturating_mul(EVENT).saturating_add(1 << 20)
}

/// Recording starts and ends with [`Trace::record`]; dropping removes it all.
pub struct Trace {
    dir: PathBuf,
    subject: Subject,
}

impl Trace {
    /// With room for so many events on each CPU.
    pub fn new(disk: &Disk, scope: Scope, events: u64) -> Result<Self> {
        system::mounted(TRACING, "tracefs")?;
        // Several may be recorded at a time.
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("instances/evidence-{}-{number}", std::process::id());
        let dir = Path::new(TRACING).join(name);
        let subject = Subject::new(disk)?;
        fs::create_dir(&dir).with_context(|| {
            format!(
                "cannot create {}; the kernel needs CONFIG_TRACING and root",
                dir.display()
            )
        })?;
        let trace = Self { dir, subject };
        trace.set("tracing_on", "0")?;
        trace.set("buffer_size_kb", &(buffer_size(events) / 1024).to_string())?;
        for (event, filter) in scope.events(disk.driver) {
            let event = format!("events/{event}");
            if !trace.dir.join(&event).exists() {
                bail!("the kernel has no tracepoint {event}, so nothing could be proved");
            }
            if let Some(filter) = filter {
                trace.set(&format!("{event}/filter"), filter)?;
            }
            trace.set(&format!("{event}/enable"), "1")?;
        }
        Ok(trace)
    }

    fn set(&self, file: &str, value: &str) -> Result<()> {
        system::set(&self.dir.join(file), value)
    }

    /// Runs `what`, and counts what the driver of the disk does meanwhile.
    pub fn record<T>(&self, what: impl FnOnce() -> Result<T>) -> Result<(T, Activity)> {
        let result = self.during(what)?;
        let lost = self.lost()?;
        if lost > 0 {
            bail!("the trace lost {lost} events, so nothing is proved: use a smaller --size");
        }
        Ok((result, Activity::of(self.read()?, &self.subject)?))
    }

    /// Runs `what`, and follows the data meanwhile; not if that is more than there is room for.
    pub fn follow<T>(
        &self,
        disks: &[&Disk],
        what: impl FnOnce() -> Result<T>,
    ) -> Result<(T, Option<Flow>)> {
        let mut all = BTreeSet::new();
        for disk in disks {
            all.append(&mut devices(disk)?);
        }
        let result = self.during(what)?;
        if self.lost()? > 0 {
            return Ok((result, None));
        }
        Ok((result, Some(Flow::of(self.read()?, &all)?)))
    }

    fn during<T>(&self, what: impl FnOnce() -> Result<T>) -> Result<T> {
        self.set("trace", "")?;
        self.set("tracing_on", "1")?;
        let result = what();
        self.set("tracing_on", "0")?;
        result
    }

    fn read(&self) -> Result<BufReader<File>> {
        let trace = File::open(self.dir.join("trace")).context("cannot open the trace")?;
        Ok(BufReader::with_capacity(64 << 10, trace))
    }

    /// Events that did not fit in the buffer.
    fn lost(&self) -> Result<u64> {
        let mut lost = 0;
        for cpu in fs::read_dir(self.dir.join("per_cpu")).context("cannot list the trace's CPUs")? {
            lost += lost_in(&system::get(&cpu?.path().join("stats"))?);
        }
        Ok(lost)
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // An empty folder in a file system of the kernel; nothing to save.
        if let Err(err) = fs::remove_dir(&self.dir) {
            eprintln!("cannot remove {}: {err}", self.dir.display());
        }
    }
}

/// Sums the counters of lost events in one CPU's `stats`.
fn lost_in(stats: &str) -> u64 {
    let value = |line: &str| {
        let (name, value) = line.split_once(':')?;
        let counts = ["overrun", "commit overrun", "dropped events"].contains(&name.trim());
        value.trim().parse::<u64>().ok().filter(|_| counts)
    };
    stats.lines().filter_map(value).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_for_every_event() {
        assert_eq!(buffer_size(0), 1 << 20);
        assert_eq!(buffer_size(128 << 10), 17 << 20);
        assert_eq!(buffer_size(u64::MAX), u64::MAX);
    }

    #[test]
    fn lost_events_are_summed() {
        let stats = "entries: 129\noverrun: 1\ncommit overrun: 2\nbytes: 7448\n\
                     oldest event ts: 2.1\nnow ts: 3.0\ndropped events: 4\nread events: 0\n";
        assert_eq!(lost_in(stats), 7);
        assert_eq!(lost_in(""), 0);
    }
}
