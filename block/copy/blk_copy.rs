// SPDX-License-Identifier: GPL-2.0

//! The copy engine of the block layer.
//!
//! Data is copied inside a device instead of through memory, with two kinds of bios, which meet
//! again at the bottom of the stack. What happens to a copy, from top to bottom:
//!
//! - [`ffi`] is what C calls.
//! - [`file`](mod@file) is `copy_file_range(2)`: page cache, locks, the generic way as a last
//!   resort.
//! - [`offload`] checks a copy, sends its chunks, and waits.
//! - [`context`] is one chunk with its bios, how they are submitted and ended.
//! - [`bottom`] is where they are parked and paired, and what the driver sees of them.
//! - [`memory`] is for chunks, and has a reserve.
//! - [`trace`] has the tracepoints.
//! - [`protocol`], [`plan`], [`progress`], [`limits`], [`range`](mod@range) and [`verdict`] are the
//!   pure core: plain values, no FFI, no locks; tested on the host and by KUnit.
//!
//! C header: [`include/linux/blk-copy.h`](srctree/include/linux/blk-copy.h).
//! Documentation:
//! [`Documentation/block/copy-offload.rst`](srctree/Documentation/block/copy-offload.rst).

mod bottom;
mod context;
mod ffi;
mod file;
mod limits;
mod memory;
mod offload;
mod plan;
mod progress;
mod protocol;
mod range;
mod trace;
mod verdict;
