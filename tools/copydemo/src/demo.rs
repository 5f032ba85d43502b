// SPDX-License-Identifier: GPL-2.0
//! The demo itself: make a disk, copy in four ways, count and compare.

use std::fs::File;
use std::time::Instant;

use anyhow::{bail, Context, Result};
use blkcopy::sysfs::{BlockDevice, Offload};

use crate::content::{open_direct, Content, STEP};
use crate::disk::{Disk, Layout};
use crate::events::Activity;
use crate::proof;
use crate::report::{median, Method, PathSeen, Report, Row, Run};
use crate::trace::Trace;

/// What to do.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bytes to copy.
    pub size: u64,
    /// Timed copies for each row, beside the one that is traced.
    pub runs: u32,
    pub seed: u64,
    /// Only read and write, on a kernel without copy offload.
    pub baseline: bool,
}

/// Runs everything. `say` is told what is being done.
pub fn run(options: Options, say: &dyn Fn(&str)) -> Result<Report> {
    let layout = Layout::new(options.size)?;
    say("making a disk in memory, with a partition");
    let disk = Disk::create(layout)?;
    let device = disk.sysfs()?;
    let limits = limits(&device, options.baseline)?;
    let mut demo = Demo {
        disk: &disk,
        device: &device,
        trace: Some(Trace::new(limits.is_some(), layout.size)?),
        content: Content::new(),
        options,
    };

    say("filling the source with random data");
    demo.content
        .fill_random(&disk.path, layout.src, layout.size, options.seed)?;

    let methods: &[Method] = match limits {
        Some(_) => &[
            Method::OffloadDisk,
            Method::OffloadPartition,
            Method::Generic,
            Method::ReadWrite,
        ],
        None => &[Method::ReadWrite],
    };
    let mut rows = Vec::new();
    for &method in methods {
        let max = limits.map_or(
            0,
            |(max, _)| if method == Method::Generic { 0 } else { max },
        );
        if limits.is_some() {
            disk.set_copy_max_bytes(max)?;
        }
        say(&format!("copying: {}", method.call()));
        rows.push(demo.row(method, max)?);
    }

    let proofs: Vec<_> = rows
        .iter()
        .flat_map(|row| proof::of_row(row, layout.src, layout.dst))
        .collect();
    Ok(Report {
        kernel: rustix::system::uname()
            .release()
            .to_string_lossy()
            .into_owned(),
        disk: disk.name.clone(),
        disk_bytes: layout.disk,
        copy_max_bytes: limits.map(|(max, _)| max),
        copy_max_hw_bytes: limits.map(|(_, hw)| hw),
        proved: proofs.iter().all(|proof| proof.holds),
        rows,
        proofs,
    })
}

/// The disk's limits, or `None` where only the baseline is wanted.
fn limits(device: &BlockDevice, baseline: bool) -> Result<Option<(u64, u64)>> {
    match device.offload {
        _ if baseline => Ok(None),
        Offload::Possible {
            max_bytes,
            hw_bytes,
        } => Ok(Some((max_bytes, hw_bytes))),
        other => bail!(
            "there is nothing to show: {}. (--baseline reads and writes only, on any kernel)",
            other.explain(&device.name)
        ),
    }
}

struct Demo<'a> {
    disk: &'a Disk,
    device: &'a BlockDevice,
    trace: Option<Trace>,
    content: Content,
    options: Options,
}

impl Demo<'_> {
    /// One copy that is traced and counted, then those that are timed.
    fn row(&mut self, method: Method, copy_max_bytes: u64) -> Result<Row> {
        let Layout { size, src, .. } = self.disk.layout;
        let (first, activity) = self.traced_run(method)?;
        let mut runs = vec![first];
        for n in 1..=self.options.runs {
            self.scrub(n)?;
            let (seconds, calls, stat_read_bytes) = self.copy(method)?;
            runs.push(self.checked(false, (seconds, calls, stat_read_bytes))?);
        }
        let destination = match method {
            Method::OffloadPartition => format!("{}p1", self.disk.name),
            _ => self.disk.name.clone(),
        };
        Ok(Row {
            method,
            source: self.disk.name.clone(),
            destination,
            bytes: size,
            copy_max_bytes,
            source_sha256: self.content.sha256(&self.disk.path, src, size)?,
            path: PathSeen::of(&activity),
            seconds: median(runs.iter().filter(|run| !run.traced).map(|run| run.seconds)),
            bytes_crossed_memory: activity.crossed_memory(),
            activity,
            runs,
        })
    }

    fn traced_run(&mut self, method: Method) -> Result<(Run, Activity)> {
        self.scrub(0)?;
        // The trace is lent out while the rest of the demo copies.
        let trace = self.trace.take().context("the trace is in use")?;
        let (copied, lines) = trace.record(|| self.copy(method))?;
        let activity = Activity::of(lines, &self.disk.name, self.device.devno)?;
        self.trace = Some(trace);
        Ok((self.checked(true, copied)?, activity))
    }

    /// Makes the destination hold something else, so that what is found there
    /// afterwards was copied.
    fn scrub(&mut self, n: u32) -> Result<()> {
        let Layout { size, dst, .. } = self.disk.layout;
        let value = u8::try_from(n % 251).unwrap_or(0) + 1;
        self.content.fill_value(&self.disk.path, dst, size, value)
    }

    /// Takes the checksum through the whole disk, also after a copy onto the
    /// partition.
    fn checked(
        &mut self,
        traced: bool,
        (seconds, calls, stat_read_bytes): (f64, u64, u64),
    ) -> Result<Run> {
        let Layout { size, dst, .. } = self.disk.layout;
        let destination_sha256 = self.content.sha256(&self.disk.path, dst, size)?;
        Ok(Run {
            traced,
            seconds,
            calls,
            stat_read_bytes,
            destination_sha256,
        })
    }

    /// One copy: its time, its system calls, and the bytes read by it.
    fn copy(&mut self, method: Method) -> Result<(f64, u64, u64)> {
        let Layout { size, src, dst, .. } = self.disk.layout;
        let (target, offset) = match method {
            Method::OffloadPartition => (&self.disk.partition, 0),
            _ => (&self.disk.path, dst),
        };
        let from = open_direct(&self.disk.path, false)?;
        let to = open_direct(target, true)?;
        let read_before = self.disk.bytes_read()?;
        let started = Instant::now();
        let calls = match method {
            Method::ReadWrite => {
                self.content
                    .read_and_write((&from, src), (&to, offset), size)?;
                2 * size.div_ceil(STEP as u64)
            }
            _ => copy_file_range(&from, src, &to, offset, size)?,
        };
        to.sync_all().context("cannot flush the disk")?;
        let seconds = started.elapsed().as_secs_f64();
        Ok((
            seconds,
            calls,
            self.disk.bytes_read()?.saturating_sub(read_before),
        ))
    }
}

/// Copies all of it, and tells in how many calls.
fn copy_file_range(src: &File, mut from: u64, dst: &File, mut to: u64, len: u64) -> Result<u64> {
    let (mut left, mut calls) = (len, 0);
    while left > 0 {
        let want = usize::try_from(left).unwrap_or(usize::MAX);
        let copied = rustix::fs::copy_file_range(src, Some(&mut from), dst, Some(&mut to), want)
            .with_context(|| format!("copy_file_range failed with {left} of {len} bytes to go"))?;
        if copied == 0 {
            bail!("copy_file_range stopped with {left} of {len} bytes to go");
        }
        left -= copied as u64;
        calls += 1;
    }
    Ok(calls)
}
