// SPDX-License-Identifier: GPL-2.0
//! Tests in blktests format, run by `tests/check` inside a guest.

use std::time::Duration;

use anyhow::Result;

use super::report::Report;
use super::report::Sum;
use crate::build::Context;
use crate::build::Guest;
use crate::build::When;
use crate::guest::boot;
use crate::guest::plain_job;
use crate::guest::Options;
use crate::guest::Outcome;
use crate::guest::Sink;
use crate::tools;

/// All tests in User Mode Linux.
pub fn um(context: &Context, report: &mut Report) -> Result<()> {
    let options = Options {
        timeout: Duration::from_secs(1500),
        ..Options::new(Guest::Um)
    };
    check(context, report, &options, &[])
}

/// The smoke tests in QEMU.
pub fn qemu(context: &Context, report: &mut Report) -> Result<()> {
    let options = Options {
        timeout: Duration::from_secs(900),
        memory: 2 << 30,
        ..Options::new(Guest::Qemu)
    };
    check(context, report, &options, &["--smoke"])
}

/// Runs `tests/check` with some arguments and adds its results.
pub fn check(
    context: &Context,
    report: &mut Report,
    options: &Options,
    arguments: &[&str],
) -> Result<()> {
    if !context.repo.join("tests/check").is_file() {
        report.skip("tests/check", "the repository has no such tests");
        return Ok(());
    }
    tools::build(context)?;
    let kernel = crate::build::build(context, options.variant(), When::Changed)?;
    let mut command = vec![String::from("tests/check"), String::from("--results")];
    command.push(String::from("/run/exchange/results"));
    command.extend(arguments.iter().map(|word| String::from(*word)));
    let job = plain_job(context, command, context.repo.clone());
    let mut sum = None;
    let mut show = |line: &str| match Sum::parse(line) {
        Some(found) => sum = Some(found),
        None => println!("      {line}"),
    };
    let finished = boot(context, &kernel, options, &job, Sink::Lines(&mut show))?;
    finished.explain(options);
    let name = format!("tests in {}", kernel.variant);
    match sum {
        Some(sum) => report.add(&name, sum),
        None => report.fail(
            &name,
            &format!("no results; the log is {}", finished.log.display()),
        ),
    }
    // The tests themselves may all pass in a kernel that complains.
    let failed = sum.is_some_and(|sum| sum.failed > 0);
    if !finished.problems.is_empty() {
        report.fail(
            &format!("{name}: the kernel's log"),
            &finished.problems.join("\n"),
        );
    } else if sum.is_some() && !failed && finished.outcome != Outcome::Exit(0) {
        report.fail(
            &name,
            &format!("the guest ended with {:?}", finished.outcome),
        );
    }
    Ok(())
}
