// SPDX-License-Identifier: GPL-2.0
//! The copies that null_blk executed, from a trace instance of our own.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};
use serde::Serialize;

use crate::system;

const TRACING: &str = "/sys/kernel/tracing";
const EVENT: &str = "events/nullb/nullb_copy_op";

/// Copies that the driver executed on one disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Copies {
    pub requests: u64,
    pub bytes: u64,
}

/// Recording starts and ends with [`Trace::record`]; dropping removes it all.
pub struct Trace {
    dir: PathBuf,
}

impl Trace {
    /// With room for so many events on each CPU.
    pub fn new(events: u64) -> Result<Self> {
        system::mounted(TRACING, "tracefs")?;
        let dir = Path::new(TRACING).join(format!("instances/copybench-{}", std::process::id()));
        fs::create_dir(&dir).with_context(|| {
            format!(
                "cannot create {}; the kernel needs CONFIG_TRACING",
                dir.display()
            )
        })?;
        let trace = Self { dir };
        if !trace.dir.join(EVENT).exists() {
            bail!("null_blk has no tracepoint nullb_copy_op, so nothing could be proved");
        }
        trace.set("tracing_on", "0")?;
        trace.set("buffer_size_kb", &(1024 + events / 8).to_string())?;
        trace.set(&format!("{EVENT}/enable"), "1")?;
        Ok(trace)
    }

    fn set(&self, file: &str, value: &str) -> Result<()> {
        system::set(&self.dir.join(file), value)
    }

    /// Runs `what` and counts the copies on `disk` meanwhile.
    pub fn record<T>(&self, disk: &str, what: impl FnOnce() -> Result<T>) -> Result<(T, Copies)> {
        self.set("trace", "")?;
        self.set("tracing_on", "1")?;
        let result = what();
        self.set("tracing_on", "0")?;
        let result = result?;
        let lost = self.lost()?;
        if lost > 0 {
            bail!("the trace lost {lost} events, so nothing is proved");
        }
        let trace = File::open(self.dir.join("trace")).context("cannot open the trace")?;
        Ok((result, copies_in(BufReader::new(trace), disk)?))
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
            eprintln!("copybench: cannot remove {}: {err}", self.dir.display());
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

/// `… nullb_copy_op: disk=nullb0, req=COPY_DST       : dst=8192, src=0, len=4096`
fn copies_in(trace: impl BufRead, disk: &str) -> Result<Copies> {
    let mut copies = Copies::default();
    for line in trace.lines() {
        let line = line.context("cannot read the trace")?;
        let fields = line
            .split_once(": nullb_copy_op: disk=")
            .map(|(_, fields)| fields);
        let fields = fields.and_then(|fields| fields.strip_prefix(disk)?.strip_prefix(','));
        if let Some((_, len)) = fields.and_then(|fields| fields.rsplit_once(" len=")) {
            copies.requests += 1;
            copies.bytes += len
                .trim()
                .parse::<u64>()
                .context("the trace has an odd length")?;
        }
    }
    Ok(copies)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "\
# tracer: nop
#  TASK-PID CPU#  |||||  TIMESTAMP  FUNCTION
 cb-33 [000] ..... 1.01: nullb_copy_op: disk=nullb0, req=COPY_DST       : dst=8192, src=0, len=4096
 cb-33 [000] ..... 1.02: block_rq_issue: 250,0 CWS 4096 () 16 + 8 none,0,0 [copybench]
 cb-33 [000] ..... 1.03: nullb_copy_op: disk=nullb0, req=COPY_DST       : dst=4096, src=0, len=512
 cb-33 [000] ..... 1.04: nullb_copy_op: disk=nullb01, req=COPY_DST       : dst=0, src=0, len=512
";

    #[test]
    fn counts_one_disk() {
        let (requests, bytes) = (2, 4608);
        assert_eq!(
            copies_in(TRACE.as_bytes(), "nullb0").unwrap(),
            Copies { requests, bytes }
        );
        assert_eq!(
            copies_in(TRACE.as_bytes(), "nullb").unwrap(),
            Copies::default()
        );
    }

    #[test]
    fn lost_events_are_summed() {
        let stats = "entries: 129\noverrun: 1\ncommit overrun: 2\nbytes: 7448\ndropped events: 4\n";
        assert_eq!(lost_in(stats), 7);
        assert_eq!(lost_in(""), 0);
    }
}
