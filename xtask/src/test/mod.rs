// SPDX-License-Identifier: GPL-2.0
//! `./x test`: every suite adds to one sum, and the last line says it.

mod arch;
mod blktests;
#[cfg(test)]
mod cases;
mod configs;
mod endian;
mod examples;
mod failures;
mod frames;
mod guest;
mod host;
mod kernel;
mod ktap;
mod mutants;
mod off;
mod options;
mod report;
mod seeded;
mod series;
mod several;
mod structure;
mod target;
mod team;
mod width;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::ensure;
use anyhow::Result;
use clap::ValueEnum;

use crate::build::Context;
use crate::build::Flavour;
use crate::host::needs::Purpose;
use crate::host::setup;
use crate::host::system::System;
use crate::ui;
use guest::Choice;
pub use mutants::folder as mutants_folder;
use report::Report;
pub use report::Sum;
pub use seeded::folder as seeded_folder;
pub use target::Target;

/// A group of tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// Format, lint, unit and property tests of what runs on this machine.
    Host,
    /// Builds without warnings, in kernel style, and the patch series applies.
    Kernel,
    /// KUnit suites in User Mode Linux.
    Kunit,
    /// All blktests-format tests in User Mode Linux.
    Um,
    /// Those of them with programs of Debian that know nothing of copy offload: only if it is named.
    Clients,
    /// A choice of them in QEMU, with several processors.
    Qemu,
    /// The Copy command of NVMe devices, in QEMU: only if it is named.
    Nvme,
    /// The quick ones of the tests about concurrency, on four processors, in User Mode Linux.
    SmpQuick,
    /// All tests about concurrency, on four processors, in User Mode Linux: only if it is named.
    Smp,
    /// The same in QEMU, in a kernel that is preempted wherever it may be: only if it is named.
    SmpQemu,
    /// All tests on devices that do not offload, which they have to find out: only if it is named.
    NoOffload,
    /// The kernel with the option off.
    Off,
    /// The kernel for 32-bit Arm builds without warnings, and links: only if it is named.
    Arch,
    /// Mutants of the pure core, each of which a test has to find: only if it is named.
    Mutants,
    /// Small kernels without BLK_CGROUP, DEBUG_FS, BLK_DEV_ZONED or MODULES: only if it is named.
    Configs,
    /// Every example of the help texts and of the README: only if it is named.
    Examples,
    /// Each patch of the series builds without warnings on those before it: only if it is named.
    Series,
    /// All blktests-format tests in upstream's tree, by upstream's runner: only if it is named, with --tree.
    Blktests,
}

/// What is run if nothing is named, in the order that finds mistakes soonest. The others take too long
/// for that.
const ALL: [Suite; 7] = [
    Suite::Host,
    Suite::Kernel,
    Suite::Kunit,
    Suite::Um,
    Suite::SmpQuick,
    Suite::Off,
    Suite::Qemu,
];

/// Those that run in a guest, test by test. Each has a debug kernel. The first one is a part of another.
const GUESTS: [Suite; 6] = [
    Suite::SmpQuick,
    Suite::Um,
    Suite::Smp,
    Suite::Qemu,
    Suite::SmpQemu,
    Suite::Nvme,
];

/// Those that have a kernel with KCSAN as well, in the same order.
const KCSAN: [Suite; 5] = [
    Suite::SmpQuick,
    Suite::Smp,
    Suite::Qemu,
    Suite::SmpQemu,
    Suite::Nvme,
];

impl Suite {
    /// What the machine has to have for it.
    fn purposes(self) -> &'static [Purpose] {
        use Purpose::{Blktests, Build, Guest, Programs, Qemu, Style};
        match self {
            Self::Host => &[Style],
            Self::Mutants => &[],
            Self::Arch => &[Build],
            Self::Kernel | Self::Series => &[Build, Style],
            Self::Kunit | Self::Configs => &[Build, Guest],
            Self::Um | Self::Clients | Self::SmpQuick | Self::Smp | Self::Off => {
                &[Build, Guest, Programs]
            }
            Self::Qemu | Self::Nvme | Self::SmpQemu | Self::NoOffload => {
                &[Build, Guest, Qemu, Programs]
            }
            Self::Blktests => &[Build, Guest, Programs, Blktests],
            Self::Examples => &Purpose::ALL,
        }
    }

    /// Why it cannot run on this machine.
    fn cannot(self) -> Option<String> {
        let everywhere = matches!(self, Self::Host | Self::Mutants | Self::Arch);
        System::here().cannot().filter(|_| !everywhere)
    }

    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| String::from(value.get_name()))
    }

    /// Runs it, or only these of its tests.
    fn run(
        self,
        context: &Context,
        report: &mut Report,
        wanted: &Wanted<'_>,
        only: &[String],
    ) -> Result<()> {
        let chosen = Choice {
            flavour: wanted.flavour,
            only,
        };
        if let Some(why) = wanted.skips(self) {
            report.skip("the suite", &why);
            return Ok(());
        }
        match self {
            Self::Host => host::run(context, report),
            Self::Kernel => kernel::run(context, report),
            Self::Kunit => ktap::run(context, report),
            Self::Um => guest::um(context, report, chosen),
            Self::Clients => guest::clients(context, report),
            Self::Qemu => guest::qemu(context, report, chosen),
            Self::Nvme => guest::nvme(context, report, chosen),
            Self::SmpQuick => several::smp_quick(context, report, chosen),
            Self::Smp => several::smp(context, report, chosen),
            Self::SmpQemu => several::smp_qemu(context, report, chosen),
            Self::NoOffload => guest::no_offload(context, report),
            Self::Off => off::run(context, report),
            Self::Arch => arch::run(context, report),
            Self::Mutants => mutants::run(context, report),
            Self::Configs => configs::run(context, report),
            Self::Examples => examples::run(context, report),
            Self::Series => series::run(context, report),
            Self::Blktests => blktests::run(context, report, wanted.tree),
        }
    }
}

/// All suites, but for those whose tests another has as well.
fn every() -> Vec<Suite> {
    let all = Suite::value_variants().iter().copied();
    all.filter(|suite| !matches!(suite, Suite::Clients | Suite::SmpQuick))
        .collect()
}

/// Suites, and tests.
fn sort(targets: &[Target]) -> (Vec<Suite>, Vec<String>) {
    let (mut suites, mut tests) = (Vec::new(), Vec::new());
    for target in targets {
        match target {
            Target::Suite(suite) => suites.push(*suite),
            Target::Test(test) => tests.push(test.clone()),
        }
    }
    (suites, tests)
}

/// Which tests are wanted.
#[derive(Debug)]
pub struct Wanted<'a> {
    pub targets: Vec<Target>,
    /// Every suite.
    pub all: bool,
    pub flavour: Flavour,
    /// A tree of upstream's tests.
    pub tree: Option<&'a Path>,
    /// How often.
    pub rounds: u32,
}

impl Wanted<'_> {
    /// Why a suite is skipped, if it is. A suite that is named runs without a tree, and fails then.
    fn skips(&self, suite: Suite) -> Option<String> {
        let no_tree = self.all && suite == Suite::Blktests && self.tree.is_none();
        no_tree
            .then(|| String::from("give --tree DIR, a clone of blktests"))
            .or_else(|| suite.cannot())
    }
}

/// Runs suites and prints the sum.
pub fn run(context: &Context, wanted: Wanted<'_>) -> Result<ExitCode> {
    let Wanted { rounds, .. } = wanted;
    let (suites, tests) = sort(&wanted.targets);
    let every = every();
    let suites = match suites.as_slice() {
        _ if wanted.all => &every[..],
        [] => match (tests.as_slice(), wanted.flavour) {
            ([], Flavour::Debug) => &GUESTS[1..],
            ([], Flavour::Kcsan) => &KCSAN[1..],
            ([], _) => &ALL[..],
            (_, Flavour::Kcsan) => &[Suite::Smp],
            (_, _) => &[Suite::Um],
        },
        suites => suites,
    };
    let only = |able: &[Suite], what: &str| {
        ensure!(
            suites.iter().all(|suite| able.contains(suite)),
            "{what} for the suites {}",
            able.iter()
                .map(|suite| suite.name())
                .collect::<Vec<_>>()
                .join(", ")
        );
        Ok(())
    };
    if !tests.is_empty() {
        only(&GUESTS, "single tests are")?;
    }
    match wanted.flavour {
        Flavour::Debug => only(&GUESTS, "--debug is")?,
        Flavour::Kcsan => only(&KCSAN, "--kcsan is")?,
        _ => {}
    }
    let possible = suites
        .iter()
        .filter(|suite| wanted.skips(**suite).is_none());
    let purposes: Vec<Purpose> = possible
        .flat_map(|suite| suite.purposes())
        .copied()
        .collect();
    setup::ensure(&context.cache, &purposes)?;
    let start = Instant::now();
    let mut total = Sum::default();
    let mut lines = Vec::new();
    let mut failures = Vec::new();
    let longest = suites.iter().map(|suite| suite.name().len()).max();
    let width = longest.unwrap_or(0)
        + match rounds {
            1 => 0,
            _ => format!(" {rounds}/{rounds}").len(),
        };
    for round in 1..=rounds {
        for suite in suites {
            let name = match rounds {
                1 => suite.name(),
                _ => format!("{} {round}/{rounds}", suite.name()),
            };
            let began = Instant::now();
            let (sum, failed) =
                counted(&name, |report| suite.run(context, report, &wanted, &tests));
            lines.push(format!(
                "{name:width$} {:>12}  {sum}",
                ui::elapsed(began.elapsed())
            ));
            total += sum;
            failures.extend(failed);
        }
        // Another round would write over what this one has left in the logs.
        if total.failed > 0 {
            break;
        }
    }
    if lines.len() > 1 {
        ui::heading("All suites");
        lines.iter().for_each(|line| ui::note(line));
    }
    Ok(tell(total, &failures, start))
}

/// Has the tests find the seeded mistakes, or those with these names, and prints the sum.
pub fn run_seeded(context: &Context, names: &[String]) -> Result<ExitCode> {
    setup::ensure(&context.cache, Suite::Um.purposes())?;
    let start = Instant::now();
    let (sum, failures) = counted("seeded", |report| seeded::run(context, report, names));
    Ok(tell(sum, &failures, start))
}

/// Runs one suite.
fn counted(name: &str, suite: impl FnOnce(&mut Report) -> Result<()>) -> (Sum, Vec<String>) {
    ui::heading(&format!("Suite {name}"));
    let mut report = Report::new(name);
    // A suite that cannot run is a failure; the others still tell something.
    if let Err(error) = suite(&mut report) {
        report.fail("the suite itself", &format!("{error:#}"));
    }
    report.finish()
}

/// Says once more what failed, as hours may have passed since, and the sum; success if nothing failed.
fn tell(sum: Sum, failures: &[String], start: Instant) -> ExitCode {
    if !failures.is_empty() {
        ui::heading("What failed");
        failures
            .iter()
            .for_each(|failure| println!("FAIL  {failure}"));
    }
    ui::note(&format!("all in {}", ui::elapsed(start.elapsed())));
    println!("{sum}");
    if sum.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_suites_name_what_is_skipped() {
        let wanted = |all, tree| Wanted {
            targets: Vec::new(),
            all,
            flavour: Flavour::Normal,
            tree,
            rounds: 1,
        };
        assert!(every().contains(&Suite::Blktests) && !every().contains(&Suite::Clients));
        let here = Suite::Blktests.cannot();
        let skips = |all, tree| wanted(all, tree).skips(Suite::Blktests);
        assert!(skips(true, None).unwrap().contains("--tree DIR"));
        assert_eq!(skips(true, Some(Path::new("blktests"))), here);
        // Who names it wants it: without a tree it fails.
        assert_eq!(skips(false, None), here);
    }
}
