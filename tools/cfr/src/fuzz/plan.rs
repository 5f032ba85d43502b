// SPDX-License-Identifier: GPL-2.0
//! What to send next, and how the target has to answer: decided by the seed alone.
//!
//! The rules are those of the NVM Command Set Specification, written down here once more: nothing is shared
//! with the target.

use crate::nvme::command::{Command, Limits, Range, RANGE};
use crate::random::Random;

/// Statuses.
pub const INVALID_FIELD: u16 = 0x002;
pub const DATA_LENGTH: u16 = 0x00f;
pub const OUT_OF_RANGE: u16 = 0x080;
pub const TOO_LARGE: u16 = 0x183;
pub const OVERLAP: u16 = 0x187;

/// The most that comes along with a command, right or wrong.
const MOST_DATA: usize = 16 << 10;

/// A part of a namespace, in blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    pub start: u64,
    pub blocks: u64,
}

impl Region {
    fn holds(self, range: Range) -> bool {
        let end = range.start.checked_add(u64::from(range.blocks));
        range.start >= self.start && end.is_some_and(|end| end <= self.start + self.blocks)
    }
}

/// What to do.
#[derive(Clone, Debug)]
pub enum Operation {
    Copy(Command),
    Write { at: u64, blocks: u64, seed: u64 },
}

/// What a command says, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meaning {
    pub sources: Vec<Range>,
    pub to: Range,
    /// Each of these is a right answer; nothing is copied then. None: the command has to succeed.
    pub due: Vec<u16>,
}

/// Reads a command as the target should.
pub fn meaning(command: &Command, limits: Limits) -> Meaning {
    let mut due = Vec::new();
    let mut complain = |is_wrong: bool, status: u16| {
        if is_wrong && !due.contains(&status) {
            due.push(status);
        }
    };
    let fits = |range: Range| {
        let end = range.start.checked_add(u64::from(range.blocks));
        end.is_some_and(|end| end <= limits.blocks)
    };
    let count = u64::from(command.count.wrapping_sub(1) & 0xff) + 1;
    let sources: Vec<_> = command.data.chunks_exact(RANGE).map(read_range).collect();
    complain(
        command.data.len() as u64 != count * RANGE as u64,
        DATA_LENGTH,
    );
    complain(command.format & 0xf != 0, INVALID_FIELD);
    complain(count > limits.ranges, TOO_LARGE);
    let total: u64 = sources.iter().map(|range| u64::from(range.blocks)).sum();
    complain(total > limits.mcl, TOO_LARGE);
    for source in &sources {
        complain(u64::from(source.blocks) > limits.mssrl, TOO_LARGE);
        complain(!fits(*source), OUT_OF_RANGE);
    }
    let to = Range {
        start: command.to,
        blocks: u32::try_from(total).unwrap_or(u32::MAX),
    };
    complain(!fits(to), OUT_OF_RANGE);
    let end = |range: Range| range.start.saturating_add(u64::from(range.blocks));
    let meets = |source: &Range| source.start < end(to) && to.start < end(*source);
    complain(sources.iter().any(meets), OVERLAP);
    Meaning { sources, to, due }
}

fn read_range(entry: &[u8]) -> Range {
    let number = |from: usize, len: usize| {
        let bytes = entry[from..from + len].iter().rev();
        bytes.fold(0, |value, byte| value << 8 | u64::from(*byte))
    };
    Range {
        start: number(8, 8),
        blocks: number(16, 2) as u32 + 1,
    }
}

/// Chooses operations within a region.
pub struct Plan {
    random: Random,
    limits: Limits,
    region: Region,
}

impl Plan {
    pub fn new(seed: u64, limits: Limits, region: Region) -> Self {
        Self {
            random: Random::new(seed),
            limits,
            region,
        }
    }

    pub fn next(&mut self) -> Operation {
        if self.random.one_in(12) {
            let blocks = self.random.log(64.min(self.region.blocks as usize)) as u64;
            return Operation::Write {
                at: self.place(blocks),
                blocks,
                seed: self.random.next(),
            };
        }
        let right = self.right();
        if self.random.index(5) < 3 {
            return Operation::Copy(right);
        }
        let mut wrong = right.clone();
        for _ in 0..self.random.log(3) {
            self.spoil(&mut wrong);
        }
        let meaning = meaning(&wrong, self.limits);
        // Other regions are somebody else's.
        let stays = meaning
            .sources
            .iter()
            .all(|source| self.region.holds(*source));
        if meaning.due.is_empty() && !(stays && self.region.holds(meaning.to)) {
            return Operation::Copy(right);
        }
        Operation::Copy(wrong)
    }

    /// A place for so many blocks.
    fn place(&mut self, blocks: u64) -> u64 {
        let room = self.region.blocks.saturating_sub(blocks) + 1;
        self.region.start + self.random.index(room as usize) as u64
    }

    /// A command within the region. Its destination may overlap a source.
    fn right(&mut self) -> Command {
        let most = (self.region.blocks / 2).min(self.limits.mcl).max(1);
        let count = self.random.log((self.limits.ranges.min(most)) as usize) as u64;
        let each = (most / count).min(self.limits.mssrl).max(1) as usize;
        let ranges: Vec<_> = (0..count)
            .map(|_| {
                let blocks = self.random.log(each) as u32;
                let start = self.place(u64::from(blocks));
                Range { start, blocks }
            })
            .collect();
        let total = ranges.iter().map(|range| u64::from(range.blocks)).sum();
        let mut to = self.place(total);
        // Most random places of many ranges overlap: try some more.
        let overlaps = |to: u64| {
            let meets = |range: &Range| {
                range.start < to + total && to < range.start + u64::from(range.blocks)
            };
            ranges.iter().any(meets)
        };
        for _ in 0..8 {
            if overlaps(to) {
                to = self.place(total);
            }
        }
        let mut command = Command::new(to, &ranges);
        if self.random.one_in(4) {
            // Force unit access, and hints.
            command.bits = (self.random.next() as u32) & 0xfff0_f000;
        }
        command
    }

    /// Some place that is none, or is one by chance.
    fn nowhere(&mut self) -> u64 {
        let near = self.random.index(4) as u64;
        match self.random.index(6) {
            0 => self.limits.blocks - 1 + near,
            1 => self.limits.blocks - near,
            2 => u64::MAX - near,
            3 => 1 << self.random.index(64),
            4 => (1 << 63) - near,
            _ => self.random.next(),
        }
    }

    fn spoil(&mut self, command: &mut Command) {
        let ranges = command.data.len() / RANGE;
        let entry = self.random.index(ranges) * RANGE;
        match self.random.index(10) {
            0 => command.format = 1 + self.random.index(15) as u8,
            1 => command.count = 1 + self.random.index(256) as u32,
            2 => {
                let len = match self.random.index(4) {
                    0 => 0,
                    1 => command.data.len() + 4,
                    2 => command.data.len() - self.random.index(command.data.len() + 1),
                    _ => self.random.index(MOST_DATA / 4) * 4,
                };
                command.data.resize(len, self.random.next() as u8);
            }
            3 => command.to = self.nowhere(),
            4 if ranges > 0 => {
                let start = self.nowhere();
                command.data[entry + 8..entry + 16].copy_from_slice(&start.to_le_bytes());
            }
            5 if ranges > 0 => {
                let blocks = match self.random.index(3) {
                    0 => u16::MAX,
                    1 => self.limits.mssrl as u16,
                    _ => self.random.next() as u16,
                };
                command.data[entry + 16..entry + 18].copy_from_slice(&blocks.to_le_bytes());
            }
            6 => {
                // As many ranges as can be said, or one more than allowed.
                let count = [256, self.limits.ranges as usize + 1][self.random.index(2)].min(256);
                command.count = count as u32;
                command.data.resize(count * RANGE, 0);
            }
            7 => {
                for byte in &mut command.data {
                    *byte = self.random.next() as u8;
                }
            }
            8 => command.rest = std::array::from_fn(|_| self.random.next() as u32),
            _ => {
                // Reserved fields of a range mean nothing.
                for at in (0..8).chain(18..32).filter(|_| ranges > 0) {
                    command.data[entry + at] = self.random.next() as u8;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        blocks: 10_000,
        block: 512,
        mssrl: 8192,
        mcl: 8192,
        ranges: 128,
    };

    fn due(to: u64, ranges: &[(u64, u32)]) -> Vec<u16> {
        let ranges = ranges.iter().map(|(start, blocks)| Range {
            start: *start,
            blocks: *blocks,
        });
        meaning(&Command::new(to, &ranges.collect::<Vec<_>>()), LIMITS).due
    }

    #[test]
    fn knows_what_the_target_must_answer() {
        assert!(due(100, &[(0, 100), (201, 1)]).is_empty());
        assert!(due(9999, &[(0, 1)]).is_empty());
        assert_eq!(due(10_000, &[(0, 1)]), [OUT_OF_RANGE]);
        assert_eq!(due(u64::MAX, &[(0, 2)]), [OUT_OF_RANGE]);
        assert_eq!(due(0, &[(9999, 2)]), [OUT_OF_RANGE]);
        assert_eq!(due(5, &[(0, 6)]), [OVERLAP]);
        assert_eq!(due(0, &[(9000, 900), (1, 1)]), [OVERLAP]);
        assert_eq!(due(0, &[(1000, 8193)]), [TOO_LARGE, OVERLAP]);
        let mut command = Command::new(
            100,
            &[Range {
                start: 0,
                blocks: 1,
            }],
        );
        command.count = 2;
        assert_eq!(meaning(&command, LIMITS).due, [DATA_LENGTH]);
        (command.count, command.format) = (1, 2);
        assert_eq!(meaning(&command, LIMITS).due, [INVALID_FIELD]);
    }

    #[test]
    fn everything_is_tried_and_nothing_else_is_written() {
        let region = Region {
            start: 1000,
            blocks: 500,
        };
        let mut plan = Plan::new(7, LIMITS, region);
        let (mut good, mut seen) = (0, std::collections::BTreeMap::new());
        for _ in 0..20_000 {
            match plan.next() {
                Operation::Write { at, blocks, .. } => {
                    assert!(at >= 1000 && at + blocks <= 1500);
                }
                Operation::Copy(command) => {
                    let meaning = meaning(&command, LIMITS);
                    if meaning.due.is_empty() {
                        good += 1;
                        assert!(region.holds(meaning.to), "{command:?}");
                        assert!(meaning.sources.iter().all(|source| region.holds(*source)));
                    }
                    for status in meaning.due {
                        *seen.entry(status).or_insert(0) += 1;
                    }
                }
            }
        }
        assert!(good > 4000, "{good}");
        for status in [INVALID_FIELD, DATA_LENGTH, OUT_OF_RANGE, TOO_LARGE, OVERLAP] {
            assert!(seen.get(&status) > Some(&200), "{seen:?}");
        }
    }
}
