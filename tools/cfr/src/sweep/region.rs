// SPDX-License-Identifier: GPL-2.0
//! What is copied, and what is around it.

use std::fs::File;
use std::io;
use std::path::Path;

use anyhow::{bail, ensure, Context, Result};

use copyring::Range;
use nix::errno::Errno;

use super::way::Way;
use crate::cache;
use crate::device::{self, Access, How};
use crate::pattern::{self, Pattern};
use blkcopy::aligned::AlignedBuf;

/// Places and lengths of buffered copies are no multiples of it.
const PAGE: u64 = 4096;
/// What is old differs from what is new in each of these.
const GROUP: usize = 8;
/// The source.
pub const NEW: Pattern = Pattern::Seed(1);
/// What the device has where the page cache has the source.
const STALE: Pattern = Pattern::Seed(2);

/// What the destination has before step `number`.
fn old(number: u32) -> Pattern {
    Pattern::Seed(1000 + u64::from(number))
}

struct Files {
    direct: File,
    buffered: File,
}

impl Files {
    fn open(path: &Path) -> Result<Self> {
        Ok(Files {
            direct: device::open(path, How::new(Access::Rw, true))?,
            buffered: device::open(path, How::new(Access::Rw, false))?,
        })
    }

    /// Writes a pattern past the page cache.
    fn fill(&self, pattern: Pattern, at: u64, buffer: &mut [u8]) -> Result<()> {
        pattern.fill(at, buffer);
        device::write_all(&self.direct, buffer, at)
    }
}

/// What becomes of what is written through the page cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteBack {
    /// All of it is on the device.
    Whole,
    /// Some may be missing.
    MayFail,
    /// Some is missing, and whoever syncs hears of this error.
    Fails(Errno),
}

pub struct Region {
    way: Way,
    src: Files,
    dst: Files,
    from: u64,
    to: u64,
    len: usize,
    buffer: AlignedBuf,
    want: Vec<u8>,
    /// What is copied.
    new: Vec<u8>,
    /// The size of one command, in bytes. A command that has failed may have copied a part of that.
    command: usize,
    number: u32,
}

/// Whole pages around so many bytes at `at`, and a page more on each side: start and length.
fn around(at: u64, len: usize) -> (u64, usize) {
    let start = (at / PAGE).saturating_sub(1) * PAGE;
    let end = (at + len as u64).next_multiple_of(PAGE) + PAGE;
    (start, usize::try_from(end - start).unwrap_or(usize::MAX))
}

impl Region {
    pub fn open(way: &Way, src: &Path, dst: &Path, place: (u64, u64, u64)) -> Result<Self> {
        let (from, to, len) = place;
        let len = usize::try_from(len)?;
        let group = GROUP as u64;
        ensure!(
            from % group == 0 && to % group == 0 && len % GROUP == 0,
            "places and lengths are multiples of {GROUP}"
        );
        // The next one may be elsewhere.
        let most = len.next_multiple_of(PAGE as usize) + 4 * PAGE as usize;
        Ok(Region {
            way: way.clone(),
            src: Files::open(src)?,
            dst: Files::open(dst)?,
            from,
            to,
            len,
            buffer: AlignedBuf::new(most),
            want: vec![0; most],
            new: vec![0; len],
            command: GROUP,
            number: 0,
        })
    }

    /// Allows a failed command of this many bytes to have copied a part of them.
    pub fn may_fail_in_part(&mut self, command: u64) -> Result<()> {
        self.command = usize::try_from(command)?;
        Ok(())
    }

    /// Source and destination as they are before step `number`, which copies from and to these places.
    pub fn prepare(&mut self, number: u32, (from, to): (u64, u64)) -> Result<()> {
        (self.number, self.from, self.to) = (number, from, to);
        let mut done = 0;
        for Range { offset, len } in self.way.sources(from, self.len as u64) {
            let len = usize::try_from(len)?;
            NEW.fill(offset, &mut self.new[done..done + len]);
            done += len;
        }
        if self.way.is_cached() {
            // An error of the step before may be told now.
            let _ = (self.src.buffered.sync_all(), self.dst.buffered.sync_all());
            cache::drop_pages(&self.src.buffered)?;
            cache::drop_pages(&self.dst.buffered)?;
        }
        let (at, len) = around(self.from, self.len);
        let buffer = &mut self.buffer[..len];
        self.src.fill(NEW, at, buffer)?;
        if self.way == (Way::Buffered { cold: false }) {
            // All that is copied is dirty in the page cache, and there alone.
            self.src.fill(STALE, at, buffer)?;
            NEW.fill(at, buffer);
            device::write_all(&self.src.buffered, buffer, at)?;
        }
        let (at, len) = around(self.to, self.len);
        self.dst.fill(old(number), at, &mut self.buffer[..len])
    }

    /// Compares everything after a copy that says that it has copied so much.
    pub fn check(&mut self, copied: u64, write_back: WriteBack) -> Result<()> {
        let copied = usize::try_from(copied)?;
        if self.way.is_cached() {
            self.compare_destination(copied, true)
                .context("in the page cache")?;
            let synced = self.dst.buffered.sync_all();
            match write_back {
                WriteBack::Whole => synced.context("cannot sync")?,
                // What could not be written back is told.
                WriteBack::MayFail => {}
                WriteBack::Fails(errno) => ensure!(
                    synced.as_ref().err().and_then(io::Error::raw_os_error) == Some(errno as i32),
                    "a sync should say {errno:?}, but: {synced:?}"
                ),
            }
            let _ = self.src.buffered.sync_all();
            cache::drop_pages(&self.dst.buffered)?;
            if write_back != WriteBack::Whole {
                // Nothing else is written in its place.
                let prefix = usize::try_from(self.prefix()?)?;
                return self.compare_destination(prefix, false);
            }
        }
        self.compare_destination(copied, false)?;
        let (at, len) = around(self.from, self.len);
        let (got, want) = (&mut self.buffer[..len], &mut self.want[..len]);
        device::read_exact(&self.src.direct, got, at)?;
        NEW.fill(at, want);
        pattern::compare(at, got, want).context("the source")
    }

    /// How much of the destination is new on the device, from its start without a gap.
    pub fn prefix(&mut self) -> Result<u64> {
        let (at, len) = around(self.to, self.len);
        let got = &mut self.buffer[..len];
        device::read_exact(&self.dst.direct, got, at)?;
        let got = &got[usize::try_from(self.to - at)?..];
        let pairs = got.iter().zip(&self.new);
        Ok(pairs.take_while(|(got, new)| got == new).count() as u64 / GROUP as u64 * GROUP as u64)
    }

    fn compare_destination(&mut self, copied: usize, buffered: bool) -> Result<()> {
        let (at, len) = around(self.to, self.len);
        let (got, want) = (&mut self.buffer[..len], &mut self.want[..len]);
        let file = if buffered {
            &self.dst.buffered
        } else {
            &self.dst.direct
        };
        device::read_exact(file, got, at)?;
        old(self.number).fill(at, want);
        let start = usize::try_from(self.to - at)?;
        compare(got, want, &self.new, start, copied, self.command)
    }
}

/// Is in `got` what was there before (`old`), with `copied` bytes of `new` from `start` on? Behind them there may be
/// more of it, but not `command` bytes at once.
fn compare(
    got: &[u8],
    old: &[u8],
    new: &[u8],
    start: usize,
    copied: usize,
    command: usize,
) -> Result<()> {
    let end = start + new.len();
    let beside = [(0, start), (end, got.len())];
    for (from, to) in beside {
        pattern::compare(from as u64, &got[from..to], &old[from..to])
            .context("beside the destination, from there on")?;
    }
    let (got, old) = (&got[start..end], &old[start..end]);
    pattern::compare(0, &got[..copied], &new[..copied]).context("in what was copied")?;
    let next = copied..new.len().min(copied + command);
    if !next.is_empty() && got[next.clone()] == new[next] {
        bail!("what is at {copied} was copied as well");
    }
    for at in (copied..new.len()).step_by(GROUP) {
        let group = at..at + GROUP;
        let is_new = got[group.clone()] == new[group.clone()];
        if !is_new && got[group.clone()] != old[group] {
            bail!("what is at {at} is neither old nor new");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_page_on_each_side() {
        assert_eq!(around(8192, 4096), (4096, 3 * 4096));
        assert_eq!(around(9000, 8), (4096, 3 * 4096));
        assert_eq!(around(0, 4096), (0, 2 * 4096));
    }

    /// A copy of 64 bytes to the middle of 96.
    fn after(change: impl FnOnce(&mut [u8], &[u8]), copied: usize) -> Result<()> {
        let (mut old_data, mut new) = ([0; 96], [0; 64]);
        old(7).fill(0, &mut old_data);
        NEW.fill(0, &mut new);
        let mut got = old_data;
        change(&mut got, &new);
        compare(&got, &old_data, &new, 16, copied, GROUP)
    }

    #[test]
    fn a_command_may_fail_in_part() {
        let (mut old_data, mut new) = ([0; 64], [0; 64]);
        old(7).fill(0, &mut old_data);
        NEW.fill(0, &mut new);
        let mut got = old_data;
        got[..24].copy_from_slice(&new[..24]);
        compare(&got, &old_data, &new, 0, 0, 32).unwrap();
        compare(&got, &old_data, &new, 0, 16, 32).unwrap();
        assert!(compare(&got, &old_data, &new, 0, 0, 24).is_err());
    }

    #[test]
    fn a_wrong_prefix_is_found() {
        let part = |len: usize| {
            move |got: &mut [u8], new: &[u8]| {
                got[16..16 + len].copy_from_slice(&new[..len]);
            }
        };
        after(part(64), 64).unwrap();
        after(part(0), 0).unwrap();
        after(part(32), 32).unwrap();
        assert!(after(part(32), 40).is_err());
        assert!(after(part(32), 24).is_err());
        assert!(after(part(64), 0).is_err());
        // Something else was copied behind it.
        after(|got, new| got[56..80].copy_from_slice(&new[40..]), 0).unwrap();
        assert!(after(|got, _| got[56] ^= 1, 0).is_err());
        assert!(after(|got, _| got[15] ^= 1, 0).is_err());
        assert!(after(|got, _| got[80] ^= 1, 0).is_err());
    }
}
