// SPDX-License-Identifier: GPL-2.0
//! `cfr fsx`: random operations of all kinds in a part of a device, as the program fsx makes on a file. What is read
//! has to be what was written or copied last, whichever way it went.
//!
//! The sequence is a function of the seed.

mod plan;

use std::fs::File;
use std::path::PathBuf;

use anyhow::{bail, ensure, Context, Result};
use blkcopy::aligned::AlignedBuf;
use clap::Args;
use memmap2::{MmapMut, MmapOptions};
use nix::errno::Errno;
use nix::fcntl::{fallocate, FallocateFlags};

use self::plan::{overlap, Operation, Part, Plan, Through};
use crate::cache;
use crate::copy::{copy_at, Outcome};
use crate::device::{self, Access, How};
use crate::pattern::{self, Pattern};
use crate::recent::Recent;
use blkcopy::size;

#[derive(Args, Clone, Debug)]
pub struct FsxArgs {
    device: PathBuf,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, default_value_t = 1000)]
    ops: u64,
    /// Start of the region that is used
    #[arg(long, value_parser = size::parse, default_value = "0")]
    base: u64,
    /// Size of that region, a power of two
    #[arg(long, value_parser = size::parse, default_value = "2M")]
    size: u64,
    /// The logical block size
    #[arg(long, value_parser = size::parse, default_value = "512")]
    align: u64,
}

struct Fsx {
    base: u64,
    direct: File,
    buffered: File,
    mapping: MmapMut,
    /// The region's right content.
    model: Vec<u8>,
    buffer: AlignedBuf,
    recent: Recent,
}

impl FsxArgs {
    pub fn run(&self) -> Result<String> {
        let size = usize::try_from(self.size).context("the region is too large")?;
        let align = usize::try_from(self.align).context("the block is too large")?;
        ensure!(
            size.is_power_of_two() && align.is_power_of_two() && size >= 256 * align,
            "the sizes are no powers of two, or the region is too small"
        );
        let mut fsx = Fsx::new(self, size)?;
        let mut plan = Plan::new(self.seed, size, align);
        for number in 0..self.ops {
            fsx.step(number, plan.next())
                .map_err(|err| fsx.recent.explain(self.at(number), &err))?;
        }
        let whole = [Through::Mapping, Through::Cache, Through::Device];
        for through in whole.map(Operation::Compare) {
            fsx.step(self.ops, through)
                .map_err(|err| fsx.recent.explain(self.at(self.ops), &err))?;
        }
        Ok(format!("{} operations, no difference", self.ops))
    }

    /// A place of the test, for errors.
    fn at(&self, number: u64) -> String {
        format!("operation {number} of seed {}", self.seed)
    }
}

impl Fsx {
    fn new(args: &FsxArgs, size: usize) -> Result<Self> {
        let direct = device::open(&args.device, How::new(Access::Rw, true))?;
        let buffered = device::open(&args.device, How::new(Access::Rw, false))?;
        let mut options = MmapOptions::new();
        options.offset(args.base).len(size);
        // SAFETY: The device is memory shared with the kernel. This process looks at it only by `look`, which does
        // not assume that it stays the same.
        let mapping = unsafe { options.map_mut(&buffered) }
            .with_context(|| format!("cannot map {}", args.device.display()))?;
        let mut buffer = AlignedBuf::new(size);
        device::read_exact(&direct, &mut buffer, args.base)?;
        Ok(Fsx {
            base: args.base,
            direct,
            buffered,
            mapping,
            model: buffer.to_vec(),
            buffer,
            recent: Recent::new(16),
        })
    }

    fn file(&self, direct: bool) -> &File {
        if direct {
            &self.direct
        } else {
            &self.buffered
        }
    }

    fn step(&mut self, number: u64, operation: Operation) -> Result<()> {
        self.recent.note(format!("{number}: {operation:?}"));
        match operation {
            Operation::Read(through, part) => self.compare(through, part),
            Operation::Write(through, part, seed) => self.write(through, part, seed),
            Operation::Copy {
                from,
                to,
                src_direct,
                dst_direct,
            } => self.copy(from, to, (src_direct, dst_direct)),
            Operation::Zero(part) => self.zero(part),
            Operation::Sync => self.buffered.sync_all().context("cannot sync"),
            Operation::Drop => {
                // A page that is mapped is not dropped by this, which is as good here.
                cache::try_to_drop_pages(&self.buffered)
            }
            Operation::Compare(through) => {
                let len = self.model.len();
                self.compare(through, Part { at: 0, len })
            }
        }
    }

    /// Compares what can be seen of a part.
    fn compare(&mut self, through: Through, part: Part) -> Result<()> {
        let Part { at, len } = part;
        let offset = self.base + at as u64;
        let got = &mut self.buffer[..len];
        match through {
            Through::Cache => device::read_exact(&self.buffered, got, offset)?,
            Through::Device => device::read_exact(&self.direct, got, offset)?,
            Through::Mapping => look(&self.mapping[at..at + len], got),
        }
        pattern::compare(at as u64, got, &self.model[at..at + len])
            .with_context(|| format!("{through:?}"))
    }

    fn write(&mut self, through: Through, part: Part, seed: u64) -> Result<()> {
        let Part { at, len } = part;
        let offset = self.base + at as u64;
        let data = &mut self.buffer[..len];
        Pattern::Seed(seed).fill(at as u64, data);
        self.model[at..at + len].copy_from_slice(data);
        match through {
            Through::Cache => device::write_all(&self.buffered, data, offset),
            Through::Device => device::write_all(&self.direct, data, offset),
            Through::Mapping => {
                self.mapping[at..at + len].copy_from_slice(data);
                Ok(())
            }
        }
    }

    /// Copies, by as many calls as it takes.
    fn copy(&mut self, from: Part, to: usize, direct: (bool, bool)) -> Result<()> {
        let (src, dst) = (self.file(direct.0), self.file(direct.1));
        let mut done = 0;
        while done < from.len {
            let (at, there) = ((from.at + done) as u64, (to + done) as u64);
            let left = (from.len - done) as u64;
            let outcome = copy_at(src, self.base + at, dst, self.base + there, left)?;
            if overlap(from, to) {
                let refused = Outcome::nothing(Errno::EINVAL);
                ensure!(outcome == refused, "{outcome}, but EINVAL was due");
                return Ok(());
            }
            let copied = usize::try_from(outcome.copied)?;
            if copied == 0 || outcome.error.is_some() || copied > from.len - done {
                bail!("{outcome}, when {done} of {} bytes were copied", from.len);
            }
            done += copied;
        }
        self.model.copy_within(from.at..from.at + from.len, to);
        Ok(())
    }

    fn zero(&mut self, part: Part) -> Result<()> {
        let offset = i64::try_from(self.base + part.at as u64)?;
        let flags = FallocateFlags::FALLOC_FL_ZERO_RANGE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        fallocate(&self.buffered, flags, offset, i64::try_from(part.len)?)
            .context("cannot write zeroes")?;
        self.model[part.at..part.at + part.len].fill(0);
        Ok(())
    }
}

/// Fetches what a mapping shows now.
fn look(mapping: &[u8], into: &mut [u8]) {
    for (byte, place) in into.iter_mut().zip(mapping) {
        // SAFETY: The place is a byte of the mapping. Volatile, because the device may change under it: the byte
        // must be fetched here and now.
        *byte = unsafe { core::ptr::from_ref(place).read_volatile() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(device: PathBuf) -> FsxArgs {
        FsxArgs {
            device,
            seed: 3,
            ops: 3000,
            base: 4096,
            size: 1 << 18,
            align: 512,
        }
    }

    #[test]
    fn a_wrong_byte_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, vec![0; 1 << 19]).unwrap();
        // Not every file system knows O_DIRECT.
        let Ok(mut fsx) = Fsx::new(&args(path), 1 << 18) else {
            return;
        };
        let all = Part {
            at: 0,
            len: 1 << 18,
        };
        fsx.write(Through::Cache, all, 5).unwrap();
        for through in [Through::Cache, Through::Mapping, Through::Device] {
            fsx.compare(through, all).unwrap();
        }
        fsx.model[777] ^= 1;
        for through in [Through::Cache, Through::Mapping, Through::Device] {
            let text = format!("{:#}", fsx.compare(through, all).unwrap_err());
            assert!(text.contains("mismatch at 777"), "{text}");
        }
    }
}
