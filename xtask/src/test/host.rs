// SPDX-License-Identifier: GPL-2.0
//! The host workspace: formatted, free of clippy's complaints, and tested; and how the engine is built.

use std::process::Command;

use anyhow::Result;

use super::options;
use super::report::Report;
use super::report::Sum;
use super::seeded;
use super::structure;
use super::width;
use crate::build::Context;
use crate::host::command::logged;
use crate::host::command::tail;
use crate::overlay;
use crate::overlay::Series;
use crate::source;
use crate::tools;
use crate::ui::Step;

/// Runs the suite.
pub fn run(context: &Context, report: &mut Report) -> Result<()> {
    check(
        context,
        report,
        "fmt",
        &["fmt", "--all", "--", "--check", "--color", "never"],
    );
    let clippy = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ];
    check(context, report, "clippy", &clippy);
    options::run(&context.repo, report);
    structure::run(&context.repo, report);
    width::run(&context.repo, report);
    seeded::check(context, source::cached(&context.cache)?.as_ref(), report);
    let pinned = overlay::pinned::complaints(&context.repo, &Series::load(&context.repo)?)?;
    report.judge(
        "the checksums are of the files that the series changes",
        &pinned,
    );
    tests(context, report);
    Ok(())
}

fn cargo(context: &Context, arguments: &[&str]) -> Command {
    let mut command = tools::cargo(context);
    command.args(arguments);
    command
}

/// A command that says nothing when all is well; one that does not exist is skipped.
fn check(context: &Context, report: &mut Report, name: &str, arguments: &[&str]) {
    let known = cargo(context, &[name, "--version"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !known {
        report.skip(name, "this Cargo does not have it");
        return;
    }
    let log = context.cache.logs().join(format!("host-{name}.log"));
    let step = Step::new(format!("cargo {name}"));
    let result = logged(&mut cargo(context, arguments), &log, "", |_| {});
    step.done_quietly();
    match result {
        Ok(()) => report.pass(&format!("cargo {name}")),
        Err(_) => report.fail(&format!("cargo {name}"), &tail(&log, 40)),
    }
}

fn tests(context: &Context, report: &mut Report) {
    let log = context.cache.logs().join("host-test.log");
    let mut step = Step::new("cargo test");
    let mut sum = Sum::default();
    let mut count = 0;
    let mut command = cargo(context, &["test", "--workspace", "--no-fail-fast"]);
    let result = logged(&mut command, &log, "", |line| {
        count += 1;
        step.update(count, line.trim());
        if let Some(result) = results(line) {
            sum += result;
        }
    });
    step.done_quietly();
    // A test program that died or did not compile gives no line of results.
    if result.is_err() && sum.failed == 0 {
        report.fail("cargo test", &tail(&log, 40));
    } else if sum.failed > 0 {
        println!("{}", tail(&log, 60));
    }
    report.add("cargo test", sum);
}

/// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; ...`.
fn results(line: &str) -> Option<Sum> {
    let rest = line.strip_prefix("test result: ")?;
    let number = |name: &str| {
        let before = rest.split(name).next()?;
        before.split_whitespace().next_back()?.parse::<u64>().ok()
    };
    Some(Sum {
        passed: number(" passed")?,
        failed: number(" failed")?,
        skipped: number(" ignored")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_results_are_read() {
        let line = "test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out";
        assert_eq!(
            results(line),
            Some(Sum {
                passed: 3,
                failed: 2,
                skipped: 1
            })
        );
        assert_eq!(results("running 3 tests"), None);
    }
}
