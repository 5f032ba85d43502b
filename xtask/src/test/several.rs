// SPDX-License-Identifier: GPL-2.0
//! The tests about concurrency, in guests with several processors.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::guest::check;
use super::guest::names;
use super::guest::words;
use super::guest::Choice;
use super::report::Report;
use crate::build::Context;
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
pub fn smp_quick(context: &Context, report: &mut Report, chosen: Choice<'_>) -> Result<()> {
    let options = Options {
        // A test that is named runs, quick or not.
        check: if chosen.only.is_empty() {
            vec!["--quick=5"]
        } else {
            Vec::new()
        },
        ..um()
    };
    let tests = about_concurrency(&context.repo, |text| {
        has(text, "QUICK=1") || has(text, "TIMED=1")
    })?;
    on_several(context, report, options, chosen, &words(&tests))
}

/// All of them.
pub fn smp(context: &Context, report: &mut Report, chosen: Choice<'_>) -> Result<()> {
    let tests = about_concurrency(&context.repo, |_| true)?;
    on_several(context, report, um(), chosen, &words(&tests))
}

/// User Mode Linux with several.
fn um() -> Options {
    Options {
        timeout: Duration::from_secs(3000),
        memory: 2 << 30,
        cpus: 4,
        ..Options::new(Guest::Um)
    }
}

/// The names of the tests about concurrency, as far as they are wanted.
fn about_concurrency(repo: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<String>> {
    let wanted = |text: &str| has(text, "SMP=1") && wanted(text);
    let mut tests = names(repo, "block", wanted)?;
    tests.extend(names(repo, "nvme", wanted)?);
    Ok(tests)
}

/// Whether a test has this line.
fn has(text: &str, line: &str) -> bool {
    text.lines().any(|found| found == line)
}

fn on_several<'a>(
    context: &Context,
    report: &mut Report,
    options: Options,
    chosen: Choice<'a>,
    all: &[&'a str],
) -> Result<()> {
    let options = options.flavoured(chosen.flavour);
    let kernel = crate::build::build(context, options.variant(), When::Changed)?;
    if !starts(context, &kernel, &options)? {
        report.skip(
            "tests on several processors",
            "a guest of User Mode Linux with several does not start on this machine: `./x test smp-qemu` has them, \
             in hours",
        );
        return Ok(());
    }
    check(context, report, &options, &chosen.tests(all))
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
pub fn smp_qemu(context: &Context, report: &mut Report, chosen: Choice<'_>) -> Result<()> {
    let options = Options {
        timeout: Duration::from_secs(5400),
        ..qemu()
    };
    chosen.check(context, report, options, &["--smp"])
}

/// Four processors share those of a machine that may have fewer, and wake each other by signals. So tests have more time,
/// and random ones make fewer operations: the suite um makes all of them.
pub const ENVIRONMENT: [(&str, &str); 2] = [("COPY_SLOW", "4"), ("COPY_OPS", "2000")];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_about_concurrency_are_found() {
        let repo = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let all = about_concurrency(&repo, |_| true).unwrap();
        assert!(all.contains(&String::from("block/065")), "{all:?}");
        assert!(all.contains(&String::from("nvme/064")), "{all:?}");
        assert!(!all.contains(&String::from("block/035")), "{all:?}");
    }
}
