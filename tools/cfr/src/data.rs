// SPDX-License-Identifier: GPL-2.0
//! `cfr fill`, `check`, `sum`, `map` and `mapcheck`: put known data on a device, and look whether it is there.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure, Context, Result};
use clap::Args;
use memmap2::{Mmap, MmapMut, MmapOptions};
use nix::fcntl::{splice, SpliceFFlags};

use crate::device::{self, Access, How, BUFFER};
use crate::pattern::{self, PatternArgs};
use blkcopy::size;

/// A part of a device.
#[derive(Args, Clone, Debug)]
pub struct Range {
    device: PathBuf,
    #[arg(long, value_parser = size::parse, default_value = "0")]
    off: u64,
    /// Length; without it, up to the end
    #[arg(long, value_parser = size::parse)]
    len: Option<u64>,
}

/// What the range holds.
#[derive(Args, Clone, Debug)]
pub struct Content {
    #[command(flatten)]
    pattern: PatternArgs,
    /// Position in the pattern of the first byte; without it, the offset on the device
    #[arg(long, value_parser = size::parse)]
    from: Option<u64>,
}

#[derive(Args, Clone, Debug)]
pub struct FillArgs {
    #[command(flatten)]
    range: Range,
    #[command(flatten)]
    content: Content,
    /// Through the page cache, and leave it there unwritten
    #[arg(long)]
    buffered: bool,
}

#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    #[command(flatten)]
    range: Range,
    #[command(flatten)]
    content: Content,
    /// Through the page cache
    #[arg(long)]
    buffered: bool,
}

#[derive(Args, Clone, Debug)]
pub struct SumArgs {
    #[command(flatten)]
    range: Range,
    /// Through the page cache
    #[arg(long)]
    buffered: bool,
    /// Do it so many times; the last sum is printed
    #[arg(long, default_value_t = 1)]
    repeat: u64,
}

#[derive(Args, Clone, Debug)]
pub struct MapArgs {
    #[command(flatten)]
    range: Range,
    #[command(flatten)]
    content: Content,
    /// Write the content through the mapping; without it, read (and check) every page
    #[arg(long)]
    write: bool,
}

impl FillArgs {
    pub fn run(&self) -> Result<()> {
        let mut file = device::open(&self.range.device, How::new(Access::Rw, !self.buffered))?;
        let len = device::range(&mut file, self.range.off, self.range.len)?;
        let from = self.content.from.unwrap_or(self.range.off);
        let pattern = self.content.pattern.pattern();
        let mut buffer = device::buffer_for(len);
        for (at, now) in device::pieces(len, BUFFER) {
            let buf = &mut buffer[..now];
            pattern.fill(from + at, buf);
            device::write_all(&file, buf, self.range.off + at)?;
        }
        Ok(())
    }
}

impl CheckArgs {
    pub fn run(&self) -> Result<()> {
        let mut file = device::open(&self.range.device, How::new(Access::R, !self.buffered))?;
        let len = device::range(&mut file, self.range.off, self.range.len)?;
        let from = self.content.from.unwrap_or(self.range.off);
        let pattern = self.content.pattern.pattern();
        let mut got = device::buffer_for(len);
        let mut want = device::buffer_for(len);
        for (at, now) in device::pieces(len, BUFFER) {
            let (got, want) = (&mut got[..now], &mut want[..now]);
            device::read_exact(&file, got, self.range.off + at)?;
            pattern.fill(from + at, want);
            pattern::compare(self.range.off + at, got, want)?;
        }
        Ok(())
    }
}

impl SumArgs {
    /// A 64-bit fingerprint of the range: equal data gives equal sums wherever it is.
    pub fn run(&self) -> Result<String> {
        let mut file = device::open(&self.range.device, How::new(Access::R, !self.buffered))?;
        let len = device::range(&mut file, self.range.off, self.range.len)?;
        let mut buffer = device::buffer_for(len);
        let mut sum = 0;
        for _ in 0..self.repeat {
            sum = len;
            for (at, now) in device::pieces(len, BUFFER) {
                let buf = &mut buffer[..now];
                device::read_exact(&file, buf, self.range.off + at)?;
                sum = fold(sum, buf);
            }
        }
        Ok(format!("{sum:016x}"))
    }
}

/// Mixes `buf` into `sum`, by groups of eight bytes.
fn fold(mut sum: u64, buf: &[u8]) -> u64 {
    for group in buf.chunks(8) {
        let mut word = [0; 8];
        word[..group.len()].copy_from_slice(group);
        sum = pattern::mix(sum ^ u64::from_le_bytes(word));
    }
    sum
}

/// Pages of a device's cache, held in a pipe: whoever wants to drop them cannot.
pub struct Pinned {
    _ends: (OwnedFd, OwnedFd),
}

#[derive(Args, Clone, Debug)]
pub struct PinArgs {
    #[command(flatten)]
    range: Range,
}

impl PinArgs {
    pub fn run(&self) -> Result<Pinned> {
        let mut file = device::open(&self.range.device, How::new(Access::R, false))?;
        let len = device::range(&mut file, self.range.off, self.range.len)?;
        ensure!(len <= 64 << 10, "a pipe holds no more than 64 KiB");
        let (reader, writer) = nix::unistd::pipe().context("cannot make a pipe")?;
        let len = usize::try_from(len)?;
        let mut offset = i64::try_from(self.range.off)?;
        let flags = SpliceFFlags::SPLICE_F_NONBLOCK;
        let held = splice(&file, Some(&mut offset), &writer, None, len, flags)
            .context("cannot put pages into a pipe")?;
        ensure!(held == len, "only {held} bytes went into the pipe");
        Ok(Pinned {
            _ends: (reader, writer),
        })
    }
}

/// What stays while a batch runs.
#[derive(Default)]
pub struct Held {
    pub map: Option<Mapping>,
    pub pinned: Vec<Pinned>,
}

/// A mapping that stays while later commands of the same batch run.
pub enum Mapping {
    Read(Mmap, u64),
    Write(MmapMut, u64),
}

impl MapArgs {
    pub fn run(&self) -> Result<Mapping> {
        let access = if self.write { Access::Rw } else { Access::R };
        let mut file = device::open(&self.range.device, How::new(access, false))?;
        let len = device::range(&mut file, self.range.off, self.range.len)?;
        let mut options = MmapOptions::new();
        options
            .offset(self.range.off)
            .len(usize::try_from(len).context("too long to map")?);
        let context = || format!("cannot map {}", self.range.device.display());
        if self.write {
            // SAFETY: The device is memory shared with the kernel. This process looks at it only through
            // `Mapping::read`, which does not assume that it stays the same.
            let mut map = unsafe { options.map_mut(&file) }.with_context(context)?;
            let from = self.content.from.unwrap_or(self.range.off);
            self.content.pattern.pattern().fill(from, &mut map);
            return Ok(Mapping::Write(map, self.range.off));
        }
        // SAFETY: As above.
        let map = unsafe { options.map(&file) }.with_context(context)?;
        let map = Mapping::Read(map, self.range.off);
        map.check(&self.content)?;
        Ok(map)
    }
}

impl Mapping {
    /// A copy of what the mapping shows now.
    fn read(&self) -> Vec<u8> {
        let (start, len) = match self {
            Mapping::Read(map, _) => (map.as_ptr(), map.len()),
            Mapping::Write(map, _) => (map.as_ptr(), map.len()),
        };
        (0..len)
            // SAFETY: The mapping is alive, and `index` is inside. Volatile, because the device may change
            // under the mapping: the byte must be fetched here and now.
            .map(|index| unsafe { start.add(index).read_volatile() })
            .collect()
    }

    /// Compares what the mapping shows now.
    pub fn check(&self, content: &Content) -> Result<()> {
        let (Mapping::Read(_, offset) | Mapping::Write(_, offset)) = *self;
        let got = self.read();
        let mut want = vec![0; got.len()];
        let from = content.from.unwrap_or(offset);
        content.pattern.pattern().fill(from, &mut want);
        pattern::compare(offset, &got, &want)
    }
}

/// Checks the mapping of the batch, if there is one.
pub fn mapcheck(map: Option<&Mapping>, content: &Content) -> Result<()> {
    match map {
        Some(map) => map.check(content),
        None => bail!("nothing is mapped: `map` comes first, in the same batch"),
    }
}

/// Writes back what the page cache holds of the device.
pub fn sync(device: &Path) -> Result<()> {
    let file = device::open(device, How::new(Access::R, false))?;
    ensure!(file.sync_all().is_ok(), "cannot sync {}", device.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::run_line;

    fn run(line: &str) -> Result<Option<String>> {
        run_line(line, &mut Held::default())
    }

    #[test]
    fn what_was_filled_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, vec![0; 3 << 20]).unwrap();
        let path = path.display();
        run(&format!(
            "fill {path} --buffered --seed 5 --off 512 --len 2M"
        ))
        .unwrap();
        run(&format!(
            "check {path} --buffered --seed 5 --off 512 --len 2M"
        ))
        .unwrap();
        run(&format!("check {path} --buffered --zero --len 512")).unwrap();
        let err = run(&format!("check {path} --buffered --seed 5")).unwrap_err();
        assert!(err.to_string().starts_with("mismatch at 0: "), "{err}");
        let err = run(&format!("check {path} --buffered --seed 5 --off 1M")).unwrap_err();
        let want = format!("mismatch at {}: ", (2 << 20) + 512);
        assert!(err.to_string().starts_with(&want), "{err}");
    }

    #[test]
    fn sums_tell_data_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, vec![0; 3 << 20]).unwrap();
        let path = path.display();
        run(&format!("fill {path} --buffered --len 1M")).unwrap();
        run(&format!(
            "fill {path} --buffered --off 2M --from 0 --len 1M"
        ))
        .unwrap();
        let sum = |off| run(&format!("sum {path} --buffered --off {off} --len 1M")).unwrap();
        assert_eq!(sum("0"), sum("2M"));
        assert_ne!(sum("0"), sum("1M"));
    }

    #[test]
    fn a_mapping_sees_later_writes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, vec![0; 1 << 20]).unwrap();
        let path = path.display();
        let mut map = Held::default();
        run_line(&format!("map {path} --zero"), &mut map).unwrap();
        run(&format!("fill {path} --buffered --seed 9")).unwrap();
        run_line("mapcheck --seed 9 --from 0", &mut map).unwrap();
        assert!(run_line("mapcheck --seed 8 --from 0", &mut map).is_err());
        assert!(run("mapcheck --seed 8").is_err());
    }
}
