// SPDX-License-Identifier: GPL-2.0
//! The devices with their right content: for each sector of each disk, a number from which it follows.
//!
//! That is 64 times smaller than the content, and a copy moves as much less.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use anyhow::{bail, Context, Result};

use super::place::{self, Place, Range, SECTOR};
use crate::cache;
use crate::device::{self, Access, How, BUFFER};
use crate::pattern::{self, Pattern};
use blkcopy::aligned::AlignedBuf;

/// Ranges less than so far from each other are read at once.
const NEAR: usize = 128;

struct Device {
    path: PathBuf,
    direct: File,
    buffered: File,
}

struct Disk {
    queue: PathBuf,
    /// The seed of each sector's pattern; 0: never written.
    tags: Vec<u64>,
    /// The device whose page cache may have something of this disk. There is one at most: that of a
    /// partition and that of its disk know nothing of each other.
    cached: Option<usize>,
    can_copy: bool,
}

pub struct Disks {
    devices: Vec<Device>,
    places: Vec<Place>,
    disks: Vec<Disk>,
    buffer: AlignedBuf,
    want: Vec<u8>,
    last_tag: u64,
}

/// What there must be in a sector.
fn content(tag: u64, sector: &mut [u8]) {
    let pattern = if tag == 0 {
        Pattern::Zero
    } else {
        Pattern::Seed(tag)
    };
    pattern.fill(0, sector);
}

impl Disks {
    /// Opens the devices, and says where they are.
    pub fn open(paths: &[PathBuf]) -> Result<Self> {
        let (places, queues) = place::find(paths)?;
        let devices = paths.iter().map(|path| {
            Ok(Device {
                path: path.clone(),
                direct: device::open(path, How::new(Access::Rw, true))?,
                buffered: device::open(path, How::new(Access::Rw, false))?,
            })
        });
        let devices = devices.collect::<Result<_>>()?;
        let mut disks = Vec::new();
        for (number, queue) in queues.into_iter().enumerate() {
            let on_it = places.iter().filter(|place| place.disk == number);
            let len = on_it.map(|place| place.start + place.len).max();
            disks.push(Disk {
                can_copy: place::number(&queue.join("copy_max_bytes"))? != 0,
                queue,
                tags: vec![0; len.unwrap_or(0)],
                cached: None,
            });
        }
        Ok(Disks {
            devices,
            places,
            disks,
            buffer: AlignedBuf::new(BUFFER),
            want: vec![0; BUFFER],
            last_tag: 0,
        })
    }

    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// Which disks may be asked to copy.
    pub fn can_copy(&self) -> Vec<bool> {
        self.disks.iter().map(|disk| disk.can_copy).collect()
    }

    pub fn path(&self, dev: usize) -> &PathBuf {
        &self.devices[dev].path
    }

    pub fn direct(&self, dev: usize) -> &File {
        &self.devices[dev].direct
    }

    /// Sets `copy_max_bytes` of a disk.
    pub fn set_limit(&mut self, disk: usize, bytes: usize) -> Result<()> {
        let disk = &mut self.disks[disk];
        let path = disk.queue.join("copy_max_bytes");
        std::fs::write(&path, format!("{bytes}\n"))
            .with_context(|| format!("cannot write {bytes} to {}", path.display()))?;
        disk.can_copy = bytes != 0;
        Ok(())
    }

    /// Before something goes past the page caches of the disk that `dev` is on, except that of `dev` if
    /// `keep`: their pages go to the device, and away.
    pub fn settle(&mut self, dev: usize, keep: bool) -> Result<()> {
        let disk = &mut self.disks[self.places[dev].disk];
        let Some(cached) = disk.cached.filter(|cached| !keep || *cached != dev) else {
            return Ok(());
        };
        cache::drop_pages(&self.devices[cached].buffered)?;
        disk.cached = None;
        Ok(())
    }

    fn tags(&self, dev: usize, range: Range) -> &[u64] {
        let place = &self.places[dev];
        let range = range.moved(place.start);
        &self.disks[place.disk].tags[range.start..range.end()]
    }

    fn tags_mut(&mut self, dev: usize, range: Range) -> &mut [u64] {
        let place = &self.places[dev];
        let range = range.moved(place.start);
        &mut self.disks[place.disk].tags[range.start..range.end()]
    }

    /// What is in those ranges, one after the other.
    pub fn gather(&self, dev: usize, list: &[Range]) -> Vec<u64> {
        let tags = list.iter().map(|range| self.tags(dev, *range));
        tags.collect::<Vec<_>>().concat()
    }

    /// From now on, `tags` is in those ranges.
    pub fn scatter(&mut self, dev: usize, list: &[Range], tags: &[u64]) {
        let mut at = 0;
        for range in list {
            self.tags_mut(dev, *range)
                .copy_from_slice(&tags[at..at + range.len]);
            at += range.len;
        }
    }

    /// Writes what was never there before.
    pub fn write(&mut self, dev: usize, range: Range, buffered: bool) -> Result<()> {
        self.settle(dev, true)?;
        let mut at = range.start;
        for (_, bytes) in device::pieces((range.len * SECTOR) as u64, BUFFER) {
            let piece = Range {
                start: at,
                len: bytes / SECTOR,
            };
            let mut tag = self.last_tag;
            let buf = &mut self.buffer[..bytes];
            for sector in buf.chunks_mut(SECTOR) {
                tag += 1;
                content(tag, sector);
            }
            let device = &self.devices[dev];
            let file = if buffered {
                &device.buffered
            } else {
                &device.direct
            };
            file.write_all_at(buf, (at * SECTOR) as u64)
                .context("cannot write")?;
            let first = self.last_tag + 1;
            for (sector, tag) in self.tags_mut(dev, piece).iter_mut().zip(first..) {
                *sector = tag;
            }
            self.last_tag = tag;
            at += piece.len;
        }
        if buffered {
            self.disks[self.places[dev].disk].cached = Some(dev);
        }
        Ok(())
    }

    /// Compares those ranges, and a little around them.
    pub fn check(&mut self, dev: usize, list: &[Range], buffered: bool) -> Result<()> {
        self.settle(dev, true)?;
        if buffered {
            self.disks[self.places[dev].disk].cached = Some(dev);
        }
        let (len, block) = (self.places[dev].len, self.places[dev].block);
        // A copy that was refused may have named what is not there.
        let inside = list.iter().filter(|range| range.end() <= len);
        let mut list: Vec<_> = inside
            .map(|range| {
                let start = range.start.saturating_sub(1) / block * block;
                let end = (range.end() + 1).next_multiple_of(block).min(len);
                start..end
            })
            .collect();
        list.sort_unstable_by_key(|range| range.start);
        let mut list = list.into_iter();
        let Some(mut now) = list.next() else {
            return Ok(());
        };
        for next in list {
            if next.start <= now.end + NEAR {
                now.end = now.end.max(next.end);
            } else {
                self.compare(dev, now.start, now.len(), buffered)?;
                now = next;
            }
        }
        self.compare(dev, now.start, now.len(), buffered)
    }

    /// Reads into the buffer.
    fn read(&mut self, dev: usize, range: Range, buffered: bool) -> Result<()> {
        let device = &self.devices[dev];
        let file = if buffered {
            &device.buffered
        } else {
            &device.direct
        };
        let got = &mut self.buffer[..range.len * SECTOR];
        device::read_exact(file, got, (range.start * SECTOR) as u64)
    }

    /// Whether the device itself has what is wanted.
    fn is_right(&mut self, dev: usize, piece: Range) -> Result<bool> {
        self.read(dev, piece, false)?;
        let bytes = piece.len * SECTOR;
        Ok(self.buffer[..bytes] == self.want[..bytes])
    }

    fn compare(&mut self, dev: usize, start: usize, len: usize, buffered: bool) -> Result<()> {
        for (at, bytes) in device::pieces((len * SECTOR) as u64, BUFFER) {
            let piece = Range {
                start: start + usize::try_from(at)? / SECTOR,
                len: bytes / SECTOR,
            };
            self.read(dev, piece, buffered)?;
            let place = &self.places[dev];
            let on_disk = piece.moved(place.start);
            let tags = &self.disks[place.disk].tags[on_disk.start..on_disk.end()];
            let want = &mut self.want[..bytes];
            for (sector, tag) in want.chunks_mut(SECTOR).zip(tags) {
                content(*tag, sector);
            }
            let got = &self.buffer[..bytes];
            if let Err(err) = pattern::compare((piece.start * SECTOR) as u64, got, want) {
                let path = self.devices[dev].path.display().to_string();
                let so = if buffered && self.is_right(dev, piece)? {
                    " in the page cache only"
                } else {
                    ""
                };
                return Err(err.context(format!("{path}, buffered {buffered}{so}")));
            }
        }
        Ok(())
    }

    /// Compares everything there is, through each device.
    pub fn check_all(&mut self, buffered: bool) -> Result<()> {
        (0..self.devices.len()).try_for_each(|dev| self.check_device(dev, buffered))
    }

    /// Compares everything there is, once.
    pub fn check_once(&mut self, buffered: bool) -> Result<()> {
        for dev in 0..self.devices.len() {
            if !self.is_part(dev) {
                self.check_device(dev, buffered)?;
            }
        }
        Ok(())
    }

    /// Whether another device has all of this one.
    fn is_part(&self, dev: usize) -> bool {
        let place = &self.places[dev];
        self.places.iter().any(|other| {
            let from = other.start..=other.start + other.len;
            other.disk == place.disk
                && other.len > place.len
                && from.contains(&place.start)
                && from.contains(&(place.start + place.len))
        })
    }

    fn check_device(&mut self, dev: usize, buffered: bool) -> Result<()> {
        self.settle(dev, true)?;
        if buffered {
            self.disks[self.places[dev].disk].cached = Some(dev);
        }
        self.compare(dev, 0, self.places[dev].len, buffered)
    }

    /// After a copy of `new` that stopped early: the first `copied` sectors are new, each block of the rest
    /// is either old or new, and from now on known.
    pub fn accept_torn(
        &mut self,
        dev: usize,
        list: &[Range],
        new: &[u64],
        copied: usize,
    ) -> Result<()> {
        let mut done = 0;
        let mut found = Vec::with_capacity(new.len());
        let mut want = [0; SECTOR];
        for range in list {
            for (at, bytes) in device::pieces((range.len * SECTOR) as u64, BUFFER) {
                let piece = Range {
                    start: range.start + usize::try_from(at)? / SECTOR,
                    len: bytes / SECTOR,
                };
                self.read(dev, piece, false)?;
                let old = self.tags(dev, piece).to_vec();
                for (got, old) in self.buffer[..bytes].chunks(SECTOR).zip(old) {
                    content(new[done], &mut want);
                    let is_new = got == want;
                    content(old, &mut want);
                    if !is_new && (got != want || done < copied) {
                        bail!("sector {done} of the copy is wrong, {copied} were said to be there");
                    }
                    found.push(if is_new { new[done] } else { old });
                    done += 1;
                }
            }
        }
        self.scatter(dev, list, &found);
        Ok(())
    }
}

#[cfg(test)]
#[path = "disk_test.rs"]
mod tests;
