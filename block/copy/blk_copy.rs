// SPDX-License-Identifier: GPL-2.0

//! The copy engine of the block layer.
//!
//! Data is copied inside a device instead of through memory, with two kinds of bios, which meet
//! again at the bottom of the stack. What happens to a copy, from top to bottom:
//!
//! - [`ffi`] is what C calls.
//! - [`file`](mod@file) is `copy_file_range(2)`: page cache, locks, the generic way as a last
//!   resort.
//! - [`request`] is what was asked for, and its checks.
//! - [`job`] drives a copy; [`background`] does so while nobody waits for it; [`shared`] is what
//!   those who end its I/O know of it.
//! - [`offload`] sends chunks to the device; [`onload`] reads and writes what no device can copy.
//! - [`context`] is one chunk with its bios, how they are submitted and ended.
//! - [`top`] is where they wait for each other before they enter a stack of devices.
//! - [`bottom`] is where they are parked and paired, and what the driver sees of them.
//! - [`memory`] is for chunks; [`pool`] has the reserves.
//! - [`trace`] has the tracepoints, [`stats`] the counters.
//! - [`protocol`], [`plan`], [`progress`], [`limits`], [`range`](mod@range) and [`verdict`] are the
//!   pure core: plain values, no FFI, no locks; tested on the host and by KUnit.
//!
//! C header: [`include/linux/blk-copy.h`](srctree/include/linux/blk-copy.h).
//! Documentation:
//! [`Documentation/block/copy-offload.rst`](srctree/Documentation/block/copy-offload.rst).

mod background;
mod batch;
mod bottom;
mod context;
mod ends;
mod ffi;
mod file;
mod job;
mod limits;
mod memory;
mod offload;
mod onload;
mod plan;
mod pool;
mod progress;
mod protocol;
mod range;
mod request;
mod shared;
mod stats;
mod top;
mod trace;
mod verdict;
