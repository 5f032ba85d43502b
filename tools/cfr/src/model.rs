// SPDX-License-Identifier: GPL-2.0
//! `cfr model`: random copies, writes and reads, every byte of the region compared with a model after each.
//!
//! The sequence is a function of the seed. Several processes may work on disjoint regions of one device.

mod plan;

use std::fs::File;
use std::path::PathBuf;

use anyhow::{bail, ensure, Context, Result};
use blkcopy::aligned::AlignedBuf;
use clap::Args;
use nix::errno::Errno;

use self::plan::{Copy, Operation, Plan};
use crate::copy::{copy_at, Outcome};
use crate::device::{self, Access, How};
use crate::pattern::{self, Pattern};
use crate::recent::Recent;
use blkcopy::size;

#[derive(Args, Clone, Debug)]
pub struct ModelArgs {
    /// Devices that share no storage
    #[arg(required = true)]
    devices: Vec<PathBuf>,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, default_value_t = 1000)]
    ops: u64,
    /// Start of the region that is used on each device
    #[arg(long, value_parser = size::parse, default_value = "0")]
    base: u64,
    /// Size of that region; if it ends where the device ends, copies across the end are tried too
    #[arg(long, value_parser = size::parse, default_value = "256K")]
    size: u64,
    /// The larger logical block size
    #[arg(long, value_parser = size::parse, default_value = "512")]
    align: u64,
    /// Copies may fail or stop early; what they claim to have copied must still be there
    #[arg(long)]
    may_fail: bool,
    /// Write into this file how many bytes were copied to each device
    #[arg(long)]
    tally: Option<PathBuf>,
}

/// What is remembered of each device.
struct Device {
    direct: File,
    buffered: File,
    /// The region's right content.
    model: Vec<u8>,
}

impl Device {
    fn file(&self, buffered: bool) -> &File {
        if buffered {
            &self.buffered
        } else {
            &self.direct
        }
    }
}

/// The bytes that were copied to one device, so that a test can compare them with the kernel's counters.
#[derive(Default)]
struct Tally {
    /// From this device, past the page cache.
    within: u64,
    /// From another one, past the page cache.
    across: u64,
    /// Through the page cache.
    buffered: u64,
}

struct Model {
    args: ModelArgs,
    devices: Vec<Device>,
    tallies: Vec<Tally>,
    plan: Plan,
    buffer: AlignedBuf,
    recent: Recent,
    align: usize,
}

impl ModelArgs {
    pub fn run(&self) -> Result<String> {
        let mut model = Model::new(self)?;
        for number in 0..self.ops {
            model
                .step(number)
                .map_err(|err| model.explain(number, &err))?;
        }
        if let Some(path) = &self.tally {
            std::fs::write(path, model.tally()).context("cannot write the tally")?;
        }
        Ok(format!("{} operations, model agrees", self.ops))
    }
}

impl Model {
    fn new(args: &ModelArgs) -> Result<Self> {
        let size = usize::try_from(args.size).context("the region is too large")?;
        let align = usize::try_from(args.align).context("the block is too large")?;
        ensure!(align > 0 && size / align >= 16, "the region is too small");
        let mut buffer = AlignedBuf::new(size);
        let mut devices = Vec::new();
        let mut at_end = Vec::new();
        for path in &args.devices {
            let mut direct = device::open(path, How::new(Access::Rw, true))?;
            let buffered = device::open(path, How::new(Access::Rw, false))?;
            let end = device::size(&mut direct)?;
            ensure!(
                args.base + args.size <= end,
                "the region is not on the device"
            );
            at_end.push(args.base + args.size == end);
            device::read_exact(&direct, &mut buffer, args.base)?;
            devices.push(Device {
                direct,
                buffered,
                model: buffer.to_vec(),
            });
        }
        Ok(Model {
            args: args.clone(),
            devices,
            tallies: args.devices.iter().map(|_| Tally::default()).collect(),
            plan: Plan::new(args.seed, size, align, at_end),
            buffer,
            recent: Recent::new(8),
            align,
        })
    }

    fn explain(&self, number: u64, err: &anyhow::Error) -> anyhow::Error {
        let (seed, base) = (self.args.seed, self.args.base);
        let at = format!("operation {number} of seed {seed}, base {base}");
        self.recent.explain(at, err)
    }

    fn step(&mut self, number: u64) -> Result<()> {
        let operation = self.plan.next();
        self.recent.note(format!("{number}: {operation:?}"));
        match operation {
            Operation::Copy(copy) => self.copy(copy)?,
            Operation::Write {
                dev,
                at,
                len,
                seed,
                buffered,
            } => {
                let device = &mut self.devices[dev];
                let buf = &mut self.buffer[..len];
                Pattern::Seed(seed).fill(0, buf);
                device.model[at..at + len].copy_from_slice(buf);
                device::write_all(device.file(buffered), buf, self.args.base + at as u64)?;
            }
            Operation::Sync { dev } => self.devices[dev]
                .buffered
                .sync_all()
                .context("cannot sync")?,
        }
        self.compare()
    }

    fn copy(&mut self, copy: Copy) -> Result<()> {
        let base = self.args.base;
        let outcome = copy_at(
            self.devices[copy.src].file(copy.buffered),
            base + copy.from as u64,
            self.devices[copy.dst].file(copy.buffered),
            base + copy.to as u64,
            copy.len as u64,
        )?;
        let Some(len) = self.plan.expected(copy) else {
            let refused = Outcome::nothing(Errno::EINVAL);
            ensure!(outcome == refused, "{outcome}, but EINVAL was due");
            return Ok(());
        };
        let copied = usize::try_from(outcome.copied)?;
        let whole = copied == len && outcome.error.is_none();
        ensure!(
            whole || (self.args.may_fail && copied <= len),
            "{outcome}, but {len} bytes were due"
        );
        let tally = &mut self.tallies[copy.dst];
        let kind = if copy.buffered {
            &mut tally.buffered
        } else if copy.src == copy.dst {
            &mut tally.within
        } else {
            &mut tally.across
        };
        *kind += outcome.copied;
        let new = self.devices[copy.src].model[copy.from..copy.from + len].to_vec();
        if whole {
            self.devices[copy.dst].model[copy.to..copy.to + len].copy_from_slice(&new);
            return Ok(());
        }
        self.accept_torn(copy, copied, &new)
    }

    /// A line for each device and each kind of copy.
    fn tally(&self) -> String {
        let mut text = String::new();
        for (path, tally) in self.args.devices.iter().zip(&self.tallies) {
            let kinds = [
                ("within", tally.within),
                ("across", tally.across),
                ("buffered", tally.buffered),
            ];
            for (kind, bytes) in kinds {
                text += &format!("{} {kind} {bytes}\n", path.display());
            }
        }
        text
    }

    /// After a copy that stopped early: the part claimed is new, each block of the rest is either old or new.
    fn accept_torn(&mut self, copy: Copy, copied: usize, new: &[u8]) -> Result<()> {
        let device = &mut self.devices[copy.dst];
        // Unaligned copies go through the page cache, and so may this look at them.
        let got = &mut self.buffer[..new.len()];
        let at = self.args.base + copy.to as u64;
        device::read_exact(device.file(copy.buffered), got, at)?;
        let old = &mut device.model[copy.to..copy.to + new.len()];
        pattern::compare(copy.to as u64, &got[..copied], &new[..copied])
            .context("in what was said to be copied")?;
        for at in (copied - copied % self.align..new.len()).step_by(self.align) {
            let block = at..(at + self.align).min(new.len());
            let found = &got[block.clone()];
            if found != &old[block.clone()] && found != &new[block] {
                bail!("the block at {} is neither old nor new", copy.to + at);
            }
        }
        old.copy_from_slice(got);
        Ok(())
    }

    /// Compares all that can be seen, past the page cache or through it.
    fn compare(&mut self) -> Result<()> {
        let buffered = self.plan.coin();
        for (number, device) in self.devices.iter().enumerate() {
            let got = &mut self.buffer[..];
            device::read_exact(device.file(buffered), got, self.args.base)?;
            pattern::compare(0, got, &device.model).with_context(|| {
                let base = self.args.base;
                format!("device {number}, offsets from {base}, buffered {buffered}")
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_byte_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let paths = [dir.path().join("a"), dir.path().join("b")];
        for path in &paths {
            std::fs::write(path, vec![0; 64 << 10]).unwrap();
        }
        let args = ModelArgs {
            devices: paths.to_vec(),
            seed: 3,
            ops: 200,
            base: 0,
            size: 64 << 10,
            align: 512,
            may_fail: false,
            tally: None,
        };
        // Not every file system knows O_DIRECT.
        let Ok(mut model) = Model::new(&args) else {
            return;
        };
        model.compare().unwrap();
        model.devices[1].model[777] ^= 1;
        let text = format!("{:#}", model.compare().unwrap_err());
        assert!(
            text.contains("device 1") && text.contains("mismatch at 777"),
            "{text}"
        );
    }
}
