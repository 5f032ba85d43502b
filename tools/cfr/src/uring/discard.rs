// SPDX-License-Identifier: GPL-2.0
//! `cfr uring discard`: `BLOCK_URING_CMD_DISCARD`, which is no copy, and whose numbers and fields are next to those of
//! copies.

use std::fmt::Write as _;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use anyhow::{ensure, Result};
use clap::Args;
use copyring::{Entry, Ring};

use crate::copy::Outcome;
use crate::device::{self, Access, How};
use crate::random::Random;

use super::outcome;

#[derive(Args, Clone, Debug)]
pub struct DiscardArgs {
    /// A device that discards, of at least 16 MiB, with blocks of 4096 bytes
    device: PathBuf,
    /// One that does not
    #[arg(long)]
    unable: PathBuf,
    /// A regular file
    #[arg(long)]
    regular: PathBuf,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// `BLOCK_URING_CMD_DISCARD`: `_IO(0x12, 0)`.
const DISCARD: u32 = 0x1200;
const BLOCK: u64 = 4096;
const MIB: u64 = 1 << 20;
/// So many at random places, and so many of them under way.
const MANY: u64 = 1000;
const DEPTH: u64 = 16;

impl DiscardArgs {
    /// What is discarded rightly lies between 8 and 16 MiB.
    pub fn run(&self) -> Result<String> {
        let open = |path: &PathBuf, access| device::open(path, How::new(access, true));
        let mut dst = open(&self.device, Access::Rw)?;
        let reader = open(&self.device, Access::R)?;
        let unable = open(&self.unable, Access::Rw)?;
        let regular = device::open(&self.regular, How::new(Access::Rw, false))?;
        let size = device::size(&mut dst)?;
        let good = Entry {
            fd: dst.as_raw_fd(),
            cmd_op: DISCARD,
            addr: 8 * MIB,
            addr3: 2 * BLOCK,
            splice_fd_in: 0,
            ..Entry::new(copyring::Command::Copy)
        };
        let at = |addr, addr3| Entry {
            addr,
            addr3,
            ..good
        };
        let fixed = Entry {
            fd: 0,
            flags: Entry::FIXED_FILE,
            ..at(9 * MIB, MIB)
        };
        let later = Entry {
            flags: Entry::ASYNC,
            ..at(10 * MIB, BLOCK)
        };
        let cases = [
            ("good", good),
            ("good, a registered file", fixed),
            ("good, by a worker", later),
            // More than one request.
            ("good, long", at(12 * MIB, 4 * MIB)),
            ("length 0", at(8 * MIB, 0)),
            ("length unaligned", at(8 * MIB, BLOCK / 2)),
            ("unaligned", at(8 * MIB + BLOCK / 2, BLOCK)),
            ("at the end", at(size, BLOCK)),
            ("past the end", at(size - BLOCK, 2 * BLOCK)),
            ("overflows", at(u64::MAX - BLOCK + 1, 2 * BLOCK)),
            ("ioprio", Entry { ioprio: 1, ..good }),
            ("pad1", Entry { pad1: 1, ..good }),
            ("len", Entry { len: 1, ..good }),
            (
                "uring_cmd_flags",
                Entry {
                    uring_cmd_flags: 1,
                    ..good
                },
            ),
            (
                "a source",
                Entry {
                    splice_fd_in: -1,
                    ..good
                },
            ),
            (
                "not open for writing",
                Entry {
                    fd: reader.as_raw_fd(),
                    ..good
                },
            ),
            (
                "a device that cannot",
                Entry {
                    fd: unable.as_raw_fd(),
                    ..good
                },
            ),
            (
                "a regular file",
                Entry {
                    fd: regular.as_raw_fd(),
                    ..good
                },
            ),
        ];
        let mut ring = Ring::new(DEPTH as u32)?;
        ring.register(&[dst.as_raw_fd()])?;
        let mut said = String::new();
        for (name, entry) in cases {
            ring.push_entry(&entry, 0)?;
            let _ = writeln!(said, "{name}: {}", in_words(outcome(ring.wait()?.result)));
        }
        print!("{said}");
        let mut random = Random::new(self.seed);
        for done in 0..MANY {
            let block = random.index((4 * MIB / BLOCK) as usize) as u64;
            let mut entry = at(12 * MIB + block * BLOCK, BLOCK);
            if random.one_in(2) {
                entry.flags = Entry::ASYNC;
            }
            ring.push_entry(&entry, done)?;
            if ring.under_way() as u64 == DEPTH || done + 1 == MANY {
                while ring.under_way() > 0 {
                    let ended = outcome(ring.wait()?.result);
                    ensure!(ended.error.is_none() && ended.copied == 0, "{ended}");
                }
            }
        }
        Ok(format!("{MANY} at random places: done"))
    }
}

/// It says 0, or its error.
fn in_words(ended: Outcome) -> String {
    match ended {
        Outcome {
            error: None,
            copied,
        } => format!("ended with {copied}"),
        Outcome {
            error: Some(error), ..
        } => format!("error {error:?}"),
    }
}
