// SPDX-License-Identifier: GPL-2.0

//! What the bios of copies carry. See `rust/kernel/block/copy/`.

/// What can copy between queues.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CopyDomain(pub u8);

/// Which bio of a copy a bio is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CopyOp {
    Src,
    Dst,
}

/// `struct blk_copy_part`, which only the engine knows.
pub struct Part(());
