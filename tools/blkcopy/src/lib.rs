// SPDX-License-Identifier: GPL-2.0
//! Copying between block devices with `copy_file_range(2)` or io_uring, and
//! looking at what a device offers for it.
//!
//! The command `blkcopy` is a thin shell around this library. The decisions
//! are pure functions on plain values, tested without any device:
//!
//! - [`plan`]: may this range be copied at all (ends, alignment, overlap)?
//! - [`chunk`]: in which pieces, and how far did the copy get without a gap?
//! - [`sysfs`] and [`inuse`]: what the kernel says about a device.
//! - [`stats`]: which way did the data go, by the kernel's counters?
//!
//! - [`ranges`]: many sources of one copy, and how commands share them.
//!
//! [`engine`] moves the data with `copy_file_range(2)`, [`ring`] with io_uring;
//! [`verify`] reads it back; and [`copy`], [`gather`] and [`info`] put all of it
//! together for the commands.

pub mod aligned;
pub mod chunk;
pub mod cli;
pub mod copy;
pub mod endpoint;
pub mod engine;
pub mod failure;
pub mod gather;
pub mod info;
pub mod inuse;
pub mod man;
pub mod plan;
pub mod progress;
pub mod ranges;
pub mod report;
pub mod ring;
pub mod size;
pub mod stats;
pub mod sysfs;
pub mod verify;
