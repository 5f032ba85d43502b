// SPDX-License-Identifier: GPL-2.0

//! Copy commands as hosts send them: NVM Command Set Specification 1.0, section 3.2.2.
//!
//! Bytes in, numbers out. Nothing here knows the kernel, nor whether what it reads makes sense.

/// Bytes of a command.
pub(crate) const COMMAND_SIZE: usize = 64;

/// Bytes of a source range in descriptor format 0, the only one that there is here.
pub(crate) const RANGE_SIZE: usize = 32;

/// When a command has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Durability {
    /// The data may still be in a volatile cache.
    Cached,
    /// The data is on the medium: force unit access.
    Durable,
}

/// A Copy command, as it came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct CopyCommand {
    /// Starting destination LBA.
    pub(crate) to: u64,
    /// Number of ranges.
    pub(crate) ranges: usize,
    /// Descriptor format.
    pub(crate) format: u8,
    pub(crate) durability: Durability,
}

impl CopyCommand {
    /// Reads a submission queue entry. What concerns protection information, and hints, are not
    /// looked at: no namespace that copies has the one, and the target ignores the other in writes
    /// as well.
    pub(crate) fn parse(entry: &[u8; COMMAND_SIZE]) -> Self {
        let control = u32::from_le_bytes(field(entry, Field::Ranges));
        let [ranges, format, ..] = control.to_le_bytes();
        Self {
            to: u64::from_le_bytes(field(entry, Field::Destination)),
            ranges: usize::from(ranges) + 1,
            format: format & 0xf,
            durability: match control & (1 << 30) {
                0 => Durability::Cached,
                _ => Durability::Durable,
            },
        }
    }

    /// Bytes that come along.
    pub(crate) fn data_len(&self) -> usize {
        self.ranges * RANGE_SIZE
    }
}

/// A source range, as it came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SourceRange {
    /// Starting LBA.
    pub(crate) start: u64,
    pub(crate) blocks: u64,
}

impl SourceRange {
    /// Reads a range of descriptor format 0.
    pub(crate) fn parse(entry: &[u8; RANGE_SIZE]) -> Self {
        Self {
            start: u64::from_le_bytes(bytes(entry, 8)),
            blocks: u64::from(u16::from_le_bytes(bytes(entry, 16))) + 1,
        }
    }
}

/// `N` bytes from `at` on; zeros if there are not so many, which is never asked for.
fn bytes<const N: usize>(entry: &[u8], at: usize) -> [u8; N] {
    let part = entry.get(at..).and_then(<[u8]>::first_chunk);
    part.copied().unwrap_or([0; N])
}

fn field<const N: usize>(entry: &[u8; COMMAND_SIZE], field: Field) -> [u8; N] {
    bytes(entry, usize::from(field.offset()))
}

/// Where in a command a mistake is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Field {
    /// The pointer to the ranges.
    Data,
    /// Starting destination LBA: command dwords 10 and 11.
    Destination,
    /// Number of ranges, descriptor format and flags: command dword 12.
    Ranges,
}

impl Field {
    /// Bytes from the start of the command.
    pub(crate) const fn offset(self) -> u16 {
        match self {
            Self::Data => 24,
            Self::Destination => 40,
            Self::Ranges => 48,
        }
    }
}

/// Commands and ranges for tests, with rubbish in what is reserved.
#[cfg(test)]
pub(crate) mod examples {
    use super::*;

    pub(crate) fn entry(to: u64, control: u32) -> [u8; COMMAND_SIZE] {
        let mut entry = [0xa5; COMMAND_SIZE];
        entry[40..48].copy_from_slice(&to.to_le_bytes());
        entry[48..52].copy_from_slice(&control.to_le_bytes());
        entry
    }

    pub(crate) fn range(start: u64, blocks: u32) -> SourceRange {
        let mut entry = [0x5a; RANGE_SIZE];
        entry[8..16].copy_from_slice(&start.to_le_bytes());
        let nlb = u16::try_from(blocks - 1).unwrap();
        entry[16..18].copy_from_slice(&nlb.to_le_bytes());
        SourceRange::parse(&entry)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        examples::{
            entry,
            range, //
        },
        *, //
    };

    #[test]
    fn a_command_is_read() {
        let command = CopyCommand::parse(&entry(0x0123_4567_89ab_cdef, 0x8ff0_f07f));
        assert_eq!(command.to, 0x0123_4567_89ab_cdef);
        assert_eq!((command.ranges, command.format), (128, 0));
        assert_eq!(command.durability, Durability::Cached);
        let command = CopyCommand::parse(&entry(1, 0x4000_03ff));
        assert_eq!((command.ranges, command.format), (256, 3));
        assert_eq!(command.durability, Durability::Durable);
        let source = range(u64::MAX, 65536);
        assert_eq!((source.start, source.blocks), (u64::MAX, 65536));
    }
}
