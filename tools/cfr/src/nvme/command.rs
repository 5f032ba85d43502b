// SPDX-License-Identifier: GPL-2.0
//! Copy commands as the kernel's ioctl takes them, also such as no driver would send.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

use anyhow::{Context, Result};
use nix::errno::Errno;

use crate::device::{self, Access, How};

/// `struct nvme_passthru_cmd64` of the kernel.
#[derive(Default)]
#[repr(C)]
struct Passthru {
    opcode: u8,
    flags: u8,
    rsvd1: u16,
    nsid: u32,
    cdw2: [u32; 2],
    metadata: u64,
    addr: u64,
    metadata_len: u32,
    data_len: u32,
    /// Command dwords 10 to 15.
    cdw10: [u32; 6],
    timeout_ms: u32,
    rsvd2: u32,
    result: u64,
}

const _: () = assert!(size_of::<Passthru>() == 80);

nix::ioctl_none!(get_nsid, b'N', 0x40);
nix::ioctl_readwrite!(admin, b'N', 0x47, Passthru);
nix::ioctl_readwrite!(io, b'N', 0x48, Passthru);

const IDENTIFY: u8 = 0x06;
const COPY: u8 = 0x19;

/// Bytes of a source range.
pub const RANGE: usize = 32;

/// A source range of descriptor format 0; at most 65,536 blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub start: u64,
    pub blocks: u32,
}

/// A Copy command.
#[derive(Clone, Debug)]
pub struct Command {
    pub to: u64,
    /// Number of ranges; of no more than eight bits of it, less one, there is room in the command.
    pub count: u32,
    pub format: u8,
    /// Further bits of command dword 12.
    pub bits: u32,
    /// Command dwords 13 to 15.
    pub rest: [u32; 3],
    /// What comes along: the ranges.
    pub data: Vec<u8>,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The device has answered: the status, of which 0 is success, without `More` and the like; and
    /// the number of the first range that was not copied.
    Status(u16, u32),
    /// The kernel has not sent it, or has not got an answer.
    Errno(Errno),
}

impl Command {
    /// One that means what it says.
    pub fn new(to: u64, ranges: &[Range]) -> Self {
        let mut data = vec![0; ranges.len() * RANGE];
        for (range, entry) in ranges.iter().zip(data.chunks_exact_mut(RANGE)) {
            entry[8..16].copy_from_slice(&range.start.to_le_bytes());
            let nlb = range.blocks.wrapping_sub(1) as u16;
            entry[16..18].copy_from_slice(&nlb.to_le_bytes());
        }
        Self {
            to,
            count: ranges.len() as u32,
            format: 0,
            bits: 0,
            rest: [0; 3],
            data,
        }
    }

    fn words(&self) -> [u32; 6] {
        let control =
            self.count.wrapping_sub(1) & 0xff | u32::from(self.format & 0xf) << 8 | self.bits;
        let [low, high] = [self.to as u32, (self.to >> 32) as u32];
        let [a, b, c] = self.rest;
        [low, high, control, a, b, c]
    }
}

/// What Identify Namespace says about copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub blocks: u64,
    pub block: u64,
    pub mssrl: u64,
    pub mcl: u64,
    pub ranges: u64,
}

/// A disk of NVMe.
pub struct Namespace {
    pub file: File,
    nsid: u32,
}

impl Namespace {
    pub fn open(path: &Path) -> Result<Self> {
        let file = device::open(path, How::new(Access::Rw, true))?;
        // SAFETY: The ioctl has no argument.
        let nsid = unsafe { get_nsid(file.as_raw_fd()) }
            .with_context(|| format!("{} is no NVMe namespace", path.display()))?;
        let nsid = u32::try_from(nsid)?;
        Ok(Self { file, nsid })
    }

    /// Asks the device.
    pub fn limits(&self) -> Result<Limits> {
        let mut data = [0; 4096];
        let mut command = Passthru {
            opcode: IDENTIFY,
            nsid: self.nsid,
            addr: data.as_mut_ptr().expose_provenance() as u64,
            data_len: 4096,
            ..Passthru::default()
        };
        // SAFETY: The ioctl takes such a structure; the data is ours until it returns.
        let status = unsafe { admin(self.file.as_raw_fd(), &mut command) };
        anyhow::ensure!(status == Ok(0), "cannot identify the namespace: {status:?}");
        Ok(Limits::parse(&data))
    }

    /// Sends a command, and waits for the answer.
    pub fn send(&self, command: &mut Command) -> Answer {
        let mut passthru = Passthru {
            opcode: COPY,
            nsid: self.nsid,
            addr: command.data.as_mut_ptr().expose_provenance() as u64,
            data_len: command.data.len() as u32,
            cdw10: command.words(),
            ..Passthru::default()
        };
        // SAFETY: As above.
        match unsafe { io(self.file.as_raw_fd(), &mut passthru) } {
            Ok(status) => Answer::Status((status & 0x7ff) as u16, passthru.result as u32),
            Err(errno) => Answer::Errno(errno),
        }
    }
}

impl Limits {
    /// Reads the data of Identify Namespace.
    fn parse(data: &[u8; 4096]) -> Self {
        let number = |from: usize, len: usize| {
            let bytes = data[from..from + len].iter().rev();
            bytes.fold(0, |value, byte| value << 8 | u64::from(*byte))
        };
        let format = 128 + 4 * (number(26, 1) & 0xf) as usize;
        Self {
            blocks: number(0, 8),
            block: 1 << number(format + 2, 1),
            mssrl: number(74, 2),
            mcl: number(76, 4),
            ranges: number(80, 1) + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_written() {
        let ranges = [
            Range {
                start: 0x0102_0304_0506_0708,
                blocks: 65536,
            },
            Range {
                start: 9,
                blocks: 1,
            },
        ];
        let mut command = Command::new(0x1122_3344_5566_7788, &ranges);
        assert_eq!(command.data.len(), 64);
        assert_eq!(command.data[8..18], [8, 7, 6, 5, 4, 3, 2, 1, 0xff, 0xff]);
        assert_eq!(command.data[40..50], [9, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(command.words(), [0x5566_7788, 0x1122_3344, 1, 0, 0, 0]);
        (command.count, command.format, command.bits) = (256, 3, 1 << 30);
        assert_eq!(command.words()[2], 0x4000_03ff);
    }

    #[test]
    fn limits_are_read() {
        let mut data = [0; 4096];
        data[0..8].copy_from_slice(&77u64.to_le_bytes());
        data[26] = 1;
        data[134] = 12;
        data[74..81].copy_from_slice(&[1, 1, 2, 1, 0, 0, 127]);
        let wanted = Limits {
            blocks: 77,
            block: 4096,
            mssrl: 257,
            mcl: 258,
            ranges: 128,
        };
        assert_eq!(Limits::parse(&data), wanted);
    }
}
