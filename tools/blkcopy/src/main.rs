// SPDX-License-Identifier: GPL-2.0
//! `blkcopy`: see `blkcopy --help`, and the library for how it works.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use anyhow::{Context, Result};
use blkcopy::cli::{Cli, Command, CopyArgs, GatherArgs};
use blkcopy::failure::{exit_code, Failure, TERMINATED};
use blkcopy::report::Report;
use blkcopy::stats::PathTaken;
use blkcopy::sysfs::Sysfs;
use blkcopy::{copy, gather, info};
use clap::{CommandFactory, Parser};
use signal_hook::consts::{SIGINT, SIGTERM};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let signals = Signals::default();
    let result = match (cli.command, cli.copy) {
        (Some(Command::Info(args)), _) => {
            info::run(&args, &Sysfs::default()).map(|text| println!("{text}"))
        }
        (Some(Command::Completions { shell }), _) => {
            let mut command = Cli::command();
            clap_complete::generate(shell, &mut command, "blkcopy", &mut std::io::stdout());
            Ok(())
        }
        (Some(Command::Man), _) => man(),
        (Some(Command::Gather(args)), _) => gather_command(&args, &signals),
        (None, Some(args)) => copy_command(&args, &signals),
        (None, None) => Cli::command()
            .error(
                clap::error::ErrorKind::MissingRequiredArgument,
                "give SRC and DST, or: info DEV, or: gather DEV LIST",
            )
            .exit(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("blkcopy: {err:#}");
            ExitCode::from(match err.downcast_ref() {
                Some(Failure::Interrupted(_)) if signals.terminated() => TERMINATED,
                _ => exit_code(&err),
            })
        }
    }
}

fn man() -> Result<()> {
    let page = clap_mangen::Man::new(Cli::command());
    page.render(&mut std::io::stdout())
        .context("cannot write the manual page")
}

fn copy_command(args: &CopyArgs, signals: &Signals) -> Result<()> {
    signals.catch()?;
    let mut report = Report::new(
        args.source.display().to_string(),
        args.destination.display().to_string(),
    );
    let result = copy::run(args, &Sysfs::default(), &signals.stop, &mut report);
    say(report, result, (args.json, args.quiet))
}

fn gather_command(args: &GatherArgs, signals: &Signals) -> Result<()> {
    signals.catch()?;
    let source = args.source.as_ref().unwrap_or(&args.device);
    let mut report = Report::new(
        source.display().to_string(),
        args.device.display().to_string(),
    );
    let result = gather::run(args, &Sysfs::default(), &signals.stop, &mut report);
    say(report, result, (args.json, args.quiet))
}

/// Prints what has come of a copy.
fn say(mut report: Report, result: Result<()>, (json, quiet): (bool, bool)) -> Result<()> {
    if json {
        report.error = result.as_ref().err().map(|err| format!("{err:#}"));
        println!("{}", serde_json::to_string(&report)?);
    } else if result.is_ok() && !quiet {
        println!("{}", report.human());
    } else if result.is_err() && report.path != PathTaken::Nothing {
        eprintln!("path: {}", report.path.describe());
    }
    result
}

/// Signals that have come.
#[derive(Default)]
struct Signals {
    stop: Arc<AtomicBool>,
    terminate: Arc<AtomicBool>,
}

impl Signals {
    /// From now on the first signal asks the copy to stop at the next chance, and the second one
    /// ends the program.
    fn catch(&self) -> Result<()> {
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&self.stop))
                .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&self.stop)))
                .context("cannot catch signals")?;
        }
        signal_hook::flag::register(SIGTERM, Arc::clone(&self.terminate))
            .context("cannot catch signals")?;
        Ok(())
    }

    /// Whether SIGTERM was among them.
    fn terminated(&self) -> bool {
        self.terminate.load(Ordering::Relaxed)
    }
}
