// SPDX-License-Identifier: GPL-2.0
//! The commands, from the command line or, one a line, from standard input.

use std::io::BufRead;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::copy::CopyArgs;
use crate::data::{self, CheckArgs, Content, FillArgs, Held, MapArgs, PinArgs, SumArgs};
use crate::fsx::FsxArgs;
use crate::fuzz::FuzzArgs;
use crate::hostile::HostileArgs;
use crate::model::ModelArgs;
use crate::nvme::NvmeCopyArgs;
use crate::ranges::RangesArgs;
use crate::relay::RelayArgs;
use crate::sweep::SweepArgs;
use crate::uring::UringArgs;

/// Exact copy_file_range(2) calls, known data and a model, for the tests of the block layer.
///
/// Sizes and offsets may be written as 4096, 64K, 1M or 0x200. Files are opened with O_DIRECT unless a
/// command is told otherwise.
#[derive(Parser, Debug)]
#[command(name = "cfr", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Copy with copy_file_range(2); prints `copied N` or `error NAME (copied N)`
    Copy(CopyArgs),
    /// Write a pattern
    Fill(FillArgs),
    /// Compare with a pattern; prints the first difference
    Check(CheckArgs),
    /// Print a fingerprint of the data
    Sum(SumArgs),
    /// Write back what the page cache holds
    Sync { device: PathBuf },
    /// Map a range and touch every page; the mapping stays until the batch ends or the next `map`
    Map(MapArgs),
    /// Compare what the mapping shows
    Mapcheck(Content),
    /// Hold pages of the page cache in a pipe until the batch ends
    Pin(PinArgs),
    /// Random copies and writes, everything compared with a model after each
    Model(ModelArgs),
    /// Random operations of all kinds, as the program fsx makes them on a file
    Fsx(FsxArgs),
    /// Random copies of several ranges through the module blk_copy_test, compared with a model
    Ranges(RangesArgs),
    /// Send one Copy command of NVMe; prints `copied` or `status N, range N`
    NvmeCopy(NvmeCopyArgs),
    /// Random Copy commands of NVMe, right and wrong ones, everything compared with a model
    Fuzz(FuzzArgs),
    /// Copies with arguments that no honest program has; prints how many ended how
    Hostile(HostileArgs),
    /// Pass on connections, or keep back what comes in, until told to stop
    Relay(RelayArgs),
    /// Copies through io_uring
    Uring(UringArgs),
    /// One small copy again and again, with a fault at the first, the second, the third... place, until it meets none
    Sweep(SweepArgs),
    /// Run commands from standard input, one a line; `#` starts a comment
    Batch,
}

/// Runs what the command line says.
pub fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Batch => batch(),
        command => {
            if let Some(text) = execute(command, &mut Held::default())? {
                println!("{text}");
            }
            Ok(())
        }
    }
}

fn execute(command: Command, held: &mut Held) -> Result<Option<String>> {
    match command {
        Command::Copy(args) => return Ok(Some(args.run()?.to_string())),
        Command::Sum(args) => return Ok(Some(args.run()?)),
        Command::Model(args) => return Ok(Some(args.run()?)),
        Command::Fsx(args) => return Ok(Some(args.run()?)),
        Command::Ranges(args) => return Ok(Some(args.run()?)),
        Command::NvmeCopy(args) => return Ok(Some(args.run()?)),
        Command::Fuzz(args) => return Ok(Some(args.run()?)),
        Command::Hostile(args) => return Ok(Some(args.run()?)),
        Command::Uring(args) => return Ok(Some(args.run()?)),
        Command::Sweep(args) => return Ok(Some(args.run()?)),
        Command::Fill(args) => args.run()?,
        Command::Relay(args) => args.run()?,
        Command::Check(args) => args.run()?,
        Command::Sync { device } => data::sync(&device)?,
        Command::Map(args) => held.map = Some(args.run()?),
        Command::Mapcheck(content) => data::mapcheck(held.map.as_ref(), &content)?,
        Command::Pin(args) => held.pinned.push(args.run()?),
        Command::Batch => batch()?,
    }
    Ok(None)
}

/// Runs one line of a batch. What it prints is returned.
pub fn run_line(line: &str, held: &mut Held) -> Result<Option<String>> {
    let line = line.split('#').next().unwrap_or("");
    let words: Vec<_> = line.split_whitespace().collect();
    match words.first() {
        None => Ok(None),
        Some(&"echo") => Ok(Some(words[1..].join(" "))),
        Some(_) => {
            let cli = Cli::try_parse_from(std::iter::once("cfr").chain(words))
                .with_context(|| format!("in the line `{line}`"))?;
            execute(cli.command, held)
        }
    }
}

/// Runs all lines; a line that fails is reported, and the next one is run.
fn batch() -> Result<()> {
    let mut held = Held::default();
    for line in std::io::stdin().lock().lines() {
        match run_line(&line.context("cannot read standard input")?, &mut held) {
            Ok(Some(text)) => println!("{text}"),
            Ok(None) => {}
            Err(err) => println!("{err:#}"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn lines_may_be_empty_or_comments() {
        assert_eq!(run_line("", &mut Held::default()).unwrap(), None);
        assert_eq!(run_line("  # note", &mut Held::default()).unwrap(), None);
        assert_eq!(
            run_line("echo a  b # c", &mut Held::default())
                .unwrap()
                .as_deref(),
            Some("a b")
        );
        assert!(run_line("frobnicate", &mut Held::default()).is_err());
    }
}
