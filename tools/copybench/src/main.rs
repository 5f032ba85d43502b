// SPDX-License-Identifier: GPL-2.0
//! Times copies. To be run as root in a guest.
//!
//! Times of different machines, or of different boots, say little. So everything is a ratio of ways
//! to copy the same data that take turns in one boot, and a number counts only with evidence of the
//! way the data went.

mod benchmarks;
mod counters;
mod measure;
mod module;
mod passthrough;
mod ratio;
mod report;
mod way;

use std::process::ExitCode;

use anyhow::{bail, Result};
use benchmarks::Name;
use blkcopy::size;
use clap::{value_parser, Parser, ValueEnum};
use evidence::{output, system};
use report::{Entry, Report};

const EXIT_CODES: &str = "\
Exit codes:
  0  all ran, whether or not the targets were met
  1  one could not be run, or took another way than it should
  2  the command line is wrong";

#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
/// Time ways to copy side by side, with evidence of the way that the data went
///
/// Run it as root in a guest: it makes null_blk disks in memory, which it removes again, and for
/// `nvme` it overwrites an NVMe device whose serial number begins with `copy`.
struct Cli {
    /// Which benchmarks; all if none is named
    #[arg(value_enum)]
    names: Vec<Name>,
    /// Timed rounds; in each of them every way gets its turn
    #[arg(long, value_name = "N", default_value_t = 5)]
    #[arg(value_parser = value_parser!(u32).range(1..=99))]
    repeat: u32,
    /// How much `onload` and `nvme` copy in one run
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = size::parse)]
    size: u64,
    /// What a program reads before it writes, in `onload` and `nvme`: as much as the kernel's
    /// engine does
    #[arg(long, value_name = "SIZE", default_value = "64K", value_parser = size::parse)]
    piece: u64,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    output::exit("copybench", run(&Cli::parse()), 1)
}

/// Whether all that was asked for gave a result.
fn run(cli: &Cli) -> Result<bool> {
    if !rustix::process::geteuid().is_root() {
        bail!(
            "this makes disks and traces, so it needs root: run `./x bench`, which boots a guest"
        );
    }
    let say = output::progress(cli.json);
    let options = benchmarks::Options {
        repeat: cli.repeat,
        size: cli.size,
        piece: cli.piece,
    };
    let mut entries = Vec::new();
    for &name in chosen(&cli.names) {
        let label = name
            .to_possible_value()
            .map_or_else(String::new, |value| value.get_name().into());
        say(&label);
        entries.push(match benchmarks::run(name, &options, &say) {
            Ok(result) => Entry::Result(Box::new(result)),
            Err(err) => {
                eprintln!("copybench: {label}: {err:#}");
                let error = format!("{err:#}");
                Entry::Error { name: label, error }
            }
        });
    }
    let complete = entries
        .iter()
        .all(|entry| matches!(entry, Entry::Result(_)));
    let report = Report {
        kernel: system::kernel(),
        repeat: cli.repeat,
        benchmarks: entries,
    };
    output::print(&report, cli.json, Report::human)?;
    Ok(complete)
}

/// Those that are named, each once, in their order; all if none is.
fn chosen(names: &[Name]) -> impl Iterator<Item = &'static Name> + '_ {
    let all = Name::value_variants().iter();
    all.filter(move |name| names.is_empty() || names.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn defaults() {
        let cli = Cli::try_parse_from(["copybench"]).unwrap();
        assert_eq!(
            (cli.repeat, cli.size, cli.piece, cli.json),
            (5, 1 << 30, 65536, false)
        );
        assert_eq!(chosen(&cli.names).count(), 9);
        assert!(Cli::try_parse_from(["copybench", "--repeat", "0"]).is_err());
        assert!(Cli::try_parse_from(["copybench", "unload"]).is_err());
    }

    #[test]
    fn each_is_run_once() {
        let names = [Name::Offload, Name::Chunk, Name::Offload];
        let chosen: Vec<_> = chosen(&names).copied().collect();
        assert_eq!(chosen, [Name::Chunk, Name::Offload]);
    }
}
