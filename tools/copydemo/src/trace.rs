// SPDX-License-Identifier: GPL-2.0
//! A trace instance of our own, so that nobody else's tracing is disturbed
//! and nobody disturbs the counts.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};

use crate::system;

const TRACING: &str = "/sys/kernel/tracing";

/// The smallest requests that a copy is made of: a page is read and written
/// at a time in the kernel's generic path.
const PAGE: u64 = 4096;

/// Memory of one event in the buffer, and some more.
const EVENT: u64 = 128;

/// The events that are counted.
const EVENTS: [&str; 2] = ["nullb/nullb_copy_op", "block/block_rq_issue"];

/// Memory for the events of a copy of `size` bytes, on each CPU.
pub fn buffer_size(size: u64) -> u64 {
    (size / PAGE)
        .saturating_mul(2 * EVENT)
        .saturating_add(1 << 20)
}

/// Recording starts and ends with [`Trace::record`]; dropping removes it all.
pub struct Trace {
    dir: PathBuf,
}

impl Trace {
    /// `copies`: also the copies that null_blk executes, which a kernel
    /// without copy offload has no event for. `size`: the bytes copied in one
    /// recording.
    pub fn new(copies: bool, size: u64) -> Result<Self> {
        system::mounted(TRACING, "tracefs")?;
        let dir = Path::new(TRACING).join(format!("instances/copydemo-{}", std::process::id()));
        fs::create_dir(&dir).with_context(|| {
            format!(
                "cannot create {}; the kernel needs CONFIG_TRACING and root",
                dir.display()
            )
        })?;
        let trace = Self { dir };
        trace.set("tracing_on", "0")?;
        trace.set("buffer_size_kb", &(buffer_size(size) / 1024).to_string())?;
        for event in EVENTS.iter().skip(usize::from(!copies)) {
            trace.set(&format!("events/{event}/enable"), "1")?;
        }
        Ok(trace)
    }

    fn set(&self, file: &str, value: &str) -> Result<()> {
        system::set(&self.dir.join(file), value)
    }

    /// Runs `what` and returns its result with the trace of it.
    pub fn record<T>(&self, what: impl FnOnce() -> Result<T>) -> Result<(T, BufReader<File>)> {
        self.set("trace", "")?;
        self.set("tracing_on", "1")?;
        let result = what();
        self.set("tracing_on", "0")?;
        let result = result?;
        let lost = self.lost()?;
        if lost > 0 {
            bail!("the trace lost {lost} events, so nothing can be counted: use a smaller --size");
        }
        let trace = File::open(self.dir.join("trace")).context("cannot open the trace")?;
        Ok((result, BufReader::with_capacity(64 << 10, trace)))
    }

    /// Events that did not fit in the buffer.
    fn lost(&self) -> Result<u64> {
        let mut lost = 0;
        for cpu in fs::read_dir(self.dir.join("per_cpu")).context("cannot list the trace's CPUs")? {
            let stats = fs::read_to_string(cpu?.path().join("stats"))
                .context("cannot read the trace's statistics")?;
            lost += lost_in(&stats);
        }
        Ok(lost)
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // An empty folder in a file system of the kernel; nothing to save.
        if let Err(err) = fs::remove_dir(&self.dir) {
            eprintln!("copydemo: cannot remove {}: {err}", self.dir.display());
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
    fn room_for_every_page() {
        assert_eq!(buffer_size(0), 1 << 20);
        assert_eq!(buffer_size(256 << 20), 17 << 20);
    }

    #[test]
    fn lost_events_are_summed() {
        let stats = "entries: 129\noverrun: 1\ncommit overrun: 2\nbytes: 7448\n\
                     oldest event ts: 2.1\nnow ts: 3.0\ndropped events: 4\nread events: 0\n";
        assert_eq!(lost_in(stats), 7);
        assert_eq!(lost_in(""), 0);
    }
}
