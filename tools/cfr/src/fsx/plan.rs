// SPDX-License-Identifier: GPL-2.0
//! What `cfr fsx` does next: decided by the seed alone.

use crate::random::Random;

/// The way to the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Through {
    /// `read` and `write` without O_DIRECT.
    Cache,
    /// `read` and `write` with O_DIRECT.
    Device,
    /// A shared mapping.
    Mapping,
}

/// A part of the region; offsets count from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub at: usize,
    pub len: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Read(Through, Part),
    Write(Through, Part, u64),
    /// From a part to a place, by descriptors that are O_DIRECT or not.
    Copy {
        from: Part,
        to: usize,
        src_direct: bool,
        dst_direct: bool,
    },
    Zero(Part),
    Sync,
    /// Write everything back, and drop it from the page cache.
    Drop,
    /// Compare the whole region.
    Compare(Through),
}

/// The page of any machine that runs this, and the most that one touch of a mapping covers: a page that is
/// touched for the first time is dear in a User Mode Linux guest.
const PAGE: usize = 4096;
const TOUCHED: usize = 4 * PAGE;

/// Every so many operations, everything is compared.
const COMPARE: u64 = 256;

/// Chooses operations.
pub struct Plan {
    random: Random,
    size: usize,
    align: usize,
    number: u64,
}

impl Plan {
    /// For a region of `size` bytes on a device with blocks of `align`, both of them powers of two.
    pub fn new(seed: u64, size: usize, align: usize) -> Self {
        Plan {
            random: Random::new(seed),
            size,
            align,
            number: 0,
        }
    }

    /// A part on boundaries of `unit`; short ones are as likely as long ones.
    fn part(&mut self, unit: usize, most: usize) -> Part {
        let len = self.random.log(most / unit) * unit;
        let at = self.random.index((self.size - len) / unit + 1) * unit;
        Part { at, len }
    }

    fn through(&mut self) -> Through {
        match self.random.index(4) {
            0 => Through::Device,
            1 => Through::Mapping,
            _ => Through::Cache,
        }
    }

    fn part_for(&mut self, through: Through) -> Part {
        match through {
            Through::Cache => self.part(1, self.size / 8),
            Through::Device => self.part(self.align, self.size / 8),
            Through::Mapping => self.part(1, TOUCHED),
        }
    }

    /// Half of the copies are long. The places of some lie alike in their pages, of others in their blocks, or
    /// anyhow.
    fn copy(&mut self) -> Operation {
        let src_direct = self.random.one_in(5);
        let dst_direct = self.random.one_in(5);
        let unit = match self.random.index(4) {
            _ if src_direct || dst_direct => self.align,
            0 => PAGE,
            1 => self.align,
            _ => 1,
        };
        let mut from = self.part(unit, self.size / 4);
        if self.random.index(2) == 0 {
            from = self.part(unit, self.size / 2);
            from.len = from.len.max(self.size / 8);
            from.at = from.at.min(self.size - from.len);
        }
        let to = self.random.index((self.size - from.len) / unit + 1) * unit;
        // Alike in pages or in blocks, but on no boundary.
        let alike = match self.random.index(4) {
            _ if unit > 1 => 1,
            0 => PAGE,
            1 => self.align,
            _ => 1,
        };
        let to = to - to % alike + from.at % alike;
        Operation::Copy {
            to: to.min(self.size - from.len),
            from,
            src_direct,
            dst_direct,
        }
    }

    pub fn next(&mut self) -> Operation {
        self.number += 1;
        if self.number % COMPARE == 0 {
            let through = match self.random.index(2) {
                0 => Through::Device,
                _ => Through::Cache,
            };
            return Operation::Compare(through);
        }
        match self.random.index(100) {
            0..=39 => self.copy(),
            40..=64 => {
                let through = self.through();
                let part = self.part_for(through);
                Operation::Write(through, part, self.random.next())
            }
            65..=94 => {
                let through = self.through();
                Operation::Read(through, self.part_for(through))
            }
            95..=96 => Operation::Zero(self.part(self.align, self.size / 8)),
            97..=98 => Operation::Sync,
            _ => Operation::Drop,
        }
    }
}

/// Whether two parts of the same length meet.
pub fn overlap(from: Part, to: usize) -> bool {
    from.at < to + from.len && to < from.at + from.len
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 2 << 20;

    fn operations(seed: u64) -> Vec<Operation> {
        let mut plan = Plan::new(seed, SIZE, 512);
        (0..20_000).map(|_| plan.next()).collect()
    }

    #[test]
    fn the_seed_decides() {
        assert_eq!(operations(1), operations(1));
        assert_ne!(operations(1), operations(2));
    }

    #[test]
    fn parts_stay_inside_and_direct_ones_are_aligned() {
        let inside = |part: Part| part.len > 0 && part.at + part.len <= SIZE;
        let aligned = |part: Part| part.at % 512 == 0 && part.len % 512 == 0;
        for operation in operations(3) {
            match operation {
                Operation::Read(through, part) | Operation::Write(through, part, _) => {
                    assert!(inside(part), "{operation:?}");
                    assert!(through != Through::Device || aligned(part), "{operation:?}");
                }
                Operation::Zero(part) => assert!(inside(part) && aligned(part), "{operation:?}"),
                Operation::Copy {
                    from,
                    to,
                    src_direct,
                    dst_direct,
                } => {
                    let there = Part { at: to, ..from };
                    assert!(inside(from) && inside(there), "{operation:?}");
                    let direct = src_direct || dst_direct;
                    assert!(!direct || aligned(from) && aligned(there), "{operation:?}");
                }
                Operation::Sync | Operation::Drop | Operation::Compare(_) => {}
            }
        }
    }

    #[test]
    fn every_kind_of_copy_is_tried() {
        let (mut pages, mut heads, mut blocks, mut odd, mut short) = (0, 0, 0, 0, 0);
        for operation in operations(4) {
            let Operation::Copy { from, to, .. } = operation else {
                continue;
            };
            if overlap(from, to) {
                continue;
            }
            match (from.at.abs_diff(to), from.len) {
                (_, len) if len < 256 << 10 => short += 1,
                (by, _) if by % PAGE == 0 && to % PAGE == 0 => pages += 1,
                (by, _) if by % PAGE == 0 => heads += 1,
                (by, _) if by % 512 == 0 => blocks += 1,
                _ => odd += 1,
            }
        }
        let counts = [pages, heads, blocks, odd, short];
        assert!(counts.iter().all(|count| *count > 200), "{counts:?}");
    }
}
