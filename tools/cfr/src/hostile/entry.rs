// SPDX-License-Identifier: GPL-2.0
//! Hostile commands of io_uring.

use std::ops::Range as Bytes;

use anyhow::{Context, Result};
use copyring::{Command, Entry, Range, Ring, Setup};
use nix::errno::Errno;

use super::{may_write, Answer, Hostile, BAD_ADDRESSES, BLOCK};
use crate::copy::Outcome;
use crate::recent::Recent;

/// What Documentation/block/copy-uring.rst names, but for what a device reports. An entry of a link is cancelled if
/// one before it fails.
const ERRORS: [Errno; 7] = [
    Errno::EBADF,
    Errno::EBUSY,
    Errno::ECANCELED,
    Errno::EFAULT,
    Errno::EINVAL,
    Errno::EOPNOTSUPP,
    Errno::EPERM,
];

/// So many at a time.
const BATCH: usize = 4;

/// Flags of an entry: a registered file, of which there are none; drain, link, hard link, a worker, a buffer that
/// the kernel chooses, and one that does not exist.
const FLAGS: [u8; 7] = [1, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 7];
/// Those of them that nothing is copied with.
const BAD_FLAGS: u8 = 1 | 1 << 5 | 1 << 7;

/// One command.
struct Sent {
    entry: Entry,
    /// The sources, if there are several.
    list: Vec<Range>,
    src: usize,
    dst: usize,
    /// What is to be written to cannot be.
    bad_fd: bool,
    /// Nothing may be copied.
    refused: bool,
}

impl Sent {
    /// What it reads, if the kernel reads the list that it was given.
    fn sources(&self) -> Vec<Range> {
        match self.list.as_slice() {
            [] => vec![Range {
                offset: self.entry.pad2,
                len: self.entry.addr3,
            }],
            list => list.to_vec(),
        }
    }
}

impl Hostile {
    /// Has some executed, and judges the answers. Returns how many there were.
    pub(super) fn entries(&mut self, recent: &mut Recent) -> Result<u64> {
        self.files.renew(&mut self.random);
        let mut ring = match self.ring.take() {
            Some(ring) if !self.random.one_in(64) => ring,
            _ => {
                let setup = [Setup::Plain, Setup::Defer, Setup::Poll][self.random.index(3)];
                Ring::with(16, setup).context("cannot set up a ring")?
            }
        };
        let count = self.random.index(BATCH) + 1;
        let mut batch = Vec::new();
        for number in 0..count {
            let mut sent = self.plan_entry(number);
            if !sent.list.is_empty() && sent.entry.pad2 == 0 {
                // The list stays where it is: it is moved as a whole.
                sent.entry.pad2 = sent.list.as_ptr().addr() as u64;
            }
            recent.note(format!("{:x?} {:x?}", sent.entry, sent.list));
            ring.push_entry(&sent.entry, number as u64)?;
            batch.push(sent);
        }
        ring.submit()?;
        while ring.under_way() > 0 {
            let done = ring.wait()?;
            let sent = batch
                .get(usize::try_from(done.tag)?)
                .context("an answer to nothing")?;
            let outcome = crate::uring::outcome(done.result);
            self.judge_entry(sent, outcome)
                .with_context(|| format!("entry {} of {count}", done.tag))?;
        }
        self.ring = Some(ring);
        Ok(count as u64)
    }

    fn judge_entry(&mut self, sent: &Sent, outcome: Outcome) -> Result<()> {
        let targets = &self.files.targets;
        let may_fail = targets[sent.src].kind.may_fail() || targets[sent.dst].kind.may_fail();
        let (src_size, size) = (targets[sent.src].size, targets[sent.dst].size);
        self.judge(&Answer {
            kind: "ring",
            outcome,
            len: sent.entry.addr3,
            refused: sent.refused,
            may_fail,
            errors: &ERRORS,
        })?;
        let copied = outcome.copied;
        let mut sources: Vec<Bytes<u64>> = Vec::new();
        for range in sent.sources() {
            match range.offset.checked_add(range.len) {
                Some(end) if end <= src_size / 4 => sources.push(range.offset..end),
                _ => return Ok(()),
            }
        }
        let in_zone = self.zone(size).contains(&sent.entry.addr);
        if copied > 0 && in_zone && !may_fail {
            self.compare(sent.dst, sent.entry.addr, sources.into_iter(), copied)?;
        }
        Ok(())
    }

    /// One in order, of which up to three things are made wrong. Those of a batch write to different places.
    fn plan_entry(&mut self, number: usize) -> Sent {
        let count = self.files.targets.len();
        let (src, dst) = (self.random.index(count), self.random.index(count));
        let src = match self.random.one_in(3) {
            true => src,
            false => dst,
        };
        let (src_size, size) = (self.files.targets[src].size, self.files.targets[dst].size);
        let zone = self.zone(size);
        let part = ((zone.end - zone.start) / BATCH as u64) & !(BLOCK - 1);
        let part = zone.start + number as u64 * part..zone.start + (number as u64 + 1) * part;
        let len = self.random.log(16) as u64 * BLOCK;
        let command = [Command::Copy, Command::Offload][self.random.index(2)];
        let source = match src == dst && self.random.one_in(2) {
            true => -1,
            false => self.files.targets[src].any(&mut self.random),
        };
        let mut sent = Sent {
            entry: Entry {
                fd: self.files.targets[dst].any(&mut self.random),
                addr: part.start,
                addr3: len,
                splice_fd_in: source,
                pad2: self.good_source(src_size, len),
                ..Entry::new(command)
            },
            list: Vec::new(),
            src,
            dst,
            bad_fd: false,
            refused: false,
        };
        if self.random.one_in(3) {
            self.make_list(&mut sent, src_size);
        }
        for _ in 0..self.random.index(4) {
            self.spoil_entry(&mut sent, (src_size, size));
        }
        if !may_write(size, &part, sent.entry.addr, sent.entry.addr3) {
            sent.entry.addr = size / 2 + self.random.next() % (size / 2);
        }
        // A list that is there has no address yet.
        let bad_list = sent.entry.len != 0 && sent.entry.pad2 != 0;
        sent.refused |= sent.bad_fd || bad_list;
        sent
    }

    /// Several sources instead of one.
    fn make_list(&mut self, sent: &mut Sent, size: u64) {
        let mut left = sent.entry.addr3;
        while left > 0 {
            let len = (self.random.log(4) as u64 * BLOCK).min(left);
            let offset = self.good_source(size, len);
            sent.list.push(Range { offset, len });
            left -= len;
        }
        sent.entry.len = sent.list.len() as u32;
        sent.entry.pad2 = 0;
    }

    fn spoil_entry(&mut self, sent: &mut Sent, (src, dst): (u64, u64)) {
        let any = self.random.next();
        match self.random.index(14) {
            0 => sent.entry.addr = self.any_offset(dst),
            1 => sent.entry.addr3 = self.any_length(dst),
            2 if sent.entry.len == 0 => sent.entry.pad2 = self.any_offset(src),
            2 if !sent.list.is_empty() => {
                let index = self.random.index(sent.list.len());
                sent.list[index].offset = self.any_offset(src);
            }
            3 if !sent.list.is_empty() => {
                let index = self.random.index(sent.list.len());
                sent.list[index].len = self.any_length(src);
            }
            // More sources than there are, at an address that is none.
            2..=4 => {
                sent.entry.len = 1 << self.random.index(32);
                sent.entry.pad2 = BAD_ADDRESSES[self.random.index(BAD_ADDRESSES.len())] as u64;
            }
            5 => {
                let flag = FLAGS[self.random.index(FLAGS.len())];
                sent.entry.flags |= flag;
                sent.refused |= flag & BAD_FLAGS != 0;
            }
            6 | 7 => {
                let Entry {
                    ioprio,
                    pad1,
                    uring_cmd_flags,
                    buf_index,
                    personality,
                    ..
                } = &mut sent.entry;
                match self.random.index(5) {
                    0 => *ioprio = any as u16 | 1,
                    1 => *pad1 = any as u32 | 1,
                    2 => *uring_cmd_flags = any as u32 | 1,
                    3 => *buf_index = any as u16 | 1,
                    _ => *personality = any as u16 | 1,
                }
                sent.refused = true;
            }
            8 | 9 => {
                sent.entry.splice_fd_in = match self.random.one_in(3) {
                    true => self.files.targets[sent.src].no_source(),
                    // -1 is the destination itself.
                    false => match self.files.odd(&mut self.random) {
                        -1 => -2,
                        odd => odd,
                    },
                };
                sent.refused = true;
            }
            10 | 11 => {
                sent.entry.fd = match self.random.one_in(3) {
                    true => self.files.targets[sent.dst].no_destination(&mut self.random),
                    false => self.files.odd(&mut self.random),
                };
                // O_APPEND is nothing to it.
                sent.bad_fd = sent.entry.fd != self.files.targets[sent.dst].appending();
            }
            12 => {
                // A command that the block layer does not have.
                sent.entry.cmd_op = (any as u32) << 8 | 0x80;
                sent.refused = true;
            }
            // A source that is the destination, or beside it.
            _ if sent.entry.len == 0 => {
                sent.entry.pad2 = sent.entry.addr.wrapping_add(any % 3 * BLOCK);
            }
            // More than the list has.
            _ => sent.entry.addr3 = sent.entry.addr3.wrapping_add(BLOCK),
        }
    }
}
