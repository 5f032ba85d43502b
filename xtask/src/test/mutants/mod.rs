// SPDX-License-Identifier: GPL-2.0
//! Mutants of the pure core: an operator, a condition or a result is another one, and a test has to
//! fail. Those that no test can find are listed, each with the reason.

mod listed;
mod tree;
mod trial;

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use anyhow::ensure;
use anyhow::Context as _;
use anyhow::Result;

use super::report::Report;
use crate::build::Context;
use crate::cache::Cache;
use crate::host::command::logged;
use crate::host::command::tail;
use crate::host::crates;
use crate::ui;
use crate::ui::Step;
use listed::Mutant;
use tree::Tree;
use trial::Trials;

/// How long the tests of a mutant may take, in seconds. They take one, and ten on a busy machine.
const TIME_LIMIT: &str = "30";

/// The tests with random values take the same ones each time, and say soon that they failed.
const ENVIRONMENT: [(&str, &str); 2] = [
    ("PROPTEST_RNG_SEED", "1"),
    ("PROPTEST_MAX_SHRINK_ITERS", "0"),
];

/// Where the workspace and the results are.
pub fn folder(cache: &Cache) -> PathBuf {
    cache.root().join("mutants")
}

/// Runs the suite.
pub fn run(context: &Context, report: &mut Report) -> Result<()> {
    let tree = Tree::of(&context.repo)?;
    let listed = listed::load(&context.repo)?;
    let trials = trials(context, &tree)?;
    let survivors: Result<Vec<Mutant>> = trials
        .missed
        .iter()
        .map(|name| Mutant::parse(name, &tree))
        .collect();
    let survivors = survivors?;
    ui::note(&format!(
        "{} mutants: {} caught, {} by the time limit, {} missed, {} do not compile",
        trials.caught.len() + trials.timeout.len() + trials.missed.len() + trials.unviable.len(),
        trials.caught.len() + trials.timeout.len(),
        trials.timeout.len(),
        trials.missed.len(),
        trials.unviable.len()
    ));
    let verdict = listed::compare(&survivors, &listed);
    let show = |mutants: &[Mutant]| mutants.iter().map(Mutant::to_string).collect::<Vec<_>>();
    report.judge(
        "each mutant that survives is listed, with the reason",
        &show(&verdict.unlisted),
    );
    report.judge(
        "each mutant that is listed survives",
        &show(&verdict.obsolete),
    );
    Ok(())
}

/// What becomes of each mutant.
fn trials(context: &Context, tree: &Tree) -> Result<Trials> {
    let _lock = context.cache.lock()?;
    let folder = folder(&context.cache);
    let program = crates::mutants(&context.cache)?;
    let mut trials = Trials::remembered(&folder, &tree.identity());
    if trials.complete {
        ui::note("neither the core nor its tests have changed since the last run");
        return Ok(trials);
    }
    let known = trials.caught.len() + trials.unviable.len();
    if known > 0 {
        ui::note(&format!("going on: {known} mutants need no second try"));
    }
    trials.remember(&folder)?;
    // A run that was stopped may have left a mutant.
    tree.write(&folder.join("tree"))?;
    let log = context.cache.logs().join("mutants.log");
    let result = run_all(&program, &folder, &log);
    trials.gather(&folder);
    trials.conclude(&folder)?;
    trials.remember(&folder)?;
    // It fails where mutants survive as well.
    if !trials.complete {
        result?;
    }
    ensure!(
        trials.complete,
        "not all mutants were tried:\n{}",
        tail(&log, 20)
    );
    Ok(trials)
}

/// Makes the mutants, and runs the tests on each.
fn run_all(program: &Path, folder: &Path, log: &Path) -> Result<()> {
    let mut command = Command::new(program);
    command
        .arg("mutants")
        .args(["--workspace", "--test-workspace=true", "--in-place"])
        .args(["--no-config", "--no-shuffle", "--iterate"])
        .args(["--timeout", TIME_LIMIT, "--colors", "never"])
        .args(["--caught", "--unviable", "--output"])
        .arg(folder)
        .current_dir(folder.join("tree"))
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env("CARGO_TERM_COLOR", "never")
        .envs(ENVIRONMENT);
    let mut step = Step::new("Looking for mutants");
    let mut count = 0;
    let result = logged(&mut command, log, "The log tells which.", |line| {
        if let Some(total) = found(line) {
            step = Step::with_length("Trying mutants", Some(total));
        } else if let Some(name) = tried(line) {
            count += 1;
            step.update(count, name);
        }
    });
    step.done(&format!("{count} tried"));
    result.context("mutants survive, or could not be made")
}

/// Reads `Found 515 mutants to test`.
fn found(line: &str) -> Option<u64> {
    let count = line.strip_prefix("Found ")?.strip_suffix(" to test")?;
    count.split(' ').next()?.parse().ok()
}

/// Reads `caught   block/copy/plan/mod.rs:80:9: replace ...`.
fn tried(line: &str) -> Option<&str> {
    let (fate, name) = line.split_once(' ')?;
    let fates = ["caught", "MISSED", "TIMEOUT", "unviable"];
    fates.contains(&fate).then(|| name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read() {
        assert_eq!(found("Found 515 mutants to test"), Some(515));
        assert_eq!(found("Found 1 mutant to test"), Some(1));
        assert_eq!(found("ok       Unmutated baseline"), None);
        let line = "MISSED   a.rs:1:2: replace a with b in 1.0s build";
        assert_eq!(
            tried(line),
            Some("a.rs:1:2: replace a with b in 1.0s build")
        );
        assert_eq!(tried("ok       Unmutated baseline"), None);
    }
}
