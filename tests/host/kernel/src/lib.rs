// SPDX-License-Identifier: GPL-2.0

//! The part of the `kernel` crate that the pure core of the copy engine needs, from the same files
//! as the kernel's, so that the core compiles on the host.

pub mod block;
