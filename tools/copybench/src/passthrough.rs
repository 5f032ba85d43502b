// SPDX-License-Identifier: GPL-2.0
//! Copy commands of NVMe from a program, past the block layer.

use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{ensure, Context, Result};
use blkcopy::aligned::AlignedBuf;
use evidence::disk::Disk;
use evidence::nvme::{number, Command, RANGE};

const IDENTIFY: u8 = 0x06;
const COPY: u8 = 0x19;

/// The namespace, of which our devices have one.
const NSID: u32 = 1;

/// What one Copy command can name, in blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    mssrl: u64,
    mcl: u64,
    ranges: u64,
    block: u64,
}

impl Limits {
    /// Asks the device.
    pub fn of(disk: &Disk) -> Result<Self> {
        let mut data = AlignedBuf::new(4096);
        Command::new(IDENTIFY, NSID, [0; 6])
            .admin(&disk.open(false)?, &mut data)
            .context("the device does not tell its limits")?;
        Ok(Self::parse(&data, disk.sysfs()?.logical_block))
    }

    /// Reads Identify Namespace.
    fn parse(data: &[u8], block: u64) -> Self {
        Self {
            mssrl: number(data, 74, 2),
            mcl: number(data, 76, 4),
            ranges: number(data, 80, 1) + 1,
            block,
        }
    }

    /// The most that one command can copy, in bytes.
    pub fn command(self) -> u64 {
        self.mcl.min(self.mssrl * self.ranges) * self.block
    }

    /// The source ranges of a command, which copies so many blocks.
    fn describe(self, mut start: u64, mut blocks: u64, data: &mut [u8]) -> u32 {
        let mut count = 0;
        for range in data.chunks_exact_mut(RANGE) {
            let len = blocks.min(self.mssrl);
            if len == 0 {
                break;
            }
            range.fill(0);
            range[8..16].copy_from_slice(&start.to_le_bytes());
            range[16..18].copy_from_slice(&(len as u16).wrapping_sub(1).to_le_bytes());
            start += len;
            blocks -= len;
            count += 1;
        }
        count
    }
}

/// Copies the first bytes of a disk to those behind them by the longest commands, `depth` at a
/// time.
pub fn copy(disk: &Disk, limits: Limits, bytes: u64, depth: u64) -> Result<Duration> {
    let file = disk.open(true)?;
    let next = AtomicU64::new(0);
    let one_after_the_other = || -> Result<()> {
        let mut data = AlignedBuf::new(256 * RANGE);
        loop {
            let from = next.fetch_add(limits.command(), Ordering::Relaxed);
            if from >= bytes {
                return Ok(());
            }
            let len = limits.command().min(bytes - from);
            send_copy(&file, limits, (from, bytes + from), len, &mut data)?;
        }
    };
    let started = Instant::now();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..depth)
            .map(|_| scope.spawn(one_after_the_other))
            .collect();
        threads.into_iter().try_for_each(|thread| {
            let result = thread.join();
            result.map_err(|_| anyhow::anyhow!("a thread panicked"))?
        })
    })?;
    Ok(started.elapsed())
}

fn send_copy(
    file: &File,
    limits: Limits,
    (from, to): (u64, u64),
    len: u64,
    data: &mut AlignedBuf,
) -> Result<()> {
    let (from, to, blocks) = (from / limits.block, to / limits.block, len / limits.block);
    let ranges = limits.describe(from, blocks, data);
    ensure!(ranges > 0, "a command without a source");
    // The upper half of the place is in the next dword; format 0.
    let words = [to as u32, (to >> 32) as u32, ranges - 1, 0, 0, 0];
    let used = RANGE * ranges as usize;
    Command::new(COPY, NSID, words)
        .io(file, &mut data[..used])
        .with_context(|| format!("the device does not copy {blocks} blocks to {to}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read() {
        let mut data = [0; 4096];
        data[74..76].copy_from_slice(&256u16.to_le_bytes());
        data[76..80].copy_from_slice(&2048u32.to_le_bytes());
        data[80] = 127;
        let limits = Limits::parse(&data, 512);
        assert_eq!(limits.command(), 1 << 20);
        data[80] = 3;
        assert_eq!(Limits::parse(&data, 512).command(), 512 << 10);
    }

    #[test]
    fn sources_are_cut() {
        let limits = Limits {
            mssrl: 256,
            mcl: 2048,
            ranges: 128,
            block: 512,
        };
        let mut data = [0xff; 256 * RANGE];
        assert_eq!(limits.describe(1000, 600, &mut data), 3);
        assert_eq!(data[8..16], 1000u64.to_le_bytes());
        assert_eq!(data[16..18], 255u16.to_le_bytes());
        assert_eq!(data[72..80], 1512u64.to_le_bytes());
        assert_eq!(data[80..82], 87u16.to_le_bytes());
        assert!(data[82..96].iter().all(|byte| *byte == 0));
    }
}
