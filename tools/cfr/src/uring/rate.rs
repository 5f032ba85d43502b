// SPDX-License-Identifier: GPL-2.0
//! `cfr uring rate`: how many copies, or writes, of one size in a second.

use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{ensure, Context, Result};
use blkcopy::aligned::AlignedBuf;
use clap::Args;
use copyring::{Command, Entry};
use io_uring::{opcode, types};

use crate::device::{self, Access, How};
use blkcopy::size;

#[derive(Args, Clone, Debug)]
pub struct RateArgs {
    /// Copied within: from its first half to its second half
    device: PathBuf,
    #[arg(long, value_parser = size::parse, default_value = "4K")]
    size: u64,
    #[arg(long, default_value_t = 10_000)]
    ops: u64,
    #[arg(long, default_value_t = 32)]
    depth: u32,
    /// The places are in so much of either half
    #[arg(long, value_parser = size::parse, default_value = "1M")]
    area: u64,
    /// Write instead
    #[arg(long)]
    write: bool,
}

/// From one place to the next, in multiples of the size: no two that follow each other can be merged.
const STEP: u64 = 4099;

impl RateArgs {
    pub fn run(&self) -> Result<String> {
        let mut file = device::open(&self.device, How::new(Access::Rw, true))?;
        let half = device::size(&mut file)? / 2;
        let places = half.min(self.area) / self.size.max(1);
        ensure!(places > 0, "the device is too small");
        let mut buffer = AlignedBuf::new(usize::try_from(self.size)?);
        let data = &mut buffer[..];
        data.fill(0x5a);
        let len = u32::try_from(self.size)?;
        let entry = |tag: u64| {
            let at = tag * STEP % places * self.size;
            if self.write {
                let fd = types::Fd(file.as_raw_fd());
                let write = opcode::Write::new(fd, data.as_ptr(), len);
                return write.offset(half + at).build();
            }
            let copy = Entry {
                fd: file.as_raw_fd(),
                addr: half + at,
                addr3: self.size,
                pad2: at,
                ..Entry::new(Command::Copy)
            };
            copy.with_tag(tag)
        };
        let started = Instant::now();
        // SAFETY: The buffer lives until this returns, and is not used meanwhile.
        unsafe { copyring::execute(self.depth, self.ops, self.size, entry) }
            .context("cannot do all of it")?;
        let rate = self.ops as f64 / started.elapsed().as_secs_f64();
        Ok(format!("{rate:.0} in a second"))
    }
}
