// SPDX-License-Identifier: GPL-2.0

//! The copy engine of the block layer.
//!
//! Data is copied inside a device instead of through memory, with two kinds of bios, which meet
//! again at the bottom of the stack.
//!
//! # Words
//!
//! | word | meaning |
//! |---|---|
//! | copy | what one call asks for: any number of ranges |
//! | range | a contiguous part of a device |
//! | chunk | the part of a copy that one command copies |
//! | source, destination | what is read and what is written; the bios of a chunk that name it |
//! | command | the request that the driver executes: the bio of the destination becomes it |
//! | window | the chunks of a copy that are in flight |
//! | hold | to keep the bios of a chunk at the top of a stack until all of them are there |
//! | park | to keep them at the bottom until all of them are there |
//! | dispatch | to give the command to the driver |
//! | fallback | this way does not work here, and another one may |
//! | offload | to have the device copy |
//! | onload | to read and write instead |
//!
//! # Files
//!
//! Calls and imports go in one direction, down this list from its last line to its first.
//!
//! - [`plan`], [`limits`] and [`verdict`] are the pure core: plain values, no FFI, no locks; tested
//!   on the host and by KUnit. So are [`chunk::protocol`], [`chunk::pair`] and `file::span`.
//! - [`trace`] has the tracepoints, [`stats`] the counters, [`request`] what was asked for and its
//!   checks.
//! - [`chunk`] is one chunk: how it is submitted, held, parked, dispatched and ended.
//! - [`job`] is a copy: its window, how it is offloaded and onloaded, in the foreground and in the
//!   background, and the reserves of memory.
//! - [`file`](mod@file) is `copy_file_range(2)`, [`uring`] has the commands of io_uring.
//! - [`ffi`] is what C calls.
//!
//! What a lower file tells an upper one goes through a trait ([`chunk::Owner`]) or a function and a
//! pointer that it was given.
//!
//! C header: [`include/linux/blk-copy.h`](srctree/include/linux/blk-copy.h).
//! Documentation:
//! [`Documentation/block/copy-offload.rst`](srctree/Documentation/block/copy-offload.rst).

mod chunk;
mod ffi;
mod file;
mod job;
mod limits;
mod plan;
mod request;
mod stats;
mod trace;
mod uring;
mod verdict;
