// SPDX-License-Identifier: GPL-2.0

//! A stand-in of the kernel crate for [loom]: what `block/copy/chunk/` and
//! `block/copy/job/tracker.rs` use, with the same names, the same signatures and the same rules, but
//! with loom's locks, atomics and cells inside.
//!
//! It checks what the kernel relies on, in every interleaving. Each of these is a panic:
//!
//! - Memory that is used after it was freed, or while it is being freed; that is freed twice, or not
//!   where it came from; or that is never freed ([`memory`]).
//! - A bio that somebody uses while its owner changes it, that is ended twice, or that is dropped and
//!   not ended ([`block::bio`]).
//! - A bio that is submitted or ended, or memory that is allocated, with a lock held ([`sync`]).
//! - A lock that is taken twice, and a wait that nobody ends: loom calls it a deadlock.
//!
//! What is below the engine, [`block::layer`] asks the model for.

pub mod alloc;
pub mod block;
pub mod error;
pub mod init;
pub mod memory;
pub mod mempool;
pub mod prelude;
pub mod sync;

// The engine has this from the crate `pin_init`.
pub use init::raw_init;
