// SPDX-License-Identifier: GPL-2.0
//! The ways in which a copy can be asked for.

use std::fmt;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::str::FromStr;

use anyhow::{bail, Context, Result};
use copyring::{Command, Copy, Ring, Setup, Source};
use nix::errno::Errno;

use crate::copy::{copy_at, Outcome};
use crate::device::{self, Access, How};
use crate::module::{self, Module};

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// copy_file_range(2), with O_DIRECT.
    File,
    /// The same without it.
    Buffered,
    /// io_uring; the device or nothing, or in any way.
    Uring { offload: bool },
    /// The test module, as it is told to.
    Module(String),
}

impl Way {
    /// Whether data may go through the page cache.
    pub fn is_cached(&self) -> bool {
        *self == Way::Buffered
    }
}

impl FromStr for Way {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "file" => Way::File,
            "buffered" => Way::Buffered,
            "uring" => Way::Uring { offload: false },
            "uring-offload" => Way::Uring { offload: true },
            _ => match text.strip_prefix("module:") {
                Some(how) => Way::Module(how.into()),
                None => return Err(format!("{text:?} is no way to copy")),
            },
        })
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Way::File => write!(f, "file"),
            Way::Buffered => write!(f, "buffered"),
            Way::Uring { offload: false } => write!(f, "uring"),
            Way::Uring { offload: true } => write!(f, "uring-offload"),
            Way::Module(how) => write!(f, "module:{how}"),
        }
    }
}

enum Kind {
    File,
    Uring { command: Command, ring: Box<Ring> },
    Module { module: Module, line: String },
}

/// Makes one copy, as often as it is told to.
pub struct Copier {
    kind: Kind,
    src: File,
    dst: File,
    buffered: bool,
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
            Way::File | Way::Buffered => Kind::File,
            Way::Uring { offload } => Kind::Uring {
                command: if *offload {
                    Command::Offload
                } else {
                    Command::Copy
                },
                ring: ring()?,
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
        };
        let buffered = way.is_cached();
        Ok(Copier {
            kind,
            src: device::open(src, How::new(Access::R, !buffered))?,
            dst: device::open(dst, How::new(Access::W, !buffered))?,
            buffered,
            place,
        })
    }

    pub fn buffered(&self) -> bool {
        self.buffered
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
            } => {
                let copy = Copy {
                    command: *command,
                    dst: self.dst.as_raw_fd(),
                    src: Some(self.src.as_raw_fd()),
                    to,
                    len,
                    source: Source::One(from),
                };
                used.push(&copy, 0)?;
                match used.wait() {
                    Ok(done) => Ok(match done.result {
                        Ok(copied) => Outcome {
                            copied,
                            error: None,
                        },
                        Err(error) => refused(&error)?,
                    }),
                    // What was not taken would be submitted by the next call.
                    Err(error) => {
                        *used = ring()?;
                        refused(&error)
                    }
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
            "module:auto,async",
        ] {
            assert_eq!(name.parse::<Way>().unwrap().to_string(), name);
        }
        assert!("modul".parse::<Way>().is_err());
    }
}
