// SPDX-License-Identifier: GPL-2.0

//! Memory for chunks: as much as the best chunk needs, or from a reserve for the smallest one, so
//! that a copy goes on when there is no memory.

use super::{
    context::Context,
    plan::{
        Chunk,
        Limits,
        Plan,
        Ranges, //
    }, //
};
use core::ptr::NonNull;
use kernel::{
    alloc::AllocError,
    block::alloc,
    mempool::Mempool,
    prelude::*,
    sync::SetOnce, //
};

/// Contexts that can be had when memory cannot. One is enough to make progress; each further one
/// is a further copy that need not wait for it.
const RESERVE: u16 = 16;

/// Parts of the smallest chunk: one source, one destination.
const SMALLEST: usize = 2;

static POOL: SetOnce<Mempool> = SetOnce::new();

/// Prepares the reserve. Called once at boot, in task context.
pub(crate) fn init() -> Result<(), AllocError> {
    let size = Context::size(SMALLEST).ok_or(AllocError)?;
    POOL.populate(Mempool::new(RESERVE, size)?);
    Ok(())
}

/// Memory for one context. Dropping it frees it.
///
/// # Invariants
///
/// The memory is of [`Context::size`] for `parts`, and nobody else's. It came from [`POOL`] if
/// there are no more than [`SMALLEST`].
pub(crate) struct Memory {
    start: NonNull<u8>,
    parts: usize,
}

impl Memory {
    /// The next chunk of a plan, and memory for it. If there is none for the best chunk, it is one
    /// of one range. [`None`] at the end of the plan.
    ///
    /// Context: task; may sleep. Does not fail for lack of memory.
    pub(crate) fn for_chunk<L: Ranges + ?Sized>(
        plan: &Plan<'_, L>,
        limits: &Limits,
    ) -> Option<(Chunk, Self)> {
        for limits in [*limits, limits.one_range()] {
            let chunk = plan.peek(&limits)?;
            let parts = plan.sources(&chunk).count() + plan.destinations(&chunk).count();
            if let Ok(memory) = Self::new(parts) {
                return Some((chunk, memory));
            }
        }
        None
    }

    fn new(parts: usize) -> Result<Self, AllocError> {
        let start = if parts <= SMALLEST {
            POOL.as_ref().ok_or(AllocError)?.alloc_noio()?
        } else {
            alloc::try_noio(Context::size(parts).ok_or(AllocError)?)?
        };
        // INVARIANT: Just allocated so.
        Ok(Self { start, parts })
    }

    /// Where it begins.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// For how many parts it is.
    pub(crate) fn parts(&self) -> usize {
        self.parts
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        match POOL.as_ref() {
            // SAFETY: By the type invariant it came from there and is ours.
            Some(pool) if self.parts <= SMALLEST => unsafe { pool.free(self.start) },
            // SAFETY: By the type invariant it came from `try_noio` and is ours.
            _ => unsafe { alloc::free(self.start) },
        }
    }
}
