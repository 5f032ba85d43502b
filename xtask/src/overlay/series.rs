// SPDX-License-Identifier: GPL-2.0
//! `series.toml`: the patches that the work is made of, in the order in which they apply.

use std::collections::BTreeMap;
use std::fs;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use anyhow::bail;
use anyhow::Context;
use anyhow::Result;
use serde::Deserialize;

/// The file's name in the repository.
pub const FILE: &str = "series.toml";

/// The mailed series that a patch belongs to if it names none.
const BLOCK: &str = "block";

/// One patch of the series.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The mailed series that it is a part of. The patches of one stand together.
    #[serde(default = "block")]
    pub series: String,
    /// The first line of its message.
    pub subject: String,
    /// The rest of its message.
    #[serde(default)]
    pub message: String,
    /// Unified diffs against the kernel, relative to the repository.
    #[serde(default)]
    pub hooks: Vec<PathBuf>,
    /// Files or folders that stand at the same place in the kernel.
    #[serde(default)]
    pub files: Vec<PathBuf>,
}

fn block() -> String {
    String::from(BLOCK)
}

/// What a mailed series begins with.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cover {
    /// The subject of the cover letter.
    pub title: String,
    /// Its text.
    pub cover: String,
}

/// All patches, of one mailed series after the other.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// Cover letters, for those mailed series that have one.
    #[serde(default, rename = "series")]
    pub covers: BTreeMap<String, Cover>,
    #[serde(default, rename = "patch")]
    pub patches: Vec<Entry>,
}

impl Series {
    /// Reads the series of a repository; without the file it is empty, and the kernel is vanilla.
    pub fn load(repo: &Path) -> Result<Self> {
        let path = repo.join(FILE);
        match fs::read_to_string(&path) {
            Ok(text) => {
                Self::parse(&text).with_context(|| format!("{} is not valid", path.display()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// The mailed series, in their order: the name of each, and its patches.
    pub fn mailed(&self) -> impl Iterator<Item = (&str, &[Entry])> {
        let groups = self.patches.chunk_by(|a, b| a.series == b.series);
        groups.filter_map(|group| Some((group.first()?.series.as_str(), group)))
    }

    fn parse(text: &str) -> Result<Self> {
        let series: Self = toml::from_str(text)?;
        let mut names: Vec<&str> = series.mailed().map(|(name, _)| name).collect();
        for name in &names {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
            if name.is_empty() || !name.chars().all(plain) {
                bail!("{name:?} is not the name of a series: letters, digits and '-'");
            }
        }
        for (name, Cover { title, .. }) in &series.covers {
            if !names.contains(&name.as_str()) {
                bail!("the series {name:?} has a cover letter and no patch");
            }
            if title.trim().is_empty() || title.contains('\n') {
                bail!("the title {title:?} is not one line of text");
            }
        }
        let groups = names.len();
        names.sort_unstable();
        names.dedup();
        if names.len() < groups {
            bail!("the patches of a series do not stand together");
        }
        for entry in &series.patches {
            if entry.subject.trim().is_empty() || entry.subject.contains('\n') {
                bail!("the subject {:?} is not one line of text", entry.subject);
            }
            for path in entry.hooks.iter().chain(&entry.files) {
                if !path
                    .components()
                    .all(|part| matches!(part, Component::Normal(_)))
                {
                    bail!(
                        "{:?}: the path {path:?} does not stay inside the tree",
                        entry.subject
                    );
                }
            }
        }
        Ok(series)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_series_is_the_vanilla_kernel() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Series::load(dir.path()).unwrap().patches.is_empty());
    }

    #[test]
    fn entries_keep_their_order() {
        let text = r#"
            [[patch]]
            subject = "block: one"
            message = """why"""
            hooks = ["block/one.patch"]
            [[patch]]
            subject = "block: two"
            files = ["block/copy/", "rust/kernel/block/bio.rs"]
        "#;
        let series = Series::parse(text).unwrap();
        assert_eq!(series.patches.len(), 2);
        assert_eq!(series.patches[0].message, "why");
        assert_eq!(series.patches[1].files.len(), 2);
    }

    #[test]
    fn patches_are_mailed_in_series() {
        let text = r#"
            [series.block]
            title = "block: copy"
            cover = """what"""
            [[patch]]
            series = "um"
            subject = "um: one"
            [[patch]]
            subject = "block: one"
            [[patch]]
            subject = "block: two"
        "#;
        let series = Series::parse(text).unwrap();
        let mailed: Vec<(&str, usize)> = series
            .mailed()
            .map(|(name, patches)| (name, patches.len()))
            .collect();
        assert_eq!(mailed, [("um", 1), ("block", 2)]);
        assert_eq!(series.covers["block"].cover, "what");

        let apart = format!("{text}[[patch]]\nseries = 'um'\nsubject = 'um: two'");
        assert!(Series::parse(&apart).is_err());
        for (right, wrong) in [("series.block", "series.md"), ("\"um\"", "\"u/m\"")] {
            assert!(Series::parse(&text.replace(right, wrong)).is_err());
        }
    }

    #[test]
    fn mistakes_are_named() {
        let outside = "[[patch]]\nsubject = 'a'\nfiles = ['../x']";
        assert!(Series::parse(outside)
            .unwrap_err()
            .to_string()
            .contains("../x"));
        let absolute = "[[patch]]\nsubject = 'a'\nhooks = ['/x']";
        assert!(Series::parse(absolute).is_err());
        assert!(Series::parse("[[patch]]\nsubject = ''").is_err());
        assert!(Series::parse("[[patch]]\nsubject = 'a'\nfile = []").is_err());
    }
}
