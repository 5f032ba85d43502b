// SPDX-License-Identifier: GPL-2.0
//! KUnit: the kernel tests itself at boot and writes the results, as KTAP, to its log. `kunit.py` of the kernel reads
//! them, as it does for everybody else, and takes our `.kunitconfig`.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::bail;
use anyhow::Context as _;
use anyhow::Result;
use serde::Deserialize;

use super::report::Report;
use super::report::Sum;
use crate::build::Context;
use crate::build::Guest;
use crate::build::Variant;
use crate::build::When;
use crate::build::Work;
use crate::guest::boot;
use crate::guest::plain_job;
use crate::guest::Options;
use crate::guest::Outcome;
use crate::guest::Sink;
use crate::ui::Step;

/// How the names of our suites begin.
const OURS: &str = "blk_copy";

/// The folder with our `.kunitconfig`.
const CONFIG: &str = "block/copy";

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
    let lock = context.cache.lock()?;
    let work = Work::new(context, Variant::UM)?;
    configure(&work, report)?;
    let results = parse(&work.tree.dir, &finished.log)?;
    drop(lock);
    for suite in &results.all.sub_groups {
        report.add(&suite.name, suite.misc.sum());
    }
    let all = &results.all.misc;
    // The kernel brings suites of its own: without ours nothing of ours was tested.
    let mut suites = results.all.sub_groups.iter();
    if !suites.any(|suite| suite.name.starts_with(OURS)) {
        let log = finished.log.display();
        report.fail("KUnit", &format!("no suite {OURS}* ran; the log is {log}"));
    }
    if all.failed + all.crashed + all.errors > 0 {
        println!("{}", results.failures());
    }
    if all.errors > 0 {
        report.fail("KUnit", "the results are not complete");
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

/// The kernel's own program for KUnit.
fn kunit(tree: &Path) -> Command {
    let mut command = Command::new("python3");
    command
        .current_dir(tree)
        // It leaves nothing in the tree.
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg("tools/testing/kunit/kunit.py");
    command
}

/// Has it make a configuration of ours, which fails if an option does not make it in there.
fn configure(work: &Work<'_>, report: &mut Report) -> Result<()> {
    let dir = tempfile::tempdir().context("cannot create a temporary folder")?;
    let mut command = kunit(&work.tree.dir);
    let variables = work.compilers(&mut command)?;
    command
        .args(["config", "--kunitconfig", CONFIG, "--build_dir"])
        .arg(dir.path())
        .args(
            variables
                .iter()
                .map(|text| format!("--make_options={text}")),
        );
    let step = Step::new("Configuring a kernel for KUnit");
    let output = command.output().context("cannot run kunit.py")?;
    step.done_quietly();
    let name = format!("kunit.py takes {CONFIG}/.kunitconfig");
    if output.status.success() {
        report.pass(&name);
    } else {
        report.fail(&name, &String::from_utf8_lossy(&output.stdout));
    }
    Ok(())
}

/// What `kunit.py` makes of a log.
struct Results {
    all: Group,
    /// For people.
    text: String,
}

impl Results {
    fn failures(&self) -> String {
        let marks = ["[FAILED]", "[CRASHED]", "[ERROR]"];
        let lines = self.text.lines();
        let found = lines.filter(|line| marks.iter().any(|mark| line.contains(mark)));
        found.fold(String::new(), |text, line| format!("{text}      {line}\n"))
    }
}

/// A suite, or all of them.
#[derive(Debug, Deserialize)]
struct Group {
    name: String,
    sub_groups: Vec<Group>,
    misc: Counts,
}

#[derive(Debug, Deserialize)]
struct Counts {
    passed: u64,
    failed: u64,
    crashed: u64,
    skipped: u64,
    errors: u64,
}

impl Counts {
    fn sum(&self) -> Sum {
        Sum {
            passed: self.passed,
            failed: self.failed + self.crashed,
            skipped: self.skipped,
        }
    }
}

fn parse(tree: &Path, log: &Path) -> Result<Results> {
    let dir = tempfile::tempdir().context("cannot create a temporary folder")?;
    let json = dir.path().join("json");
    let mut command = kunit(tree);
    command
        .arg("parse")
        .arg(format!("--json={}", json.display()))
        .arg(log);
    // Its status says whether tests have failed, too.
    let output = command.output().context("cannot run kunit.py")?;
    let Ok(text) = fs::read(&json) else {
        bail!(
            "kunit.py cannot read {}:\n{}",
            log.display(),
            String::from_utf8_lossy(&output.stderr)
        );
    };
    Ok(Results {
        all: serde_json::from_slice(&text).context("kunit.py has written something else")?,
        text: String::from_utf8_lossy(&output.stdout).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read() {
        let text = r#"{"name": "all", "test_cases": [], "arch": "", "sub_groups": [
            {"name": "plan", "sub_groups": [], "test_cases": [{"name": "a", "status": "FAIL"}],
             "misc": {"tests": 4, "passed": 2, "failed": 1, "crashed": 1, "skipped": 0, "errors": 0}}],
            "misc": {"tests": 4, "passed": 2, "failed": 1, "crashed": 1, "skipped": 0, "errors": 0}}"#;
        let all: Group = serde_json::from_str(text).unwrap();
        assert_eq!(all.sub_groups[0].name, "plan");
        let sum = all.sub_groups[0].misc.sum();
        assert_eq!((sum.passed, sum.failed, sum.skipped), (2, 2, 0));
        let results = Results {
            all,
            text: String::from("[12:00:00] [PASSED] a\n[12:00:00] [FAILED] bad\n"),
        };
        assert_eq!(results.failures(), "      [12:00:00] [FAILED] bad\n");
    }
}
