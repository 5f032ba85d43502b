// SPDX-License-Identifier: GPL-2.0
//! The kernel's log of a guest: where it is kept, and what in it means trouble.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::Context;
use anyhow::Result;

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
    let link = cache.logs().join(format!("run-{name}.log"));
    let _ = fs::remove_file(&link);
    let _ = std::os::unix::fs::symlink(&path, &link);
    Ok(path)
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

/// The lines of a log that no healthy kernel writes.
pub fn problems(path: &Path) -> Result<Vec<String>> {
    let text = fs::read(path).with_context(|| format!("cannot read the log {}", path.display()))?;
    Ok(problems_in(&String::from_utf8_lossy(&text)))
}

/// What is lost before the first test, such as by mounting hostfs, is not for the tests to answer for.
/// `tests/check` looks for leaks then as well, and forgets those.
fn problems_in(text: &str) -> Vec<String> {
    let lines = || text.lines().map(|line| message(line).trim());
    let first = lines().position(|line| line.starts_with(TEST)).unwrap_or(0);
    lines()
        .enumerate()
        .filter(|(at, line)| is_problem(line) && !(*at < first && line.contains(LEAKS)))
        .map(|(_, line)| line)
        .take(SHOWN)
        .map(String::from)
        .collect()
}

/// A line without the time stamp; its indentation stays.
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

fn is_problem(line: &str) -> bool {
    const STARTS: [&str; 9] = [
        "BUG: ",
        "WARNING: ",
        "Oops",
        "Kernel panic",
        "general protection fault",
        "UBSAN: ",
        "rust_kernel: panicked",
        "watchdog: BUG",
        "Internal error",
    ];
    const PARTS: [&str; 5] = [
        "blocked for more than",
        LEAKS,
        "INFO: possible ",
        "rcu_sched self-detected stall",
        "lockup - CPU",
    ];
    STARTS.iter().any(|start| line.starts_with(start))
        || PARTS.iter().any(|part| line.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_found_and_nothing_else() {
        let log = "[    0.1] Linux version 7.3.4\n\
                   [   12.3] WARNING: block/x.c:12 at f+0x1/0x2, CPU#0: sh/12\n\
                   [   12.4] FAULT_INJECTION: forcing a failure.\n\
                   [   12.5] null_blk: the word WARNING: inside a line\n\
                   [   13.0] INFO: task cat:9 blocked for more than 60 seconds.\n\
                   \r[   14.0] Kernel panic - not syncing: Oops\r\n";
        let found = problems_in(log);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].starts_with("WARNING: block/x.c"));
    }

    #[test]
    fn leaks_count_from_the_first_test_on() {
        let leak = "[   11.4] kmemleak: 1 new suspected memory leaks (see x)\n";
        let test = "[   12.3] run blktests block/035 at 1795311283.8\n";
        assert_eq!(problems_in(leak).len(), 1);
        assert!(problems_in(&format!("{leak}{test}")).is_empty());
        assert_eq!(problems_in(&format!("{leak}{test}{leak}")).len(), 1);
    }

    #[test]
    fn time_stamps_are_cut() {
        assert_eq!(message("[    0.000000] Linux"), "Linux");
        assert_eq!(message("[drm] text"), "[drm] text");
    }
}
