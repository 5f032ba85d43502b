// SPDX-License-Identifier: GPL-2.0
//! What is copied, and what is around it.

use std::fs::File;
use std::path::Path;

use anyhow::{bail, ensure, Context, Result};

use super::judge::Fault;
use crate::cache;
use crate::device::{self, Access, How};
use crate::pattern::{self, Pattern};
use blkcopy::aligned::AlignedBuf;

/// Places and lengths of buffered copies are no multiples of it.
const PAGE: u64 = 4096;
/// What is old differs from what is new in each of these.
const GROUP: usize = 8;
/// The source.
const NEW: Pattern = Pattern::Seed(1);
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

pub struct Region {
    src: Files,
    dst: Files,
    from: u64,
    to: u64,
    len: usize,
    /// Through the page cache: whole pages, of which the first ones are dirty before the copy.
    buffered: bool,
    buffer: AlignedBuf,
    want: Vec<u8>,
    number: u32,
}

/// Whole pages around so many bytes at `at`, and a page more on each side: start and length.
fn around(at: u64, len: usize) -> (u64, usize) {
    let start = (at / PAGE).saturating_sub(1) * PAGE;
    let end = (at + len as u64).next_multiple_of(PAGE) + PAGE;
    (start, usize::try_from(end - start).unwrap_or(usize::MAX))
}

impl Region {
    pub fn open(src: &Path, dst: &Path, place: (u64, u64, u64), buffered: bool) -> Result<Self> {
        let (from, to, len) = place;
        let len = usize::try_from(len)?;
        let group = GROUP as u64;
        ensure!(
            from % group == 0 && to % group == 0 && len % GROUP == 0,
            "places and lengths are multiples of {GROUP}"
        );
        let most = around(from, len).1.max(around(to, len).1);
        Ok(Region {
            src: Files::open(src)?,
            dst: Files::open(dst)?,
            from,
            to,
            len,
            buffered,
            buffer: AlignedBuf::new(most),
            want: vec![0; most],
            number: 0,
        })
    }

    /// Source and destination as they are before step `number`.
    pub fn prepare(&mut self, number: u32) -> Result<()> {
        self.number = number;
        if self.buffered {
            // An error of the step before may be told now.
            let _ = (self.src.buffered.sync_all(), self.dst.buffered.sync_all());
            cache::drop_pages(&self.src.buffered)?;
            cache::drop_pages(&self.dst.buffered)?;
        }
        let (at, len) = around(self.from, self.len);
        let buffer = &mut self.buffer[..len];
        self.src.fill(NEW, at, buffer)?;
        if self.buffered {
            // All that is copied is dirty in the page cache, and there alone.
            self.src.fill(STALE, at, buffer)?;
            NEW.fill(at, buffer);
            device::write_all(&self.src.buffered, buffer, at)?;
        }
        let (at, len) = around(self.to, self.len);
        self.dst.fill(old(number), at, &mut self.buffer[..len])
    }

    /// Compares everything after a copy that says that it has copied so much.
    pub fn check(&mut self, copied: u64, fault: Option<Fault>) -> Result<()> {
        let copied = usize::try_from(copied)?;
        if self.buffered {
            self.compare_destination(copied, true)
                .context("in the page cache")?;
            let lost = matches!(fault, Some(Fault::Bio | Fault::Timeout));
            let synced = self.dst.buffered.sync_all().context("cannot sync");
            // What could not be written back is told.
            if !lost {
                synced?;
            }
            let _ = self.src.buffered.sync_all();
            cache::drop_pages(&self.dst.buffered)?;
            if lost {
                return Ok(());
            }
        }
        self.compare_destination(copied, false)?;
        let (at, len) = around(self.from, self.len);
        let (got, want) = (&mut self.buffer[..len], &mut self.want[..len]);
        device::read_exact(&self.src.direct, got, at)?;
        NEW.fill(at, want);
        pattern::compare(at, got, want).context("the source")
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
        let mut new = vec![0; self.len];
        NEW.fill(self.from, &mut new);
        compare(got, want, &new, start, copied)
    }
}

/// Is in `got` what was there before (`old`), with `copied` bytes of `new` from `start` on? Behind them there may be
/// more of it, but not at once.
fn compare(got: &[u8], old: &[u8], new: &[u8], start: usize, copied: usize) -> Result<()> {
    let end = start + new.len();
    let beside = [(0, start), (end, got.len())];
    for (from, to) in beside {
        pattern::compare(from as u64, &got[from..to], &old[from..to])
            .context("beside the destination, from there on")?;
    }
    let (got, old) = (&got[start..end], &old[start..end]);
    pattern::compare(0, &got[..copied], &new[..copied]).context("in what was copied")?;
    for at in (copied..new.len()).step_by(GROUP) {
        let group = at..at + GROUP;
        let is_new = got[group.clone()] == new[group.clone()];
        if is_new && at == copied {
            bail!("what is at {at} was copied as well");
        }
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
        compare(&got, &old_data, &new, 16, copied)
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
