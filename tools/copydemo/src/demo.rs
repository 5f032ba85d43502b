// SPDX-License-Identifier: GPL-2.0
//! The demo itself: on each disk copy in several ways, count and compare.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{bail, Context, Result};
use blkcopy::size::human;
use blkcopy::sysfs::Offload;
use evidence::copy::copy_file_range;
use evidence::disk::{open_direct, Disk, Driver};
use evidence::fabric::Fabric;
use evidence::nvme::DataUnits;
use evidence::system;
use evidence::trace::{buffer_size, Scope, Trace};

use crate::content::{Content, STEP};
use crate::layout::Layout;
use crate::proof::{self, Proof};
use crate::report::{median, Method, PathSeen, Report, Row, Run, Section};

/// What null_blk itself and the rest of the demo need beside the data.
const SPARE_MEMORY: u64 = 96 << 20;

/// The smallest requests that a copy is made of: a page is read and written at a time in the
/// kernel's generic path.
const PAGE: u64 = 4096;

/// How fast the wire is.
const RATE: &str = "1gbit";

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
    /// There has to be an NVMe device.
    pub nvme: bool,
    /// Also over NVMe over TCP.
    pub fabrics: bool,
}

/// Runs everything. `say` is told what is being done.
pub fn run(options: Options, say: &dyn Fn(&str)) -> Result<Report> {
    let layout = Layout::new(options.size)?;
    let (null_blk, mut proofs) = on_null_blk(layout, options, say)?;
    let nvme = match Disk::nvme()? {
        Some(disk) => {
            let (section, more) = on_nvme(&disk, layout, options, say)?;
            proofs.extend(more);
            Some(section)
        }
        None if options.nvme => bail!("no NVMe device has a serial number that begins with `copy`"),
        None => None,
    };
    let fabric = match options.fabrics {
        true => {
            let (section, more) = on_fabric(layout, options, say)?;
            proofs.extend(more);
            Some(section)
        }
        false => None,
    };
    Ok(Report {
        kernel: system::kernel(),
        proved: proofs.iter().all(|proof| proof.holds),
        null_blk,
        nvme,
        fabric,
        proofs,
    })
}

/// What was found on a disk, and what that proves.
type Found = (Section, Vec<Proof>);

fn on_null_blk(layout: Layout, options: Options, say: &dyn Fn(&str)) -> Result<Found> {
    say("making a disk in memory, with a partition");
    let beside = buffer_size(events(layout.size)) + SPARE_MEMORY;
    let disk = Disk::in_memory(layout.disk, &[], beside)?;
    let demo = Demo {
        disk: &disk,
        fabric: None,
        partition: Some(layout.partition(&disk)?),
        layout,
        content: Content::new(),
        options,
    };
    let methods = [
        Method::OffloadDisk,
        Method::OffloadPartition,
        Method::Generic,
        Method::ReadWrite,
    ];
    demo.section(&methods, say)
}

fn on_nvme(disk: &Disk, layout: Layout, options: Options, say: &dyn Fn(&str)) -> Result<Found> {
    say(&format!("using {}, an NVMe device", disk.name));
    let size = disk.sysfs()?.size;
    if size < layout.disk {
        bail!(
            "{} has {}, but {} are needed: use a smaller --size",
            disk.name,
            human(size),
            human(layout.disk)
        );
    }
    let demo = Demo {
        disk,
        fabric: None,
        partition: None,
        layout,
        content: Content::new(),
        options,
    };
    demo.section(&[Method::OffloadDisk, Method::ReadWrite], say)
}

fn on_fabric(layout: Layout, options: Options, say: &dyn Fn(&str)) -> Result<Found> {
    say("serving a disk in memory by NVMe over TCP");
    let beside = buffer_size(events(layout.size)) + SPARE_MEMORY;
    let below = Disk::in_memory(layout.disk, &[], beside)?;
    let fabric = Fabric::new(&below.path, RATE)?;
    let demo = Demo {
        disk: &fabric.disk,
        fabric: Some(&fabric),
        partition: None,
        layout,
        content: Content::new(),
        options,
    };
    demo.section(&[Method::OffloadDisk, Method::ReadWrite], say)
}

/// The most requests that a copy can be made of.
fn events(size: u64) -> u64 {
    2 * (size / PAGE)
}

struct Demo<'a> {
    disk: &'a Disk,
    /// What leads to the disk, if that is a wire.
    fabric: Option<&'a Fabric>,
    /// The destination, where it is one.
    partition: Option<PathBuf>,
    layout: Layout,
    content: Content,
    options: Options,
}

impl Demo<'_> {
    fn section(mut self, methods: &[Method], say: &dyn Fn(&str)) -> Result<Found> {
        let Layout { size, src, dst, .. } = self.layout;
        let limits = self.limits()?;
        let scope = if limits.is_some() {
            Scope::All
        } else {
            Scope::Others
        };
        let trace = Trace::new(self.disk, scope, events(size))?;
        say("filling the source with random data");
        self.content
            .fill_random(&self.disk.path, src, size, self.options.seed)?;
        let mut rows = Vec::new();
        for &method in methods {
            let max = match limits {
                Some((max, _)) if method != Method::Generic => max,
                Some(_) => 0,
                None if method == Method::ReadWrite => 0,
                None => continue,
            };
            if limits.is_some() {
                self.disk.set_copy_max_bytes(max)?;
            }
            say(&format!("copying: {}", method.call()));
            rows.push(self.row(&trace, method, max)?);
        }
        let driver = self.disk.driver;
        let proofs = rows
            .iter()
            .flat_map(|row| proof::of_row(driver, row, src, dst))
            .collect();
        let section = Section {
            driver,
            disk: self.disk.name.clone(),
            disk_bytes: self.disk.sysfs()?.size,
            copy_max_bytes: limits.map(|(max, _)| max),
            copy_max_hw_bytes: limits.map(|(_, hw)| hw),
            rows,
        };
        Ok((section, proofs))
    }

    /// The disk's limits, or `None` where only the baseline is wanted.
    fn limits(&self) -> Result<Option<(u64, u64)>> {
        match self.disk.sysfs()?.offload {
            _ if self.options.baseline => Ok(None),
            Offload::Possible {
                max_bytes,
                hw_bytes,
            } => Ok(Some((max_bytes, hw_bytes))),
            other => bail!(
                "there is nothing to show: {}. (--baseline reads and writes only, on any kernel)",
                other.explain(&self.disk.name)
            ),
        }
    }

    /// One copy that is traced and counted, then those that are timed.
    fn row(&mut self, trace: &Trace, method: Method, copy_max_bytes: u64) -> Result<Row> {
        let Layout { size, src, .. } = self.layout;
        self.scrub(0)?;
        let (traced, activity) = trace.record(|| self.copy(method))?;
        let mut runs = vec![self.checked(traced)?];
        runs[0].traced = true;
        for n in 1..=self.options.runs {
            self.scrub(n)?;
            let timed = self.copy(method)?;
            runs.push(self.checked(timed)?);
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

    /// Makes the destination hold something else, so that what is found there
    /// afterwards was copied.
    fn scrub(&mut self, n: u32) -> Result<()> {
        let Layout { size, dst, .. } = self.layout;
        let value = u8::try_from(n % 251).unwrap_or(0) + 1;
        self.content.fill_value(&self.disk.path, dst, size, value)
    }

    /// Takes the checksum through the whole disk, also after a copy onto the
    /// partition.
    fn checked(&mut self, run: Run) -> Result<Run> {
        let Layout { size, dst, .. } = self.layout;
        let destination_sha256 = self.content.sha256(&self.disk.path, dst, size)?;
        Ok(Run {
            destination_sha256,
            ..run
        })
    }

    /// One copy, without the checksum of what came of it.
    fn copy(&mut self, method: Method) -> Result<Run> {
        let Layout { size, src, dst, .. } = self.layout;
        let (target, offset) = match (method, &self.partition) {
            (Method::OffloadPartition, Some(partition)) => (partition, 0),
            _ => (&self.disk.path, dst),
        };
        let from = self.disk.open(false)?;
        let to = open_direct(target, true)?;
        let wire_before = self.wire_bytes()?;
        let units_before = self.data_units()?;
        let read_before = self.disk.read()?.bytes;
        let started = Instant::now();
        let calls = match method {
            Method::ReadWrite => {
                self.content
                    .read_and_write((&from, src), (&to, offset), size)?;
                2 * size.div_ceil(STEP as u64)
            }
            _ => copy_file_range((&from, src), (&to, offset), size)?,
        };
        to.sync_all().context("cannot flush the disk")?;
        let seconds = started.elapsed().as_secs_f64();
        let units = self.data_units()?.zip(units_before);
        let wire = self.wire_bytes()?.zip(wire_before);
        Ok(Run {
            traced: false,
            seconds,
            calls,
            stat_read_bytes: self.disk.read()?.bytes.saturating_sub(read_before),
            data_units: units.map(|(now, before)| now.since(before)),
            wire_bytes: wire.map(|(now, before)| now.saturating_sub(before)),
            destination_sha256: String::new(),
        })
    }

    /// Bytes that have crossed the wire, if there is one.
    fn wire_bytes(&self) -> Result<Option<u64>> {
        self.fabric.map(Fabric::bytes).transpose()
    }

    /// What the device counts on its bus; only one of NVMe does.
    fn data_units(&self) -> Result<Option<DataUnits>> {
        let counts = self.disk.driver == Driver::Nvme;
        counts.then(|| DataUnits::of(self.disk)).transpose()
    }
}
