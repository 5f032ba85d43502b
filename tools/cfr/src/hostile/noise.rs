// SPDX-License-Identifier: GPL-2.0
//! What goes on beside the copies.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{ensure, Context, Result};
use nix::errno::Errno;

use super::Tally;
use crate::copy::Outcome;
use crate::random::Random;

nix::ioctl_none_bad!(rescan, nix::request_code_none!(0x12, 95));

/// A thread that disturbs.
pub enum Noise {
    /// Writes to the attribute `copy_max_bytes` of a queue: numbers, and what is none.
    Limit(PathBuf, Random),
    /// Has the partitions of a device looked for (BLKRRPART).
    Rescan(PathBuf),
}

impl Noise {
    /// Goes on until told to stop; says how often it did what.
    pub fn until(mut self, stop: &AtomicBool) -> Result<Tally> {
        let mut tally = Tally::default();
        while !stop.load(Relaxed) {
            let (kind, result) = match &mut self {
                Self::Limit(path, random) => ("limit", limit(path, random)?),
                Self::Rescan(path) => ("rescan", again(path)?),
            };
            let outcome = match result {
                Ok(()) => Outcome {
                    copied: 1,
                    error: None,
                },
                Err(error) => Outcome::nothing(error),
            };
            tally.count(kind, outcome);
            // A queue stands still while its limits change.
            std::thread::sleep(Duration::from_millis(50));
        }
        if let Self::Limit(path, _) = &self {
            // What it is by default.
            let _ = fs::write(path, "1048576");
        }
        Ok(tally)
    }
}

/// Something to write to a limit, and whether it is a number of whole blocks of 512 bytes.
fn text(random: &mut Random) -> (String, bool) {
    let number = |value: u64| (value.to_string(), value % 512 == 0);
    match random.index(10) {
        0 => number(0),
        1 | 2 => number(1 << random.index(64)),
        3 => number(4096 * random.log(64) as u64),
        4 => number(u64::MAX),
        5 => (String::from("-1"), false),
        6 => (String::from("many"), false),
        7 => (String::from("18446744073709551616"), false),
        8 => ("9".repeat(4000), false),
        _ => (String::from("4096 4096"), false),
    }
}

fn limit(path: &Path, random: &mut Random) -> Result<Result<(), Errno>> {
    let (text, number) = text(random);
    let mut file = File::options().write(true).open(path)?;
    match file.write_all(text.as_bytes()) {
        Ok(()) => {
            ensure!(number, "{text:.40} was taken for a limit");
            Ok(Ok(()))
        }
        Err(error) => {
            let error = Errno::from_raw(error.raw_os_error().unwrap_or(0));
            ensure!(error == Errno::EINVAL && !number, "{text:.40}: {error:?}");
            Ok(Err(error))
        }
    }
}

fn again(path: &Path) -> Result<Result<(), Errno>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    // SAFETY: It takes no argument.
    let result = unsafe { rescan(file.as_raw_fd()) }.map(drop);
    ensure!(
        matches!(result, Ok(()) | Err(Errno::EBUSY)),
        "BLKRRPART: {result:?}"
    );
    Ok(result)
}
