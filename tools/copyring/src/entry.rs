// SPDX-License-Identifier: GPL-2.0
//! An entry of the submission queue, field by field.

use std::mem::{size_of, transmute};

use io_uring::squeue;
use rustix::ioctl::opcode::none;

/// `IORING_OP_URING_CMD`.
const URING_CMD: u8 = 46;

/// The commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// `BLOCK_URING_CMD_COPY`: inside the device where it can, by reading and writing elsewhere.
    Copy,
    /// `BLOCK_URING_CMD_COPY_OFFLOAD`: inside the device, or not at all.
    Offload,
}

impl Command {
    pub fn number(self) -> u32 {
        match self {
            Self::Copy => none(0x12, 2),
            Self::Offload => none(0x12, 3),
        }
    }
}

/// `struct blk_uring_copy_range`: a source, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Range {
    pub offset: u64,
    pub len: u64,
}

/// `struct io_uring_sqe`, with the fields that commands of block devices use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Entry {
    pub opcode: u8,
    pub flags: u8,
    pub ioprio: u16,
    pub fd: i32,
    pub cmd_op: u32,
    pub pad1: u32,
    pub addr: u64,
    pub len: u32,
    pub uring_cmd_flags: u32,
    pub user_data: u64,
    pub buf_index: u16,
    pub personality: u16,
    pub splice_fd_in: i32,
    pub addr3: u64,
    pub pad2: u64,
}

const _: () = assert!(size_of::<Entry>() == 64 && size_of::<squeue::Entry>() == 64);

impl Entry {
    /// `IOSQE_FIXED_FILE`.
    pub const FIXED_FILE: u8 = 1;
    /// `IOSQE_IO_LINK`.
    pub const LINK: u8 = 1 << 2;
    /// `IOSQE_ASYNC`.
    pub const ASYNC: u8 = 1 << 4;

    /// An entry for a command, in which all else is zero, but that it is its own source.
    pub fn new(command: Command) -> Self {
        Self {
            opcode: URING_CMD,
            cmd_op: command.number(),
            splice_fd_in: -1,
            ..Self::default()
        }
    }

    /// The entry as the crate `io-uring` has it, with a name for the completion.
    pub fn with_tag(mut self, user_data: u64) -> squeue::Entry {
        self.user_data = user_data;
        // SAFETY: Both are 64 bytes of plain numbers without gaps, laid out as the kernel has them.
        unsafe { transmute(self) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_where_the_kernel_has_them() {
        use std::mem::offset_of;
        assert_eq!(offset_of!(Entry, cmd_op), 8);
        assert_eq!(offset_of!(Entry, addr), 16);
        assert_eq!(offset_of!(Entry, user_data), 32);
        assert_eq!(offset_of!(Entry, splice_fd_in), 44);
        assert_eq!(offset_of!(Entry, addr3), 48);
        assert_eq!(Command::Copy.number(), 0x1202);
    }

    #[test]
    fn the_name_of_an_entry_is_kept() {
        let entry = Entry::new(Command::Offload).with_tag(77);
        assert_eq!(entry.get_user_data(), 77);
    }
}
