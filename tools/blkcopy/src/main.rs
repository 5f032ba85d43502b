// SPDX-License-Identifier: GPL-2.0
//! `blkcopy`: see `blkcopy --help`, and the library for how it works.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use anyhow::{Context, Result};
use blkcopy::cli::{Cli, Command, CopyArgs, GatherArgs};
use blkcopy::failure::{exit_code, Failure, TERMINATED};
use blkcopy::progress::tell;
use blkcopy::report::Report;
use blkcopy::stats::PathTaken;
use blkcopy::sysfs::Sysfs;
use blkcopy::{copy, gather, info, man};
use clap::{CommandFactory, Parser};
use signal_hook::consts::{SIGINT, SIGTERM};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let signals = Signals::default();
    let result = match (cli.command, cli.copy) {
        (Some(Command::Info(args)), _) => {
            info::run(&args, &Sysfs::default()).and_then(|text| print(&text))
        }
        (Some(Command::Completions { shell }), _) => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "blkcopy", &mut text);
            write(&text)
        }
        (Some(Command::Man), _) => man::page().and_then(|page| write(&page)),
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
            tell(&format!("blkcopy: {err:#}"));
            ExitCode::from(match err.downcast_ref() {
                Some(Failure::Interrupted(_)) if signals.terminated() => TERMINATED,
                _ => exit_code(&err),
            })
        }
    }
}

/// Writes to standard output. `print!` panics if nobody reads it, or if the disk is full; this returns an error.
fn write(text: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text)
        .and_then(|()| out.flush())
        .context("cannot write to standard output")
}

fn print(line: &str) -> Result<()> {
    write(format!("{line}\n").as_bytes())
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
    let source = args.source.as_ref().unwrap_or(&args.device);
    let mut report = Report::new(
        source.display().to_string(),
        args.device.display().to_string(),
    );
    // A signal that comes before the lists have been read ends the program: nothing was written.
    let result = gather::lists(&args.lists).and_then(|list| {
        signals.catch()?;
        let sysfs = Sysfs::default();
        gather::run(args, &list, &sysfs, &signals.stop, &mut report)
    });
    say(report, result, (args.json, args.quiet))
}

/// Prints what has come of a copy.
fn say(mut report: Report, result: Result<()>, (json, quiet): (bool, bool)) -> Result<()> {
    let mut printed = Ok(());
    if json {
        report.error = result.as_ref().err().map(|err| format!("{err:#}"));
        printed = print(&serde_json::to_string(&report)?);
    } else if result.is_ok() && !quiet {
        printed = print(&report.human());
    } else if result.is_err() && report.path != PathTaken::Nothing {
        tell(&format!("path: {}", report.path.describe()));
    }
    result.and(printed)
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
