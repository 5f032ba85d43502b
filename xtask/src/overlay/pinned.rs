// SPDX-License-Identifier: GPL-2.0
//! `series.sha256`: what the files of the pinned kernel are that the series changes, before it does.
//!
//! It is written as `sha256sum` does, so that anybody can check a tree with `sha256sum -c`.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use anyhow::bail;
use anyhow::Context;
use anyhow::Result;
use sha2::Digest;
use sha2::Sha256;

use super::tree::pristine;
use super::Series;

/// The file's name in the repository.
pub const FILE: &str = "series.sha256";

/// The checksum of each file.
pub type Pinned = BTreeMap<PathBuf, String>;

/// Reads the list of a repository.
pub fn load(repo: &Path) -> Result<Pinned> {
    let path = repo.join(FILE);
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text)
}

fn parse(text: &str) -> Result<Pinned> {
    let mut pinned = Pinned::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((sum, name)) = line.split_once("  ").filter(|(sum, _)| sum.len() == 64) else {
            bail!("{FILE}: {line:?} is no checksum with a name");
        };
        if pinned
            .insert(PathBuf::from(name), String::from(sum))
            .is_some()
        {
            bail!("{FILE} names {name} twice");
        }
    }
    Ok(pinned)
}

/// The files of the kernel that the hooks of a series change.
fn changed(repo: &Path, series: &Series) -> Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    for hook in series.patches.iter().flat_map(|entry| &entry.hooks) {
        let text = fs::read_to_string(repo.join(hook))
            .with_context(|| format!("cannot read the hook patch {}", hook.display()))?;
        let old = text.lines().filter_map(|line| line.strip_prefix("--- a/"));
        files.extend(old.map(PathBuf::from));
    }
    Ok(files)
}

/// What the list lacks, and what it has without need.
pub fn complaints(repo: &Path, series: &Series) -> Result<Vec<String>> {
    let pinned = load(repo)?;
    let changed = changed(repo, series)?;
    let missing = changed.iter().filter(|path| !pinned.contains_key(*path));
    let idle = pinned.keys().filter(|path| !changed.contains(*path));
    let missing = missing.map(|path| {
        let path = path.display();
        format!("{FILE} has not {path}: add what `sha256sum` says of the unpatched file")
    });
    let idle =
        idle.map(|path| format!("no hook changes {}: take it out of {FILE}", path.display()));
    Ok(missing.chain(idle).collect())
}

/// The files of a kernel that are not those that the series was made against.
pub fn differing(repo: &Path, tree: &Path) -> Result<Vec<PathBuf>> {
    let mut differing = Vec::new();
    for (path, wanted) in load(repo)? {
        let found = pristine(tree, &path)?.map(|data| sum(&data));
        if found != Some(wanted) {
            differing.push(path);
        }
    }
    Ok(differing)
}

fn sum(data: &[u8]) -> String {
    let hash = Sha256::digest(data);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_differs_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let (repo, tree) = (dir.path(), dir.path().join("linux-7.3.4"));
        fs::create_dir(&tree).unwrap();
        fs::write(tree.join("a.c"), "a\n").unwrap();
        fs::write(tree.join("b.c"), "b\n").unwrap();
        let line = |text: &str, name: &str| format!("{}  {name}\n", sum(text.as_bytes()));
        let list = |texts: [&str; 2]| {
            let [a, b] = texts;
            let text = format!("# A comment\n{}{}", line(a, "a.c"), line(b, "b.c"));
            fs::write(repo.join(FILE), text).unwrap();
        };
        list(["a\n", "b\n"]);
        assert!(differing(repo, &tree).unwrap().is_empty());
        list(["a\n", "patched\n"]);
        assert_eq!(differing(repo, &tree).unwrap(), [PathBuf::from("b.c")]);
        fs::remove_file(tree.join("a.c")).unwrap();
        assert_eq!(differing(repo, &tree).unwrap().len(), 2);
    }

    #[test]
    fn the_list_has_the_files_that_hooks_change() {
        let dir = tempfile::tempdir().unwrap();
        let hook = "--- a/a.c\n+++ b/a.c\n@@ -1 +1 @@\n-a\n+b\n--- /dev/null\n+++ b/new.c\n";
        fs::write(dir.path().join("a.patch"), hook).unwrap();
        let text = "[[patch]]\nsubject = 'a'\nhooks = ['a.patch']";
        let series: Series = toml::from_str(text).unwrap();
        let zeros = "0".repeat(64);
        fs::write(dir.path().join(FILE), format!("{zeros}  b.c\n")).unwrap();
        let found = complaints(dir.path(), &series).unwrap();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("has not a.c") && found[1].contains("changes b.c"));
        fs::write(dir.path().join(FILE), format!("{zeros}  a.c\n")).unwrap();
        assert!(complaints(dir.path(), &series).unwrap().is_empty());
    }

    #[test]
    fn a_list_that_is_damaged_is_refused() {
        assert!(parse("abc  a.c\n").is_err());
        let line = format!("{}  a.c\n", "0".repeat(64));
        assert!(parse(&format!("{line}{line}")).is_err());
        assert_eq!(parse(&line).unwrap().len(), 1);
    }
}
