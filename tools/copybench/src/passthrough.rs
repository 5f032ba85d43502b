// SPDX-License-Identifier: GPL-2.0
//! NVMe commands from a program, past the block layer.

use std::fs::File;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{ensure, Context, Result};
use blkcopy::aligned::AlignedBuf;
use rustix::io::Errno;
use rustix::ioctl::{ioctl, opcode, Opcode, Updater};

use crate::disk::Disk;

/// `struct nvme_passthru_cmd` of the kernel.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
struct Command {
    opcode: u8,
    flags: u8,
    _reserved: u16,
    nsid: u32,
    cdw2: [u32; 2],
    metadata: u64,
    addr: u64,
    metadata_len: u32,
    data_len: u32,
    /// Command dwords 10 to 15.
    cdw10: [u32; 6],
    timeout_ms: u32,
    result: u32,
}

const _: () = assert!(size_of::<Command>() == 72);

const ADMIN: Opcode = opcode::read_write::<Command>(b'N', 0x41);
const IO: Opcode = opcode::read_write::<Command>(b'N', 0x43);

const IDENTIFY: u8 = 0x06;
const COPY: u8 = 0x19;

/// The namespace, of which our devices have one.
const NSID: u32 = 1;

/// The size of a source range in the data of a Copy command.
const RANGE: usize = 32;

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
        let command = Command {
            opcode: IDENTIFY,
            nsid: NSID,
            ..Command::default()
        };
        send::<ADMIN>(&disk.open(false)?, command, &mut data)
            .context("the device does not tell its limits")?;
        Ok(Self::parse(&data, disk.block()?))
    }

    /// Reads Identify Namespace.
    fn parse(data: &[u8], block: u64) -> Self {
        let number = |from: usize, len: usize| {
            let bytes = data.iter().skip(from).take(len).rev();
            bytes.fold(0, |value, byte| value << 8 | u64::from(*byte))
        };
        Self {
            mssrl: number(74, 2),
            mcl: number(76, 4),
            ranges: number(80, 1) + 1,
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
    let command = Command {
        opcode: COPY,
        nsid: NSID,
        // The upper half of the place is in the next dword; format 0.
        cdw10: [to as u32, (to >> 32) as u32, ranges - 1, 0, 0, 0],
        ..Command::default()
    };
    let used = RANGE * ranges as usize;
    send::<IO>(file, command, &mut data[..used])
        .with_context(|| format!("the device does not copy {blocks} blocks to {to}"))
}

/// Sends a command and waits for its end.
fn send<const OPCODE: Opcode>(
    file: &File,
    mut command: Command,
    data: &mut [u8],
) -> Result<(), Errno> {
    command.addr = data.as_mut_ptr().expose_provenance() as u64;
    command.data_len = data.len() as u32;
    // SAFETY: The ioctl is of NVMe devices, and takes and changes one such structure. What that
    // points to is ours until the call returns, and as long as it says.
    unsafe { ioctl(file.as_fd(), Updater::<OPCODE, Command>::new(&mut command)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_kernel() {
        assert_eq!((ADMIN, IO), (0xc048_4e41, 0xc048_4e43));
    }

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
