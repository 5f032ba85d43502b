// SPDX-License-Identifier: GPL-2.0
//! Times copies. To be run as root in a guest.
//!
//! Times of different machines, or of different boots, say little. So everything is a ratio of ways
//! to copy the same data that take turns in one boot, and a number counts only with evidence of the
//! way the data went.

mod benchmarks;
mod counters;
mod hydration;
mod mapper;
mod measure;
mod module;
mod passthrough;
mod peers;
mod sharing;
mod way;
mod why;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{bail, Context, Result};
use benchmarks::{Effort, Name};
use blkcopy::size;
use clap::{value_parser, Parser, ValueEnum};
use copyreport::{Entry, Report, SCHEMA};
use evidence::{output, system};

const EXIT_CODES: &str = "\
Exit codes:
  0  all ran, whether or not the goals were met
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
    /// Fewer rounds, sizes and points: some minutes
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// More of them: an hour and more
    #[arg(long)]
    full: bool,
    /// Timed rounds; in each of them every way gets its turn [default: 5, quick 3, full 9]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=99))]
    repeat: Option<u32>,
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
    /// Print nothing, and write the JSON object to this file after each benchmark
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    output: Option<PathBuf>,
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
    let options = cli.options();
    let chosen: Vec<Name> = chosen(&cli.names).collect();
    let mut report = Report {
        schema: SCHEMA,
        kernel: system::kernel(),
        repeat: options.repeat,
        machine: None,
        benchmarks: Vec::new(),
    };
    for (number, &name) in (1..).zip(&chosen) {
        let label = name
            .to_possible_value()
            .map_or_else(String::new, |value| value.get_name().into());
        say(&format!("{label} ({number} of {})", chosen.len()));
        let entry = match benchmarks::run(name, &options, &say) {
            Ok(result) => Entry::Result(Box::new(result)),
            Err(err) => {
                eprintln!("copybench: {label}: {err:#}");
                let error = format!("{err:#}");
                Entry::Error { name: label, error }
            }
        };
        report.benchmarks.push(entry);
        // Whatever happens to the next one, this is kept.
        if let Some(path) = &cli.output {
            write(&report, path)?;
        }
    }
    if cli.output.is_none() {
        output::print(&report, cli.json, Report::human)?;
    }
    Ok(report.is_complete())
}

fn write(report: &Report, path: &Path) -> Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    }
    fs::write(path, report.json()?).with_context(|| format!("cannot write {}", path.display()))
}

impl Cli {
    fn options(&self) -> benchmarks::Options {
        let effort = match (self.quick, self.full) {
            (true, _) => Effort::Quick,
            (_, true) => Effort::Full,
            _ => Effort::Normal,
        };
        benchmarks::Options {
            effort,
            repeat: self.repeat.unwrap_or(effort.of(3, 5, 9)),
            size: self.size,
            piece: self.piece,
        }
    }
}

/// Those that are named, each once, in their order; if none is, all that any guest can run.
fn chosen(names: &[Name]) -> impl Iterator<Item = Name> + '_ {
    let all = Name::value_variants().iter();
    all.copied().filter(move |name| match names {
        [] => *name != Name::Instructions,
        names => names.contains(name),
    })
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
        let parse = |words: &str| Cli::try_parse_from(words.split(' '));
        let cli = parse("copybench").unwrap();
        let options = cli.options();
        assert_eq!((options.repeat, options.effort), (5, Effort::Normal));
        assert_eq!((options.size, options.piece), (1 << 30, 65536));
        assert_eq!(chosen(&cli.names).count(), Name::value_variants().len() - 1);
        let quick = parse("copybench --quick").unwrap().options();
        assert_eq!((quick.repeat, quick.effort), (3, Effort::Quick));
        let full = parse("copybench --full --repeat 2").unwrap().options();
        assert_eq!((full.repeat, full.effort), (2, Effort::Full));
        for words in [
            "--repeat 0",
            "unload",
            "--quick --full",
            "--json --output a",
        ] {
            assert!(parse(&format!("copybench {words}")).is_err(), "{words}");
        }
    }

    #[test]
    fn the_host_knows_all_of_them() {
        let names = Name::value_variants().iter();
        let names = names.filter_map(|name| Some(name.to_possible_value()?.get_name().to_owned()));
        assert_eq!(names.collect::<Vec<_>>(), copyreport::BENCHMARKS);
    }

    #[test]
    fn each_is_run_once() {
        let names = [Name::Offload, Name::Chunk, Name::Offload];
        let chosen: Vec<_> = chosen(&names).collect();
        assert_eq!(chosen, [Name::Chunk, Name::Offload]);
    }
}
