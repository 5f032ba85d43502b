// SPDX-License-Identifier: GPL-2.0
//! The ways in which a copy can be asked for.

use std::fmt;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{bail, Context, Result};
use copyring::{Command, Copy, Range, Ring, Setup, Source};
use nix::errno::Errno;

use super::region::NEW;
use crate::copy::{copy_at, Outcome};
use crate::device::{self, Access, How};
use crate::module::{self, Module};
use blkcopy::aligned::AlignedBuf;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// copy_file_range(2), with O_DIRECT.
    File,
    /// The same without it; the page cache has the source, or not even that.
    Buffered { cold: bool },
    /// io_uring; the device or nothing, or in any way; one source, or a list of many.
    Uring { offload: bool, list: bool },
    /// The test module, as it is told to.
    Module(String),
    /// kcopyd: a write to a part of a region of this dm-clone device has the rest of it copied first.
    Clone(PathBuf),
}

/// A list has this number of sources. They lie on the device in reverse order: no source begins where the one before it
/// ends.
const PARTS: u64 = 16;

/// The command of io_uring that copies.
pub fn command(offload: bool) -> Command {
    if offload {
        Command::Offload
    } else {
        Command::Copy
    }
}

impl Way {
    /// Whether data may go through the page cache.
    pub fn is_cached(&self) -> bool {
        matches!(self, Way::Buffered { .. })
    }

    /// Whether the caller hears how much was copied before an error.
    pub fn tells_part(&self) -> bool {
        !matches!(self, Way::Clone(_))
    }

    /// Returns which byte of the source goes to byte `at` of the destination. The copy has `len` bytes; both count from its
    /// start.
    pub fn source_of(&self, at: u64, len: u64) -> u64 {
        match self {
            Way::Uring { list: true, .. } if at < len => {
                let part = len / PARTS;
                (PARTS - 1 - at / part) * part + at % part
            }
            _ => at,
        }
    }

    /// The parts of the source, in the order in which they are copied.
    pub fn sources(&self, from: u64, len: u64) -> Vec<Range> {
        let count = match self {
            Way::Uring { list: true, .. } => PARTS,
            _ => 1,
        };
        let part = len / count;
        let offset = |number| from + self.source_of(number * part, len);
        let parts = (0..count).map(|number| Range {
            offset: offset(number),
            len: part,
        });
        parts.collect()
    }
}

impl FromStr for Way {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uring = |offload, list| Way::Uring { offload, list };
        Ok(match text {
            "file" => Way::File,
            "buffered" => Way::Buffered { cold: false },
            "buffered-cold" => Way::Buffered { cold: true },
            "uring" => uring(false, false),
            "uring-offload" => uring(true, false),
            "uring-list" => uring(false, true),
            "uring-list-offload" => uring(true, true),
            _ => match text.split_once(':') {
                Some(("module", how)) => Way::Module(how.into()),
                Some(("clone", device)) => Way::Clone(device.into()),
                _ => return Err(format!("{text:?} is no way to copy")),
            },
        })
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Way::File => write!(f, "file"),
            Way::Buffered { cold: false } => write!(f, "buffered"),
            Way::Buffered { cold: true } => write!(f, "buffered-cold"),
            Way::Uring { offload, list } => {
                let list = if *list { "-list" } else { "" };
                let offload = if *offload { "-offload" } else { "" };
                write!(f, "uring{list}{offload}")
            }
            Way::Module(how) => write!(f, "module:{how}"),
            Way::Clone(device) => write!(f, "clone:{}", device.display()),
        }
    }
}

enum Kind {
    File,
    Uring {
        command: Command,
        ring: Box<Ring>,
        sources: Vec<Range>,
    },
    Module {
        module: Module,
        line: String,
    },
    Clone {
        device: File,
        block: AlignedBuf,
    },
}

/// What is written to a region has to be less than that.
const BLOCK: usize = 512;

/// Makes one copy, as often as it is told to.
pub struct Copier {
    kind: Kind,
    src: File,
    dst: File,
    /// From where, to where, and how much, in bytes.
    place: (u64, u64, u64),
}

fn ring() -> Result<Box<Ring>> {
    let ring = Ring::with(4, Setup::Defer).context("cannot set up a ring")?;
    Ok(Box::new(ring))
}

impl Copier {
    pub fn new(way: &Way, src: &Path, dst: &Path, place: (u64, u64, u64)) -> Result<Self> {
        let (from, to, len) = place;
        let kind = match way {
            Way::File | Way::Buffered { .. } => Kind::File,
            Way::Uring { offload, list } => Kind::Uring {
                command: command(*offload),
                ring: ring()?,
                sources: if *list {
                    way.sources(from, len)
                } else {
                    Vec::new()
                },
            },
            Way::Module(how) => Kind::Module {
                module: Module::open(Path::new(module::PATH))?,
                line: format!(
                    "{how} {} {} {}+{} {}+{}\n",
                    src.display(),
                    dst.display(),
                    from / 512,
                    len / 512,
                    to / 512,
                    len / 512
                ),
            },
            Way::Clone(device) => Kind::Clone {
                device: device::open(device, How::new(Access::W, true))?,
                block: AlignedBuf::new(BLOCK),
            },
        };
        let direct = !way.is_cached();
        Ok(Copier {
            kind,
            src: device::open(src, How::new(Access::R, direct))?,
            dst: device::open(dst, How::new(Access::W, direct))?,
            place,
        })
    }

    /// From where, to where, and how much the next copy copies, in bytes.
    pub fn place(&self) -> (u64, u64, u64) {
        self.place
    }

    /// One copy; counted in bytes. It allocates nothing here that it could do without.
    pub fn copy(&mut self) -> Result<Outcome> {
        let (from, to, len) = self.place;
        match &mut self.kind {
            Kind::File => copy_at(&self.src, from, &self.dst, to, len),
            Kind::Module { module, line } => match module.start(line) {
                Ok(()) => {
                    let outcome = module.outcome()?;
                    let copied = outcome.copied * 512;
                    Ok(Outcome { copied, ..outcome })
                }
                Err(error) => refused(&error),
            },
            Kind::Uring {
                command,
                ring: used,
                sources,
            } => {
                let copy = Copy {
                    command: *command,
                    dst: self.dst.as_raw_fd(),
                    src: Some(self.src.as_raw_fd()),
                    to,
                    len,
                    source: match sources.as_slice() {
                        [] => Source::One(from),
                        sources => Source::Many(sources),
                    },
                };
                used.push(&copy, 0)?;
                match used.wait() {
                    Ok(done) => Ok(match done.result {
                        Ok(copied) => Outcome::good(copied),
                        Err(error) => refused(&error)?,
                    }),
                    // What was not taken would be submitted by the next call.
                    Err(error) => {
                        *used = ring()?;
                        refused(&error)
                    }
                }
            }
            Kind::Clone { device, block } => {
                // A region is copied once.
                self.place = (from + len, to + len, len);
                // The same as the source has there, so that all is as after any other copy.
                NEW.fill(from, block);
                match device.write_all_at(block, from) {
                    Ok(()) => Ok(Outcome::good(len)),
                    Err(error) => refused(&error),
                }
            }
        }
    }
}

fn refused(error: &std::io::Error) -> Result<Outcome> {
    match error.raw_os_error() {
        Some(number) => Ok(Outcome::nothing(Errno::from_raw(number))),
        None => bail!("{error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_have_names() {
        for name in [
            "file",
            "buffered",
            "uring",
            "uring-offload",
            "uring-list",
            "uring-list-offload",
            "buffered-cold",
            "module:auto,async",
            "clone:/dev/dm-2",
        ] {
            assert_eq!(name.parse::<Way>().unwrap().to_string(), name);
        }
        assert!("modul".parse::<Way>().is_err());
    }

    #[test]
    fn a_list_is_read_from_its_end() {
        let way: Way = "uring-list".parse().unwrap();
        let sources = way.sources(8192, 16 * 512);
        assert_eq!((sources[0].offset, sources[0].len), (8192 + 15 * 512, 512));
        assert_eq!((sources[15].offset, sources[15].len), (8192, 512));
        assert_eq!(way.source_of(513, 16 * 512), 14 * 512 + 1);
        // What is behind the copy is behind the source.
        assert_eq!(way.source_of(16 * 512, 16 * 512), 16 * 512);
        assert_eq!(Way::File.source_of(513, 16 * 512), 513);
    }
}
