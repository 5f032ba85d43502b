// SPDX-License-Identifier: GPL-2.0
//! `cfr`, the helper of the block layer tests: see `cfr --help`.
//!
//! It makes exactly the copy_file_range(2) calls it is told to make and prints what they returned; it writes
//! data that is a function of its place, and finds the first byte that is not as it should be. Loops are inside
//! (`--repeat`, `batch`), because starting a process is dear in a User Mode Linux guest.

mod alarm;
mod cache;
mod cli;
mod copy;
mod data;
mod device;
mod fsx;
mod fuzz;
mod hostile;
mod mark;
mod model;
mod module;
mod nvme;
mod pattern;
mod random;
mod ranges;
mod recent;
mod relay;
mod sweep;
mod uring;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::run(cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            println!("{err:#}");
            ExitCode::FAILURE
        }
    }
}
