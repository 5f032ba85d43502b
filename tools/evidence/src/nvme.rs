// SPDX-License-Identifier: GPL-2.0
//! NVMe commands from a program, past the block layer, and what the device says of its bus.

use std::fs::File;
use std::os::fd::AsFd;

use anyhow::{Context, Result};
use blkcopy::aligned::AlignedBuf;
use rustix::io::Errno;
use rustix::ioctl::{ioctl, opcode, Opcode, Updater};
use serde::Serialize;

use crate::disk::Disk;

/// `struct nvme_passthru_cmd` of the kernel.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Command {
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

impl Command {
    /// One with these command dwords 10 to 15.
    pub fn new(opcode: u8, nsid: u32, cdw10: [u32; 6]) -> Self {
        Self {
            opcode,
            nsid,
            cdw10,
            ..Self::default()
        }
    }

    /// Sends it to the controller of an open disk, and waits for its end.
    pub fn admin(self, file: &File, data: &mut [u8]) -> Result<(), Errno> {
        self.send::<ADMIN>(file, data)
    }

    /// Sends it to an open disk, and waits for its end.
    pub fn io(self, file: &File, data: &mut [u8]) -> Result<(), Errno> {
        self.send::<IO>(file, data)
    }

    fn send<const OPCODE: Opcode>(mut self, file: &File, data: &mut [u8]) -> Result<(), Errno> {
        self.addr = data.as_mut_ptr().expose_provenance() as u64;
        self.data_len = data.len() as u32;
        // SAFETY: The ioctl is of NVMe devices, and takes and changes one such structure. What that
        // points to is ours until the call returns, and as long as it says; the metadata's length
        // is 0, because nobody else can set it.
        unsafe { ioctl(file.as_fd(), Updater::<OPCODE, Command>::new(&mut self)) }
    }
}

/// A number in what a device says: so many bytes from a place, the lowest first.
pub fn number(data: &[u8], from: usize, len: usize) -> u64 {
    let bytes = data.iter().skip(from).take(len).rev();
    bytes.fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// The size of a source range in the data of a Copy command.
pub const RANGE: usize = 32;

const GET_LOG_PAGE: u8 = 0x02;
const SMART: u32 = 0x02;
const ALL_NAMESPACES: u32 = u32::MAX;

/// What a host has read from a controller and written to it, as the controller itself counts: the
/// data of commands that read and write, in units of [`DataUnits::BYTES`]. What Copy commands move
/// inside of the device is not counted, nor is the list of their sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DataUnits {
    pub read: u64,
    pub written: u64,
}

impl DataUnits {
    /// A thousand blocks of 512 bytes.
    pub const BYTES: u64 = 512_000;

    /// Asks the controller, if the disk is one of NVMe.
    pub fn of(disk: &Disk) -> Result<Self> {
        let mut data = AlignedBuf::new(512);
        let dwords = data.len() as u32 / 4;
        let command = Command::new(
            GET_LOG_PAGE,
            ALL_NAMESPACES,
            [(dwords - 1) << 16 | SMART, 0, 0, 0, 0, 0],
        );
        command
            .admin(&disk.open(false)?, &mut data)
            .with_context(|| format!("{} does not tell its data units", disk.name))?;
        Ok(Self::parse(&data))
    }

    /// Reads the lower halves of two numbers of 16 bytes in the SMART log.
    fn parse(log: &[u8]) -> Self {
        Self {
            read: number(log, 32, 8),
            written: number(log, 48, 8),
        }
    }

    /// What was added to an earlier count. As a count is rounded, one unit less than this has
    /// certainly gone over the bus, and one unit more has certainly not.
    pub fn since(self, before: Self) -> Self {
        Self {
            read: self.read.saturating_sub(before.read),
            written: self.written.saturating_sub(before.written),
        }
    }

    /// Whether so many bytes may have gone over the bus in each direction.
    pub fn may_be(self, bytes: u64) -> bool {
        let fits = |units: u64| units.saturating_add(1).saturating_mul(Self::BYTES) > bytes;
        fits(self.read) && fits(self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_kernel() {
        assert_eq!((ADMIN, IO), (0xc048_4e41, 0xc048_4e43));
    }

    #[test]
    fn data_units_are_read() {
        let mut log = [0; 512];
        log[32..40].copy_from_slice(&1050u64.to_le_bytes());
        log[48..56].copy_from_slice(&525u64.to_le_bytes());
        log[64] = 7;
        let now = DataUnits::parse(&log);
        assert_eq!((now.read, now.written), (1050, 525));
        let since = now.since(DataUnits {
            read: 1000,
            written: 525,
        });
        assert_eq!((since.read, since.written), (50, 0));
    }

    #[test]
    fn a_count_is_rounded() {
        let units = |read, written| DataUnits { read, written };
        assert!(units(524, 524).may_be(256 << 20));
        assert!(!units(523, 524).may_be(256 << 20));
        assert!(!units(524, 0).may_be(256 << 20));
        assert!(units(0, 0).may_be(511_999) && !units(0, 0).may_be(512_000));
    }
}
