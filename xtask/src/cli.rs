// SPDX-License-Identifier: GPL-2.0
//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use clap::Parser;
use clap::Subcommand;

use crate::bench;
use crate::build::Flavour;
use crate::build::Guest;
use crate::guest;
use crate::guest::Nvme;
use crate::guest::Options;
use crate::places;
use crate::test::Target;

mod dispatch;

pub use dispatch::dispatch;

/// What the environment can say.
const ENVIRONMENT: &str = "\
Environment:
  COPY_OFFLOAD_CACHE       the cache folder
  COPY_OFFLOAD_RUSTC       the Rust compiler for the kernel; its library's source must be there
  COPY_OFFLOAD_KERNEL_URL  a mirror of https://cdn.kernel.org/pub/linux/kernel";

/// Copy offload for the Linux block layer: from a fresh clone to a kernel that copies.
///
/// Every step fetches, builds and installs what it needs first, so start with `./x demo`. What is
/// made is kept in a cache folder ($COPY_OFFLOAD_CACHE, else ~/.cache/copy-offload); the repository
/// itself is only read.
#[derive(Debug, Parser)]
#[command(
    name = "x",
    bin_name = "./x",
    max_term_width = 100,
    disable_version_flag = true
)]
#[command(after_help = ENVIRONMENT)]
#[command(infer_subcommands = true, arg_required_else_help = true)]
pub struct Cli {
    /// Take the kernel's source from this folder or tarball (any 7.3.y) instead of fetching it.
    ///
    /// It is copied into the cache and stays the source from then on.
    #[arg(long, global = true, value_name = "DIR|TARBALL")]
    linux: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install what is missing: packages, compilers, bindgen, QEMU.
    ///
    /// It says what it will install and asks on a terminal. It works as root or through sudo, and
    /// where it may not install anything it prints the exact packages.
    Setup {
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
    },

    /// Show what is there and what is missing, and whether KVM really runs a guest.
    Doctor,

    /// Get the kernel's source and put our work over it.
    ///
    /// Only files whose content changed are written, so a build after it compiles no more than it
    /// must. If a hook patch does not fit, the tree stays as it was.
    Linux,

    /// Carry what was edited in the kernel's tree back into the repository.
    ///
    /// The tree of `./x path linux` is a git repository of the files that the series touches: what
    /// `git diff` shows there goes into our files and hook patches. Until then no command lays the
    /// series over the tree, for the edit would be lost.
    #[command(
        after_help = "Example:\n  $EDITOR $(./x path linux)/block/blk-core.c\n  ./x refresh\n  git diff"
    )]
    Refresh,

    /// Build a kernel (User Mode Linux unless told otherwise).
    ///
    /// The first build takes minutes, the next ones what an edit costs. The full log is in
    /// `./x path logs`.
    Build {
        /// For which guest.
        #[arg(value_enum, default_value = "um")]
        guest: Guest,
        #[command(flatten)]
        flavour: FlavourArgs,
    },

    /// Boot a guest, run a command in it as root, and return its exit status.
    ///
    /// The guest sees this machine's files; what it writes is gone when it ends. One word after
    /// `--` is a shell script, several are a program and its arguments. Status 124 means that the
    /// time limit was over, 123 that the kernel crashed or complained: for `git bisect run` both are
    /// failures.
    #[command(
        after_help = "Examples:\n  ./x run --module null_blk,memory_backed=1 -- lsblk\n  ./x run --guest qemu --nvme 1G,mssrl=256,mcl=2048,msrc=127 -- 'nvme id-ns /dev/nvme0n1'"
    )]
    Run {
        #[command(flatten)]
        guest: GuestArgs,
        /// Stop the guest after this time (90s, 10m, 1h).
        #[arg(long, value_name = "TIME", value_parser = guest_duration, default_value = "10m")]
        timeout: Duration,
        /// Do not fail when the kernel logs a warning.
        #[arg(long)]
        allow_warnings: bool,
        /// What to run in the guest.
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },

    /// Boot a guest and open a shell in it.
    Shell {
        #[command(flatten)]
        guest: GuestArgs,
    },

    /// Show that it works: copy real data in a guest and prove that no byte of it was read.
    ///
    /// Builds everything first. With `--guest qemu` it copies on an NVMe device as well. What follows
    /// goes to the demo itself: `./x demo -- --help`.
    #[command(
        after_help = "Examples:\n  ./x demo\n  ./x demo --guest qemu\n  ./x demo --json --size 64M"
    )]
    Demo {
        /// Which kernel runs.
        #[arg(long, value_enum, default_value = "um")]
        guest: Guest,
        /// Arguments of the demo, such as --json.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },

    /// Run tests: those suites that are named, or all that do not ask to be.
    ///
    /// The last line is `N passed, N failed, N skipped`.
    #[command(
        after_help = "Examples:\n  ./x test\n  ./x test kunit um\n  ./x test um block/036\n  ./x test --debug um\n  ./x test --seeded split-ignored"
    )]
    Test {
        /// Which suites; and of those that have a guest (um, smp-quick, smp, qemu, smp-qemu, nvme), only these tests.
        #[arg(value_name = "SUITE|TEST", value_parser = Target::parser())]
        targets: Vec<Target>,
        /// All suites, those that otherwise have to be named as well: takes hours.
        #[arg(long, conflicts_with_all = ["targets", "debug", "kcsan", "seeded"])]
        all: bool,
        /// Kernels with lockdep, KASAN, kmemleak and the like, for um, smp, qemu, smp-qemu and nvme, in hours, or
        /// for smp-quick.
        #[arg(long)]
        debug: bool,
        /// Kernels with KCSAN, which looks for data races, for smp, qemu, smp-qemu and nvme, in hours, or for
        /// smp-quick.
        #[arg(long, conflicts_with = "debug")]
        kcsan: bool,
        /// Make the mistakes of `tests/seeded` in the kernel, or those that are named, and see that the tests find
        /// them.
        ///
        /// Each takes a build and a guest, all of them one to two hours. What was found is remembered: a run that was stopped
        /// goes on.
        #[arg(long, value_name = "NAME", num_args = 0.., conflicts_with_all = ["targets", "debug", "kcsan"])]
        seeded: Option<Vec<String>>,
        /// A tree of upstream's blktests, for the suite blktests; it is only read.
        #[arg(long, value_name = "DIR")]
        tree: Option<PathBuf>,
        /// Run the suites N times. Stop after the first round in which something fails.
        #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "seeded")]
        #[arg(value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
    },

    /// Measure copies: ways to copy take turns in one guest, and their ratios are shown.
    ///
    /// A number counts only with evidence of the way that the data went; without it the status is 1.
    #[command(
        after_help = "Examples:\n  ./x bench --quick\n  ./x bench chunk --repeat 15 --json -\n  ./x bench uring --html /tmp/bench.html --csv /tmp/bench.csv"
    )]
    Bench(bench::Arguments),

    /// Write the work as patches that `git am` takes onto a pristine kernel.
    ///
    /// Each mailed series has a folder of its own, with a cover letter if series.toml has one. The
    /// patches are signed off by the user.name and user.email of git. Those that an earlier run left
    /// in the folders are replaced.
    #[command(
        after_help = "Example:\n  ./x series /tmp/series\n  git am --empty=drop /tmp/series/um/*.patch /tmp/series/block/*.patch"
    )]
    Series {
        /// Where the folders go.
        dir: PathBuf,
    },

    /// Print the folder of something, for scripts.
    #[command(after_help = "Example:\n  less $(./x path logs)/build-um.log")]
    Path {
        /// Of what: the kernel's source, a build, or the logs.
        #[arg(value_parser = clap::builder::PossibleValuesParser::new(places::names()))]
        name: String,
    },

    /// Remove things from the cache: all that was built, or what is named.
    ///
    /// Without names the builds go and the kernel's source stays.
    Clean {
        /// What to remove.
        #[arg(value_parser = clap::builder::PossibleValuesParser::new(places::cleanable()))]
        names: Vec<String>,
    },
}

#[derive(Args, Clone, Copy, Debug)]
struct FlavourArgs {
    /// With lockdep, KASAN, kmemleak and the like: slow, and finds mistakes.
    #[arg(long)]
    debug: bool,
    /// With KCSAN, which looks for data races, in Rust as well: slow.
    #[arg(long, conflicts_with = "debug")]
    kcsan: bool,
    /// Our kernel with the option CONFIG_BLK_COPY_OFFLOAD off.
    #[arg(long, conflicts_with_all = ["debug", "kcsan"])]
    off: bool,
}

impl FlavourArgs {
    fn flavour(self) -> Flavour {
        match self {
            Self { debug: true, .. } => Flavour::Debug,
            Self { kcsan: true, .. } => Flavour::Kcsan,
            Self { off: true, .. } => Flavour::Off,
            _ => Flavour::Normal,
        }
    }
}

#[derive(Args, Clone, Debug)]
struct GuestArgs {
    /// Which kernel runs.
    #[arg(long, value_enum, default_value = "um")]
    guest: Guest,
    #[command(flatten)]
    flavour: FlavourArgs,
    /// Processors; several in User Mode Linux want a host where it works with seccomp [default: 1,
    /// 2 in QEMU].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    cpus: Option<u32>,
    /// Memory, such as 512M or 2G.
    #[arg(long, value_name = "SIZE", value_parser = guest_size, default_value = "1G")]
    memory: u64,
    /// Add words to the kernel's command line.
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true)]
    append: Vec<String>,
    /// Load a module before the command starts.
    #[arg(long = "module", value_name = "NAME[,PARAM=VALUE...]")]
    modules: Vec<String>,
    /// Add an NVMe device (QEMU) with the serial number copy0, copy1, ...
    ///
    /// Its driver is loaded, and the command starts when all such devices are there.
    ///
    /// `mssrl`, `mcl` and `msrc` are the limits of its Copy command in blocks and ranges;
    /// `logical_block_size`, `ms`, `mset` and `pi` say what its blocks are like; with `zone_size` it
    /// has zones; `bps` bytes a second are all that it reads and writes; `streams` is the number of
    /// its write streams (QEMU 8.1 or later); `paths` is the number of controllers that lead to it.
    #[arg(long, value_name = "SIZE[,mssrl=N][,mcl=N][,msrc=N][,...]")]
    nvme: Vec<Nvme>,
}

impl GuestArgs {
    fn options(self) -> Options {
        let defaults = Options::new(self.guest);
        let mut options = Options {
            flavour: self.flavour.flavour(),
            cpus: self.cpus.unwrap_or(defaults.cpus),
            memory: self.memory,
            append: self.append,
            modules: self.modules,
            nvme: self.nvme,
            ..defaults
        };
        options.load_nvme();
        options
    }
}

pub fn guest_size(text: &str) -> Result<u64> {
    guest::size(text)
}

fn guest_duration(text: &str) -> Result<Duration> {
    guest::duration(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_test_can_be_named() {
        for words in [
            "x test um block/036",
            "x test nvme/050",
            "x test host kernel",
            "x test --seeded",
            "x test --seeded one two",
        ] {
            assert!(Cli::try_parse_from(words.split(' ')).is_ok(), "{words}");
        }
        let error = Cli::try_parse_from(["x", "test", "umm"]).unwrap_err();
        assert!(error.to_string().contains("kunit"), "{error}");
    }

    #[test]
    fn a_run_is_understood() {
        let words =
            "x run --guest qemu --cpus 4 --nvme 1G,mcl=8 --nvme 64M,paths=2 --timeout 5m -- echo a";
        let cli = Cli::try_parse_from(words.split(' ')).unwrap();
        let Command::Run {
            guest,
            timeout,
            command,
            ..
        } = cli.command
        else {
            panic!()
        };
        let options = guest.options();
        assert_eq!((options.cpus, options.nvme.len()), (4, 2));
        assert!(Cli::try_parse_from("x run --cpus 0 -- true".split(' ')).is_err());
        assert_eq!(options.modules, ["nvme"]);
        assert_eq!((timeout.as_secs(), command.len()), (300, 2));
    }
}
