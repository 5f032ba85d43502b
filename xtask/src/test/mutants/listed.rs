// SPDX-License-Identifier: GPL-2.0
//! The mutants that no test can find, each with the reason: `tests/mutants.toml`.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::ensure;
use anyhow::Context as _;
use anyhow::Result;
use serde::Deserialize;

use super::tree;
use super::tree::Tree;

/// Where they are.
pub const FILE: &str = "tests/mutants.toml";

/// A mutant, named so that an edit elsewhere in its file does not change the name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    file: String,
    /// What it does, and in which function.
    does: String,
    /// The line that it begins in.
    line: String,
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n    {}", self.file, self.does, self.line)
    }
}

impl Mutant {
    /// Reads `FILE:LINE:COLUMN: WHAT IT DOES`.
    pub fn parse(text: &str, tree: &Tree) -> Result<Self> {
        let parts: Vec<&str> = text.splitn(4, ':').collect();
        let [file, line, _, does] = parts.as_slice() else {
            anyhow::bail!("{text:?} is no mutant");
        };
        let line = line.parse().ok().and_then(|line| tree.line(file, line));
        let line = line.with_context(|| format!("{text:?} is in no line of the core"))?;
        Ok(Self {
            file: String::from(*file),
            does: tree::as_written(does.trim()),
            line: tree::as_written(line),
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    file: String,
    does: String,
    line: String,
    why: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    #[serde(default)]
    mutant: Vec<Entry>,
}

/// Reads the list of a repository.
pub fn load(repo: &Path) -> Result<Vec<Mutant>> {
    let path = repo.join(FILE);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {FILE}"))?;
    parse(&text).with_context(|| format!("in {FILE}"))
}

fn parse(text: &str) -> Result<Vec<Mutant>> {
    let list: List = toml::from_str(text).context("it is not in order")?;
    let mut mutants = Vec::new();
    for entry in list.mutant {
        let Entry {
            file,
            does,
            line,
            why,
        } = entry;
        let mutant = Mutant { file, does, line };
        ensure!(!why.trim().is_empty(), "{mutant}\n    has no reason");
        mutants.push(mutant);
    }
    Ok(mutants)
}

/// What is wrong with the list, by the mutants that survived.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Those that are not in it.
    pub unlisted: Vec<Mutant>,
    /// Those in it that did not survive, or are none any more.
    pub obsolete: Vec<Mutant>,
}

/// Compares both. Each entry stands for one mutant; of two that are alike, both are listed.
pub fn compare(survivors: &[Mutant], listed: &[Mutant]) -> Verdict {
    let without = |from: &[Mutant], these: &[Mutant]| {
        let mut rest = from.to_vec();
        for mutant in these {
            if let Some(at) = rest.iter().position(|other| other == mutant) {
                rest.remove(at);
            }
        }
        rest
    };
    Verdict {
        unlisted: without(survivors, listed),
        obsolete: without(listed, survivors),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutant(does: &str) -> Mutant {
        Mutant {
            file: String::from("a.rs"),
            does: String::from(does),
            line: String::from("a > b"),
        }
    }

    #[test]
    fn the_list_and_the_survivors_are_the_same() {
        let (one, other) = (mutant("replace > with >="), mutant("replace > with =="));
        let verdict = compare(&[one.clone(), one.clone()], &[one.clone(), other.clone()]);
        assert_eq!(verdict.unlisted, std::slice::from_ref(&one));
        assert_eq!(verdict.obsolete, [other]);
        let verdict = compare(std::slice::from_ref(&one), std::slice::from_ref(&one));
        assert!(verdict.unlisted.is_empty() && verdict.obsolete.is_empty());
    }

    #[test]
    fn each_has_a_reason() {
        let entry = "[[mutant]]\nfile = \"a.rs\"\ndoes = \"replace > with >=\"\nline = \"a > b\"\n";
        let with = format!("{entry}why = \"They are never equal.\"\n");
        assert_eq!(parse(&with).unwrap(), [mutant("replace > with >=")]);
        assert!(parse(entry).is_err());
        assert!(parse(&format!("{entry}why = \" \"\n")).is_err());
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn the_list_of_the_repository_is_of_files_that_are_there() {
        let here = std::env::var("CARGO_MANIFEST_DIR").unwrap();
        let repo = Path::new(&here).join("..");
        for mutant in load(&repo).unwrap() {
            let text = fs::read_to_string(repo.join(&mutant.file)).unwrap();
            let mut lines = text.lines().map(str::trim);
            assert!(lines.any(|line| line == mutant.line), "{mutant}");
        }
    }
}
