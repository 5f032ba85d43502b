// SPDX-License-Identifier: GPL-2.0
//! Objects in the kernel's slab caches.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

/// Objects in use, by cache.
pub type Counts = BTreeMap<String, u64>;

/// Counts all of them.
pub fn count() -> Result<Counts> {
    let text = std::fs::read_to_string("/proc/slabinfo").context("cannot read /proc/slabinfo")?;
    Ok(parse(&text))
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
