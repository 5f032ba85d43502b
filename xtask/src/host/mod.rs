// SPDX-License-Identifier: GPL-2.0
//! The host: its programs, its packages, and how they are run.

pub mod apt;
pub mod command;
pub mod doctor;
pub mod needs;
pub mod setup;
pub mod toolchain;
