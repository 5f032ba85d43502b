// SPDX-License-Identifier: GPL-2.0
//! What became of the mutants. It is kept, so that a run goes on where one before it has ended, and
//! nothing is done again before the core or its tests change.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use anyhow::Result;
use serde::Deserialize;
use serde::Serialize;

use crate::cache::write_atomically;

/// Where it is kept.
const KEPT: &str = "trials.toml";

/// Where cargo-mutants writes, in the folder that it is given.
const OUT: &str = "mutants.out";

/// The fates of mutants, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trials {
    /// Of the core and its tests.
    identity: String,
    /// Whether that is all of them.
    pub complete: bool,
    /// A test has failed.
    pub caught: BTreeSet<String>,
    /// They do not compile.
    pub unviable: BTreeSet<String>,
    /// A test did not end in time.
    pub timeout: BTreeSet<String>,
    /// All tests passed.
    pub missed: BTreeSet<String>,
}

impl Trials {
    /// What is known of a core and its tests, from runs that have ended and from one that has not.
    pub fn remembered(folder: &Path, identity: &str) -> Self {
        let text = fs::read_to_string(folder.join(KEPT)).unwrap_or_default();
        let before: Self = toml::from_str(&text).unwrap_or_default();
        let mut trials = if before.identity == identity {
            before
        } else {
            let _ = fs::remove_dir_all(folder.join(OUT));
            Self {
                identity: String::from(identity),
                ..Self::default()
            }
        };
        trials.gather(folder);
        trials
    }

    /// Keeps it, before a run as well: what cargo-mutants writes then is about this core.
    pub fn remember(&self, folder: &Path) -> Result<()> {
        let text = toml::to_string(self).context("cannot write what became of mutants")?;
        write_atomically(&folder.join(KEPT), text.as_bytes())
    }

    /// Adds what cargo-mutants has written.
    pub fn gather(&mut self, folder: &Path) {
        let read = |name: &str| -> Vec<String> {
            let text = fs::read_to_string(folder.join(OUT).join(format!("{name}.txt")));
            text.unwrap_or_default().lines().map(String::from).collect()
        };
        self.caught.extend(read("caught"));
        self.unviable.extend(read("unviable"));
        self.timeout.extend(read("timeout"));
        self.missed.extend(read("missed"));
        // Each run tries those again that were not caught.
        for name in self.caught.iter().chain(&self.unviable) {
            self.timeout.remove(name);
            self.missed.remove(name);
        }
    }

    /// Notes whether each mutant of the last run has met its fate.
    pub fn conclude(&mut self, folder: &Path) -> Result<()> {
        let path = folder.join(OUT).join("mutants.json");
        let text =
            fs::read_to_string(&path).with_context(|| format!("there is no {}", path.display()))?;
        let all: Vec<Named> = serde_json::from_str(&text)
            .with_context(|| format!("cannot read {}", path.display()))?;
        self.complete = all.iter().all(|mutant| self.knows(&mutant.name));
        Ok(())
    }

    fn knows(&self, name: &str) -> bool {
        let fates = [&self.caught, &self.unviable, &self.timeout, &self.missed];
        fates.iter().any(|names| names.contains(name))
    }
}

/// As cargo-mutants lists one.
#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(|name| String::from(*name)).collect()
    }

    #[test]
    fn a_run_goes_on_and_a_change_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        let mut trials = Trials::remembered(folder, "one");
        trials.remember(folder).unwrap();
        // A run that is stopped.
        let out = folder.join(OUT);
        fs::create_dir(&out).unwrap();
        fs::write(out.join("caught.txt"), "a\nb\n").unwrap();
        fs::write(out.join("timeout.txt"), "c\n").unwrap();
        let all = r#"[{"name": "a"}, {"name": "b"}, {"name": "c"}, {"name": "d"}]"#;
        fs::write(out.join("mutants.json"), all).unwrap();
        trials = Trials::remembered(folder, "one");
        assert_eq!(trials.caught, names(&["a", "b"]));
        trials.conclude(folder).unwrap();
        assert!(!trials.complete);
        trials.remember(folder).unwrap();
        // The next one tries what is left.
        fs::write(out.join("caught.txt"), "c\n").unwrap();
        fs::write(out.join("timeout.txt"), "").unwrap();
        fs::write(out.join("missed.txt"), "d\n").unwrap();
        fs::write(
            out.join("mutants.json"),
            r#"[{"name": "c"}, {"name": "d"}]"#,
        )
        .unwrap();
        trials.gather(folder);
        trials.conclude(folder).unwrap();
        assert!(trials.complete);
        assert_eq!(trials.caught, names(&["a", "b", "c"]));
        assert_eq!((trials.timeout.len(), trials.missed.len()), (0, 1));
        trials.remember(folder).unwrap();
        assert_eq!(Trials::remembered(folder, "one"), trials);
        // Another core, or other tests.
        let trials = Trials::remembered(folder, "two");
        assert!(!trials.complete && trials.caught.is_empty() && !out.exists());
    }
}
