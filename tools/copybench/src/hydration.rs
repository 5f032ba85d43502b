// SPDX-License-Identifier: GPL-2.0
//! Copies by kcopyd of the device mapper: a dm-clone that hydrates.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{bail, Result};
use evidence::disk::Disk;
use evidence::system;

use crate::mapper::{self, Mapped};

const NAME: &str = "copybench";

/// Sectors of a region: 1 MiB, of which so many are copied at a time.
const REGION: u64 = 2048;
const AT_A_TIME: u64 = 8;

const LIMIT: Duration = Duration::from_secs(120);

/// Memory for the metadata of clones.
pub struct Metadata(Disk);

impl Metadata {
    pub fn new() -> Result<Self> {
        mapper::load()?;
        Ok(Self(Disk::in_memory(4 << 20, &[], 0)?))
    }

    /// Copies one device to another one on the same disk, and returns how long that took. It is over when the disk
    /// has written everything; what the clone does afterwards does not count.
    pub fn copy(&self, disk: &Disk, src: &Path, dst: &Path, len: u64) -> Result<Duration> {
        mapper::kcopyd_asks(false)?;
        self.forget()?;
        let clone = Mapped::new(NAME, &table(&self.0.path, src, dst, len))?;
        let before = disk.bytes_written()?;
        let started = Instant::now();
        clone.message("enable_hydration")?;
        while disk.bytes_written()? - before < len {
            if started.elapsed() > LIMIT {
                bail!("the clone was not hydrated within {LIMIT:?}");
            }
            // Often enough to be exact, and seldom enough to leave the processor to the copy.
            sleep(Duration::from_micros(500));
        }
        Ok(started.elapsed())
    }

    /// What it knew of the last clone.
    fn forget(&self) -> Result<()> {
        let of = format!("of={}", self.0.path.display());
        let zeroes = ["if=/dev/zero", &of, "bs=1M", "count=1", "oflag=direct"];
        system::command("dd", &zeroes)
    }
}

fn table(metadata: &Path, src: &Path, dst: &Path, len: u64) -> String {
    format!(
        "0 {} clone {} {} {} {REGION} 1 no_hydration 4 hydration_threshold {AT_A_TIME} hydration_batch_size 1",
        len / 512,
        metadata.display(),
        dst.display(),
        src.display(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables() {
        let [metadata, src, dst] = ["/dev/m", "/dev/s", "/dev/d"].map(Path::new);
        assert_eq!(
            table(metadata, src, dst, 4 << 20),
            "0 8192 clone /dev/m /dev/d /dev/s 2048 1 no_hydration 4 hydration_threshold 8 \
             hydration_batch_size 1"
        );
    }
}
