// SPDX-License-Identifier: GPL-2.0
//! The module blk_copy_test, which calls the engine as kernel code does.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail, Context, Result};
use evidence::disk::Disk;
use evidence::system;

const COPY: &str = "/sys/kernel/debug/blk_copy_test/copy";

/// Loads it.
pub fn load() -> Result<()> {
    system::mounted("/sys/kernel/debug", "debugfs")?;
    system::module("blk_copy_test", &[], Path::new(COPY))
}

/// Has the kernel copy, by one call, and returns how long that took.
pub fn copy(what: &str, src: (&Disk, u64), dst: (&Disk, u64), len: u64) -> Result<Duration> {
    let line = line(what, (&src.0.path, src.1), (&dst.0.path, dst.1), len);
    let started = Instant::now();
    let written = fs::write(COPY, &line);
    let time = started.elapsed();
    written.map_err(|err| match err.raw_os_error() {
        Some(22) => anyhow!("the module blk_copy_test of this kernel does not know `{what}`"),
        _ => anyhow!("cannot write {line:?} to {COPY}: {err}"),
    })?;
    check(&system::get(Path::new(COPY))?, len).with_context(|| line)?;
    Ok(time)
}

fn line(what: &str, src: (&Path, u64), dst: (&Path, u64), len: u64) -> String {
    let (from, to, len) = (src.1 / 512, dst.1 / 512, len / 512);
    format!(
        "{what} {} {} {from}+{len} {to}+{len}",
        src.0.display(),
        dst.0.display()
    )
}

/// Looks at `copied=SECTORS error=ERRNO`.
fn check(answer: &str, len: u64) -> Result<()> {
    if answer.trim() != format!("copied={} error=0", len / 512) {
        bail!(
            "the copy of {} sectors came to an early end: {}",
            len / 512,
            answer.trim()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let disk = Path::new("/dev/nullb0");
        assert_eq!(
            line("offload", (disk, 0), (disk, 64 << 20), 64 << 20),
            "offload /dev/nullb0 /dev/nullb0 0+131072 131072+131072"
        );
    }

    #[test]
    fn answers() {
        assert!(check("copied=8 error=0\n", 4096).is_ok());
        for answer in [
            "copied=0 error=-95\n",
            "copied=8 error=-5",
            "copied=7 error=0",
            "",
        ] {
            assert!(check(answer, 4096).is_err(), "{answer}");
        }
    }
}
