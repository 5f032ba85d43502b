// SPDX-License-Identifier: GPL-2.0
//! The host: its programs, its packages, and how they are run.

pub mod apt;
mod choice;
pub mod command;
pub mod crates;
pub mod doctor;
pub mod git;
pub mod needs;
mod plan;
pub mod setup;
pub mod suite;
pub mod system;
pub mod toolchain;
