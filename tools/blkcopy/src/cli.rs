// SPDX-License-Identifier: GPL-2.0
//! The command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::failure::EXIT_CODES;
use crate::plan::Wish;
use crate::report::Rest;
use crate::size;

const ABOUT: &str = "\
Copy between block devices, with io_uring or copy_file_range(2).

On a kernel with copy offload, and between places that one device can copy
between, the data never enters memory. Elsewhere the kernel, or this program,
reads and writes; in any case it says which way was taken.

Sizes are bytes or 64K, 4MiB, 1G (powers of 1024).";

const NOTES: &str = "\
Notes:
  A destination file is created if it does not exist, and is never truncated.
  A file that is named like a command is written as ./info.
  Which path was taken is told by the disk's counters in debugfs, which also
  count what others copy on that disk at the same time. Where they cannot be
  read, it is unknown, unless nothing at all was read from the source's disk.

Examples:
  blkcopy info /dev/nvme0n1
  blkcopy info /dev/vg/copy -- cp /dev/vg/origin /dev/vg/copy
  blkcopy /dev/vg/origin /dev/vg/copy --verify
  blkcopy /dev/nvme0n1 /dev/nvme0n1 --src-offset 0 --dst-offset 64G --length 1G
  blkcopy gather /dev/nvme0n1 live-blocks.txt --dst-offset 64G
  blkcopy completions bash > blkcopy.bash
  blkcopy man > blkcopy.1";

#[derive(Debug, Parser)]
#[command(version, about = "Copy between block devices, with io_uring or copy_file_range(2)", long_about = ABOUT)]
#[command(after_help = EXIT_CODES, after_long_help = format!("{EXIT_CODES}\n\n{NOTES}"))]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub copy: Option<CopyArgs>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show a device's limits, whether it can copy inside itself, and why not
    Info(InfoArgs),
    /// Copy many ranges of a device to one place, one after the other
    Gather(GatherArgs),
    /// Write the completions for a shell to standard output
    Completions { shell: Shell },
    /// Write the manual page to standard output
    Man,
}

/// What asks the kernel to copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum EngineKind {
    /// io_uring, if both ends are block devices and the kernel has the command; else copy_file_range
    #[default]
    Auto,
    /// The command BLOCK_URING_CMD_COPY of io_uring
    IoUring,
    /// copy_file_range(2)
    CopyFileRange,
}

impl EngineKind {
    /// The option that chooses it, if one is needed.
    fn option(self) -> Option<String> {
        let value = self.to_possible_value()?;
        (self != Self::Auto).then(|| format!("--engine {}", value.get_name()))
    }
}

#[derive(Debug, Args)]
pub struct InfoArgs {
    /// Block devices: disks or partitions
    #[arg(required = true, value_name = "DEV")]
    pub devices: Vec<PathBuf>,
    /// Print a JSON array with one object for each device
    #[arg(long)]
    pub json: bool,
    /// Run this, and show what the kernel has counted meanwhile
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub struct CopyArgs {
    /// Block device or file to copy from
    #[arg(value_name = "SRC")]
    pub source: PathBuf,
    /// Block device or file to copy to
    #[arg(value_name = "DST")]
    pub destination: PathBuf,
    /// Start here in the source
    #[arg(long, value_name = "SIZE", default_value = "0", value_parser = size::parse)]
    pub src_offset: u64,
    /// Start here in the destination
    #[arg(long, value_name = "SIZE", default_value = "0", value_parser = size::parse)]
    pub dst_offset: u64,
    /// Copy this much [default: to the end of the source]
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub length: Option<u64>,
    /// Ask the kernel for this much at once [default: 32M]
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub chunk: Option<u64>,
    /// What asks the kernel to copy
    #[arg(long, value_enum, default_value = "auto")]
    pub engine: EngineKind,
    /// Have so many copies under way: the depth of the queue of io_uring [default: 4], or threads that call
    /// copy_file_range [default: 1]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// Open both without O_DIRECT: any alignment; the kernel has the device copy long parts that are whole pages
    #[arg(long)]
    pub buffered: bool,
    /// Fail where the device does not copy, rather than read and write: with io_uring, between block devices
    #[arg(long, conflicts_with = "buffered")]
    pub require_offload: bool,
    /// Read source and destination back afterwards and compare them
    #[arg(long)]
    pub verify: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
    /// Print nothing but errors
    #[arg(long, short, conflicts_with = "json")]
    pub quiet: bool,
    /// Write to a device even if it is mounted
    #[arg(long)]
    pub force: bool,
}

impl CopyArgs {
    /// Whether nothing is shown while the copy runs.
    pub fn is_silent(&self) -> bool {
        self.json || self.quiet
    }

    /// The command that copies the rest, for a shell.
    pub fn again(&self, rest: Rest) -> String {
        let mut words = vec![String::from("blkcopy")];
        words.extend([&self.source, &self.destination].map(|path| quoted(path)));
        words.push(rest.to_string());
        words.extend(self.chunk.map(|chunk| format!("--chunk {chunk}")));
        words.extend(self.engine.option());
        words.extend(self.jobs.map(|jobs| format!("--jobs {jobs}")));
        let switches = [
            (self.buffered, "--buffered"),
            (self.require_offload, "--require-offload"),
            (self.verify, "--verify"),
            (self.json, "--json"),
            (self.quiet, "--quiet"),
            (self.force, "--force"),
        ];
        words.extend(given(&switches));
        words.join(" ")
    }

    pub fn wish(&self) -> Wish {
        Wish {
            src_offset: self.src_offset,
            dst_offset: self.dst_offset,
            length: self.length,
            chunk: self.chunk,
        }
    }
}

/// A path as a word for a shell.
fn quoted(path: &Path) -> String {
    shell_words::quote(&path.to_string_lossy()).into_owned()
}

/// The names of the switches that are given.
fn given<'a>(switches: &'a [(bool, &str)]) -> impl Iterator<Item = String> + 'a {
    let given = switches.iter().filter(|(given, _)| *given);
    given.map(|(_, name)| String::from(*name))
}

#[derive(Args, Debug)]
pub struct GatherArgs {
    /// Block device that is written, and read unless --source names another one
    #[arg(value_name = "DEV")]
    pub device: PathBuf,
    /// Files of ranges, one a line, as OFFSET LENGTH or OFFSET+LENGTH; # begins a comment; - is standard input
    #[arg(required = true, value_name = "LIST")]
    pub lists: Vec<PathBuf>,
    /// The ranges are on this device
    #[arg(long, value_name = "DEV")]
    pub source: Option<PathBuf>,
    /// Start here in the destination
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub dst_offset: u64,
    /// Skip the first SIZE bytes of the ranges, which an interrupted gather has copied; --dst-offset stays as it was
    #[arg(long, value_name = "SIZE", default_value = "0", value_parser = size::parse)]
    pub skip: u64,
    /// Have so many commands under way
    #[arg(long, short, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: u16,
    /// Fail where the device does not copy, rather than read and write
    #[arg(long)]
    pub require_offload: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
    /// Print nothing but errors
    #[arg(long, short, conflicts_with = "json")]
    pub quiet: bool,
    /// Write to a device even if it is mounted
    #[arg(long)]
    pub force: bool,
}

impl GatherArgs {
    /// The command that gathers the rest, for a shell.
    pub fn again(&self, rest: Rest) -> String {
        let mut words = vec![String::from("blkcopy gather"), quoted(&self.device)];
        words.extend(self.lists.iter().map(|path| quoted(path)));
        let source = self.source.as_ref();
        words.extend(source.map(|path| format!("--source {}", quoted(path))));
        words.push(format!("--dst-offset {} {rest}", self.dst_offset));
        words.push(format!("--jobs {}", self.jobs));
        words.extend(given(&[
            (self.require_offload, "--require-offload"),
            (self.json, "--json"),
            (self.quiet, "--quiet"),
            (self.force, "--force"),
        ]));
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(args: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("blkcopy").chain(args.split_whitespace()))
    }

    #[test]
    fn a_command_can_be_given_again() {
        let copy = |text: &str| parse(text).unwrap().copy.unwrap();
        let text = "a b --src-offset 1 --chunk 4096 --engine io_uring --jobs 2 --require-offload --verify --force";
        let rest = Rest::Copy {
            src_offset: 9,
            dst_offset: 8,
            length: 7,
        };
        assert_eq!(
            copy(text).again(rest),
            "blkcopy a b --src-offset 9 --dst-offset 8 --length 7 --chunk 4096 --engine io_uring --jobs 2 \
             --require-offload --verify --force"
        );
        let mut odd = copy("a b");
        odd.source = "it's a disk".into();
        let words = shell_words::split(&odd.again(rest)).unwrap();
        assert_eq!(words[..3], ["blkcopy", "it's a disk", "b"]);
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_copy() {
        let cli = parse("/dev/a /dev/b --src-offset 64K --length 1GiB --jobs 4 --verify").unwrap();
        let copy = cli.copy.unwrap();
        assert!(cli.command.is_none());
        let wish = copy.wish();
        assert_eq!((wish.src_offset, wish.dst_offset), (65536, 0));
        assert_eq!(
            (wish.length, wish.chunk, copy.jobs),
            (Some(1 << 30), None, Some(4))
        );
        assert!(copy.verify && !copy.json && !copy.force && !copy.buffered);
    }

    #[test]
    fn info() {
        let cli = parse("info /dev/a /dev/b --json").unwrap();
        let Some(Command::Info(info)) = cli.command else {
            panic!("not info")
        };
        assert!(info.json && info.devices.len() == 2 && info.command.is_empty());
        assert!(cli.copy.is_none());
        let cli = parse("info /dev/a -- cp /dev/b /dev/a --verbose").unwrap();
        let Some(Command::Info(info)) = cli.command else {
            panic!("not info")
        };
        assert_eq!((info.devices.len(), info.command.len()), (1, 4));
    }

    #[test]
    fn gather() {
        let cli = parse("gather /dev/a list - --dst-offset 1G --require-offload").unwrap();
        let Some(Command::Gather(gather)) = cli.command else {
            panic!("not gather")
        };
        assert_eq!((gather.lists.len(), gather.dst_offset), (2, 1 << 30));
        assert!(gather.require_offload && gather.source.is_none());
        assert!(parse("gather /dev/a --dst-offset 0").is_err());
        let text = "gather a l - --source b --dst-offset 1K --skip 5 --jobs 2 --require-offload --quiet --force";
        let Some(Command::Gather(gather)) = parse(text).unwrap().command else {
            panic!("not gather")
        };
        let again = gather.again(Rest::Gather { skip: 9 });
        let wanted = text.replace("1K", "1024").replace("--skip 5", "--skip 9");
        assert_eq!(again, format!("blkcopy {wanted}"));
        let cli = parse("a b --engine io_uring").unwrap();
        assert_eq!(cli.copy.unwrap().engine, EngineKind::IoUring);
    }

    #[test]
    fn wrong_lines() {
        for line in [
            "",
            "/dev/a",
            "info",
            "a b c",
            "a b --length x",
            "a b --jobs 0",
            "a b --what",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn help_names_the_exit_codes() {
        for help in ["-h", "--help"] {
            let err = parse(help).unwrap_err();
            assert_eq!(err.exit_code(), 0);
            assert!(err.to_string().contains("130"));
        }
    }
}
