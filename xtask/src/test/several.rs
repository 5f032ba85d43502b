// SPDX-License-Identifier: GPL-2.0
//! The tests about concurrency, in guests with several processors.

use std::time::Duration;

use anyhow::Result;

use super::guest::check;
use super::guest::these;
use super::report::Report;
use crate::build::Context;
use crate::build::Flavour;
use crate::build::Guest;
use crate::build::Kernel;
use crate::build::When;
use crate::guest::boot;
use crate::guest::plain_job;
use crate::guest::Options;
use crate::guest::Outcome;
use crate::guest::Sink;

/// QEMU with four processors. They make most of what can happen between copies happen, on a machine that has two.
pub fn qemu() -> Options {
    Options {
        memory: 3 << 30,
        cpus: 4,
        ..Options::new(Guest::Qemu)
    }
}

/// Those of the tests about concurrency that are quick, or can be, in User Mode Linux with several processors.
pub fn smp_quick(context: &Context, report: &mut Report) -> Result<()> {
    on_several(context, report, Flavour::Normal, &["--smp", "--quick=5"])
}

/// All of them.
pub fn smp(
    context: &Context,
    report: &mut Report,
    flavour: Flavour,
    only: &[String],
) -> Result<()> {
    on_several(context, report, flavour, &these(only, &["--smp"]))
}

fn on_several(
    context: &Context,
    report: &mut Report,
    flavour: Flavour,
    arguments: &[&str],
) -> Result<()> {
    let options = Options {
        timeout: Duration::from_secs(3000),
        memory: 2 << 30,
        cpus: 4,
        ..Options::new(Guest::Um)
    }
    .flavoured(flavour);
    let kernel = crate::build::build(context, options.variant(), When::Changed)?;
    if !starts(context, &kernel, &options)? {
        report.skip(
            "tests on several processors",
            "a guest of User Mode Linux with several does not start on this machine: `./x test smp-qemu` has them, \
             in hours",
        );
        return Ok(());
    }
    check(context, report, &options, arguments)
}

/// Whether a guest comes up as far as its first program. User Mode Linux needs much of the host for several
/// processors, and not each machine has it. A kernel that complains is not the host's fault: the tests shall fail.
fn starts(context: &Context, kernel: &Kernel, options: &Options) -> Result<bool> {
    let limit = Options {
        timeout: Duration::from_secs(60),
        ..Options::new(options.guest)
    };
    let options = Options {
        timeout: limit.flavoured(options.flavour).timeout,
        ..options.clone()
    };
    let job = plain_job(context, vec![String::from("true")], context.repo.clone());
    let finished = boot(context, kernel, &options, &job, Sink::Lines(&mut |_| {}))?;
    Ok(finished.outcome == Outcome::Exit(0) || !finished.problems.is_empty())
}

/// The tests about concurrency, in QEMU with several processors.
pub fn smp_qemu(
    context: &Context,
    report: &mut Report,
    flavour: Flavour,
    only: &[String],
) -> Result<()> {
    let options = Options {
        timeout: Duration::from_secs(5400),
        ..qemu()
    };
    check(
        context,
        report,
        &options.flavoured(flavour),
        &these(only, &["--smp"]),
    )
}

/// The guest's processors share those of a machine that may have fewer, and wake each other by signals. So what goes
/// on alone is slow, and is less: it has been tried on one processor.
pub const ENVIRONMENT: [(&str, &str); 2] = [("COPY_SLOW", "4"), ("COPY_OPS", "2000")];
