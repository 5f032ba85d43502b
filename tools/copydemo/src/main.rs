// SPDX-License-Identifier: GPL-2.0
//! Shows and proves copy offload. To be run as root in a guest.
//!
//! On a disk of its own (null_blk, in memory) it copies a few hundred MiB
//! with `copy_file_range(2)`: within the disk, onto a partition of it, with
//! offload switched off, and once more by reading and writing. What the
//! driver was asked to do is counted from the kernel's trace, and whether the
//! data are right is told by checksums of source and destination. If there is
//! an NVMe device for it, it does the same there, and asks the device too
//! what crossed the bus. If told to, it does the same over a network, and
//! counts the bytes on the wire.

mod content;
mod demo;
mod layout;
mod proof;
mod report;
mod text;

use std::process::ExitCode;

use anyhow::Result;
use blkcopy::size;
use clap::Parser;
use evidence::output;
use report::Report;

const EXIT_CODES: &str = "\
Exit codes:
  0  all claims are proved
  1  it could not be tried
  2  the command line is wrong
  3  a claim failed; the table says which";

#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
/// Copy on a null_blk disk and prove, from the kernel's trace, which way the data went
///
/// Run it as root in a guest: it loads null_blk and makes a disk of twice the
/// size in memory, which it removes again. If an NVMe device has a serial
/// number that begins with `copy`, that one is overwritten: it has rows too.
struct Cli {
    /// How much to copy, in whole MiB
    #[arg(long, value_name = "SIZE", default_value = "256M", value_parser = size::parse)]
    size: u64,
    /// Timed copies for each row, beside the traced one; the median is shown
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    runs: u32,
    /// Seed of the random data
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Only read and write: for a kernel without copy offload
    #[arg(long)]
    baseline: bool,
    /// Fail if there is no NVMe device to copy on
    #[arg(long)]
    nvme: bool,
    /// Copy on a disk over NVMe over TCP as well, and count the bytes on the wire
    ///
    /// A target on this machine serves a disk in memory to it, over a link of
    /// 1 Gbit/s between two network namespaces.
    #[arg(long, conflicts_with_all = ["nvme", "baseline"])]
    fabrics: bool,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    output::exit("copydemo", run(&Cli::parse()), 3)
}

/// Whether everything was proved.
fn run(cli: &Cli) -> Result<bool> {
    let options = demo::Options {
        size: cli.size,
        runs: cli.runs,
        seed: cli.seed,
        baseline: cli.baseline,
        nvme: cli.nvme,
        fabrics: cli.fabrics,
    };
    let report = demo::run(options, &output::progress(cli.json))?;
    output::print(&report, cli.json, Report::human)?;
    Ok(report.proved)
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
        let cli = Cli::try_parse_from(["copydemo"]).unwrap();
        assert_eq!(
            (cli.size, cli.runs, cli.json, cli.baseline),
            (256 << 20, 3, false, false)
        );
        assert!(Cli::try_parse_from(["copydemo", "--runs", "0"]).is_err());
    }
}
