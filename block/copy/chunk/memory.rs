// SPDX-License-Identifier: GPL-2.0

//! Memory for chunks: a head `H`, and a tail of several `P`. A chunk of one source can come from a
//! reserve, so that a copy goes on when there is no memory.

use core::{
    alloc::Layout,
    mem::ManuallyDrop,
    ptr::NonNull, //
};
use kernel::{
    alloc::{
        allocator::Kmalloc,
        flags::{
            __GFP_ACCOUNT,
            __GFP_NOMEMALLOC,
            __GFP_NORETRY,
            __GFP_NOWARN, //
        },
        AllocError,
        Allocator,
        Flags,
        NumaNode, //
    },
    mempool::Mempool, //
};

/// The tail of the smallest chunk: one destination, one source.
const SMALLEST: usize = 2;

/// A head with its tail.
#[repr(C)]
struct Smallest<H, P> {
    head: H,
    tail: [P; SMALLEST],
}

/// Returns where the tail of a head begins. Only as much of it may be used as there is memory.
pub(super) fn tail<H, P>(head: NonNull<H>) -> NonNull<P> {
    let offset = core::mem::offset_of!(Smallest<H, P>, tail);
    head.cast::<u8>()
        .map_addr(|addr| addr.saturating_add(offset))
        .cast()
}

/// A reserve for chunks of one source.
pub(crate) struct Reserve<H, P>(Mempool<Smallest<H, P>>);

impl<H, P> Reserve<H, P> {
    /// Reserves memory for `chunks` chunks.
    ///
    /// Context: task; may sleep.
    pub(crate) fn new(chunks: u16) -> Result<Self, AllocError> {
        Mempool::new(chunks).map(Self)
    }
}

/// Memory for one chunk. Dropping it frees the memory.
///
/// # Invariants
///
/// `start` points to memory for one `H` and a [`tail`] of `count` times `P`. Only this value uses
/// that memory. If `count` is at most [`SMALLEST`], `reserve` has allocated it, else [`Kmalloc`].
pub(crate) struct Memory<'a, H, P> {
    start: NonNull<H>,
    count: usize,
    reserve: &'a Reserve<H, P>,
}

impl<'a, H, P> Memory<'a, H, P> {
    /// Allocates memory for a chunk with `sources` sources. With one source and `GFP_NOIO`, this
    /// does not fail, but it may wait until another chunk ends.
    ///
    /// Context: as `flags` say.
    pub(crate) fn new(
        reserve: &'a Reserve<H, P>,
        sources: usize,
        flags: Flags,
    ) -> Result<Self, AllocError> {
        let count = sources.checked_add(1).ok_or(AllocError)?;
        let start = if count <= SMALLEST {
            reserve.0.alloc(flags)?.cast()
        } else {
            // The allocator should not try hard: a chunk of one source will do as well.
            let flags = flags | __GFP_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN | __GFP_NOMEMALLOC;
            Kmalloc::alloc(Self::layout(count)?, flags, NumaNode::NO_NODE)?.cast()
        };
        // INVARIANT: Just allocated so.
        Ok(Self {
            start,
            count,
            reserve,
        })
    }

    fn layout(count: usize) -> Result<Layout, AllocError> {
        let tail = core::mem::offset_of!(Smallest<H, P>, tail);
        let size = count
            .checked_mul(size_of::<P>())
            .and_then(|size| size.checked_add(tail));
        let align = align_of::<Smallest<H, P>>();
        Layout::from_size_align(size.ok_or(AllocError)?, align).map_err(|_| AllocError)
    }

    /// Takes the memory apart; [`Memory::from_raw`] puts it together again.
    pub(super) fn into_raw(self) -> (NonNull<H>, usize, NonNull<Reserve<H, P>>) {
        let this = ManuallyDrop::new(self);
        (this.start, this.count, NonNull::from(this.reserve))
    }

    /// # Safety
    ///
    /// [`Memory::into_raw`] has returned the parameters, and nobody uses the memory any more. The
    /// reserve lives for `'a`.
    pub(super) unsafe fn from_raw(
        start: NonNull<H>,
        count: usize,
        reserve: NonNull<Reserve<H, P>>,
    ) -> Self {
        // INVARIANT: It was so before, by the requirements of this function.
        Self {
            start,
            count,
            // SAFETY: Required of the caller.
            reserve: unsafe { reserve.as_ref() },
        }
    }
}

impl<H, P> Drop for Memory<'_, H, P> {
    fn drop(&mut self) {
        if self.count <= SMALLEST {
            // SAFETY: By the type invariant, this reserve has allocated the memory, and nobody else
            // uses it.
            unsafe { self.reserve.0.free(self.start.cast()) };
        } else if let Ok(layout) = Self::layout(self.count) {
            // SAFETY: By the type invariant, `Kmalloc` has allocated the memory with this layout,
            // and nobody else uses it.
            unsafe { Kmalloc::free(self.start.cast(), layout) };
        }
    }
}
