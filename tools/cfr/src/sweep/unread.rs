// SPDX-License-Identifier: GPL-2.0
//! `cfr sweep unread`: the kernel cannot read all of a list of sources.

use std::os::fd::AsRawFd;

use anyhow::{bail, ensure, Context, Result};
use clap::Args;
use copyring::{Entry, Range, Ring, Setup};
use memmap2::MmapMut;
use nix::errno::Errno;
use nix::libc;

use super::region::WriteBack;
use super::way::{command, Way};
use super::{CopyArgs, Stage};
use crate::copy::Outcome;
use crate::device::{self, Access, How};
use crate::uring;

#[derive(Args, Clone, Debug)]
pub struct UnreadArgs {
    #[command(flatten)]
    copy: CopyArgs,
}

/// As large as a page, or larger.
const PAGE: usize = 65536;
/// Of an entry of the list.
const ENTRY: usize = size_of::<Range>();

/// Memory that ends where nothing can be read.
struct Edge(MmapMut);

impl Edge {
    fn new() -> Result<Self> {
        let memory = MmapMut::map_anon(2 * PAGE).context("cannot map memory")?;
        // SAFETY: The second half is of this mapping, and nothing of it is used.
        let result = unsafe {
            libc::mprotect(
                memory.as_ptr().add(PAGE).cast_mut().cast(),
                PAGE,
                libc::PROT_NONE,
            )
        };
        Errno::result(result).context("cannot protect memory")?;
        Ok(Edge(memory))
    }

    /// The address of a list whose first entries are these, and that goes on where nothing can be read.
    fn list(&mut self, entries: &[Range]) -> u64 {
        let start = PAGE - entries.len() * ENTRY;
        let places = self.0[start..PAGE].chunks_exact_mut(ENTRY);
        for (place, entry) in places.zip(entries) {
            let (offset, len) = place.split_at_mut(ENTRY / 2);
            offset.copy_from_slice(&entry.offset.to_ne_bytes());
            len.copy_from_slice(&entry.len.to_ne_bytes());
        }
        (self.0.as_ptr().addr() + start) as u64
    }
}

impl UnreadArgs {
    pub fn run(&self) -> Result<String> {
        let Way::Uring {
            offload,
            list: true,
        } = self.copy.way
        else {
            bail!("{} has no list", self.copy.way);
        };
        let command = command(offload);
        let (from, to, len) = (self.copy.src_off, self.copy.dst_off, self.copy.len);
        let sources = self.copy.way.sources(from, len);
        let (src, dst) = (
            device::open(&self.copy.src, How::new(Access::R, true))?,
            device::open(&self.copy.dst, How::new(Access::W, true))?,
        );
        let mut stage = Stage::new(&self.copy)?;
        let mut edge = Edge::new()?;
        let mut ring = Ring::with(4, Setup::Defer).context("cannot set up a ring")?;
        for readable in 0..=sources.len() {
            stage.prepare(u32::try_from(readable)? + 1)?;
            let entry = Entry {
                fd: dst.as_raw_fd(),
                addr: to,
                addr3: len,
                splice_fd_in: src.as_raw_fd(),
                len: u32::try_from(sources.len())?,
                pad2: edge.list(&sources[..readable]),
                ..Entry::new(command)
            };
            ring.push_entry(&entry, 0)?;
            let outcome = uring::outcome(ring.wait()?.result);
            let due = if readable < sources.len() {
                Outcome::nothing(Errno::EFAULT)
            } else {
                Outcome::good(len)
            };
            let context = || format!("{readable} sources can be read: {outcome}");
            ensure!(outcome == due, "{}", context());
            stage
                .check(outcome, WriteBack::Whole)
                .with_context(context)?;
        }
        Ok(format!("EFAULT at each of {} sources", sources.len()))
    }
}
