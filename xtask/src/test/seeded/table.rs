// SPDX-License-Identifier: GPL-2.0
//! The table of requirements in `tests/REQUIREMENTS.md`, and the names that seeds use.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use super::super::cases;
use super::seed::Finder;
use super::seed::Seed;

/// Where the table is.
const PAGE: &str = include_str!("../../../../tests/REQUIREMENTS.md");

/// What comes before the names of the tests without a seed.
const WITHOUT_SEED: &str = "No mistake has been tried on these tests:";

fn repo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Each KUnit suite in these folders, as the table names it.
fn suites() -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["block/copy", "drivers/nvme", "rust/kernel/block"] {
        add_suites(&repo().join(folder), &mut found);
    }
    found
}

fn add_suites(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            add_suites(&path, found);
        } else if let Ok(text) = fs::read_to_string(&path) {
            let begins = ["kunit_tests(", ".name = \""];
            let named = begins.iter().flat_map(|begin| text.split(begin).skip(1));
            let named = named.filter_map(|rest| rest.split([')', '"']).next());
            found.extend(named.map(|name| Finder::Kunit(name.into()).name()));
        }
    }
}

/// The mistakes that the model of `tests/host/loom` has to find.
fn loom_faults() -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(repo().join("tests/host/loom/tests/faults")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let names = text.split("name: \"").skip(1);
        found.extend(names.filter_map(|rest| Some(rest.split_once('"')?.0.into())));
    }
    found
}

/// A row of the table.
#[derive(Debug)]
struct Row {
    requirement: &'static str,
    tests: Vec<&'static str>,
    evidence: &'static str,
    mistake: &'static str,
}

impl Row {
    fn parse(line: &'static str) -> Self {
        let cells: Vec<&str> = line.trim_matches(['|', ' ']).split(" | ").collect();
        let [requirement, tests, evidence, mistake] = cells[..] else {
            panic!("not four cells: {line}");
        };
        Self {
            requirement,
            tests: tests.split(", ").collect(),
            evidence,
            mistake,
        }
    }

    /// The words of the last cell between two of these.
    fn mistakes(&self, quote: char) -> impl Iterator<Item = &'static str> {
        self.mistake.split(quote).skip(1).step_by(2)
    }
}

/// All rows. Other tables of the page have other heads.
fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut inside = false;
    for line in PAGE.lines() {
        if line == "| requirement | test | evidence | mistake |" {
            inside = true;
        } else if !line.starts_with('|') {
            inside = false;
        } else if inside && !line.starts_with("|-") {
            rows.push(Row::parse(line));
        }
    }
    assert!(rows.len() > 50);
    rows
}

#[test]
fn each_seed_names_tests_that_there_are() {
    let known: Vec<_> = cases::names().chain(suites()).collect();
    for seed in Seed::load_all(&repo()).unwrap() {
        for finding in seed.findings {
            let finder = finding.finder.name();
            assert!(known.contains(&finder), "{}: no {finder}", seed.name);
        }
    }
}

#[test]
fn the_table_has_each_test() {
    let rows = rows();
    let listed: Vec<_> = rows.iter().flat_map(|row| &row.tests).copied().collect();
    let known: Vec<_> = cases::names().chain(suites()).collect();
    let has = |name: &str| listed.contains(&name);
    let missing: Vec<_> = known.iter().filter(|name| !has(name)).collect();
    assert!(missing.is_empty(), "in no row: {missing:?}");
    let exists = |name: &str| known.iter().any(|known| known == name);
    let gone: Vec<_> = listed.iter().filter(|name| !exists(name)).collect();
    assert!(gone.is_empty(), "there are no such tests: {gone:?}");
}

#[test]
fn the_table_has_each_seed_with_its_tests() {
    let seeds = Seed::load_all(&repo()).unwrap();
    let mut finders: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for seed in &seeds {
        let names = seed.findings.iter().map(|finding| finding.finder.name());
        finders.insert(&seed.name, names.collect());
    }
    let mut listed = BTreeSet::new();
    for row in &rows() {
        for name in row.mistakes('`') {
            let finders = finders
                .get(name)
                .unwrap_or_else(|| panic!("there is no seed {name}"));
            let is_ours = |finder: &&String| row.tests.contains(&finder.as_str());
            let ours: Vec<_> = finders.iter().filter(is_ours).cloned().collect();
            assert!(!ours.is_empty(), "{name} is found by no test of {row:?}");
            listed.extend(ours.into_iter().map(|finder| (name, finder)));
        }
    }
    for (seed, finders) in &finders {
        for finder in finders {
            let is_listed = listed.contains(&(*seed, finder.clone()));
            assert!(is_listed, "{seed} is in no row of {finder}");
        }
    }
}

/// The page names the tests that no seed names.
#[test]
fn the_page_has_each_test_without_a_seed() {
    let seeds = Seed::load_all(&repo()).unwrap();
    let findings = seeds.iter().flat_map(|seed| &seed.findings);
    let found: BTreeSet<_> = findings.map(|finding| finding.finder.name()).collect();
    let without: Vec<_> = cases::names()
        .filter(|name| !found.contains(name))
        .collect();
    let (_, list) = PAGE.split_once(WITHOUT_SEED).unwrap();
    let (list, _) = list.split_once("\n\n").unwrap();
    let listed: Vec<_> = list
        .split([',', '\n', ' ', '.'])
        .filter(|name| name.contains('/'))
        .collect();
    assert_eq!(listed, without);
}

/// A row without a seed says what there is instead.
#[test]
fn each_row_has_evidence_and_says_what_breaks_it() {
    let faults = loom_faults();
    for row in rows() {
        let requirement = row.requirement;
        assert!(!row.evidence.is_empty(), "no evidence: {requirement}");
        let instead = row
            .mistake
            .strip_prefix("- ")
            .is_some_and(|why| !why.is_empty());
        let named = row.mistakes('`').count() > 0;
        assert!(
            named != instead,
            "neither a seed nor a reason, or both: {requirement}"
        );
        for name in row.mistakes('"') {
            assert!(
                faults.iter().any(|fault| fault == name),
                "loom has no such mistake: {name}"
            );
        }
    }
}
