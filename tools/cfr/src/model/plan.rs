// SPDX-License-Identifier: GPL-2.0
//! What to do next, and what the kernel must answer: decided by the seed alone.

use std::ops::Range;

use crate::random::Random;

/// A copy; offsets count from the start of the region.
#[derive(Clone, Copy, Debug)]
pub struct Copy {
    pub src: usize,
    pub dst: usize,
    pub from: usize,
    pub to: usize,
    pub len: usize,
    pub buffered: bool,
}

#[derive(Clone, Copy, Debug)]
pub enum Operation {
    Copy(Copy),
    Write {
        dev: usize,
        at: usize,
        len: usize,
        seed: u64,
        buffered: bool,
    },
    Sync {
        dev: usize,
    },
}

/// Chooses operations.
pub struct Plan {
    random: Random,
    size: usize,
    align: usize,
    /// For each device: the region ends where the device ends.
    at_end: Vec<bool>,
}

impl Plan {
    pub fn new(seed: u64, size: usize, align: usize, at_end: Vec<bool>) -> Self {
        Plan {
            random: Random::new(seed),
            size,
            align,
            at_end,
        }
    }

    /// True half of the time.
    pub fn coin(&mut self) -> bool {
        self.random.index(2) == 0
    }

    /// A random range, aligned or not.
    fn some_range(&mut self, aligned: bool, across_end: bool) -> Range<usize> {
        let unit = if aligned { self.align } else { 1 };
        let blocks = self.size / unit;
        let start = self.random.index(blocks);
        let room = if across_end { blocks } else { blocks - start };
        // Short ones more often than long ones.
        let limit = match self.random.index(4) {
            0 => room,
            1 => room.min(blocks / 4),
            _ => room.min(blocks / 16),
        };
        let len = 1 + self.random.index(limit);
        start * unit..(start + len) * unit
    }

    pub fn next(&mut self) -> Operation {
        let dev = self.random.index(self.at_end.len());
        match self.random.index(20) {
            kind @ 0..=12 => {
                let dst = self.random.index(self.at_end.len());
                let aligned = kind > 1;
                let across = self.at_end[dev] && self.at_end[dst] && kind == 2;
                let range = self.some_range(aligned, across);
                let to = self.some_range(aligned, across).start;
                let len = if across {
                    range.len()
                } else {
                    range.len().min(self.size - to)
                };
                Operation::Copy(Copy {
                    src: dev,
                    dst,
                    from: range.start,
                    to,
                    len,
                    buffered: kind == 0,
                })
            }
            kind @ 13..=18 => {
                let buffered = kind > 15;
                let range = self.some_range(!buffered, false);
                Operation::Write {
                    dev,
                    at: range.start,
                    len: range.len(),
                    seed: self.random.next(),
                    buffered,
                }
            }
            _ => Operation::Sync { dev },
        }
    }

    /// What the kernel must answer: the bytes that are copied, or None where it must refuse.
    pub fn expected(&self, copy: Copy) -> Option<usize> {
        let unaligned = [copy.from, copy.to, copy.len]
            .iter()
            .any(|value| value % self.align != 0);
        if unaligned && !copy.buffered {
            return None;
        }
        let len = copy.len.min(self.size - copy.from).min(self.size - copy.to);
        let overlap = copy.from < copy.to + len && copy.to < copy.from + len;
        (copy.src != copy.dst || !overlap).then_some(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(seed: u64) -> Plan {
        Plan::new(seed, 64 << 10, 512, vec![true, false])
    }

    #[test]
    fn the_seed_decides() {
        let text = |seed| {
            let mut plan = plan(seed);
            let list: Vec<_> = (0..50).map(|_| format!("{:?}", plan.next())).collect();
            list.join("\n")
        };
        assert_eq!(text(1), text(1));
        assert_ne!(text(1), text(2));
    }

    #[test]
    fn knows_what_the_kernel_must_answer() {
        let plan = plan(3);
        let copy = Copy {
            src: 0,
            dst: 0,
            from: 0,
            to: 4096,
            len: 4096,
            buffered: false,
        };
        let with = |change: fn(&mut Copy)| {
            let mut copy = copy;
            change(&mut copy);
            plan.expected(copy)
        };
        assert_eq!(plan.expected(copy), Some(4096));
        assert_eq!(with(|copy| copy.len = 4608), None);
        assert_eq!(with(|copy| copy.to = 3584), None);
        assert_eq!(with(|copy| (copy.dst, copy.to) = (1, 0)), Some(4096));
        assert_eq!(with(|copy| copy.len = 100), None);
        assert_eq!(with(|copy| copy.from = 8), None);
        assert_eq!(
            with(|copy| (copy.len, copy.buffered) = (100, true)),
            Some(100)
        );
        assert_eq!(with(|copy| copy.to = 63 << 10), Some(1024));
        let near_end = |copy: &mut Copy| (copy.from, copy.to) = (60 << 10, 63 << 10);
        assert_eq!(with(near_end), Some(1024));
    }

    #[test]
    fn ranges_stay_inside() {
        let mut plan = plan(3);
        for _ in 0..10_000 {
            let range = plan.some_range(true, false);
            assert!(!range.is_empty() && range.end <= plan.size);
            assert_eq!((range.start % 512, range.end % 512), (0, 0));
            let range = plan.some_range(false, false);
            assert!(!range.is_empty() && range.end <= plan.size);
            let range = plan.some_range(true, true);
            assert!(!range.is_empty() && range.start < plan.size);
        }
    }

    #[test]
    fn every_kind_of_copy_is_tried() {
        let mut plan = plan(5);
        let (mut refused, mut cut, mut whole, mut buffered) = (0, 0, 0, 0);
        for _ in 0..10_000 {
            let Operation::Copy(copy) = plan.next() else {
                continue;
            };
            match plan.expected(copy) {
                None => refused += 1,
                Some(len) if len < copy.len => cut += 1,
                Some(_) if copy.buffered => buffered += 1,
                Some(_) => whole += 1,
            }
        }
        assert!(refused > 100 && cut > 10 && buffered > 100 && whole > 3000);
    }
}
