// SPDX-License-Identifier: GPL-2.0
//! Whether the data went the way that is timed.

use blkcopy::size::human;
use evidence::activity::Tally;

use crate::counters::{CopyStats, Counted};

/// The way that the data should go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The device copies, at most so many bytes with one command.
    Offload { command: u64 },
    /// The device copies pieces of so many bytes, with as many of them in a command as there happen to be.
    Gathered { piece: u64 },
    /// The device copies as well, but a program made the commands.
    Passthrough { command: u64 },
    /// The engine of the kernel reads and writes.
    Onload,
    /// The kernel reads and writes, by whatever means.
    Kernel,
    /// The kernel copies what its page cache has, and writes.
    Cached,
    /// A program reads and writes.
    Program,
    /// A program writes what it has.
    Write,
    /// The kernel's kcopyd reads and writes, and does not ask our engine.
    Kcopyd,
    /// A program copies from memory to memory, and no disk is asked for anything.
    Memory,
}

impl Way {
    /// As reports name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Offload { .. } | Self::Gathered { .. } => "offload",
            Self::Passthrough { .. } => "passthrough",
            Self::Onload => "onload",
            Self::Kernel => "kernel",
            Self::Cached => "cached",
            Self::Program => "program",
            Self::Write => "write",
            Self::Kcopyd => "kcopyd",
            Self::Memory => "memory",
        }
    }

    /// Whether code of ours has copied.
    pub fn is_ours(self, counted: &Counted) -> bool {
        match self {
            Self::Offload { .. } | Self::Gathered { .. } | Self::Onload => true,
            Self::Kernel => counted.stats.is_some_and(|stats| stats.onloaded > 0),
            Self::Passthrough { .. }
            | Self::Cached
            | Self::Program
            | Self::Write
            | Self::Kcopyd
            | Self::Memory => false,
        }
    }

    /// Whether what is written was in memory before.
    pub fn has_data(self) -> bool {
        match self {
            Self::Cached | Self::Write | Self::Memory => true,
            Self::Offload { .. }
            | Self::Gathered { .. }
            | Self::Passthrough { .. }
            | Self::Onload
            | Self::Kernel
            | Self::Program
            | Self::Kcopyd => false,
        }
    }

    /// Checks one run of `bytes`. `copies` is what the driver did, if that was traced.
    pub fn check(self, bytes: u64, copies: Option<Tally>, counted: &Counted) -> Result<(), String> {
        let read = if self.reads() { bytes } else { 0 };
        if counted.read != read {
            let (found, wanted) = (human(counted.read), human(read));
            return Err(format!(
                "{found} were read from the source instead of {wanted}"
            ));
        }
        let wanted = self.copies(bytes);
        let fewer_do = matches!(self, Self::Gathered { .. });
        let is_wanted = |copies: &Tally| {
            copies.bytes == wanted.bytes
                && (copies.requests == wanted.requests
                    || fewer_do && (1..wanted.requests).contains(&copies.requests))
        };
        if let Some(copies) = copies.filter(|copies| !is_wanted(copies)) {
            return Err(format!(
                "the driver executed {} copies of {} in all instead of {} of {}",
                copies.requests,
                human(copies.bytes),
                wanted.requests,
                human(wanted.bytes)
            ));
        }
        match counted.stats {
            Some(stats) => self.check_stats(bytes, stats),
            None if self == Self::Onload => {
                Err("this kernel does not count copies (copy_stats), so nothing is proved".into())
            }
            None => Ok(()),
        }
    }

    fn check_stats(self, bytes: u64, stats: CopyStats) -> Result<(), String> {
        let onloaded = match self {
            Self::Onload => bytes,
            // Whether or not the engine did it is its own affair.
            Self::Kernel => stats.onloaded,
            Self::Offload { .. }
            | Self::Gathered { .. }
            | Self::Passthrough { .. }
            | Self::Cached
            | Self::Program
            | Self::Write
            | Self::Kcopyd
            | Self::Memory => 0,
        };
        // What a program asks of the device itself is not counted.
        let offloaded = match self {
            Self::Offload { .. } | Self::Gathered { .. } => bytes,
            _ => 0,
        };
        if (stats.offloaded, stats.onloaded) == (offloaded, onloaded) {
            return Ok(());
        }
        Err(format!(
            "copy_stats counted {} offloaded and {} onloaded instead of {} and {}",
            human(stats.offloaded),
            human(stats.onloaded),
            human(offloaded),
            human(onloaded)
        ))
    }

    /// Whether the source disk is read.
    fn reads(self) -> bool {
        match self {
            Self::Offload { .. }
            | Self::Gathered { .. }
            | Self::Passthrough { .. }
            | Self::Cached
            | Self::Write
            | Self::Memory => false,
            Self::Onload | Self::Kernel | Self::Program | Self::Kcopyd => true,
        }
    }

    /// What the driver has to execute.
    fn copies(self, bytes: u64) -> Tally {
        match self {
            Self::Offload { command }
            | Self::Passthrough { command }
            | Self::Gathered { piece: command } => Tally {
                requests: bytes.div_ceil(command.max(1)),
                bytes,
            },
            _ => Tally::default(),
        }
    }
}

/// What was found, in a few words.
pub fn words(copies: Tally, counted: &Counted) -> String {
    let mut words = format!("{} copies", copies.requests);
    if let Some(stats) = counted.stats.filter(|stats| stats.onloaded > 0) {
        words = format!("onloaded {}", human(stats.onloaded));
        if let Some(piece) = stats.piece() {
            words += &format!(" by {}", human(piece));
        }
    }
    match counted.read {
        0 => words + ", nothing read",
        read => words + &format!(", read {} in {} requests", human(read), counted.reads),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn copies(requests: u64, bytes: u64) -> Option<Tally> {
        Some(Tally { requests, bytes })
    }

    fn counted(read: u64, stats: Option<(u64, u64)>) -> Counted {
        let stats = stats.map(|(offloaded, onloaded)| CopyStats {
            offloaded,
            onloaded,
            pieces: onloaded / 65536,
        });
        let reads = read / 4096;
        Counted { read, reads, stats }
    }

    #[test]
    fn an_offloaded_copy_reads_nothing_and_is_cut_exactly() {
        let way = Way::Offload { command: 4096 };
        for stats in [None, Some((MIB, 0))] {
            assert!(way.check(MIB, copies(256, MIB), &counted(0, stats)).is_ok());
            assert!(way.check(MIB, None, &counted(0, stats)).is_ok());
            assert!(way
                .check(MIB, copies(255, MIB), &counted(0, stats))
                .is_err());
            assert!(way.check(MIB, copies(0, 0), &counted(0, stats)).is_err());
            assert!(way
                .check(MIB, copies(256, MIB), &counted(512, stats))
                .is_err());
        }
        assert!(way.check(MIB, None, &counted(0, Some((0, 0)))).is_err());
        assert!(way.check(MIB, None, &counted(0, Some((MIB, MIB)))).is_err());
    }

    #[test]
    fn pieces_may_share_commands() {
        let way = Way::Gathered { piece: 4096 };
        let offloaded = counted(0, Some((MIB, 0)));
        for requests in [1, 2, 256] {
            let copies = copies(requests, MIB);
            assert!(way.check(MIB, copies, &offloaded).is_ok(), "{requests}");
        }
        for (requests, bytes) in [(0, MIB), (257, MIB), (0, 0), (255, MIB - 4096)] {
            let copies = copies(requests, bytes);
            assert!(way.check(MIB, copies, &offloaded).is_err(), "{requests}");
        }
        assert!(way
            .check(MIB, copies(2, MIB), &counted(4096, None))
            .is_err());
    }

    #[test]
    fn commands_of_a_program_are_not_counted_by_the_kernel() {
        let way = Way::Passthrough { command: 4096 };
        assert!(way
            .check(MIB, copies(256, MIB), &counted(0, Some((0, 0))))
            .is_ok());
        assert!(way
            .check(MIB, copies(0, 0), &counted(0, Some((0, 0))))
            .is_err());
        assert!(way.check(MIB, None, &counted(0, Some((MIB, 0)))).is_err());
        assert!(way.check(MIB, None, &counted(MIB, Some((0, 0)))).is_err());
    }

    #[test]
    fn an_onloaded_copy_needs_the_counter() {
        let none = copies(0, 0);
        assert!(Way::Onload
            .check(MIB, none, &counted(MIB, Some((0, MIB))))
            .is_ok());
        assert!(Way::Onload
            .check(MIB, none, &counted(MIB, Some((0, 0))))
            .is_err());
        assert!(Way::Onload
            .check(MIB, none, &counted(MIB, Some((512, MIB))))
            .is_err());
        assert!(Way::Onload
            .check(MIB, none, &counted(0, Some((0, MIB))))
            .is_err());
        let err = Way::Onload
            .check(MIB, none, &counted(MIB, None))
            .unwrap_err();
        assert!(err.contains("copy_stats"), "{err}");
    }

    #[test]
    fn reading_and_writing_is_no_copy() {
        let none = copies(0, 0);
        for way in [Way::Kernel, Way::Program, Way::Kcopyd] {
            assert!(way.check(MIB, none, &counted(MIB, None)).is_ok());
            assert!(way.check(MIB, none, &counted(0, None)).is_err());
            assert!(way.check(MIB, copies(1, MIB), &counted(MIB, None)).is_err());
            assert!(way.check(MIB, none, &counted(MIB, Some((MIB, 0)))).is_err());
        }
        let onloaded = counted(MIB, Some((0, MIB)));
        assert!(Way::Kernel.check(MIB, none, &onloaded).is_ok());
        assert!(Way::Kernel.is_ours(&onloaded));
        assert!(!Way::Kernel.is_ours(&counted(MIB, None)));
        assert!(Way::Program.check(MIB, none, &onloaded).is_err());
        assert!(Way::Kcopyd.check(MIB, none, &onloaded).is_err());
    }

    #[test]
    fn who_has_the_data_reads_nothing() {
        let none = copies(0, 0);
        for way in [Way::Write, Way::Memory] {
            assert!(way.check(MIB, none, &counted(0, Some((0, 0)))).is_ok());
            assert!(way.check(MIB, none, &counted(MIB, None)).is_err());
            assert!(way.check(MIB, copies(1, MIB), &counted(0, None)).is_err());
        }
    }

    #[test]
    fn in_words() {
        let all = Tally {
            requests: 256,
            bytes: MIB,
        };
        assert_eq!(words(all, &counted(0, None)), "256 copies, nothing read");
        assert_eq!(
            words(Tally::default(), &counted(MIB, Some((0, MIB)))),
            "onloaded 1 MiB by 64 KiB, read 1 MiB in 256 requests"
        );
        assert_eq!(
            words(Tally::default(), &counted(MIB, None)),
            "0 copies, read 1 MiB in 256 requests"
        );
    }
}
