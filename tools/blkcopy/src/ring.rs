// SPDX-License-Identifier: GPL-2.0
//! Moves the data with io_uring: one task, and many copies under way.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};

use copyring::{Command, Copy, Done, Range, Source};
use rustix::io::Errno;

pub use copyring::Ring;

use crate::chunk::{Prefix, Split};
use crate::endpoint::Files;
use crate::engine::{Broken, Mover, Outcome};
use crate::ranges::Batch;

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

/// What a copy asks of a ring. A trait so that tests can fail at will.
pub trait Queue {
    fn push(&mut self, copy: &Copy<'_>, tag: u64) -> io::Result<()>;
    fn cancel_all(&mut self, dst: &File) -> io::Result<()>;
    fn under_way(&self) -> usize;
    fn wait_or_signal(&mut self) -> io::Result<Option<Done>>;
}

impl Queue for Ring {
    fn push(&mut self, copy: &Copy<'_>, tag: u64) -> io::Result<()> {
        Ring::push(self, copy, tag)
    }

    fn cancel_all(&mut self, dst: &File) -> io::Result<()> {
        Ring::cancel_all(self, dst, CANCEL)
    }

    fn under_way(&self) -> usize {
        Ring::under_way(self)
    }

    fn wait_or_signal(&mut self) -> io::Result<Option<Done>> {
        Ring::wait_or_signal(self)
    }
}

/// What to copy, and how.
pub struct Task<'a> {
    /// In their order, without gaps between their destinations.
    pub batches: Box<dyn Iterator<Item = Batch> + 'a>,
    /// Of all batches.
    pub length: u64,
    /// Where the source begins, for messages.
    pub src_offset: u64,
    pub dst_offset: u64,
    pub command: Command,
    pub files: &'a Files<'a>,
    pub jobs: usize,
}

/// The batches of a copy of one range.
pub fn one_range(src_offset: u64, split: Split) -> impl Iterator<Item = Batch> {
    let split = split.at_most(copyring::MOST & !0xffff);
    let pieces = (0..).map_while(move |index| split.get(index));
    pieces.map(move |piece| Batch {
        to: piece.offset,
        len: piece.len,
        from: vec![Range {
            offset: src_offset + piece.offset,
            len: piece.len,
        }],
    })
}

/// A copy that is under way, or to be sent.
struct Engine<'a, Q> {
    task: Task<'a>,
    queue: Q,
    /// What is left of batches that were copied in part.
    rest: Vec<Batch>,
    under_way: HashMap<u64, Batch>,
    prefix: Prefix,
    broken: Option<Broken>,
    cancelled: bool,
}

/// Moves everything, or as much as can be until an error or `stop`. `on_bytes` is called with what was just
/// added.
pub fn run<Q: Queue>(
    task: Task<'_>,
    queue: Q,
    stop: &AtomicBool,
    on_bytes: &dyn Fn(u64),
) -> Outcome {
    let mut engine = Engine {
        task,
        queue,
        rest: Vec::new(),
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
        stopped: engine.broken.is_none() && engine.prefix.total() < engine.task.length,
        broken: engine.broken,
    }
}

impl<Q: Queue> Engine<'_, Q> {
    fn run(&mut self, stop: &AtomicBool, on_bytes: &dyn Fn(u64)) {
        loop {
            let ends = self.broken.is_some() || stop.load(Ordering::Relaxed);
            if !ends {
                self.fill();
            } else if !self.cancelled {
                // What is behind an error would be copied for nothing.
                self.cancelled = true;
                let asked = self.queue.cancel_all(self.task.files.dst);
                asked.unwrap_or_else(|error| self.fail_all(error));
            }
            if self.queue.under_way() == 0 {
                return;
            }
            match self.queue.wait_or_signal() {
                Ok(Some(done)) => self.done(done, on_bytes),
                Ok(None) => {}
                Err(error) => return self.fail_all(error),
            }
        }
    }

    /// Adds copies until so many are under way as there may be.
    fn fill(&mut self) {
        while self.under_way.len() < self.task.jobs && self.broken.is_none() {
            let Some(batch) = self.rest.pop().or_else(|| self.task.batches.next()) else {
                return;
            };
            let copy = Copy {
                command: self.task.command,
                dst: self.task.files.dst.as_raw_fd(),
                src: Some(self.task.files.src.as_raw_fd()),
                to: self.task.dst_offset + batch.to,
                len: batch.len,
                source: match batch.from.as_slice() {
                    [one] => Source::One(one.offset),
                    many => Source::Many(many),
                },
            };
            match self.queue.push(&copy, batch.to) {
                Ok(()) => {
                    self.under_way.insert(batch.to, batch);
                }
                Err(error) => self.fail("io_uring", &batch, error),
            }
        }
    }

    fn done(&mut self, done: Done, on_bytes: &dyn Fn(u64)) {
        let Some(batch) = self.under_way.remove(&done.tag) else {
            // The answer to a request to cancel.
            return;
        };
        let copied = match done.result {
            Ok(copied) => copied,
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::CANCELED) if self.cancelled => return,
                // Somebody uses a page there, or it cannot be written in any order. The system call has
                // another way for that.
                _ if is_not_offloaded(&error) && self.task.command == Command::Copy => {
                    match self.call(&batch) {
                        Ok(copied) => copied,
                        Err(error) => return self.fail("copy_file_range", &batch, error),
                    }
                }
                _ => return self.fail("the copy", &batch, error),
            },
        };
        if copied == 0 {
            let error = io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the end came too early; did the size change?",
            );
            return self.fail("the copy", &batch, error);
        }
        self.prefix.add(batch.to, copied);
        on_bytes(copied);
        // Why it was not all of it is the answer to the rest.
        if copied < batch.len {
            self.rest.push(batch.after(copied));
        }
    }

    /// Copies the first range of a batch, or a part of it.
    fn call(&self, batch: &Batch) -> io::Result<u64> {
        let Some(first) = batch.from.first() else {
            return Ok(0);
        };
        let (src, dst) = (first.offset, self.task.dst_offset + batch.to);
        loop {
            match self.task.files.copy(src, dst, first.len) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn fail(&mut self, what: &'static str, batch: &Batch, error: io::Error) {
        let start = self.task.src_offset;
        let src = batch.from.first().map_or(start, |first| first.offset);
        self.fail_at(what, (src, self.task.dst_offset + batch.to), error);
    }

    fn fail_all(&mut self, error: io::Error) {
        self.fail_at(
            "io_uring",
            (self.task.src_offset, self.task.dst_offset),
            error,
        );
    }

    fn fail_at(&mut self, what: &'static str, (src, dst): (u64, u64), error: io::Error) {
        if self.broken.as_ref().is_none_or(|known| dst < known.dst) {
            self.broken = Some(Broken {
                what,
                src,
                dst,
                error,
            });
        }
    }
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
