// SPDX-License-Identifier: GPL-2.0
//! Moves the data with io_uring: one task, and many copies under way.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};

use copyring::{Command, Copy, Done, Source};
use rustix::io::Errno;

pub use copyring::Ring;

use crate::chunk::{Piece, Prefix};
use crate::endpoint::Files;
use crate::engine::{self, Broken, Mover, Outcome, Work};

/// Copies under way, if nobody says how many: enough to keep a device busy while its commands end.
pub const DEPTH: u16 = 4;

/// A name for what is no copy.
const CANCEL: u64 = u64::MAX;

/// A ring for so many copies at a time, or why there is none.
pub fn open(depth: usize, dst: &File) -> Result<Ring, String> {
    let depth = u32::try_from(depth).unwrap_or(1).next_power_of_two();
    let mut ring = Ring::new(depth).map_err(|err| format!("there is no io_uring here: {err}"))?;
    match ring.is_supported(dst) {
        Ok(true) => Ok(ring),
        Ok(false) => Err("this kernel does not know BLOCK_URING_CMD_COPY".into()),
        Err(err) => Err(format!("io_uring does not work here: {err}")),
    }
}

/// What to ask the kernel for. If offload is required, the device copies or nobody does.
pub fn command(require_offload: bool) -> Command {
    match require_offload {
        true => Command::Offload,
        false => Command::Copy,
    }
}

/// Whether [`Command::Offload`] says with this error that the device does not copy, and nothing is broken.
pub fn is_not_offloaded(error: &io::Error) -> bool {
    let error = Errno::from_io_error(error);
    matches!(error, Some(Errno::OPNOTSUPP | Errno::BUSY))
}

/// A copy that is under way, or to be sent.
struct Engine<'a> {
    work: Work,
    command: Command,
    files: &'a Files<'a>,
    ring: Ring,
    /// The next piece that was not begun.
    next: u64,
    /// What is left of pieces that were copied in part.
    rest: VecDeque<Piece>,
    under_way: HashMap<u64, Piece>,
    prefix: Prefix,
    broken: Option<Broken>,
    cancelled: bool,
}

/// Moves everything, or as much as can be until an error or `stop`. `on_bytes` is called with what was just
/// added.
pub fn run(
    work: Work,
    command: Command,
    ring: Ring,
    files: &Files<'_>,
    stop: &AtomicBool,
    on_bytes: &dyn Fn(u64),
) -> Outcome {
    let mut engine = Engine {
        work,
        command,
        files,
        ring,
        next: 0,
        rest: VecDeque::new(),
        under_way: HashMap::new(),
        prefix: Prefix::default(),
        broken: None,
        cancelled: false,
    };
    engine.run(stop, on_bytes);
    Outcome {
        gap_free: engine.prefix.gap_free(),
        total: engine.prefix.total(),
        refused: None,
        stopped: engine.broken.is_none() && engine.prefix.total() < work.split.length(),
        broken: engine.broken,
    }
}

impl Engine<'_> {
    fn run(&mut self, stop: &AtomicBool, on_bytes: &dyn Fn(u64)) {
        loop {
            let ends = self.broken.is_some() || stop.load(Ordering::Relaxed);
            if !ends {
                self.fill();
            } else if !self.cancelled {
                // What is behind an error would be copied for nothing.
                self.cancelled = true;
                let asked = self.ring.cancel_all(self.files.dst, CANCEL);
                asked.unwrap_or_else(|error| self.fail("io_uring", 0, error));
            }
            if self.ring.under_way() == 0 {
                return;
            }
            match self.ring.wait_or_signal() {
                Ok(Some(done)) => self.done(done, on_bytes),
                Ok(None) => {}
                Err(error) => return self.fail("io_uring", 0, error),
            }
        }
    }

    /// Adds copies until so many are under way as there may be.
    fn fill(&mut self) {
        while self.under_way.len() < self.work.jobs && self.broken.is_none() {
            let piece = match self.rest.pop_front() {
                Some(piece) => piece,
                None => match self.work.split.get(self.next) {
                    Some(piece) => {
                        self.next += 1;
                        piece
                    }
                    None => return,
                },
            };
            let copy = Copy {
                command: self.command,
                dst: self.files.dst.as_raw_fd(),
                src: Some(self.files.src.as_raw_fd()),
                to: self.work.dst_offset + piece.offset,
                len: piece.len.min(copyring::MOST & !0xffff),
                source: Source::One(self.work.src_offset + piece.offset),
            };
            match self.ring.push(&copy, piece.offset) {
                Ok(()) => {
                    self.under_way.insert(piece.offset, piece);
                }
                Err(error) => self.fail("io_uring", piece.offset, error),
            }
        }
    }

    fn done(&mut self, done: Done, on_bytes: &dyn Fn(u64)) {
        let Some(piece) = self.under_way.remove(&done.tag) else {
            // The answer to a request to cancel.
            return;
        };
        let copied = match done.result {
            Ok(copied) => copied,
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::CANCELED) if self.cancelled => return,
                // Somebody uses a page there, or it cannot be written in any order. The system call has
                // another way for that.
                _ if is_not_offloaded(&error) && self.command == Command::Copy => {
                    match self.call(piece) {
                        Ok(copied) => copied,
                        Err(error) => return self.fail("copy_file_range", piece.offset, error),
                    }
                }
                _ => return self.fail("the copy", piece.offset, error),
            },
        };
        if copied == 0 {
            let error = io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the end came too early; did the size change?",
            );
            return self.fail("the copy", piece.offset, error);
        }
        self.prefix.add(piece.offset, copied);
        on_bytes(copied);
        if copied < piece.len {
            self.rest.push_back(Piece {
                offset: piece.offset + copied,
                len: piece.len - copied,
            });
        }
    }

    fn call(&self, piece: Piece) -> io::Result<u64> {
        let (src, dst) = (self.work.src_offset, self.work.dst_offset);
        let (src, dst) = (src + piece.offset, dst + piece.offset);
        loop {
            match self.files.copy(src, dst, piece.len) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn fail(&mut self, what: &'static str, offset: u64, error: io::Error) {
        let (src, dst) = (self.work.src_offset + offset, self.work.dst_offset + offset);
        if self.broken.as_ref().is_none_or(|known| src < known.src) {
            self.broken = Some(engine::Broken {
                what,
                src,
                dst,
                error,
            });
        }
    }
}
