// SPDX-License-Identifier: GPL-2.0

//! Memory for batches: as much as the best batch needs, or from a reserve for the smallest one, so
//! that a copy goes on when there is no memory.

use super::{
    batch::Batch,
    context::{
        Context,
        Smallest, //
    },
    plan::{
        Limits,
        Plan,
        Ranges, //
    },
    pool::{
        Pool,
        SMALLEST, //
    }, //
};
use core::{
    alloc::Layout,
    ptr::NonNull, //
};
use kernel::{
    alloc::{
        allocator::Kmalloc,
        AllocError,
        Allocator,
        Flags,
        NumaNode, //
    },
    mempool::Mempool,
    prelude::*, //
};

/// It is good to have, but nobody should try hard to get it.
fn flags() -> Flags {
    GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN | __GFP_NOMEMALLOC
}

/// The memory of a context of so many parts.
fn layout(parts: usize) -> Result<Layout, AllocError> {
    let size = Context::size(parts).ok_or(AllocError)?;
    Layout::from_size_align(size, align_of::<Context>()).map_err(|_| AllocError)
}

/// Memory for one context. Dropping it frees it.
///
/// # Invariants
///
/// The memory is of [`Context::size`] for `parts`, and nobody else's. It came from `reserve` if
/// there are no more than [`SMALLEST`], which then outlives it.
pub(crate) struct Memory {
    start: NonNull<u8>,
    parts: usize,
    reserve: NonNull<Mempool<Smallest>>,
}

impl Memory {
    /// The next batch of a plan, of at most `most` commands, and memory for it. If there is none
    /// for the best batch, it is one command of one range. [`None`] at the end of the plan.
    ///
    /// Context: task; may sleep. Does not fail for lack of memory.
    ///
    /// # Safety
    ///
    /// The pool outlives the memory.
    pub(crate) unsafe fn for_batch<L: Ranges + Copy>(
        pool: &Pool,
        plan: &Plan<L>,
        limits: &Limits,
        most: usize,
    ) -> Option<(Batch, Self)> {
        for (limits, most) in [(*limits, most), (limits.one_range(), 1)] {
            let batch = plan.batch(&limits, most)?;
            let parts = plan.sources(&batch.whole()).count() + batch.chunks();
            // SAFETY: Required of the caller.
            if let Ok(memory) = unsafe { Self::new(&pool.contexts, parts) } {
                return Some((batch, memory));
            }
        }
        None
    }

    /// # Safety
    ///
    /// The reserve outlives the memory.
    unsafe fn new(reserve: &Mempool<Smallest>, parts: usize) -> Result<Self, AllocError> {
        let start = if parts <= SMALLEST {
            reserve.alloc(GFP_NOIO)?.cast()
        } else {
            Kmalloc::alloc(layout(parts)?, flags(), NumaNode::NO_NODE)?.cast()
        };
        // INVARIANT: Just allocated so; the rest is required of the caller.
        Ok(Self {
            start,
            parts,
            reserve: NonNull::from(reserve),
        })
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
        if self.parts <= SMALLEST {
            // SAFETY: By the type invariant it came from there and is ours.
            unsafe { self.reserve.as_ref().free(self.start.cast()) };
        } else if let Ok(layout) = layout(self.parts) {
            // SAFETY: By the type invariant it came from `Kmalloc` with this layout, and is ours.
            unsafe { Kmalloc::free(self.start, layout) };
        }
    }
}
