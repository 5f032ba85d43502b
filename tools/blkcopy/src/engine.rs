// SPDX-License-Identifier: GPL-2.0
//! Moves the data: pieces of work over threads, short copies continued, and
//! reading and writing where the kernel refuses `copy_file_range`.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustix::io::Errno;

use crate::aligned::AlignedBuf;
use crate::chunk::{Prefix, Split};

/// How one stretch of bytes is moved. A trait so that tests can fail at will.
pub trait Mover: Sync {
    /// `copy_file_range(2)`, offsets within the two files.
    fn copy(&self, src: u64, dst: u64, len: u64) -> io::Result<u64>;

    /// One read and the writes for it, at most one buffer.
    fn read_write(
        &self,
        src: u64,
        dst: u64,
        len: u64,
        buf: &mut Option<AlignedBuf>,
    ) -> Result<u64, Broken>;
}

/// An error, and where it was.
#[derive(Debug)]
pub struct Broken {
    /// `copy_file_range`, `reading` or `writing`.
    pub what: &'static str,
    pub src: u64,
    pub dst: u64,
    pub error: io::Error,
}

/// What to move.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    pub src_offset: u64,
    pub dst_offset: u64,
    pub split: Split,
    pub jobs: usize,
    /// `EINVAL` means that the kernel does not know how to copy between these
    /// two. Otherwise it does know, and has found an overlap that cannot be
    /// seen from here: reading and writing would destroy data.
    pub einval_is_refusal: bool,
}

/// What became of it.
#[derive(Debug)]
pub struct Outcome {
    /// Copied from the start on without a gap.
    pub gap_free: u64,
    /// All that was copied.
    pub total: u64,
    /// The kernel refused `copy_file_range` with this error.
    pub refused: Option<io::Error>,
    /// The error that is the earliest in the range.
    pub broken: Option<Broken>,
    /// Stopped by the stop flag before the end.
    pub stopped: bool,
}

/// The errors with which a kernel says that it does not copy between these
/// two files, as opposed to: it tried and failed.
fn is_refusal(error: &io::Error, work: &Work) -> bool {
    match Errno::from_io_error(error) {
        Some(Errno::XDEV | Errno::OPNOTSUPP | Errno::NOSYS) => true,
        Some(Errno::INVAL) => work.einval_is_refusal,
        _ => false,
    }
}

struct Engine<'a> {
    work: Work,
    mover: &'a dyn Mover,
    stop: &'a AtomicBool,
    on_bytes: &'a (dyn Fn(u64) + Sync),
    next: AtomicU64,
    /// `copy_file_range` moved something, so an error of it is one.
    accepted: AtomicBool,
    refused: Mutex<Option<io::Error>>,
    use_read_write: AtomicBool,
    prefix: Mutex<Prefix>,
    broken: Mutex<Option<Broken>>,
    failed: AtomicBool,
}

/// Moves everything, or as much as can be until an error or `stop`.
/// `on_bytes` is called from every thread with what was just added.
pub fn run(
    work: Work,
    mover: &dyn Mover,
    stop: &AtomicBool,
    on_bytes: &(dyn Fn(u64) + Sync),
) -> Outcome {
    let engine = Engine {
        work,
        mover,
        stop,
        on_bytes,
        next: AtomicU64::new(0),
        accepted: AtomicBool::new(false),
        refused: Mutex::default(),
        use_read_write: AtomicBool::new(false),
        prefix: Mutex::default(),
        broken: Mutex::default(),
        failed: AtomicBool::new(false),
    };
    let jobs = u64::try_from(work.jobs)
        .unwrap_or(1)
        .clamp(1, work.split.count().max(1));
    if jobs == 1 {
        engine.worker();
    } else {
        thread::scope(|scope| {
            for _ in 0..jobs {
                scope.spawn(|| engine.worker());
            }
        });
    }
    engine.finish()
}

impl Engine<'_> {
    fn worker(&self) {
        let mut buf = None;
        while !self.must_stop() {
            let Some(piece) = self
                .work
                .split
                .get(self.next.fetch_add(1, Ordering::Relaxed))
            else {
                return;
            };
            if let Err(broken) = self.piece(piece.offset, piece.len, &mut buf) {
                self.fail(broken);
            }
        }
    }

    fn must_stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.failed.load(Ordering::Relaxed)
    }

    /// Moves one piece; a stop request leaves it early without an error.
    fn piece(&self, mut offset: u64, len: u64, buf: &mut Option<AlignedBuf>) -> Result<(), Broken> {
        let end = offset + len;
        while offset < end {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let (src, dst) = (self.work.src_offset + offset, self.work.dst_offset + offset);
            let moved = match self.step(src, dst, end - offset, buf) {
                Ok(moved) => moved,
                Err(broken) if broken.error.kind() == io::ErrorKind::Interrupted => continue,
                Err(broken) => return Err(broken),
            };
            if moved == 0 {
                let error = io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the end came too early; did the size change?",
                );
                return Err(Broken {
                    what: "copying",
                    src,
                    dst,
                    error,
                });
            }
            lock(&self.prefix).add(offset, moved);
            offset += moved;
            (self.on_bytes)(moved);
        }
        Ok(())
    }

    fn step(
        &self,
        src: u64,
        dst: u64,
        len: u64,
        buf: &mut Option<AlignedBuf>,
    ) -> Result<u64, Broken> {
        if !self.use_read_write.load(Ordering::Relaxed) {
            match self.mover.copy(src, dst, len) {
                Ok(moved) => {
                    self.accepted.store(true, Ordering::Relaxed);
                    return Ok(moved);
                }
                Err(error)
                    if is_refusal(&error, &self.work) && !self.accepted.load(Ordering::Relaxed) =>
                {
                    self.use_read_write.store(true, Ordering::Relaxed);
                    lock(&self.refused).get_or_insert(error);
                }
                Err(error) => {
                    return Err(Broken {
                        what: "copy_file_range",
                        src,
                        dst,
                        error,
                    })
                }
            }
        }
        self.mover.read_write(src, dst, len, buf)
    }

    fn fail(&self, broken: Broken) {
        self.failed.store(true, Ordering::Relaxed);
        let mut first = lock(&self.broken);
        if first.as_ref().is_none_or(|known| broken.src < known.src) {
            *first = Some(broken);
        }
    }

    fn finish(self) -> Outcome {
        let prefix = self
            .prefix
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let broken = self
            .broken
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        Outcome {
            gap_free: prefix.gap_free(),
            total: prefix.total(),
            refused: self
                .refused
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner),
            stopped: broken.is_none() && prefix.total() < self.work.split.length(),
            broken,
        }
    }
}

/// A panicking thread leaves the plain values behind these locks whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
