// SPDX-License-Identifier: GPL-2.0
//! `./x test`: every suite adds to one sum, and the last line says it.

mod arch;
mod endian;
mod examples;
mod frames;
mod guest;
mod host;
mod kernel;
mod ktap;
mod off;
mod options;
mod report;
mod series;
mod structure;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::bail;
use anyhow::Result;
use clap::ValueEnum;

use crate::build::Context;
use crate::build::Flavour;
use crate::host::needs::Purpose;
use crate::host::setup;
use crate::ui;
use report::Report;
pub use report::Sum;

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
    /// A choice of them in QEMU, with several processors.
    Qemu,
    /// The Copy command of NVMe devices, in QEMU: only if it is named.
    Nvme,
    /// The kernel with the option off.
    Off,
    /// The kernel for 32-bit Arm builds and links: only if it is named.
    Arch,
    /// Every example of the help texts and of the README: only if it is named.
    Examples,
    /// Each patch of the series builds on those before it: only if it is named.
    Series,
}

/// What is run if nothing is named, in the order that finds mistakes soonest. The others take too long
/// for that.
const ALL: [Suite; 6] = [
    Suite::Host,
    Suite::Kernel,
    Suite::Kunit,
    Suite::Um,
    Suite::Off,
    Suite::Qemu,
];

/// Those that make sense in a debug kernel.
const DEBUG: [Suite; 3] = [Suite::Um, Suite::Qemu, Suite::Nvme];

/// Runs suites and prints the sum; success if nothing failed.
pub fn run(context: &Context, suites: &[Suite], flavour: Flavour) -> Result<ExitCode> {
    let debug = flavour == Flavour::Debug;
    let suites = match suites {
        [] if debug => &DEBUG,
        [] => &ALL[..],
        suites => suites,
    };
    if debug && suites.iter().any(|suite| !DEBUG.contains(suite)) {
        bail!("--debug is for the suites um, qemu and nvme, which have guests that can be slow");
    }
    setup::ensure(&context.cache, &Purpose::ALL)?;
    let start = Instant::now();
    let mut sum = Sum::default();
    for suite in suites {
        let name = suite
            .to_possible_value()
            .map_or_else(String::new, |v| String::from(v.get_name()));
        ui::heading(&format!("Suite {name}"));
        let mut report = Report::new(&name);
        let result = match suite {
            Suite::Host => host::run(context, &mut report),
            Suite::Kernel => kernel::run(context, &mut report),
            Suite::Kunit => ktap::run(context, &mut report),
            Suite::Um => guest::um(context, &mut report, flavour),
            Suite::Qemu => guest::qemu(context, &mut report, flavour),
            Suite::Nvme => guest::nvme(context, &mut report, flavour),
            Suite::Off => off::run(context, &mut report),
            Suite::Arch => arch::run(context, &mut report),
            Suite::Examples => examples::run(context, &mut report),
            Suite::Series => series::run(context, &mut report),
        };
        // A suite that cannot run is a failure; the others still tell something.
        if let Err(error) = result {
            report.fail("the suite itself", &format!("{error:#}"));
        }
        sum += report.finish();
    }
    ui::note(&format!("all in {}", ui::elapsed(start.elapsed())));
    println!("{sum}");
    Ok(if sum.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
