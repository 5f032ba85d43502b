// SPDX-License-Identifier: GPL-2.0
//! The copies that a driver executed, from a trace instance of our own.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};
use serde::Serialize;

use crate::disk::{Disk, Driver};
use crate::system;

const TRACING: &str = "/sys/kernel/tracing";
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
    pub fn new(driver: Driver, events: u64) -> Result<Self> {
        system::mounted(TRACING, "tracefs")?;
        let dir = Path::new(TRACING).join(format!("instances/copybench-{}", std::process::id()));
        fs::create_dir(&dir).with_context(|| {
            format!(
                "cannot create {}; the kernel needs CONFIG_TRACING",
                dir.display()
            )
        })?;
        let trace = Self { dir };
        // Of NVMe's commands those for Copy are enough.
        let (event, filter) = match driver {
            Driver::NullBlk => ("events/nullb/nullb_copy_op", None),
            Driver::Nvme => ("events/nvme/nvme_setup_cmd", Some("opcode == 0x19")),
        };
        if !trace.dir.join(event).exists() {
            bail!("the driver has no tracepoint {event}, so nothing could be proved");
        }
        trace.set("tracing_on", "0")?;
        trace.set("buffer_size_kb", &(1024 + events / 8).to_string())?;
        if let Some(filter) = filter {
            trace.set(&format!("{event}/filter"), filter)?;
        }
        trace.set(&format!("{event}/enable"), "1")?;
        Ok(trace)
    }

    fn set(&self, file: &str, value: &str) -> Result<()> {
        system::set(&self.dir.join(file), value)
    }

    /// Runs `what` and counts the copies on `disk` meanwhile.
    pub fn record<T>(&self, disk: &Disk, what: impl FnOnce() -> Result<T>) -> Result<(T, Copies)> {
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
        let trace = BufReader::new(trace);
        let copies = match disk.driver {
            Driver::NullBlk => copies_in(trace, &disk.name)?,
            Driver::Nvme => nvme_copies_in(trace, &disk.name, disk.block()?)?,
        };
        Ok((result, copies))
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

/// `… nvme_setup_cmd: nvme0: disk=nvme0n1, …, cmd=(nvme_cmd_copy sdlba=2048, nr_range=7, …)`
///
/// It does not say how much a command copies. But their destinations do, if they are one after the
/// other and equally far apart.
fn nvme_copies_in(trace: impl BufRead, disk: &str, block: u64) -> Result<Copies> {
    let disk = format!(" disk={disk},");
    let mut places = Vec::new();
    for line in trace.lines() {
        let line = line.context("cannot read the trace")?;
        let Some((head, command)) = line.split_once(" cmd=(nvme_cmd_copy sdlba=") else {
            continue;
        };
        if head.contains(&disk) {
            let place = command.split(',').next().unwrap_or_default();
            places.push(place.parse::<u64>().context("the trace has an odd place")?);
        }
    }
    places.sort_unstable();
    let requests = places.len() as u64;
    let Some([first, second]) = places.first_chunk::<2>() else {
        return Ok(Copies { requests, bytes: 0 });
    };
    let size = second - first;
    if size == 0 || places.windows(2).any(|pair| pair[1] - pair[0] != size) {
        bail!("the commands are not one after the other, and of one size");
    }
    Ok(Copies {
        requests,
        bytes: requests * size * block,
    })
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
    fn nvme_commands_say_how_long_they_are() {
        let line = |disk: &str, name: &str, lba: u64| {
            format!(
                " cb-33 [000] ..... 1.01: nvme_setup_cmd: nvme0: disk={disk}, qid=1, cmdid=1, \
                 nsid=1, flags=0x0, meta=0x0, cmd=({name} sdlba={lba}, nr_range=7, ctrl=0x0, \
                 dsmgmt=0, reftag=0)\n"
            )
        };
        let copy = |lba| line("nvme0n1", "nvme_cmd_copy", lba);
        let others = line("nvme0n1", "nvme_cmd_write", 7) + &line("nvme0n11", "nvme_cmd_copy", 9);
        let parse = |text: String| nvme_copies_in((text + &others).as_bytes(), "nvme0n1", 512);
        let (requests, bytes) = (3, 3 * 4096);
        assert_eq!(
            parse(copy(16) + &copy(0) + &copy(8)).unwrap(),
            Copies { requests, bytes }
        );
        assert_eq!(parse(String::new()).unwrap(), Copies::default());
        assert!(parse(copy(16) + &copy(0) + &copy(0)).is_err());
        assert!(parse(copy(16) + &copy(0) + &copy(7)).is_err());
    }

    #[test]
    fn lost_events_are_summed() {
        let stats = "entries: 129\noverrun: 1\ncommit overrun: 2\nbytes: 7448\ndropped events: 4\n";
        assert_eq!(lost_in(stats), 7);
        assert_eq!(lost_in(""), 0);
    }
}
