// SPDX-License-Identifier: GPL-2.0
//! KUnit: the kernel tests itself at boot and writes the results, as KTAP, to its log.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;
use anyhow::Result;

use super::report::Report;
use super::report::Sum;
use crate::build::Context;
use crate::build::Guest;
use crate::build::When;
use crate::guest::boot;
use crate::guest::message;
use crate::guest::plain_job;
use crate::guest::Options;
use crate::guest::Outcome;
use crate::guest::Sink;

/// How the names of our suites begin.
const OURS: &str = "blk_copy";

/// Boots User Mode Linux with KUnit switched on and counts.
pub fn run(context: &Context, report: &mut Report) -> Result<()> {
    let mut options = Options {
        timeout: Duration::from_secs(300),
        ..Options::new(Guest::Um)
    };
    options
        .append
        .push(String::from("kunit.enable=1 kunit.autorun=1"));
    let kernel = crate::build::build(context, options.variant(), When::Changed)?;
    let job = plain_job(context, vec![String::from("true")], context.repo.clone());
    let mut show = |line: &str| println!("      {line}");
    let finished = boot(context, &kernel, &options, &job, Sink::Lines(&mut show))?;
    finished.explain(&options);
    let text = fs::read(&finished.log)
        .with_context(|| format!("cannot read {}", finished.log.display()))?;
    let parsed = parse(&String::from_utf8_lossy(&text));
    for suite in &parsed.suites {
        let failures: Vec<String> = suite
            .failures
            .iter()
            .map(|name| format!("not ok {name}"))
            .collect();
        report.add(&suite.name, suite.sum);
        for failure in failures {
            println!("      {failure}");
        }
    }
    // The kernel brings suites of its own: without ours nothing of ours was tested.
    if !parsed
        .suites
        .iter()
        .any(|suite| suite.name.starts_with(OURS))
    {
        report.fail(
            "KUnit",
            &format!(
                "no suite {OURS}* ran; the log is {}",
                finished.log.display()
            ),
        );
    }
    if let Some(why) = parsed.incomplete {
        report.fail(
            "KUnit",
            &format!("{why}; the log is {}", finished.log.display()),
        );
    }
    if finished.outcome != Outcome::Exit(0) {
        report.fail(
            "KUnit",
            &format!("the guest ended with {:?}", finished.outcome),
        );
    } else if !finished.problems.is_empty() {
        report.fail("KUnit: the kernel's log", &finished.problems.join("\n"));
    }
    Ok(())
}

/// One KUnit suite.
#[derive(Debug, Default, PartialEq, Eq)]
struct SuiteResult {
    name: String,
    sum: Sum,
    failures: Vec<String>,
}

/// All that a log says.
#[derive(Debug, Default)]
struct Parsed {
    suites: Vec<SuiteResult>,
    incomplete: Option<String>,
}

/// Reads the results of a kernel log. A result counts if nothing more deeply indented led to it.
fn parse(log: &str) -> Parsed {
    let mut parsed = Parsed::default();
    let mut current = SuiteResult::default();
    let mut deeper = 0;
    let mut planned = None;
    for line in log.lines() {
        let line = message(line);
        let indent = line.len() - line.trim_start().len();
        let text = line.trim();
        if indent == 0 && planned.is_none() {
            planned = text
                .strip_prefix("1..")
                .and_then(|count| count.parse::<usize>().ok());
        }
        let Some(result) = result_of(text) else {
            continue;
        };
        if indent == 0 {
            let mut suite = std::mem::take(&mut current);
            suite.name = String::from(result.name);
            // A suite without cases of its own, or one that failed as a whole.
            if suite.sum == Sum::default() || (!result.good && suite.sum.failed == 0) {
                count(&mut suite, &result);
            }
            parsed.suites.push(suite);
            deeper = 0;
        } else if indent >= deeper {
            count(&mut current, &result);
            deeper = indent;
        } else {
            // The sum of the parameterized cases above it.
            deeper = indent;
        }
    }
    if planned.is_some_and(|planned| planned != parsed.suites.len()) {
        parsed.incomplete = Some(format!(
            "{} suites were planned, {} came to an end",
            planned.unwrap_or(0),
            parsed.suites.len()
        ));
    }
    parsed
}

struct CaseResult<'a> {
    good: bool,
    skipped: bool,
    name: &'a str,
}

fn result_of(text: &str) -> Option<CaseResult<'_>> {
    let (good, rest) = match text.strip_prefix("not ok ") {
        Some(rest) => (false, rest),
        None => (true, text.strip_prefix("ok ")?),
    };
    let (number, name) = rest.split_once(' ')?;
    number.parse::<u32>().ok()?;
    let skipped = name.contains("# SKIP");
    let name = name.split('#').next().unwrap_or(name).trim();
    Some(CaseResult {
        good,
        skipped,
        name,
    })
}

fn count(suite: &mut SuiteResult, result: &CaseResult<'_>) {
    match (result.good, result.skipped) {
        (_, true) => suite.sum.skipped += 1,
        (true, _) => suite.sum.passed += 1,
        (false, _) => {
            suite.sum.failed += 1;
            suite.failures.push(String::from(result.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
[    0.1] Linux
[    0.2] KTAP version 1
[    0.2] 1..2
[    0.2]     KTAP version 1
[    0.2]     # Subtest: plan
[    0.2]     1..3
[    0.2]     ok 1 one
[    0.2]         KTAP version 1
[    0.2]         # Subtest: many
[    0.2]         ok 1 first
[    0.2]         ok 2 second
[    0.2]     ok 2 many
[    0.2]     not ok 3 bad
[    0.2] # plan: pass:2 fail:1 skip:0 total:3
[    0.2] not ok 1 plan
[    0.3]     # Subtest: range
[    0.3]     ok 1 empty # SKIP no memory
[    0.3] ok 2 range
";

    #[test]
    fn cases_are_counted_once() {
        let parsed = parse(LOG);
        assert_eq!(parsed.suites.len(), 2);
        assert_eq!(
            parsed.suites[0].sum,
            Sum {
                passed: 3,
                failed: 1,
                skipped: 0
            }
        );
        assert_eq!(parsed.suites[0].failures, ["bad"]);
        assert_eq!(
            parsed.suites[1].sum,
            Sum {
                passed: 0,
                failed: 0,
                skipped: 1
            }
        );
        assert_eq!(parsed.incomplete, None);
    }

    #[test]
    fn a_crash_in_the_middle_is_noticed() {
        let (half, _) = LOG.split_once("[    0.3]").unwrap();
        assert!(parse(half).incomplete.is_some());
    }
}
