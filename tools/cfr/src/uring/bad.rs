// SPDX-License-Identifier: GPL-2.0
//! `cfr uring bad`: everything that has to be refused.

use std::fmt::Write as _;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use copyring::{Command, Entry, Range, Ring, MAX_RANGES, MOST};
use nix::fcntl::OFlag;

use super::outcome;
use crate::device::{self, Access, How};

#[derive(Args, Clone, Debug)]
pub struct BadArgs {
    /// A device that can copy, of at least 16 MiB
    device: PathBuf,
    /// One that cannot
    #[arg(long)]
    unable: PathBuf,
    /// A regular file
    #[arg(long)]
    regular: PathBuf,
}

const BLOCK: u64 = 4096;

impl BadArgs {
    pub fn run(&self) -> Result<String> {
        let open = |path: &PathBuf, access| device::open(path, How::new(access, true));
        let mut dst = open(&self.device, Access::Rw)?;
        let reader = open(&self.device, Access::R)?;
        let writer = open(&self.device, Access::W)?;
        let unable = open(&self.unable, Access::Rw)?;
        let regular = device::open(&self.regular, How::new(Access::Rw, false))?;
        let size = device::size(&mut dst)?;
        let good = Entry {
            fd: dst.as_raw_fd(),
            addr: 8 << 20,
            addr3: 2 * BLOCK,
            pad2: 0,
            ..Entry::new(Command::Copy)
        };
        let list = |ranges: &[Range]| Entry {
            len: ranges.len() as u32,
            pad2: ranges.as_ptr().addr() as u64,
            ..good
        };
        let two = |offset: u64, len: u64| {
            let (offset, first) = (offset, 0);
            [
                Range {
                    offset: first,
                    len: BLOCK,
                },
                Range { offset, len },
            ]
        };
        let (fine, short) = (two(1 << 20, BLOCK), two(1 << 20, BLOCK / 2));
        let (empty, odd) = (two(1 << 20, 0), two((1 << 20) + 100, BLOCK));
        let (far, huge) = (two(size, BLOCK), two(u64::MAX - 511, BLOCK));
        let over = two(8 << 20, BLOCK);
        let wraps = [1 << 63, (1 << 63) + 2 * BLOCK].map(|len| Range { offset: 0, len });
        let folder = File::open("/")?;
        let (pipe, _) = nix::unistd::pipe()?;
        let path = File::options()
            .read(true)
            .custom_flags(OFlag::O_PATH.bits())
            .open(&self.device)?;
        let unable_reader = open(&self.unable, Access::R)?;
        let from = |splice_fd_in| Entry {
            splice_fd_in,
            ..good
        };
        let offload = |entry| Entry {
            cmd_op: Command::Offload.number(),
            ..entry
        };
        let cases: Vec<(&str, Entry)> = vec![
            ("good", good),
            ("good, many sources", list(&fine)),
            ("good, device or nothing", offload(good)),
            ("ioprio", Entry { ioprio: 1, ..good }),
            (
                "uring_cmd_flags, unknown",
                Entry {
                    uring_cmd_flags: 1 << 4,
                    ..good
                },
            ),
            (
                "uring_cmd_flags, fixed buffer",
                Entry {
                    uring_cmd_flags: 1,
                    ..good
                },
            ),
            (
                "buf_index",
                Entry {
                    buf_index: 1,
                    ..good
                },
            ),
            ("pad1", Entry { pad1: 1, ..good }),
            ("length 0", Entry { addr3: 0, ..good }),
            (
                "length unaligned",
                Entry {
                    addr3: BLOCK + 512,
                    ..good
                },
            ),
            (
                "length too large",
                Entry {
                    addr3: MOST + BLOCK,
                    ..good
                },
            ),
            (
                "destination unaligned",
                Entry {
                    addr: BLOCK + 100,
                    ..good
                },
            ),
            (
                "destination past the end",
                Entry {
                    addr: size - BLOCK,
                    ..good
                },
            ),
            (
                "destination overflows",
                Entry {
                    addr: u64::MAX - BLOCK + 1,
                    ..good
                },
            ),
            ("source unaligned", Entry { pad2: 100, ..good }),
            (
                "source past the end",
                Entry {
                    pad2: size - BLOCK,
                    ..good
                },
            ),
            (
                "source overflows",
                Entry {
                    pad2: u64::MAX - BLOCK + 1,
                    ..good
                },
            ),
            (
                "overlap",
                Entry {
                    pad2: (8 << 20) + BLOCK,
                    ..good
                },
            ),
            (
                "too many sources",
                Entry {
                    len: MAX_RANGES as u32 + 1,
                    pad2: 0,
                    ..good
                },
            ),
            (
                "list at a bad address",
                Entry {
                    len: 2,
                    pad2: 8,
                    ..good
                },
            ),
            (
                "list across the end of memory",
                Entry {
                    len: 2,
                    pad2: u64::MAX - 8,
                    ..good
                },
            ),
            ("list too short", list(&short)),
            ("list with an empty range", list(&empty)),
            ("list unaligned", list(&odd)),
            ("list past the end", list(&far)),
            ("list overflows", list(&huge)),
            ("list overlaps the destination", list(&over)),
            ("list whose sum overflows", list(&wraps)),
            (
                "source: no descriptor",
                Entry {
                    splice_fd_in: 9999,
                    ..good
                },
            ),
            (
                "source: a negative descriptor",
                Entry {
                    splice_fd_in: -2,
                    ..good
                },
            ),
            (
                "source: a regular file",
                Entry {
                    splice_fd_in: regular.as_raw_fd(),
                    ..good
                },
            ),
            ("source: a directory", from(folder.as_raw_fd())),
            ("source: a pipe", from(pipe.as_raw_fd())),
            ("source: only a path", from(path.as_raw_fd())),
            (
                "source not open for reading",
                Entry {
                    splice_fd_in: writer.as_raw_fd(),
                    ..good
                },
            ),
            (
                "destination not open for writing",
                Entry {
                    fd: reader.as_raw_fd(),
                    ..good
                },
            ),
            (
                "destination: a regular file",
                Entry {
                    fd: regular.as_raw_fd(),
                    ..good
                },
            ),
            (
                "device or nothing, to one that cannot",
                offload(Entry {
                    fd: unable.as_raw_fd(),
                    splice_fd_in: dst.as_raw_fd(),
                    ..good
                }),
            ),
            (
                "device or nothing, from one that cannot",
                offload(Entry {
                    splice_fd_in: unable.as_raw_fd(),
                    ..good
                }),
            ),
            (
                "in their order: fields, abilities",
                offload(Entry {
                    fd: unable.as_raw_fd(),
                    addr3: 0,
                    ..good
                }),
            ),
            (
                "in their order: abilities, permissions",
                offload(Entry {
                    fd: unable_reader.as_raw_fd(),
                    ..good
                }),
            ),
            (
                "in their order: the destination, the source",
                Entry {
                    fd: reader.as_raw_fd(),
                    splice_fd_in: regular.as_raw_fd(),
                    ..good
                },
            ),
            (
                "in their order: permissions, ranges",
                Entry {
                    fd: reader.as_raw_fd(),
                    addr: 100,
                    ..good
                },
            ),
            (
                "discard with a source",
                Entry {
                    cmd_op: Command::Copy.number() - 2,
                    ..good
                },
            ),
        ];
        let mut ring = Ring::new(8)?;
        let mut said = String::new();
        for (name, entry) in cases {
            ring.push_entry(&entry, 0)?;
            let _ = writeln!(said, "{name}: {}", outcome(ring.wait()?.result));
        }
        Ok(said.trim_end().to_string())
    }
}
