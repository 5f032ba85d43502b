// SPDX-License-Identifier: GPL-2.0
//! The kernel's log of a guest: where it is kept, and what in it means trouble.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::Context;
use anyhow::Result;
use regex::RegexSet;

use crate::cache::Cache;

/// How many logs are kept.
const KEEP: usize = 100;

/// How many problems are shown.
const SHOWN: usize = 10;

/// What the log says when a test begins.
const TEST: &str = "run blktests ";

/// What it says when kmemleak has found something.
const LEAKS: &str = "new suspected memory leaks";

/// Chooses the log file of a new guest and points `run-NAME.log` to it.
pub fn file(cache: &Cache, name: &str) -> Result<PathBuf> {
    let dir = cache.logs().join("guests");
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    prune(&dir);
    let time = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |time| time.as_millis());
    let path = dir.join(format!("{time}-{}-{name}.log", std::process::id()));
    let link = newest(cache, name);
    let _ = fs::remove_file(&link);
    let _ = std::os::unix::fs::symlink(&path, &link);
    Ok(path)
}

/// A link to the newest log of a guest of this name.
pub fn newest(cache: &Cache, name: &str) -> PathBuf {
    cache.logs().join(format!("run-{name}.log"))
}

fn prune(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths.iter().rev().skip(KEEP) {
        let _ = fs::remove_file(path);
    }
}

/// What no healthy kernel writes: the list that `tests/check` has as well.
const COMPLAINTS: &str = include_str!("../../../tests/complaints");

/// The lines of a log that no healthy kernel writes.
pub fn problems(path: &Path) -> Result<Vec<String>> {
    let text = fs::read(path).with_context(|| format!("cannot read the log {}", path.display()))?;
    problems_in(&String::from_utf8_lossy(&text))
}

/// The list as one expression. `grep -E` has to understand it in the same way.
fn complaints() -> Result<RegexSet> {
    let lines = COMPLAINTS.lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    RegexSet::new(lines).context("tests/complaints has something that is no regular expression")
}

/// What is lost before the first test, such as by mounting hostfs, is not for the tests to answer for.
/// `tests/check` looks for leaks then as well, and forgets those.
fn problems_in(text: &str) -> Result<Vec<String>> {
    let complaints = complaints()?;
    let lines = || text.lines().map(message);
    let first = lines().position(|line| line.starts_with(TEST)).unwrap_or(0);
    Ok(lines()
        .enumerate()
        .filter(|(at, line)| complaints.is_match(line) && !(*at < first && line.contains(LEAKS)))
        .map(|(_, line)| line)
        .take(SHOWN)
        .map(String::from)
        .collect())
}

/// A line without the time stamp, and without who printed it; its indentation stays.
pub fn message(line: &str) -> &str {
    let line = line.trim_matches('\r').trim_end();
    match line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
    {
        Some((stamp, rest)) if stamp.trim().starts_with(|c: char| c.is_ascii_digit()) => rest,
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log with complaints of each kind that there is, and with lines that only look like them.
    const LOG: &str = "[    0.0] Linux version 7.3.4
[    0.1] rcu: \tRCU CPU stall warnings timeout set to 60 (rcu_cpu_stall_timeout).
[    0.2] kasan: KernelAddressSanitizer initialized (generic)
[   11.9] run blktests block/036 at 1795311283.8
[   12.3] WARNING: block/x.c:12 at f+0x1/0x2, CPU#0: sh/12
[   12.3][  T12] BUG: KASAN: slab-use-after-free in f+0x1/0x2
[   12.3] watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [cfr:12]
[   12.3] kernel BUG at block/x.c:12!
[   12.3] BUG kmalloc-64 (Not tainted): Left Redzone overwritten
[   12.3] WARNING: possible circular locking dependency detected
[   12.3] INFO: possible recursive locking detected
[   12.3] list_add corruption. prev->next should be next
[   12.3] refcount_t: underflow; use-after-free.
[   12.3] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
[   12.3] INFO: rcu_tasks detected stalls on tasks:
[   12.3] kmemleak: 1 new suspected memory leaks (see x)
[   12.3] BUG: KCSAN: data-race in _RNvXs_NtCs1_8blk_copy3jobNt4step / blk_mq_end_request
[   12.3] BUG: KCSAN: data-race in nvme_lower_copy_limits / blk_mq_end_request
[   12.3] BUG: KCSAN: data-race in d_walk / dput
[   12.3] BUG: KCSAN: data-race in _copy_to_iter / copy_page_from_iter_atomic
[   12.3] WARNING: KCOV: of any name
[   12.3] UBSAN: array-index-out-of-bounds in x.c:1:2
[   12.3] rust_kernel: panicked at x.rs:1:2
[   12.4] FAULT_INJECTION: forcing a failure.
[   12.5] null_blk: the word WARNING: inside a line
[   12.6] I/O error, dev nullb1, sector 130 op 0x15:(COPY_DST) flags 0x0
[   13.0] INFO: task cat:9 blocked for more than 60 seconds.
\r[   14.0] Kernel panic - not syncing: Oops\r
";

    /// How many lines of it are complaints.
    const BAD: usize = 19;

    /// The lines of it that are.
    fn complaints_of_log() -> Vec<&'static str> {
        let complaints = complaints().unwrap();
        let lines = LOG.lines().map(message);
        lines.filter(|line| complaints.is_match(line)).collect()
    }

    #[test]
    fn complaints_are_found_and_nothing_else() {
        let found = complaints_of_log();
        assert_eq!(found.len(), BAD, "{found:#?}");
        let shown = problems_in(LOG).unwrap();
        assert_eq!(shown.len(), SHOWN);
        assert!(shown[0].starts_with("WARNING: block/x.c"), "{shown:#?}");
    }

    /// Has `tests/check` look at a log, from the line with `marker` on.
    fn judged(log: &str, marker: &str) -> Vec<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, log).unwrap();
        let check = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/check");
        let output = std::process::Command::new("bash")
            .args([check, "--judge-log", marker])
            .arg(file.path())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(String::from).collect()
    }

    #[test]
    fn the_runner_of_the_tests_finds_the_same() {
        let found = complaints_of_log();
        assert_eq!(judged(LOG, "run blktests block/036 at"), found);
        let quiet =
            "[    1.0] run blktests block/036 at 1\n[    1.1] null_blk: disk nullb1 created\n";
        assert!(judged(quiet, "run blktests block/036 at").is_empty());
    }

    #[test]
    fn the_runner_of_the_tests_does_not_trust_a_log_that_begins_too_late() {
        let found = judged(LOG, "run blktests block/037 at");
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(
            found[0].contains("does not go back to the start"),
            "{found:#?}"
        );
        assert_eq!(judged("", "run blktests block/037 at"), found);
    }

    #[test]
    fn leaks_count_from_the_first_test_on() {
        let leak = "[   11.4] kmemleak: 1 new suspected memory leaks (see x)\n";
        let test = "[   12.3] run blktests block/035 at 1795311283.8\n";
        let count = |log: &str| problems_in(log).unwrap().len();
        assert_eq!(count(leak), 1);
        assert_eq!(count(&format!("{leak}{test}")), 0);
        assert_eq!(count(&format!("{leak}{test}{leak}")), 1);
    }

    #[test]
    fn time_stamps_are_cut() {
        assert_eq!(message("[    0.000000] Linux"), "Linux");
        assert_eq!(message("[    0.000000][    T1] Linux"), "Linux");
        assert_eq!(message("[drm] text"), "[drm] text");
    }
}
