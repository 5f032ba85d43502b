// SPDX-License-Identifier: GPL-2.0
//! `blkcopy`: see `blkcopy --help`, and the library for how it works.

use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::sync::Arc;

use anyhow::{Context, Result};
use blkcopy::cli::{Cli, Command, CopyArgs};
use blkcopy::failure::exit_code;
use blkcopy::report::Report;
use blkcopy::stats::PathTaken;
use blkcopy::sysfs::Sysfs;
use blkcopy::{copy, info};
use clap::{CommandFactory, Parser};
use signal_hook::consts::{SIGINT, SIGTERM};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match (cli.command, cli.copy) {
        (Some(Command::Info(args)), _) => {
            info::run(&args, &Sysfs::default()).map(|text| println!("{text}"))
        }
        (None, Some(args)) => copy_command(&args),
        (None, None) => Cli::command()
            .error(
                clap::error::ErrorKind::MissingRequiredArgument,
                "give SRC and DST, or: info DEV",
            )
            .exit(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("blkcopy: {err:#}");
            ExitCode::from(exit_code(&err))
        }
    }
}

fn copy_command(args: &CopyArgs) -> Result<()> {
    let stop = stop_on_signal()?;
    let mut report = Report::new(
        args.source.display().to_string(),
        args.destination.display().to_string(),
    );
    let result = copy::run(args, &Sysfs::default(), &stop, &mut report);
    if args.json {
        report.error = result.as_ref().err().map(|err| format!("{err:#}"));
        println!("{}", serde_json::to_string(&report)?);
    } else if result.is_ok() {
        println!("{}", report.human());
    } else if report.path != PathTaken::Nothing {
        eprintln!("path: {}", report.path.describe());
    }
    result
}

/// The first signal asks the copy to stop at the next chance, the second one
/// ends the program.
fn stop_on_signal() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_default(signal, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .context("cannot catch signals")?;
    }
    Ok(stop)
}
