// SPDX-License-Identifier: GPL-2.0
//! `blkcopy SRC DST`: checks, copies, verifies, reports.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context, Result};
use rustix::fs::Advice;

use crate::chunk::Split;
use crate::cli::{CopyArgs, EngineKind};
use crate::endpoint::{Endpoint, Files};
use crate::engine::{self, Outcome, Work};
use crate::failure::Failure;
use crate::inuse::{Use, Users};
use crate::plan::{plan, Plan};
use crate::progress::Progress;
use crate::report::{Report, Rest, Resume};
use crate::ring::{self, Ring};
use crate::stats::{self, Counters, PathTaken};
use crate::sysfs::{Offload, Sysfs};
use crate::verify;

/// Runs the command. The report is filled as far as the copy came, whether or
/// not an error is returned. `stop` ends the copy at the next chance.
pub fn run(args: &CopyArgs, sysfs: &Sysfs, stop: &AtomicBool, report: &mut Report) -> Result<()> {
    let src = Endpoint::existing(&args.source, sysfs)?;
    let dst = Endpoint::destination(&args.destination, sysfs)?;
    let plan = plan(
        args.wish(),
        &src.end(args.buffered, false),
        &dst.end(args.buffered, true),
    )?;
    (report.src_offset, report.dst_offset, report.length) =
        (plan.src_offset, plan.dst_offset, plan.length);
    may_be_written(&dst, sysfs, args.force)?;
    if args.require_offload {
        may_be_offloaded(&src, &dst)?;
    }
    let may_use_ring = may_use_ring(args, &src, &dst)?;

    // Here a destination file comes into being: what can be refused has been refused.
    let src_file = src.open_for_reading(args.buffered)?;
    let dst_file = dst.open_for_writing(args.buffered, !args.force)?;
    let before = Snapshot::take(&src, &dst);
    let ring = match may_use_ring {
        true => open_ring(args, &dst_file)?,
        false => None,
    };
    report.engine = match &ring {
        Some(_) => "io_uring",
        None => "copy_file_range",
    };
    let jobs = args.jobs.unwrap_or(match &ring {
        Some(_) => ring::DEPTH,
        None => 1,
    });
    let work = Work {
        src_offset: plan.src_offset,
        dst_offset: plan.dst_offset,
        split: Split::new(plan.length, plan.chunk),
        jobs: usize::from(jobs),
        einval_is_refusal: !kernel_knows(&src, &dst),
    };
    let outcome = transfer(args, work, ring, (&src_file, &dst_file), stop, report)?;
    report.counted = before.gained();
    (report.path, report.path_detail) = before.judge(&outcome);
    conclude(args, plan, outcome, report)?;

    if args.verify {
        let difference = compare(args, (&src, &dst), plan, stop)?;
        report.verified = Some(difference.is_none());
        if let Some(offset) = difference {
            let (src, dst) = (plan.src_offset + offset, plan.dst_offset + offset);
            return Err(Failure::Differs { offset, src, dst }.into());
        }
    }
    Ok(())
}

/// Whether to ask for a ring. Refuses options with which there is none between these two ends.
fn may_use_ring(args: &CopyArgs, src: &Endpoint, dst: &Endpoint) -> Result<bool, Failure> {
    if args.engine == EngineKind::CopyFileRange {
        if args.require_offload {
            let text = "--require-offload is only possible with io_uring: leave out --engine copy_file_range";
            return Err(Failure::Refused(text.into()));
        }
        return Ok(false);
    }
    if src.block().is_some() && dst.block().is_some() && !args.buffered {
        return Ok(true);
    }
    let why = "it copies between two block devices, and not with --buffered";
    without_ring(args, why).map(|()| false)
}

/// Refuses to go on without a ring if the options ask for one.
fn without_ring(args: &CopyArgs, why: &str) -> Result<(), Failure> {
    let option = match args.engine {
        _ if args.require_offload => "--require-offload",
        EngineKind::IoUring => "--engine io_uring",
        EngineKind::Auto | EngineKind::CopyFileRange => return Ok(()),
    };
    Err(Failure::Refused(format!("{option} is not possible: {why}")))
}

/// The ring to copy with, unless this kernel has none and copy_file_range does as well.
fn open_ring(args: &CopyArgs, dst: &File) -> Result<Option<Ring>, Failure> {
    match ring::open(usize::from(args.jobs.unwrap_or(ring::DEPTH)), dst) {
        Ok(ring) => Ok(Some(ring)),
        Err(why) => without_ring(args, &why).map(|()| None),
    }
}

/// Refuses a destination that someone else uses or that cannot be written.
pub(crate) fn may_be_written(dst: &Endpoint, sysfs: &Sysfs, force: bool) -> Result<()> {
    let Some(device) = dst.block() else {
        return Ok(());
    };
    if device.read_only {
        let text = format!(
            "{} is read-only; blockdev --setrw makes it writable, if it is a setting",
            dst.path.display()
        );
        return Err(Failure::Refused(text).into());
    }
    let uses = Users::of_this_system()?.of(device, sysfs)?;
    let hard = |usage: &&Use| !(force && matches!(usage, Use::Mounted { .. }));
    let reasons: Vec<_> = uses.iter().filter(hard).map(Use::to_string).collect();
    if reasons.is_empty() {
        return Ok(());
    }
    let text = format!("{} is in use. {}", dst.path.display(), reasons.join(". "));
    Err(Failure::Refused(text).into())
}

/// Refuses what no device can copy, before anything is written.
fn may_be_offloaded(src: &Endpoint, dst: &Endpoint) -> Result<()> {
    match impossible(src, dst) {
        Some(why) => Err(Failure::NotOffloaded(format!("{why}. Nothing was written")).into()),
        None => Ok(()),
    }
}

/// Why one of two block devices does not copy, if that is so.
fn impossible(src: &Endpoint, dst: &Endpoint) -> Option<String> {
    let devices = [dst.block()?, src.block()?];
    let device = devices.iter().find(|dev| !dev.offload.is_possible())?;
    Some(device.offload.explain(&device.disk))
}

/// Whether the kernel copies between these two itself, one way or the other.
fn kernel_knows(src: &Endpoint, dst: &Endpoint) -> bool {
    let aware = |end: &Endpoint| {
        end.block()
            .is_some_and(|device| device.offload != Offload::NoKernelSupport)
    };
    aware(src) && aware(dst)
}

/// Copies, and waits until the data is on the destination.
fn transfer(
    args: &CopyArgs,
    work: Work,
    ring: Option<Ring>,
    (src, dst): (&File, &File),
    stop: &AtomicBool,
    report: &mut Report,
) -> Result<Outcome> {
    let progress = Progress::new("copying", work.split.length(), args.is_silent());
    let started = Instant::now();
    let files = Files { src, dst };
    let add = |bytes| progress.add(bytes);
    let outcome = match ring {
        Some(ring) => {
            let task = ring::Task {
                batches: Box::new(ring::one_range(work.src_offset, work.split)),
                length: work.split.length(),
                src_offset: work.src_offset,
                dst_offset: work.dst_offset,
                command: ring::command(args.require_offload),
                files: &files,
                jobs: work.jobs,
            };
            ring::run(task, ring, stop, &add)
        }
        None => engine::run(work, &files, stop, &add),
    };
    let synced = dst.sync_all();
    report.timed(outcome.gap_free, started.elapsed());
    drop(progress);
    synced.with_context(|| {
        format!(
            "cannot flush {} after {} bytes were copied; what is on it is not known, copy again",
            args.destination.display(),
            outcome.gap_free
        )
    })?;
    Ok(outcome)
}

/// Turns an incomplete outcome into an error that says how to go on.
fn conclude(args: &CopyArgs, plan: Plan, outcome: Outcome, report: &mut Report) -> Result<()> {
    if outcome.gap_free == plan.length {
        return Ok(());
    }
    let done = outcome.gap_free;
    let rest = Rest::Copy {
        src_offset: plan.src_offset + done,
        dst_offset: plan.dst_offset + done,
        length: plan.length - done,
    };
    let command = args.again(rest);
    let beyond = match outcome.total - done {
        0 => String::new(),
        more => format!(" ({more} more after a gap)"),
    };
    let copied = format!(
        "Copied exactly {done} of {} bytes{beyond}. To go on: {command}",
        plan.length,
    );
    report.resume = Some(Resume { rest, command });
    let failure = match outcome.broken {
        Some(broken) if args.require_offload && ring::is_not_offloaded(&broken.error) => {
            Failure::NotOffloaded(format!(
                "the device does not copy from {} to {}: {}. {copied}",
                broken.src, broken.dst, broken.error,
            ))
        }
        Some(broken) => Failure::Incomplete(format!(
            "{} failed at source offset {}, destination offset {}: {}. {copied}",
            broken.what, broken.src, broken.dst, broken.error,
        )),
        None => Failure::Interrupted(copied),
    };
    Err(failure.into())
}

/// What can tell which path is taken, before the copy.
pub(crate) enum Snapshot {
    /// The counters of the disks involved.
    Counters(Vec<(String, Counters)>),
    /// They cannot be read; instead, what was read from the source's disk.
    Reads {
        disk: String,
        before: Option<u64>,
        why: String,
    },
    /// Neither end is a block device.
    Files,
    /// It cannot be offloaded.
    Impossible(String),
}

impl Snapshot {
    pub(crate) fn take(src: &Endpoint, dst: &Endpoint) -> Self {
        if let Some(why) = impossible(src, dst) {
            return Self::Impossible(why);
        }
        let (Some(src), Some(dst)) = (src.block(), dst.block()) else {
            return Self::Files;
        };
        let mut disks = vec![dst.disk.clone(), src.disk.clone()];
        disks.dedup();
        let read = |disk: String| Ok((disk.clone(), stats::read(&disk)?));
        match disks.into_iter().map(read).collect() {
            Ok(counters) => Self::Counters(counters),
            Err(why) => Self::Reads {
                disk: src.disk.clone(),
                before: stats::bytes_read(&src.disk),
                why,
            },
        }
    }

    /// The path taken, now that the copy is over, and what tells so.
    pub(crate) fn judge(self, outcome: &Outcome) -> (PathTaken, String) {
        if outcome.total == 0 {
            return (PathTaken::Nothing, String::new());
        }
        if let Some(error) = &outcome.refused {
            let why = format!("the kernel refuses copy_file_range between these two: {error}");
            return (PathTaken::ReadWrite, why);
        }
        match self {
            Self::Files => (PathTaken::FileSystem, String::new()),
            Self::Impossible(why) => (PathTaken::Generic, why),
            Self::Counters(before) => match Self::gains(&before) {
                Ok(gained) => stats::judge(outcome.total, &gained),
                Err(why) => (PathTaken::Unknown, why),
            },
            Self::Reads { disk, before, why } => {
                let after = stats::bytes_read(&disk);
                let read = after
                    .zip(before)
                    .map(|(after, before)| after.saturating_sub(before));
                stats::judge_by_reads(read, &disk, why)
            }
        }
    }

    /// What the counters of each disk have gained meanwhile; nothing if they cannot be read.
    pub(crate) fn gained(&self) -> BTreeMap<String, BTreeMap<String, u64>> {
        let Self::Counters(before) = self else {
            return BTreeMap::new();
        };
        let disks = before.iter().map(|(disk, _)| disk.clone());
        let gains = Self::gains(before).unwrap_or_default();
        disks.zip(gains.into_iter().map(|gain| gain.0)).collect()
    }

    fn gains(before: &[(String, Counters)]) -> Result<Vec<Counters>, String> {
        let gain = |(disk, old): &(String, Counters)| Ok(stats::read(disk)?.since(old));
        before.iter().map(gain).collect()
    }
}

/// Opens both ends anew and compares them.
fn compare(
    args: &CopyArgs,
    (src, dst): (&Endpoint, &Endpoint),
    plan: Plan,
    stop: &AtomicBool,
) -> Result<Option<u64>> {
    // Devices are read with O_DIRECT also after a buffered copy, so that the
    // media speak and not the page cache; unless the range is too odd for it.
    let blocks = [src, dst]
        .into_iter()
        .filter_map(Endpoint::block)
        .map(|device| device.logical_block);
    let align = blocks.max().unwrap_or(1);
    let odd = [plan.src_offset, plan.dst_offset, plan.length]
        .iter()
        .any(|value| value % align != 0);
    let (src, dst) = (src.open_for_reading(odd)?, dst.open_for_reading(odd)?);
    for file in [&src, &dst] {
        // The page cache would hide what the media hold. A hint; best effort.
        let _ = rustix::fs::fadvise(file, 0, None, Advice::DontNeed);
    }
    let progress = Progress::new("verifying", plan.length, args.is_silent());
    verify::first_difference(
        (&src, plan.src_offset),
        (&dst, plan.dst_offset),
        plan.length,
        stop,
        &|n| progress.add(n),
    )
}

#[cfg(test)]
#[path = "copy_tests.rs"]
mod tests;
