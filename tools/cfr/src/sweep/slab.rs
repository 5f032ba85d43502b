// SPDX-License-Identifier: GPL-2.0
//! Objects in the kernel's slab caches, and pages that are in none.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Objects in use, by cache.
pub type Counts = BTreeMap<String, u64>;

/// The name under which pages are counted that the kernel does not account for: buffers are such pages.
const PAGES: &str = "pages";

/// Counts all of them.
pub fn count() -> Result<Counts> {
    let text = fs::read_to_string("/proc/slabinfo").context("cannot read /proc/slabinfo")?;
    let mut counts = parse(&text);
    let text = fs::read_to_string("/proc/meminfo").context("cannot read /proc/meminfo")?;
    counts.insert(PAGES.into(), pages(&text));
    Ok(counts)
}

/// Has these caches give back what is free, also what KASAN keeps of it for a while. Each takes some 50 ms.
pub fn shrink(caches: &BTreeSet<String>) {
    for cache in caches {
        // Pages are in no cache, and a cache that has gone has nothing to give back.
        let _ = fs::write(
            Path::new("/sys/kernel/slab").join(cache).join("shrink"),
            "1",
        );
    }
}

/// Pages in use of which nothing is known, by what /proc/meminfo says in KiB.
fn pages(text: &str) -> u64 {
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let word = line.and_then(|line| line.split_whitespace().next());
        word.and_then(|word| word.parse::<u64>().ok()).unwrap_or(0)
    };
    let known = [
        "MemFree:",
        "Buffers:",
        "Cached:",
        "SwapCached:",
        "AnonPages:",
        "Slab:",
        "KernelStack:",
        "PageTables:",
        "VmallocUsed:",
        "Percpu:",
    ];
    let known: u64 = known.into_iter().map(value).sum();
    value("MemTotal:").saturating_sub(known) / 4
}

fn parse(text: &str) -> Counts {
    let lines = text.lines().filter(|line| !line.starts_with('#')).skip(1);
    let counts = lines.filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?.into(), words.next()?.parse().ok()?))
    });
    counts.collect()
}

/// The names of the caches that have at least `limit` objects more than before; and what has grown most.
pub fn grown(before: &Counts, after: &Counts, limit: u64) -> (Vec<String>, String) {
    let growth = |name: &str, now: u64| now.saturating_sub(before.get(name).copied().unwrap_or(0));
    let grown = after
        .iter()
        .filter(|(name, now)| growth(name, **now) >= limit);
    let most = after.iter().max_by_key(|(name, now)| growth(name, **now));
    (
        grown.map(|(name, _)| name.clone()).collect(),
        most.map_or_else(String::new, |(name, now)| {
            format!("{name} grew by {}", growth(name, *now))
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "slabinfo - version: 2.1\n# name <active_objs> <num_objs>\n";

    #[test]
    fn pages_are_what_is_left() {
        let text = "MemTotal: 1000 kB\nMemFree: 500 kB\nBuffers: 50 kB\nCached: 10 kB\nSwapCached: 0 kB\nSlab: 40 kB\n";
        assert_eq!(pages(text), 100);
    }

    #[test]
    fn growth_is_found() {
        let before = parse(&format!("{HEAD}bio-120 32 64 128\nkmalloc-8 512 512 8\n"));
        assert_eq!(before["kmalloc-8"], 512);
        let after = parse(&format!(
            "{HEAD}bio-120 90 96 128\nkmalloc-8 500 512 8\nnew 3 3 8\n"
        ));
        let (none, most) = grown(&before, &after, 100);
        assert!(none.is_empty());
        assert_eq!(most, "bio-120 grew by 58");
        assert_eq!(grown(&before, &after, 58).0, ["bio-120"]);
    }
}
