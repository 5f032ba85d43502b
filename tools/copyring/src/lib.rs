// SPDX-License-Identifier: GPL-2.0
//! Copies on block devices through io_uring: `BLOCK_URING_CMD_COPY` and
//! `BLOCK_URING_CMD_COPY_OFFLOAD`. See `Documentation/block/copy-uring.rst`.
//!
//! One task has any number of copies under way, each of which may have many sources.

pub mod entry;

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

use io_uring::types::{CancelBuilder, Fd, Timespec};
use io_uring::{cqueue, opcode, squeue, IoUring};
use rustix::io::Errno;

pub use entry::{Command, Entry, Range};

/// The most that one command copies.
pub const MOST: u64 = 0x7fff_f000;

/// The most sources of one command.
pub const MAX_RANGES: usize = 4096;

/// What one command reads.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// As much as is written, from this place on.
    One(u64),
    /// These ranges, one after the other.
    Many(&'a [Range]),
}

/// One copy.
#[derive(Clone, Copy, Debug)]
pub struct Copy<'a> {
    pub command: Command,
    pub dst: RawFd,
    /// The file that is read; `None`: the destination's.
    pub src: Option<RawFd>,
    pub to: u64,
    pub len: u64,
    pub source: Source<'a>,
}

/// How a ring is set up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Setup {
    #[default]
    Plain,
    /// What ends is looked at when the task waits for it (`IORING_SETUP_DEFER_TASKRUN`).
    Defer,
    /// A thread of the kernel takes the entries (`IORING_SETUP_SQPOLL`).
    Poll,
}

/// Has `count` entries executed, `depth` at a time, each of which has to end with `result`.
///
/// # Safety
///
/// What `entry` makes may be executed until this returns: buffers that it names live, and nobody uses them.
pub unsafe fn execute(
    depth: u32,
    count: u64,
    result: u64,
    entry: impl Fn(u64) -> squeue::Entry,
) -> io::Result<()> {
    let mut ring: IoUring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .build(depth)?;
    let (mut sent, mut ended) = (0, 0);
    let mut wrong = None;
    while ended < count {
        while sent < count && sent - ended < u64::from(depth) {
            // SAFETY: Required of the caller; all of them have ended when this returns.
            if unsafe { ring.submission().push(&entry(sent)) }.is_err() {
                break;
            }
            sent += 1;
        }
        // A half of them at a time, as a program does that wants to be efficient.
        let want = (sent - ended).min(u64::from(depth) / 2);
        match ring.submit_and_wait(usize::try_from(want).unwrap_or(1)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for done in ring.completion() {
            if u64::try_from(done.result()).ok() != Some(result) {
                wrong = Some(done.result());
            }
            ended += 1;
        }
    }
    match wrong {
        None => Ok(()),
        Some(found) => Err(io::Error::other(format!("one has ended with {found}"))),
    }
}

/// The end of a copy.
#[derive(Debug)]
pub struct Done {
    /// What [`Ring::push`] was given.
    pub tag: u64,
    /// Bytes from the start without a gap, or the error.
    pub result: io::Result<u64>,
}

/// A ring with copies under way.
pub struct Ring {
    ring: IoUring,
    /// The lists of those that are under way. The kernel has read them when it has taken a command, but it
    /// may take one later if it is linked to others.
    lists: HashMap<u64, Box<[Range]>>,
    under_way: usize,
}

impl Ring {
    /// Makes a ring with room for so many copies.
    pub fn new(depth: u32) -> io::Result<Self> {
        Self::with(depth, Setup::Defer)
    }

    /// The same, with a choice.
    pub fn with(depth: u32, setup: Setup) -> io::Result<Self> {
        let mut builder = IoUring::builder();
        match setup {
            Setup::Plain => {}
            Setup::Defer => {
                builder.setup_single_issuer().setup_defer_taskrun();
            }
            Setup::Poll => {
                builder.setup_sqpoll(100);
            }
        }
        Ok(Self {
            ring: builder.build(depth)?,
            lists: HashMap::new(),
            under_way: 0,
        })
    }

    /// Copies that have not ended, and other entries.
    pub fn under_way(&self) -> usize {
        self.under_way
    }

    /// Whether the kernel has these commands for the file of a block device.
    pub fn is_supported(&mut self, file: &impl AsRawFd) -> io::Result<bool> {
        // There is no such descriptor. A kernel that does not know the command wants a zero there.
        let entry = Entry {
            fd: file.as_raw_fd(),
            splice_fd_in: -2,
            addr3: 4096,
            ..Entry::new(Command::Copy)
        };
        self.push_entry(&entry, 0)?;
        let done = self.wait()?;
        let error = done.result.err();
        Ok(error.and_then(|error| Errno::from_io_error(&error)) == Some(Errno::BADF))
    }

    /// Adds a copy, which `tag` names. It is submitted by the next [`Ring::submit`] or [`Ring::wait`].
    pub fn push(&mut self, copy: &Copy<'_>, tag: u64) -> io::Result<()> {
        let mut entry = Entry {
            fd: copy.dst,
            addr: copy.to,
            addr3: copy.len,
            splice_fd_in: copy.src.unwrap_or(-1),
            ..Entry::new(copy.command)
        };
        match copy.source {
            Source::One(from) => entry.pad2 = from,
            Source::Many(ranges) => {
                let list: Box<[Range]> = ranges.into();
                entry.len = u32::try_from(list.len()).map_err(io::Error::other)?;
                entry.pad2 = list.as_ptr().addr() as u64;
                self.lists.insert(tag, list);
            }
        }
        self.push_entry(&entry, tag)
    }

    /// Registers files: an entry names them by their numbers in this list, if it has
    /// [`Entry::FIXED_FILE`].
    pub fn register(&mut self, files: &[RawFd]) -> io::Result<()> {
        self.ring.submitter().register_files(files)
    }

    /// Adds an entry as it is.
    pub fn push_entry(&mut self, entry: &Entry, tag: u64) -> io::Result<()> {
        self.push_raw(entry.with_tag(tag))
    }

    fn push_raw(&mut self, entry: squeue::Entry) -> io::Result<()> {
        // SAFETY: What the kernel reads for it is in the entry or in `lists`, and it writes to no memory of
        // this program. A bad address in an entry is the kernel's to find.
        let pushed = unsafe { self.ring.submission().push(&entry) };
        pushed.map_err(|_| io::Error::other("the ring is full"))?;
        self.under_way += 1;
        Ok(())
    }

    /// Asks for the end of the copy of this name. The answer has a tag of its own, and comes as the end of
    /// a copy does.
    pub fn cancel(&mut self, tag: u64, own: u64) -> io::Result<()> {
        let cancel = opcode::AsyncCancel2::new(CancelBuilder::user_data(tag));
        self.push_raw(cancel.build().user_data(own))
    }

    /// Asks for the end of all copies to a file.
    pub fn cancel_all(&mut self, file: &impl AsRawFd, own: u64) -> io::Result<()> {
        let all = CancelBuilder::fd(Fd(file.as_raw_fd())).all();
        self.push_raw(opcode::AsyncCancel2::new(all).build().user_data(own))
    }

    /// Cancels the copy of this name, and waits up to `seconds` until it has ended. [`Ring::wait`] fetches it, as
    /// it fetches any other.
    pub fn cancel_now(&mut self, tag: u64, seconds: u64) -> io::Result<()> {
        let limit = Timespec::new().sec(seconds);
        let submitter = self.ring.submitter();
        submitter.register_sync_cancel(Some(limit), CancelBuilder::user_data(tag))
    }

    /// Submits what was added.
    pub fn submit(&mut self) -> io::Result<()> {
        self.enter(0)
    }

    fn enter(&mut self, want: usize) -> io::Result<()> {
        match self.ring.submit_and_wait(want) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A copy that has ended, without waiting for one.
    pub fn ended(&mut self) -> Option<Done> {
        let entry = self.ring.completion().next()?;
        Some(self.done(&entry))
    }

    /// Submits what was added, and waits for the end of one.
    pub fn wait(&mut self) -> io::Result<Done> {
        loop {
            if let Some(done) = self.wait_or_signal()? {
                return Ok(done);
            }
        }
    }

    /// The same, but returns nothing if a signal comes meanwhile.
    pub fn wait_or_signal(&mut self) -> io::Result<Option<Done>> {
        if let Some(done) = self.ended() {
            return Ok(Some(done));
        }
        self.enter(1)?;
        Ok(self.ended())
    }

    fn done(&mut self, entry: &cqueue::Entry) -> Done {
        let tag = entry.user_data();
        self.lists.remove(&tag);
        self.under_way = self.under_way.saturating_sub(1);
        let result = match u64::try_from(entry.result()) {
            Ok(bytes) => Ok(bytes),
            Err(_) => Err(io::Error::from_raw_os_error(-entry.result())),
        };
        Done { tag, result }
    }
}
