// SPDX-License-Identifier: GPL-2.0
//! What to do next, and what the kernel must answer: decided by the seed alone.

use clap::ValueEnum;
use nix::errno::Errno;

use super::place::{Place, Range};
use crate::random::Random;

/// The longest copy and the longest write, in sectors.
const MAX_COPY: usize = (8 << 20) / 512;
const MAX_WRITE: usize = (512 << 10) / 512;
/// The most ranges on one side: more than one command takes.
const MAX_RANGES: usize = 300;

/// Which function of the kernel copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    Offload,
    Onload,
    Auto,
}

/// A copy of several ranges.
#[derive(Clone, Debug)]
pub struct Copy {
    pub mode: Mode,
    /// As the test module reads it, with its options.
    pub how: String,
    pub src: usize,
    pub dst: usize,
    pub from: Vec<Range>,
    pub to: Vec<Range>,
}

#[derive(Clone, Debug)]
pub enum Operation {
    Copy(Copy),
    /// copy_file_range(2) between descriptors with O_DIRECT.
    CopyFile {
        src: usize,
        dst: usize,
        from: Range,
        to: Range,
    },
    Write {
        dev: usize,
        range: Range,
        buffered: bool,
    },
    /// Sets `copy_max_bytes`.
    Limit {
        disk: usize,
        bytes: usize,
    },
}

/// Chooses operations.
pub struct Plan {
    pub random: Random,
    places: Vec<Place>,
    modes: Vec<Mode>,
    /// Block of each disk.
    blocks: Vec<usize>,
}

pub fn total(list: &[Range]) -> usize {
    list.iter().map(|range| range.len).sum()
}

impl Plan {
    pub fn new(seed: u64, places: Vec<Place>, modes: Vec<Mode>) -> Self {
        let disks = places.iter().map(|place| place.disk + 1).max().unwrap_or(0);
        let block_of = |disk| {
            let mut places = places.iter();
            places
                .find(|place| place.disk == disk)
                .map_or(1, |p| p.block)
        };
        Plan {
            random: Random::new(seed),
            blocks: (0..disks).map(block_of).collect(),
            places,
            modes,
        }
    }

    pub fn next(&mut self) -> Operation {
        let dev = self.random.index(self.places.len());
        match self.random.index(32) {
            0..=18 => Operation::Copy(self.copy(dev)),
            19..=23 => {
                let dst = self.random.index(self.places.len());
                let total = self.some_total(dev, dst);
                let from = self.somewhere(dev, total);
                let to = self.somewhere(dst, total);
                Operation::CopyFile {
                    src: dev,
                    dst,
                    from,
                    to,
                }
            }
            kind @ 24..=30 => {
                let buffered = kind > 26;
                let place = &self.places[dev];
                let most = (MAX_WRITE.min(place.len)) / place.block;
                let len = self.random.log(most) * self.places[dev].block;
                Operation::Write {
                    dev,
                    range: self.somewhere(dev, len),
                    buffered,
                }
            }
            _ => {
                let disk = self.random.index(self.blocks.len());
                let block = self.blocks[disk] * 512;
                let bytes = match self.random.index(6) {
                    0 => 0,
                    1 => block.max(4096),
                    2 => 3 * block.max(4096),
                    3 => 64 << 10,
                    4 => (64 << 10) + self.random.index(1 << 20) / block * block,
                    // Cut to what the device can.
                    _ => 1 << 30,
                };
                Operation::Limit { disk, bytes }
            }
        }
    }

    fn larger_block(&self, src: usize, dst: usize) -> usize {
        self.places[src].block.max(self.places[dst].block)
    }

    fn some_total(&mut self, src: usize, dst: usize) -> usize {
        let block = self.larger_block(src, dst);
        let room = self.places[src].len.min(self.places[dst].len);
        self.random.log(MAX_COPY.min(room / 2) / block) * block
    }

    /// A range of `len`, anywhere on blocks of the largest kind.
    fn somewhere(&mut self, dev: usize, len: usize) -> Range {
        let block = self.blocks.iter().copied().max().unwrap_or(1);
        let blocks = (self.places[dev].len - len) / block;
        Range {
            start: self.random.index(blocks + 1) * block,
            len,
        }
    }

    fn copy(&mut self, src: usize) -> Copy {
        let dst = self.random.index(self.places.len());
        let block = self.larger_block(src, dst);
        let total = self.some_total(src, dst);
        let to = self.destinations(dst, total, block);
        let from = self.sources(src, dst, &to, total, block);
        let mode = self.modes[self.random.index(self.modes.len())];
        let mut how = format!("{mode:?}").to_lowercase();
        if self.random.one_in(2) {
            how.push_str(",async");
        }
        if mode != Mode::Offload && self.random.one_in(3) {
            how.push_str(",pool");
        }
        let mut copy = Copy {
            mode,
            how,
            src,
            dst,
            from,
            to,
        };
        if self.random.one_in(24) {
            self.spoil(&mut copy);
        }
        copy
    }

    /// Cuts `total` into pieces, on boundaries of blocks.
    fn cut(&mut self, total: usize, block: usize) -> Vec<usize> {
        let blocks = total / block;
        let pieces = match self.random.index(4) {
            0 => 1,
            _ => self.random.log(blocks.min(MAX_RANGES)),
        };
        let mut cuts: Vec<_> = (1..pieces)
            .map(|_| self.random.index(blocks) * block)
            .filter(|at| *at != 0)
            .chain([0, total])
            .collect();
        cuts.sort_unstable();
        cuts.dedup();
        cuts.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    /// Destinations, in any order, near to each other, and never one over the other: which one of two
    /// would be written last is not said.
    fn destinations(&mut self, dst: usize, total: usize, block: usize) -> Vec<Range> {
        let lens = self.cut(total, block);
        let room = self.places[dst].len / block * block - total;
        let mut slack = self.random.index(room.min(total).min(4096) / block + 1);
        let mut at = self.random.index(room / block - slack + 1) * block;
        let mut list = Vec::new();
        for len in lens {
            let gap = if self.random.one_in(2) {
                0
            } else {
                self.random.index(slack + 1)
            };
            slack -= gap;
            at += gap * block;
            list.push(Range { start: at, len });
            at += len;
        }
        if self.random.one_in(2) {
            for i in (1..list.len()).rev() {
                list.swap(i, self.random.index(i + 1));
            }
        }
        list
    }

    /// Sources, which may lie over each other, and next to each other, but if possible not over a
    /// destination.
    fn sources(
        &mut self,
        src: usize,
        dst: usize,
        to: &[Range],
        total: usize,
        block: usize,
    ) -> Vec<Range> {
        let shared = self.places[src].disk == self.places[dst].disk;
        let (start, other) = (self.places[src].start, self.places[dst].start);
        let low = to.iter().map(|range| range.start).min().unwrap_or(0) + other;
        let high = to.iter().map(|range| range.end()).max().unwrap_or(0) + other;
        let all = Range {
            start: low,
            len: high - low,
        };
        let end = self.places[src].len;
        let mut list: Vec<Range> = Vec::new();
        for len in self.cut(total, block) {
            let mut range = Range { start: 0, len };
            for _ in 0..20 {
                let last = list.last().map_or(0, |range| range.end());
                range.start = if self.random.one_in(3) && last + len <= end {
                    last
                } else {
                    self.random.index((end - len) / block + 1) * block
                };
                if !shared || !range.moved(start).overlaps(all) {
                    break;
                }
            }
            list.push(range);
        }
        list
    }

    /// Makes a copy that the kernel must refuse.
    fn spoil(&mut self, copy: &mut Copy) {
        let end = self.places[copy.dst].len;
        let block = self.larger_block(copy.src, copy.dst);
        let at = self.random.index(copy.from.len());
        match self.random.index(5) {
            0 => copy.from[at].len += block,
            1 => copy.from[at].start += 1,
            2 => copy.to[0].start = end - copy.to[0].len + block,
            3 => copy.from.push(Range { start: 0, len: 0 }),
            _ => copy.to[0].start = usize::MAX / 512 / block * block,
        }
    }

    /// What the kernel must answer: an error, or that all was copied. `can_copy` is for each disk.
    pub fn expected(&self, copy: &Copy, can_copy: &[bool]) -> Result<(), Errno> {
        let (src, dst) = (&self.places[copy.src], &self.places[copy.dst]);
        let block = src.block.max(dst.block);
        let fits = |list: &[Range], place: &Place| {
            let mut list = list.iter();
            list.all(|range| range.len > 0 && range.is_aligned(block) && range.end() <= place.len)
        };
        let overlap = |from: &Range| {
            let from = from.moved(src.start);
            let mut to = copy.to.iter();
            to.any(|to| from.overlaps(to.moved(dst.start)))
        };
        let shared = src.disk == dst.disk;
        if !fits(&copy.from, src)
            || !fits(&copy.to, dst)
            || total(&copy.from) != total(&copy.to)
            || (shared && copy.from.iter().any(overlap))
        {
            return Err(Errno::EINVAL);
        }
        if copy.mode == Mode::Offload && !(shared && can_copy[src.disk]) {
            return Err(Errno::EOPNOTSUPP);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "plan_test.rs"]
mod tests;
