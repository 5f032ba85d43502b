// SPDX-License-Identifier: GPL-2.0
//! `blkcopy gather DEV LIST...`: many ranges to one place, by as few commands as can be.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context, Result};
use copyring::{Range, MAX_RANGES};

use crate::cli::GatherArgs;
use crate::copy::{may_be_written, Snapshot};
use crate::endpoint::{Endpoint, Files};
use crate::engine::Broken;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::ranges;
use crate::report::{Report, Rest, Resume};
use crate::ring;
use crate::size::human;
use crate::sysfs::{BlockDevice, Sysfs};

/// The most bytes of one command of this program: a progress bar moves, and an interrupt is heard.
const MOST: u64 = 256 << 20;

/// Reads the lists of ranges.
pub fn lists(paths: &[PathBuf]) -> Result<Vec<Range>> {
    let mut list = Vec::new();
    for path in paths {
        let text = read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.display().to_string();
        let ranges = ranges::parse(&text, &name);
        list.extend(ranges.map_err(|err| Failure::Refused(format!("{err:#}")))?);
    }
    Ok(list)
}

/// Gathers these ranges. The report is filled as far as the copy came, whether or not an error is returned. `stop`
/// ends the copy at the next chance.
pub fn run(
    args: &GatherArgs,
    list: &[Range],
    sysfs: &Sysfs,
    stop: &AtomicBool,
    report: &mut Report,
) -> Result<()> {
    let dst = Endpoint::existing(&args.device, sysfs)?;
    let src = match &args.source {
        Some(path) => Endpoint::existing(path, sysfs)?,
        None => dst.clone(),
    };
    let whole = ranges::total(list)?;
    if args.skip > 0 && args.skip >= whole {
        let said = format!("--skip {}: the ranges have {whole} bytes", args.skip);
        return Err(Failure::Refused(said).into());
    }
    let list = &ranges::after(list, args.skip)[..];
    let total = whole - args.skip;
    let to = args.dst_offset.saturating_add(args.skip);
    (report.dst_offset, report.length, report.engine) = (to, total, "io_uring");
    check(list, total, to, (&src, &dst))?;
    may_be_written(&dst, sysfs, args.force)?;

    let src_file = src.open_for_reading(false)?;
    let dst_file = dst.open_for_writing(false, !args.force)?;
    let ring = ring::open(usize::from(args.jobs), &dst_file).map_err(Failure::Refused)?;
    let before = Snapshot::take(&src, &dst);
    let progress = Progress::new("gathering", total, args.json || args.quiet);
    let started = Instant::now();
    let files = Files {
        src: &src_file,
        dst: &dst_file,
    };
    let task = ring::Task {
        batches: Box::new(ranges::batches(list, MAX_RANGES, MOST).into_iter()),
        length: total,
        src_offset: list.first().map_or(0, |range| range.offset),
        dst_offset: to,
        command: ring::command(args.require_offload),
        files: &files,
        jobs: usize::from(args.jobs),
    };
    let outcome = ring::run(task, ring, stop, &|bytes| progress.add(bytes));
    let synced = dst_file.sync_all();
    let copied = outcome.gap_free;
    report.timed(copied, started.elapsed());
    drop(progress);
    report.counted = before.gained();
    (report.path, report.path_detail) = before.judge(&outcome);
    synced.with_context(|| format!("cannot flush {}", args.device.display()))?;
    if copied == total {
        return Ok(());
    }
    let rest = Rest::Gather {
        skip: args.skip + copied,
    };
    let command = args.again(rest);
    let said = format!(
        "Gathered exactly {copied} of {total} bytes, in the order of the list. To go on: {command}"
    );
    report.resume = Some(Resume { rest, command });
    Err(match outcome.broken {
        Some(Broken { error, .. }) if args.require_offload && ring::is_not_offloaded(&error) => {
            Failure::NotOffloaded(format!("the device does not copy this: {error}. {said}"))
        }
        Some(Broken { what, error, .. }) => {
            Failure::Incomplete(format!("{what} failed: {error}. {said}"))
        }
        None => Failure::Interrupted(said),
    }
    .into())
}

/// Reads a file, or standard input.
fn read(path: &Path) -> io::Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    fs::read_to_string(path)
}

fn device(end: &Endpoint) -> Result<&BlockDevice, Failure> {
    let name = end.path.display();
    end.block()
        .ok_or_else(|| Failure::Refused(format!("{name} is not a block device")))
}

/// Refuses what the kernel would refuse, and says which line it is.
fn check(
    list: &[Range],
    total: u64,
    to: u64,
    (src, dst): (&Endpoint, &Endpoint),
) -> Result<(), Failure> {
    let (from, into) = (device(src)?, device(dst)?);
    let block = from.logical_block.max(into.logical_block);
    let refuse = |text: String| Err(Failure::Refused(text));
    match to.checked_add(total) {
        Some(end) if end <= into.size => {}
        _ => {
            return refuse(format!(
                "{total} bytes do not fit at {to} on {}, which has {} bytes ({})",
                dst.path.display(),
                into.size,
                human(into.size)
            ))
        }
    }
    if to % block != 0 {
        return refuse(format!(
            "the offset {to} of the destination is not a multiple of the logical block size {block}"
        ));
    }
    for Range { offset, len } in list {
        let said = format!("the range {offset}+{len}");
        if offset % block != 0 || len % block != 0 {
            return refuse(format!(
                "{said} is not on multiples of the logical block size {block}"
            ));
        }
        if offset + len > from.size {
            return refuse(format!(
                "{said} ends past the end of {}, which has {} bytes",
                src.path.display(),
                from.size
            ));
        }
        let (from_start, to_start) = (from.start + offset, into.start + to);
        let meets = from_start < to_start + total && to_start < from_start + len;
        if from.disk_devno == into.disk_devno && meets {
            return refuse(format!(
                "{said} overlaps the destination, {to}+{total}; choose another --dst-offset"
            ));
        }
    }
    Ok(())
}
