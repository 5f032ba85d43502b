// SPDX-License-Identifier: GPL-2.0
//! What the demo and the benchmarks share. To be used as root in a guest.
//!
//! - [`disk`]: a disk to copy on, of null_blk or NVMe, with its limits and statistics.
//! - [`fabric`]: one that is reached over a network.
//! - [`copy`]: two ways to copy: by the kernel, and by reading and writing.
//! - [`trace`]: records what the driver does meanwhile, and [`activity`] is what came of it.
//! - [`flow`]: how much of the data is in memory at a time.
//! - [`nvme`]: commands from a program, and what the device itself says that crossed the bus.
//! - [`output`]: what a program says, and how it ends; [`system`]: files of the kernel, modules.

pub mod activity;
mod controller;
pub mod copy;
pub mod disk;
pub mod fabric;
pub mod flow;
pub mod nvme;
pub mod output;
pub mod system;
pub mod trace;
