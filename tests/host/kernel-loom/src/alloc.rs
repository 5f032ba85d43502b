// SPDX-License-Identifier: GPL-2.0

//! Memory of the slab allocator. See `rust/kernel/alloc.rs`.

use crate::{
    memory::{self, Origin},
    sync::might_sleep,
};
use core::{alloc::Layout, ptr::NonNull};

/// There is no memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AllocError;

/// How to look for memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Flags(u32);

impl core::ops::BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

pub mod flags {
    pub use super::Flags;

    pub const GFP_NOIO: Flags = Flags(1);
    pub const GFP_NOWAIT: Flags = Flags(16);
    pub const __GFP_NORETRY: Flags = Flags(2);
    pub const __GFP_NOWARN: Flags = Flags(4);
    pub const __GFP_NOMEMALLOC: Flags = Flags(8);
    pub const __GFP_ACCOUNT: Flags = Flags(32);
}

/// A node of memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NumaNode(i32);

impl NumaNode {
    /// Any node.
    pub const NO_NODE: Self = Self(-1);
}

/// Where memory comes from.
///
/// # Safety
///
/// What [`Allocator::alloc`] returns is memory as the layout says, which nobody else uses.
pub unsafe trait Allocator {
    /// Allocates memory. May sleep.
    fn alloc(layout: Layout, flags: Flags, node: NumaNode) -> Result<NonNull<[u8]>, AllocError>;

    /// Frees memory.
    ///
    /// # Safety
    ///
    /// The memory came from [`Allocator::alloc`] with this layout, and nobody uses it any more.
    unsafe fn free(ptr: NonNull<u8>, layout: Layout);
}

pub mod allocator {
    /// `kmalloc()`.
    pub struct Kmalloc;
}

// SAFETY: `memory::alloc` returns such memory.
unsafe impl Allocator for allocator::Kmalloc {
    fn alloc(layout: Layout, _flags: Flags, _node: NumaNode) -> Result<NonNull<[u8]>, AllocError> {
        might_sleep();
        if memory::is_scarce() {
            return Err(AllocError);
        }
        let start = memory::alloc(layout, Origin::Kmalloc);
        Ok(NonNull::slice_from_raw_parts(start, layout.size()))
    }

    unsafe fn free(ptr: NonNull<u8>, layout: Layout) {
        memory::free(ptr, layout, Origin::Kmalloc);
    }
}
