// SPDX-License-Identifier: GPL-2.0
//! `./x bench`: ways to copy take turns in a guest, and their ratios are shown.

mod files;
mod machine;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use anyhow::Context as _;
use anyhow::Result;
use clap::builder::PossibleValuesParser;
use clap::value_parser;
use clap::Args;
use copyreport::compare::Comparison;
use copyreport::compare::Verdict;
use copyreport::Report;
use copyreport::BENCHMARKS;

use crate::build::Context;
use crate::build::Guest;
use crate::cli::guest_size;
use crate::guest::Nvme;
use crate::guest::Options;
use crate::host::needs::Purpose;
use crate::host::setup;
use crate::tools;
use crate::ui;
use files::Files;

/// This one wants a device that only QEMU has.
const NVME: &str = "nvme";

/// This one wants a guest whose time counts instructions. Nothing else can be measured there.
const INSTRUCTIONS: &str = "instructions";

/// Where the guest leaves what it has found, and under which name that is found here.
const OUTPUT: &str = "/run/exchange/results/bench.json";
const NAME: &str = "bench.json";

/// How long a guest may take. An emulated machine is slow.
const SHORT: Duration = Duration::from_secs(3600);
const LONG: Duration = Duration::from_secs(6 * 3600);

/// The arguments of the subcommand.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Which benchmarks; all that the guest can run if none is named.
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(BENCHMARKS))]
    names: Vec<String>,
    /// Which kernel runs.
    #[arg(long, value_enum, default_value = "um")]
    guest: Guest,
    /// Its processors [default: 1 in User Mode Linux, 2 in QEMU].
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=8))]
    cpus: Option<u32>,
    #[command(flatten)]
    files: Files,
    /// Fewer rounds, sizes and points: some minutes.
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// More of them: an hour and more.
    #[arg(long)]
    full: bool,
    /// Show what was measured before, from a JSON file, and measure nothing.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["names", "quick", "full", "repeat"])]
    from: Option<PathBuf>,
    /// Compare two JSON files, and measure nothing. If something got slower the status is 1.
    ///
    /// What is not ours tells how fast the machine was each time, which is taken out.
    #[arg(long, num_args = 2, value_names = ["BEFORE", "AFTER"])]
    #[arg(conflicts_with_all = ["names", "quick", "full", "repeat", "from", "html", "json", "csv", "svg"])]
    compare: Vec<PathBuf>,
    /// Timed runs of each way to copy [default: 5, quick 3, full 9].
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=99))]
    repeat: Option<u32>,
    /// How much `onload` and `nvme` copy in one run.
    #[arg(long, value_name = "SIZE", value_parser = guest_size, default_value = "1G")]
    size: u64,
    /// What the program that `onload` and `nvme` are compared with reads before it writes.
    #[arg(long, value_name = "SIZE", value_parser = guest_size, default_value = "64K")]
    piece: u64,
    /// Memory of the guest; the disks are in it.
    #[arg(long, value_name = "SIZE", value_parser = guest_size, default_value = "2G")]
    memory: u64,
}

impl Arguments {
    /// All that can be run, if none was named.
    fn choose(&mut self) -> Result<()> {
        let can_nvme = self.guest == Guest::Qemu;
        if !can_nvme && self.names.iter().any(|name| name == NVME) {
            bail!("User Mode Linux has no NVMe device: add --guest qemu");
        }
        let counts = self.counts_instructions();
        if counts && (self.guest != Guest::Qemu || self.names.len() > 1) {
            bail!(
                "instructions are counted alone, and by QEMU: ./x bench instructions --guest qemu"
            );
        }
        if counts && self.cpus.is_some_and(|cpus| cpus > 1) {
            bail!("instructions are counted on one processor: leave --cpus out");
        }
        if self.names.is_empty() {
            let names = BENCHMARKS.into_iter().filter(|name| *name != INSTRUCTIONS);
            let names = names.filter(|name| can_nvme || *name != NVME);
            self.names = names.map(String::from).collect();
        }
        Ok(())
    }

    fn counts_instructions(&self) -> bool {
        self.names.iter().any(|name| name == INSTRUCTIONS)
    }

    /// The device that is needed: what is copied is in it twice.
    fn nvme(&self) -> Vec<Nvme> {
        let needed = self.names.iter().any(|name| name == NVME);
        let device = needed.then(|| tools::nvme(self.size.saturating_mul(2)));
        device.into_iter().collect()
    }

    /// The words for the program in the guest.
    fn words(&self) -> Vec<String> {
        let mut words = self.names.clone();
        for (name, value) in [
            ("--repeat", self.repeat.map(u64::from)),
            ("--size", Some(self.size)),
            ("--piece", Some(self.piece)),
        ] {
            words.extend(
                value
                    .into_iter()
                    .flat_map(|value| [name.into(), value.to_string()]),
            );
        }
        for (name, given) in [("--quick", self.quick), ("--full", self.full)] {
            words.extend(given.then(|| String::from(name)));
        }
        words.extend(["--output", OUTPUT].map(String::from));
        words
    }

    fn options(&self) -> Options {
        let defaults = Options::new(self.guest);
        let mut options = Options {
            cpus: self.cpus.unwrap_or(defaults.cpus),
            memory: self.memory,
            nvme: self.nvme(),
            timeout: if self.full { LONG } else { SHORT },
            counts_instructions: self.counts_instructions(),
            ..defaults
        };
        options.load_nvme_alone();
        options
    }
}

/// Does what the arguments say.
pub fn run(context: &Context, mut arguments: Arguments) -> Result<ExitCode> {
    if let [before, after] = &*arguments.compare {
        let comparison = Comparison::new(&files::read(before)?, &files::read(after)?);
        println!("{}", comparison.human());
        let slower = comparison.count(Verdict::Slower) > 0;
        return Ok(ExitCode::from(u8::from(slower)));
    }
    arguments.choose()?;
    arguments.files.check()?;
    let (report, status) = match &arguments.from {
        Some(path) => (files::read(path)?, 0),
        None => measure(context, &arguments)?,
    };
    arguments.files.write(&report)?;
    Ok(ExitCode::from(status))
}

/// Builds everything and measures in a guest, whose status is returned as well.
fn measure(context: &Context, arguments: &Arguments) -> Result<(Report, u8)> {
    // Ways to copy, and what they copy on, are programs and devices that those make.
    setup::ensure(&context.cache, &[Purpose::Programs])?;
    let options = arguments.options();
    let ran = tools::bench(context, &options, arguments.words())?;
    let path = tools::results(context, &ran.kernel).join(NAME);
    let report = files::read(&path);
    let mut report = report.context("nothing was measured: the reason is above")?;
    report.machine = Some(machine::machine(context, &ran.kernel, &options)?);
    let count = arguments.names.len() - report.benchmarks.len();
    if count > 0 {
        ui::note(&format!("{count} benchmarks were not run"));
    }
    Ok((report, ran.status))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[test]
    fn the_guest_is_told() {
        let words = "bench chunk offload --repeat 3 --size 64M --quick --guest qemu";
        let cli = Cli::try_parse_from(words.split(' ')).unwrap();
        assert_eq!(cli.arguments.guest, Guest::Qemu);
        let expected = "chunk offload --repeat 3 --size 67108864 --piece 65536 --quick --output \
                        /run/exchange/results/bench.json";
        assert_eq!(cli.arguments.words().join(" "), expected);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for words in [
            "bench unload",
            "bench --repeat 0",
            "bench --size none",
            "bench --quick --full",
            "bench --compare a",
            "bench --compare a b --html c",
            "bench chunk --from a",
        ] {
            assert!(Cli::try_parse_from(words.split(' ')).is_err(), "{words}");
        }
    }

    #[test]
    fn nvme_is_for_qemu() {
        let parse = |words: &str| {
            let mut arguments = Cli::try_parse_from(words.split(' ')).unwrap().arguments;
            arguments.choose().map(|()| arguments)
        };
        assert!(parse("bench nvme").is_err());
        assert!(parse("bench stacks snapshot").is_ok());
        let all = parse("bench --guest um").unwrap();
        assert_eq!((all.names.len(), all.nvme().len()), (14, 0));
        let all = parse("bench --guest qemu --size 1G").unwrap();
        assert_eq!((all.names.len(), all.nvme().len()), (15, 1));
        assert_eq!(all.nvme()[0].size, 2 << 30);
    }

    #[test]
    fn instructions_are_counted_alone() {
        let parse = |words: &str| {
            let mut arguments = Cli::try_parse_from(words.split(' ')).unwrap().arguments;
            arguments.choose().map(|()| arguments.options())
        };
        assert!(parse("bench instructions").is_err());
        assert!(parse("bench instructions small --guest qemu").is_err());
        assert!(parse("bench instructions --guest qemu --cpus 2").is_err());
        assert!(parse("bench instructions --guest qemu --cpus 1").is_ok());
        let options = parse("bench instructions --guest qemu").unwrap();
        assert!(options.counts_instructions);
        assert!(!parse("bench --guest qemu").unwrap().counts_instructions);
    }
}
