// SPDX-License-Identifier: GPL-2.0
//! The tool behind `./x`: everything on the host from a fresh clone to a tested kernel.
//!
//! One entry point, and every step can be repeated: a step looks at what is there, does what is missing, and says so. Nothing
//! outside the cache folder is written, except by `setup`, which installs packages.

mod bench;
mod build;
mod cache;
mod cli;
mod guest;
mod host;
mod mail;
mod overlay;
mod places;
mod source;
mod test;
mod tools;
mod ui;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::dispatch(cli::Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            ui::report(&error);
            ExitCode::FAILURE
        }
    }
}
