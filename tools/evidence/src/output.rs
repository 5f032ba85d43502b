// SPDX-License-Identifier: GPL-2.0
//! What a program says, and how it ends.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use serde::Serialize;

/// Says on stderr what is being done, and when, unless nobody would look at it.
pub fn progress(json: bool) -> impl Fn(&str) {
    let started = Instant::now();
    let quiet = json && !std::io::stderr().is_terminal();
    move |what| {
        if !quiet {
            eprintln!("[{:5.1} s] {what}", started.elapsed().as_secs_f64());
        }
    }
}

/// Prints a report for programs, or for people.
pub fn print<R: Serialize>(report: &R, json: bool, human: impl Fn(&R) -> String) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(report)?);
    } else {
        println!("{}", human(report));
    }
    Ok(())
}

/// The end of a program that did all it should, or did not, or could not be run.
pub fn exit(program: &str, result: Result<bool>, did_not: u8) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(did_not),
        Err(err) => {
            eprintln!("{program}: {err:#}");
            ExitCode::FAILURE
        }
    }
}
