// SPDX-License-Identifier: GPL-2.0
//! Our tests in a tree of upstream's blktests, under upstream's runner and with upstream's helpers.
//!
//! The tree is copied. Tests whose numbers upstream has given to others get free ones in the copy.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::bail;
use anyhow::ensure;
use anyhow::Context as _;
use anyhow::Result;

use super::guest::um_tests;
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
use crate::host::command::output;
use crate::tools;

/// What the runner needs of upstream's tree.
const PARTS: [&str; 3] = ["check", "common", "tests"];

/// Our helpers that upstream does not have begin with this.
const OURS: &str = "copy_";

/// Runs the suite in a copy of `tree`.
pub fn run(context: &Context, report: &mut Report, tree: Option<&Path>) -> Result<()> {
    let Some(tree) = tree else {
        bail!(
            "the suite blktests needs a tree of upstream's tests:\n   git clone \
             https://github.com/linux-blktests/blktests DIR\n   ./x test blktests --tree DIR"
        );
    };
    ensure!(
        tree.join("check").is_file() && tree.join("common/rc").is_file(),
        "{} is no tree of blktests: there is no check or no common/rc in it",
        tree.display()
    );
    tools::build(context)?;
    let options = Options {
        timeout: Duration::from_secs(5400),
        ..Options::new(Guest::Um)
    };
    let kernel = crate::build::build(context, options.variant(), When::Changed)?;
    let dir = tempfile::tempdir_in(context.cache.root()).context("cannot create a folder")?;
    let names = merge(&context.repo, tree, dir.path(), &um_tests(&context.repo)?)?;
    let script = format!(
        "./check -o /tmp/results {}; status=$?; cp -r /tmp/results /run/exchange/; exit $status",
        names.keys().cloned().collect::<Vec<_>>().join(" ")
    );
    let mut job = plain_job(context, vec![script], dir.path().to_path_buf());
    for name in ["REQUIRE_COPY_OFFLOAD", "REQUIRE_COPY_CLIENTS"] {
        job.environment
            .push((String::from(name), String::from("1")));
    }
    let mut results = Results::default();
    let mut show = |line: &str| {
        if let Some(line) = results.read(line, &names) {
            println!("      {line}");
        }
    };
    let finished = boot(context, &kernel, &options, &job, Sink::Lines(&mut show))?;
    finished.explain(&options);
    report.add("our tests under upstream's runner", results.sum);
    let missing = names.keys().filter(|name| !results.seen.contains(*name));
    let missing: Vec<String> = missing.cloned().collect();
    report.judge("each of them has a result", &missing);
    if !finished.problems.is_empty() {
        report.fail("the kernel's log", &finished.problems.join("\n"));
    } else if results.sum.failed == 0 && finished.outcome != Outcome::Exit(0) {
        let how = format!("the guest ended with {:?}", finished.outcome);
        report.fail("upstream's runner", &how);
    }
    Ok(())
}

/// Copies upstream's tree to `to`, and these tests of ours into it. Returns for the name that each has there its own.
fn merge(repo: &Path, tree: &Path, to: &Path, ours: &[String]) -> Result<BTreeMap<String, String>> {
    for part in PARTS {
        let mut copy = Command::new("cp");
        output(copy.arg("-a").arg(tree.join(part)).arg(to))?;
    }
    // Programs in C that none of our tests needs.
    fs::create_dir_all(to.join("src")).context("cannot create a folder")?;
    for entry in fs::read_dir(repo.join("tests/common")).context("cannot list tests/common")? {
        let path = entry?.path();
        let name = path.file_name().context("a file has no name")?;
        if name.to_string_lossy().starts_with(OURS) {
            fs::copy(&path, to.join("common").join(name))
                .with_context(|| format!("cannot copy {}", path.display()))?;
        }
    }
    let mut theirs = BTreeSet::new();
    for group in groups(ours) {
        for entry in fs::read_dir(to.join("tests").join(group))
            .with_context(|| format!("upstream has no group {group}"))?
        {
            let name = entry?.file_name();
            theirs.insert(format!("{group}/{}", name.to_string_lossy()));
        }
    }
    let names = numbers(ours, &theirs)?;
    for (name, own) in &names {
        for end in ["", ".out"] {
            let from = repo.join(format!("tests/{own}{end}"));
            let text = fs::read_to_string(&from)
                .with_context(|| format!("cannot read {}", from.display()))?;
            let file = to.join(format!("tests/{name}{end}"));
            fs::write(&file, text.replace(own, name))
                .with_context(|| format!("cannot write {}", file.display()))?;
            let mode = fs::metadata(&from).context("a file is gone")?.permissions();
            fs::set_permissions(&file, mode).context("cannot set a mode")?;
        }
    }
    Ok(names)
}

fn groups(names: &[String]) -> BTreeSet<&str> {
    let groups = names.iter().filter_map(|name| name.split_once('/'));
    groups.map(|(group, _)| group).collect()
}

/// The name of each test upstream: its own, or if that is taken, the first number behind all others of its group.
fn numbers(ours: &[String], theirs: &BTreeSet<String>) -> Result<BTreeMap<String, String>> {
    let number = |name: &str| name.rsplit('/').next()?.parse::<u32>().ok();
    let mut names = BTreeMap::new();
    for group in groups(ours) {
        let mine = || {
            ours.iter()
                .filter(|name| name.starts_with(&format!("{group}/")))
        };
        let all = mine().chain(
            theirs
                .iter()
                .filter(|name| name.starts_with(&format!("{group}/"))),
        );
        let mut last = all.filter_map(|name| number(name)).max().unwrap_or(0);
        for own in mine() {
            let name = if theirs.contains(own) {
                last += 1;
                ensure!(last < 1000, "there is no free number for {own}");
                format!("{group}/{last:03}")
            } else {
                own.clone()
            };
            names.insert(name, own.clone());
        }
    }
    Ok(names)
}

/// What upstream's runner has said.
#[derive(Debug, Default)]
struct Results {
    sum: Sum,
    seen: BTreeSet<String>,
}

impl Results {
    /// Reads a line; returns what is worth showing of it: results, and what follows a failure.
    fn read(&mut self, line: &str, names: &BTreeMap<String, String>) -> Option<String> {
        let Some(name) = line
            .split(' ')
            .next()
            .filter(|name| names.contains_key(*name))
        else {
            let figure = line.starts_with("    ") && line.contains("  ...");
            return Some(String::from(line)).filter(|_| !figure);
        };
        let (_, result) = line.strip_suffix(']')?.rsplit_once('[')?;
        match result {
            "passed" => self.sum.passed += 1,
            "failed" => self.sum.failed += 1,
            "not run" => self.sum.skipped += 1,
            _ => return None,
        }
        self.seen.insert(String::from(name));
        let own = names.get(name).filter(|own| *own != name);
        Some(own.map_or_else(|| String::from(line), |own| format!("{line} ({own} here)")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(String::from).collect()
    }

    #[test]
    fn numbers_that_are_taken_are_replaced_by_free_ones() {
        let theirs =
            words("block/001 block/035 block/036 block/036.out block/rc nvme/069 nvme/050");
        let theirs = theirs.into_iter().collect();
        let ours = words("block/035 block/036 block/060 nvme/050 nvme/053");
        let names = numbers(&ours, &theirs).unwrap();
        let pairs: Vec<_> = names.iter().map(|(a, b)| format!("{a}={b}")).collect();
        assert_eq!(
            pairs,
            words(
                "block/060=block/060 block/061=block/035 block/062=block/036 nvme/053=nvme/053 \
                 nvme/070=nvme/050"
            )
        );
        assert!(numbers(&words("a/999"), &words("a/999").into_iter().collect()).is_err());
    }

    #[test]
    fn tests_come_into_the_copy_with_their_new_names() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            crate::cache::write_atomically(&dir.path().join(path), text.as_bytes()).unwrap();
        };
        for (path, text) in [
            ("theirs/check", "runner"),
            ("theirs/common/rc", "their rc"),
            ("theirs/tests/block/035", "their test"),
            ("theirs/tests/block/035.out", "their output"),
            ("ours/tests/common/rc", "our rc"),
            ("ours/tests/common/copy_dm", "our helper"),
            ("ours/tests/block/035", "# block/035"),
            ("ours/tests/block/035.out", "Running block/035"),
        ] {
            write(path, text);
        }
        let to = dir.path().join("to");
        fs::create_dir(&to).unwrap();
        let (ours, theirs) = (dir.path().join("ours"), dir.path().join("theirs"));
        let names = merge(&ours, &theirs, &to, &words("block/035")).unwrap();
        assert_eq!(names["block/036"], "block/035");
        let read = |path: &str| fs::read_to_string(to.join(path)).unwrap();
        assert_eq!(read("tests/block/036.out"), "Running block/036");
        assert_eq!(read("tests/block/035"), "their test");
        assert_eq!(read("common/rc"), "their rc");
        assert_eq!(read("common/copy_dm"), "our helper");
    }

    #[test]
    fn results_are_read() {
        let names: BTreeMap<_, _> = [("block/181", "block/035"), ("block/060", "block/060")]
            .map(|(a, b)| (String::from(a), String::from(b)))
            .into();
        let mut results = Results::default();
        for (line, shown) in [
            ("block/181 (limits in sysfs)", false),
            ("    runtime        ...  1.203s", false),
            ("block/181 (limits in sysfs)     [passed]", true),
            ("block/060 (page cache)          [failed]", true),
            ("    --- tests/block/060.out", true),
        ] {
            assert_eq!(results.read(line, &names).is_some(), shown, "{line}");
        }
        assert_eq!((results.sum.passed, results.sum.failed), (1, 1));
        assert_eq!(results.seen.len(), 2);
    }
}
