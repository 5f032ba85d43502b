// SPDX-License-Identifier: GPL-2.0

//! Who pays for buffers.

use crate::{
    alloc::Flags,
    prelude::*, //
};

/// Who pays for the memory of a [`Buffer`](super::Buffer).
///
/// # Examples
///
/// ```
/// use kernel::block::buffer::{
///     Buffer,
///     Charge, //
/// };
///
/// // A buffer that may outlive the caller.
/// let reserve = Buffer::new((), Charge::Kernel)?;
/// assert_eq!(reserve.charge(), Charge::Kernel);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Charge {
    /// The memory cgroup of the current task, or of whom it works for.
    Caller,
    /// Nobody: it is memory of the kernel.
    Kernel,
}

impl Charge {
    /// Nobody depends on a buffer, so the allocator should not do much to get one: no I/O, no long
    /// search, no message, and nothing of the emergency reserves, which others need more.
    pub(super) fn flags(self) -> Flags {
        let flags = GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN | __GFP_NOMEMALLOC;
        match self {
            Charge::Caller => flags | __GFP_ACCOUNT,
            Charge::Kernel => flags,
        }
    }
}
