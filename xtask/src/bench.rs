// SPDX-License-Identifier: GPL-2.0
//! `./x bench`: ways to copy take turns in a guest, and their ratios are shown.

use std::process::ExitCode;

use anyhow::bail;
use anyhow::Result;
use clap::builder::PossibleValuesParser;
use clap::value_parser;
use clap::Args;

use crate::build::Context;
use crate::build::Guest;
use crate::cli::guest_size;
use crate::guest::Nvme;
use crate::guest::Options;
use crate::tools;

/// What can be measured. The guest knows them too, but need not boot for a mistyped word.
const NAMES: [&str; 9] = [
    "chunk",
    "range",
    "processes",
    "onload",
    "uring",
    "offload",
    "buffered",
    "fabrics",
    NVME,
];

/// It wants a device that only QEMU has.
const NVME: &str = "nvme";

/// The arguments of the subcommand.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Which benchmarks; all that the guest can run if none is named.
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(NAMES))]
    names: Vec<String>,
    /// Which kernel runs.
    #[arg(long, value_enum, default_value = "um")]
    guest: Guest,
    /// Print one JSON object instead of tables.
    #[arg(long)]
    json: bool,
    /// Timed runs of each way to copy.
    #[arg(long, value_name = "N", default_value_t = 5)]
    #[arg(value_parser = value_parser!(u32).range(1..=99))]
    repeat: u32,
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
        if self.names.is_empty() {
            let names = NAMES.into_iter().filter(|name| can_nvme || *name != NVME);
            self.names = names.map(String::from).collect();
        }
        Ok(())
    }

    /// The device that is needed: what is copied is in it twice.
    fn nvme(&self) -> Vec<Nvme> {
        let needed = self.names.iter().any(|name| name == NVME);
        let device = needed.then(|| tools::nvme(self.size.saturating_mul(2)));
        device.into_iter().collect()
    }

    /// The words for the program in the guest.
    fn words(self) -> Vec<String> {
        let mut words = self.names;
        for (name, value) in [
            ("--repeat", u64::from(self.repeat)),
            ("--size", self.size),
            ("--piece", self.piece),
        ] {
            words.extend([String::from(name), value.to_string()]);
        }
        words.extend(self.json.then(|| String::from("--json")));
        words
    }
}

/// Builds everything and measures in a guest.
pub fn run(context: &Context, mut arguments: Arguments) -> Result<ExitCode> {
    arguments.choose()?;
    let options = Options {
        memory: arguments.memory,
        nvme: arguments.nvme(),
        ..Options::new(arguments.guest)
    };
    tools::bench(context, options, arguments.words())
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
        let words = "bench chunk offload --repeat 3 --size 64M --json --guest qemu";
        let cli = Cli::try_parse_from(words.split(' ')).unwrap();
        assert_eq!(cli.arguments.guest, Guest::Qemu);
        let expected = "chunk offload --repeat 3 --size 67108864 --piece 65536 --json";
        assert_eq!(cli.arguments.words().join(" "), expected);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for words in ["bench unload", "bench --repeat 0", "bench --size none"] {
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
        let all = parse("bench --guest um").unwrap();
        assert_eq!((all.names.len(), all.nvme().len()), (8, 0));
        let all = parse("bench --guest qemu --size 1G").unwrap();
        assert_eq!((all.names.len(), all.nvme().len()), (9, 1));
        assert_eq!(all.nvme()[0].size, 2 << 30);
    }
}
