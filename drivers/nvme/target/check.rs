// SPDX-License-Identifier: GPL-2.0

//! What a host asks for with a Copy command, and whether the target does it.
//!
//! A host is somebody else's machine: nothing of what it sends is believed. Here are the checks
//! that come before anything is done. They take bytes and numbers, and know neither the kernel nor
//! the device, so they are tested on the host that compiles them.
//!
//! Figures are those of the NVM Command Set Specification 1.0, section 3.2.2.

use super::wire::{
    CopyCommand,
    Durability,
    Field,
    SourceRange, //
};
use kernel::block::units::{
    Sector,
    Sectors, //
};

/// The most that one command may copy (MCL), in bytes. A disconnect waits for the commands that are
/// under way, and a host gives each of them a time limit, so they have to be short.
const MOST: u32 = 4 << 20;

/// The most ranges of one command (MSRC and one more).
pub(crate) const RANGES: usize = 128;

/// What Identify Namespace tells about copies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Limits {
    /// Blocks of one range.
    pub(crate) mssrl: u16,
    /// Blocks of one command.
    pub(crate) mcl: u32,
    /// Ranges of one command, less one.
    pub(crate) msrc: u8,
}

/// A namespace, as far as it matters here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Namespace {
    blocks: u64,
    /// A block has `1 << shift` sectors.
    shift: u32,
}

impl Namespace {
    /// A namespace of so many bytes, in blocks of `1 << block_shift` bytes. [`None`] if that is no
    /// namespace: its blocks are smaller than a sector, or larger than a command may copy.
    pub(crate) fn new(bytes: u64, block_shift: u32) -> Option<Self> {
        if MOST.checked_shr(block_shift)? == 0 {
            return None;
        }
        Some(Self {
            blocks: bytes >> block_shift,
            shift: block_shift.checked_sub(9)?,
        })
    }

    /// What one command may be.
    pub(crate) fn limits(self) -> Limits {
        let mcl = MOST >> (self.shift + 9);
        Limits {
            mssrl: u16::try_from(mcl).unwrap_or(u16::MAX),
            mcl,
            msrc: const { (RANGES - 1).to_le_bytes()[0] },
        }
    }

    /// So many blocks from a block on, as sectors, if they are all in the namespace.
    fn place(self, start: u64, blocks: u64) -> Option<Place> {
        if start.checked_add(blocks)? > self.blocks {
            return None;
        }
        Some(Place {
            start: Sector::new(start << self.shift),
            len: Sectors::new(blocks << self.shift),
        })
    }
}

/// A part of a namespace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    pub(crate) start: Sector,
    pub(crate) len: Sectors,
}

impl Place {
    fn overlaps(self, other: Self) -> bool {
        let ends_after =
            |a: Self, b: Self| a.start.checked_add(a.len).is_none_or(|end| end > b.start);
        ends_after(self, other) && ends_after(other, self)
    }
}

/// Why a command is not executed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reason {
    /// Invalid Field in Command.
    InvalidField,
    /// Command Size Limit Exceeded: MSRC, MSSRL or MCL.
    TooLarge,
    /// LBA Out of Range.
    OutOfRange,
    /// Overlapping I/O Range: the destination overlaps a source.
    Overlap,
}

/// A command that is not executed: why, where the mistake is, and the LBA that it is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) field: Field,
    pub(crate) lba: u64,
}

impl Refusal {
    fn new(reason: Reason, field: Field, lba: u64) -> Self {
        Self { reason, field, lba }
    }
}

/// A command whose ranges are being read: one after the other, because there is no place to keep
/// them twice.
#[derive(Debug)]
pub(crate) struct Check {
    command: CopyCommand,
    namespace: Namespace,
    limits: Limits,
    /// Of the ranges so far.
    blocks: u64,
}

impl Check {
    /// Begins, with what needs no ranges.
    pub(crate) fn new(command: CopyCommand, namespace: Namespace) -> Result<Self, Refusal> {
        let limits = namespace.limits();
        let refusal = |reason| Err(Refusal::new(reason, Field::Ranges, 0));
        if command.format != 0 {
            return refusal(Reason::InvalidField);
        }
        if command.ranges > usize::from(limits.msrc) + 1 {
            return refusal(Reason::TooLarge);
        }
        Ok(Self {
            command,
            namespace,
            limits,
            blocks: 0,
        })
    }

    /// The number of ranges; no more than [`RANGES`].
    pub(crate) fn ranges(&self) -> usize {
        self.command.ranges
    }

    /// When the command has ended.
    pub(crate) fn durability(&self) -> Durability {
        self.command.durability
    }

    /// Takes the next range. Returns where it is.
    pub(crate) fn add(&mut self, source: SourceRange) -> Result<Place, Refusal> {
        let refusal = |reason| Refusal::new(reason, Field::Data, source.start);
        self.blocks += source.blocks;
        if source.blocks > u64::from(self.limits.mssrl) || self.blocks > u64::from(self.limits.mcl)
        {
            return Err(refusal(Reason::TooLarge));
        }
        let place = self.namespace.place(source.start, source.blocks);
        place.ok_or(refusal(Reason::OutOfRange))
    }

    /// Ends, when all ranges were added; `sources` are where they are. Returns the destination.
    pub(crate) fn end(self, mut sources: impl Iterator<Item = Place>) -> Result<Place, Refusal> {
        let to = self.command.to;
        let refusal = |reason| Refusal::new(reason, Field::Destination, to);
        let place = self.namespace.place(to, self.blocks);
        let place = place.ok_or(refusal(Reason::OutOfRange))?;
        if sources.any(|source| source.overlaps(place)) {
            return Err(refusal(Reason::Overlap));
        }
        Ok(place)
    }
}

/// The number of the first range that was not copied in full, if `copied` sectors were from the
/// start of the first one on without a gap.
pub(crate) fn first_missing(mut sources: impl Iterator<Item = Sectors>, copied: Sectors) -> u32 {
    let mut left = copied;
    let whole = core::iter::from_fn(|| {
        left = left.checked_sub(sources.next()?)?;
        Some(())
    });
    u32::try_from(whole.count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{
        super::wire::examples::{
            entry,
            range, //
        },
        *, //
    };

    /// 1,000 blocks.
    fn namespace(block_shift: u32) -> Namespace {
        Namespace::new((1000 << block_shift) + 300, block_shift).unwrap()
    }

    /// Checks a command with these ranges as it is done in the kernel.
    fn check(
        namespace: Namespace,
        to: u64,
        ranges: &[(u64, u32)],
    ) -> Result<(Vec<Place>, Place), Refusal> {
        let control = u32::try_from(ranges.len() - 1).unwrap();
        let command = CopyCommand::parse(&entry(to, control));
        assert_eq!(command.data_len(), ranges.len() * 32);
        let mut check = Check::new(command, namespace)?;
        assert_eq!(check.ranges(), ranges.len());
        let mut places = Vec::new();
        for (start, blocks) in ranges {
            places.push(check.add(range(*start, *blocks))?);
        }
        let to = check.end(places.iter().copied())?;
        Ok((places, to))
    }

    fn place(start: u64, len: u64) -> Place {
        Place {
            start: Sector::new(start),
            len: Sectors::new(len),
        }
    }

    fn refused<T>(result: Result<T, Refusal>) -> (Reason, Field, u64) {
        let Err(refusal) = result else {
            panic!("it is accepted");
        };
        (refusal.reason, refusal.field, refusal.lba)
    }

    #[test]
    fn limits_depend_on_the_block() {
        let limits = |shift| {
            let limits = namespace(shift).limits();
            (limits.mssrl, limits.mcl, limits.msrc)
        };
        assert_eq!(limits(9), (8192, 8192, 127));
        assert_eq!(limits(12), (1024, 1024, 127));
        assert_eq!(limits(22), (1, 1, 127));
        assert_eq!(Namespace::new(1 << 40, 23), None);
        assert_eq!(Namespace::new(1 << 40, 8), None);
        assert_eq!(Namespace::new(1 << 40, 64), None);
    }

    #[test]
    fn places_are_in_sectors() {
        let wanted = (vec![place(80, 16), place(0, 8)], place(800, 24));
        assert_eq!(check(namespace(12), 100, &[(10, 2), (0, 1)]), Ok(wanted));
        let wanted = (vec![place(999, 1)], place(0, 1));
        assert_eq!(check(namespace(9), 0, &[(999, 1)]), Ok(wanted));
    }

    #[test]
    fn other_formats_are_refused() {
        for format in 1..16 {
            let command = CopyCommand::parse(&entry(0, format << 8));
            let refusal = Check::new(command, namespace(9));
            assert_eq!(refused(refusal), (Reason::InvalidField, Field::Ranges, 0));
        }
    }

    #[test]
    fn no_more_than_the_limits_say() {
        let many = |count: u32| (0..count).map(|at| (at.into(), 1)).collect::<Vec<_>>();
        assert!(check(namespace(9), 500, &many(128)).is_ok());
        let refusal = check(namespace(9), 500, &many(129));
        assert_eq!(refused(refusal), (Reason::TooLarge, Field::Ranges, 0));
        let refusal = check(namespace(9), 500, &many(256));
        assert_eq!(refused(refusal), (Reason::TooLarge, Field::Ranges, 0));

        let large = Namespace::new(1 << 40, 9).unwrap();
        assert!(check(large, 1 << 20, &[(7, 8192)]).is_ok());
        assert!(check(large, 1 << 20, &[(7, 8191), (9, 1)]).is_ok());
        let refusal = check(large, 1 << 20, &[(7, 8193)]);
        assert_eq!(refused(refusal), (Reason::TooLarge, Field::Data, 7));
        let refusal = check(large, 1 << 20, &[(7, 8192), (9, 1)]);
        assert_eq!(refused(refusal), (Reason::TooLarge, Field::Data, 9));
        let refusal = check(large, 1 << 20, &[(7, 65536); 128]);
        assert_eq!(refused(refusal), (Reason::TooLarge, Field::Data, 7));
    }

    #[test]
    fn nothing_is_outside() {
        let source = |start, blocks| refused(check(namespace(9), 0, &[(start, blocks)]));
        for (start, blocks) in [
            (999, 2),
            (1000, 1),
            (u64::MAX, 1),
            (u64::MAX - 7, 8),
            (1 << 55, 1),
        ] {
            assert_eq!(
                source(start, blocks),
                (Reason::OutOfRange, Field::Data, start)
            );
        }
        for to in [999, 1000, u64::MAX, u64::MAX - 1, 1 << 55, 1 << 63] {
            let refusal = refused(check(namespace(12), to, &[(0, 1), (9, 1)]));
            assert_eq!(refusal, (Reason::OutOfRange, Field::Destination, to));
        }
        assert!(check(namespace(12), 998, &[(0, 1), (9, 1)]).is_ok());
        // Not a whole block at the end.
        assert_eq!(source(1000, 1).0, Reason::OutOfRange);
    }

    #[test]
    fn the_destination_is_no_source() {
        let result = |to| check(namespace(12), to, &[(100, 2), (50, 3), (100, 1)]);
        for to in [44, 53, 94, 102] {
            assert!(result(to).is_ok(), "{to}");
        }
        for to in [45, 52, 95, 101, 100, 50] {
            assert_eq!(
                refused(result(to)),
                (Reason::Overlap, Field::Destination, to)
            );
        }
    }

    #[test]
    fn the_first_missing_range() {
        let missing = |copied| {
            first_missing(
                [8, 16, 8].map(Sectors::new).into_iter(),
                Sectors::new(copied),
            )
        };
        assert_eq!(
            [0, 7, 8, 23, 24, 31, 32].map(missing),
            [0, 0, 1, 1, 2, 2, 3]
        );
        assert_eq!(missing(1000), 3);
    }
}
