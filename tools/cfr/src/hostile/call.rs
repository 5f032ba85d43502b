// SPDX-License-Identifier: GPL-2.0
//! Hostile calls of copy_file_range(2).

use std::fmt;
use std::os::fd::RawFd;

use anyhow::{ensure, Context, Result};
use memmap2::{Mmap, MmapMut};
use nix::errno::Errno;
use nix::libc;

use super::{may_write, Answer, Hostile, BAD_ADDRESSES, BLOCK};
use crate::copy::Outcome;
use crate::recent::Recent;

/// What `copy_file_range(2)` and Documentation/block/copy-offload.rst name, but for what a device reports.
const ERRORS: [Errno; 9] = [
    Errno::EBADF,
    Errno::EFAULT,
    Errno::EFBIG,
    Errno::EINVAL,
    Errno::EISDIR,
    Errno::ENOSPC,
    Errno::EOVERFLOW,
    Errno::EPERM,
    Errno::EXDEV,
];

/// What is given to the call as an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offset {
    /// A pointer to it.
    Value(u64),
    /// A pointer to it in memory that cannot be written.
    ReadOnly(u64),
    /// A pointer to nothing.
    Bad(usize),
    /// None: the position of the file, which is moved there before.
    Position(u64),
}

impl Offset {
    /// Where the copy would begin: nowhere, if nobody can read it.
    fn at(self) -> u64 {
        match self {
            Self::Value(at) | Self::ReadOnly(at) | Self::Position(at) => at,
            Self::Bad(_) => u64::MAX,
        }
    }
}

/// A page for an offset that cannot be written.
pub struct Memory(Option<Mmap>);

impl Memory {
    pub fn new() -> Result<Self> {
        let page = MmapMut::map_anon(4096).context("no memory")?;
        Ok(Self(Some(page.make_read_only()?)))
    }

    /// Puts the offset there.
    fn put(&mut self, value: u64) -> Result<*mut libc::loff_t> {
        let page = self.0.take().context("an offset that nobody put back")?;
        let mut page = page.make_mut()?;
        page[..8].copy_from_slice(&value.to_ne_bytes());
        let page = page.make_read_only()?;
        let pointer = page.as_ptr().cast_mut().cast();
        self.0 = Some(page);
        Ok(pointer)
    }
}

/// One call.
#[derive(Clone, Copy, Debug)]
struct Call {
    src: RawFd,
    dst: RawFd,
    from: Offset,
    to: Offset,
    len: u64,
    flags: u32,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Call { src, from, .. } = self;
        let Call { dst, to, .. } = self;
        let Call { len, flags, .. } = self;
        write!(
            f,
            "{src} {from:x?} -> {dst} {to:x?}, {len:#x} bytes, flags {flags:#x}"
        )
    }
}

/// What is to be said of a call, beside what is in it.
struct Known {
    /// The devices.
    src: usize,
    dst: usize,
    /// Nothing may be copied.
    refused: bool,
    /// One is no device. Two files could be copied.
    odd: bool,
}

impl Hostile {
    /// Makes one, and judges the answer.
    pub(super) fn call(&mut self, recent: &mut Recent) -> Result<()> {
        let (call, known) = self.plan_call();
        recent.note(call.to_string());
        let (outcome, moved) = self.make_call(&call)?;
        let target = &self.files.targets[known.dst];
        let may_fail = target.kind.may_fail() || self.files.targets[known.src].kind.may_fail();
        self.judge(&Answer {
            kind: "call",
            outcome,
            len: call.len,
            refused: known.refused,
            may_fail,
            errors: &ERRORS,
        })?;
        let copied = outcome.copied;
        // If an offset cannot be written, the other one may have moved with a copy that is an error then.
        let read_only = matches!(call.from, Offset::ReadOnly(_));
        for (before, after) in [call.from, call.to].into_iter().zip(moved) {
            if let (Offset::Value(before), false) = (before, read_only) {
                ensure!(
                    after == before.wrapping_add(copied),
                    "{copied} bytes copied, but an offset became {after:#x}"
                );
            }
        }
        let from = call.from.at();
        let size = self.files.targets[known.src].size;
        let dst = &self.files.targets[known.dst];
        let known_data = from.checked_add(copied).is_some_and(|end| end <= size / 4);
        let in_zone = self.zone(dst.size).contains(&call.to.at());
        if copied > 0 && known_data && in_zone && !may_fail {
            let source = std::iter::once(from..from + copied);
            self.compare(known.dst, call.to.at(), source, copied)?;
        }
        Ok(())
    }

    /// One in order, of which up to three things are made wrong.
    fn plan_call(&mut self) -> (Call, Known) {
        let count = self.files.targets.len();
        let (src, dst) = (self.random.index(count), self.random.index(count));
        let (src, dst) = match self.random.one_in(3) {
            true => (src, dst),
            false => (dst, dst),
        };
        self.files.renew(&mut self.random);
        let (src_size, size) = (self.files.targets[src].size, self.files.targets[dst].size);
        let zone = self.zone(size);
        let len = self.random.log(32) as u64 * BLOCK;
        let to = zone.start + self.random.index(32) as u64 * BLOCK;
        let mut call = Call {
            src: self.files.targets[src].any(&mut self.random),
            dst: self.files.targets[dst].any(&mut self.random),
            from: Offset::Value(self.good_source(src_size, len)),
            to: Offset::Value(to),
            len,
            flags: 0,
        };
        let mut known = Known {
            src,
            dst,
            refused: false,
            odd: false,
        };
        for _ in 0..self.random.index(4) {
            self.spoil_call(&mut call, &mut known, (src_size, size));
        }
        if !may_write(size, &zone, call.to.at(), call.len) {
            let to = size / 2 + self.random.next() % (size / 2);
            call.to = Offset::Value(to);
        }
        let bad = |offset| matches!(offset, Offset::Bad(_));
        known.refused |= call.flags != 0 || bad(call.from) || bad(call.to);
        (call, known)
    }

    fn spoil_call(&mut self, call: &mut Call, known: &mut Known, (src, dst): (u64, u64)) {
        match self.random.index(12) {
            0 | 1 => call.from = Offset::Value(self.any_offset(src)),
            2 | 3 => call.to = Offset::Value(self.any_offset(dst)),
            4 | 5 => call.len = self.any_length(dst),
            6 => {
                call.flags = self.random.next() as u32 | 1 << self.random.index(32);
            }
            7 => {
                let bad = Offset::Bad(BAD_ADDRESSES[self.random.index(BAD_ADDRESSES.len())]);
                *[&mut call.from, &mut call.to][self.random.index(2)] = bad;
            }
            8 => {
                let at = call.from.at();
                call.from = [Offset::ReadOnly(at), Offset::Position(at)][self.random.index(2)];
            }
            9 => call.to = Offset::Position(call.to.at()),
            side => {
                let odd = !known.odd && !self.random.one_in(3);
                let target = &self.files.targets[if side == 10 { known.src } else { known.dst }];
                let fd = match side {
                    _ if odd => self.files.odd(&mut self.random),
                    10 => target.no_source(),
                    _ => target.no_destination(&mut self.random),
                };
                *if side == 10 {
                    &mut call.src
                } else {
                    &mut call.dst
                } = fd;
                known.odd |= odd;
                known.refused = true;
            }
        }
    }

    /// How it ended, and what the offsets are now.
    fn make_call(&mut self, call: &Call) -> Result<(Outcome, [u64; 2])> {
        let mut values = [call.from.at() as i64, call.to.at() as i64];
        let mut pointers = [std::ptr::null_mut(); 2];
        let offsets = [(call.from, call.src), (call.to, call.dst)];
        for ((offset, fd), (value, pointer)) in offsets
            .into_iter()
            .zip(values.iter_mut().zip(&mut pointers))
        {
            match offset {
                Offset::Value(_) => *pointer = value,
                Offset::Bad(address) => {
                    *pointer = std::ptr::without_provenance_mut(address);
                }
                Offset::ReadOnly(at) => *pointer = self.call.put(at)?,
                // SAFETY: It uses no memory. Where there is no such position, the file has another one.
                Offset::Position(at) => unsafe {
                    if libc::lseek(fd, at as i64, libc::SEEK_SET) < 0 {
                        *pointer = value;
                    }
                },
            }
        }
        let len = call.len as usize;
        // SAFETY: The kernel writes to the offsets, or to memory that this program does not have, or cannot
        // write.
        let result = unsafe {
            libc::syscall(
                libc::SYS_copy_file_range,
                call.src,
                pointers[0],
                call.dst,
                pointers[1],
                len,
                call.flags,
            )
        };
        let outcome = match Errno::result(result) {
            Ok(copied) => Outcome {
                copied: copied.unsigned_abs(),
                error: None,
            },
            Err(error) => Outcome::nothing(error),
        };
        Ok((outcome, values.map(|value| value as u64)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_can_be_where_nobody_writes() {
        let mut memory = Memory::new().unwrap();
        for value in [7, u64::MAX] {
            let pointer = memory.put(value).unwrap();
            // SAFETY: The page lives as long as `memory`.
            assert_eq!(unsafe { pointer.read() } as u64, value);
        }
    }
}
