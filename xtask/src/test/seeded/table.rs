// SPDX-License-Identifier: GPL-2.0
//! The table of requirements in `tests/REQUIREMENTS.md`, and the names that seeds use.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use super::seed::Finder;
use super::seed::Seed;

/// Where the table is.
const PAGE: &str = include_str!("../../../../tests/REQUIREMENTS.md");

fn repo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Each KUnit suite that the kernel side has.
fn suites(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            suites(&path, found);
        } else if let Ok(text) = fs::read_to_string(&path) {
            let begins = ["kunit_tests(", ".name = \""];
            let named = begins.iter().flat_map(|begin| text.split(begin).skip(1));
            found.extend(named.filter_map(|rest| Some(rest.split([')', '"']).next()?.into())));
        }
    }
}

#[test]
fn each_seed_names_a_test_that_there_is() {
    let repo = repo();
    let mut known = Vec::new();
    suites(&repo.join("block/copy"), &mut known);
    for seed in Seed::load_all(&repo).unwrap() {
        let exists = match &seed.finder {
            Finder::Test(name) => repo.join("tests").join(name).is_file(),
            Finder::Kunit(suite) => known.contains(suite),
        };
        assert!(exists, "{}: there is no {}", seed.name, seed.finder.name());
    }
}

/// Each row: the seeds of its last cell, and the tests of the second one.
#[test]
fn the_table_has_each_seed_with_its_test() {
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| "));
    let mut listed = BTreeMap::new();
    for row in rows.filter(|row| !row.starts_with("requirement |")) {
        let cells: Vec<&str> = row.trim_end_matches(" |").split(" | ").collect();
        let [_, tests, evidence, seeds] = cells.as_slice() else {
            panic!("not four cells: {row}");
        };
        assert!(!evidence.is_empty(), "{row}");
        for name in seeds.split(", ") {
            let name = name.trim_matches('`');
            let twice = listed.insert(name, tests.split(", ").collect::<Vec<_>>());
            assert!(twice.is_none(), "{name} is in two rows");
        }
    }
    let seeds = Seed::load_all(&repo()).unwrap();
    for seed in &seeds {
        let tests = listed.remove(seed.name.as_str());
        let tests = tests.unwrap_or_else(|| panic!("{} is not in the table", seed.name));
        let finder = seed.finder.name();
        assert!(
            tests.contains(&finder.as_str()),
            "{}: {finder} is not in its row",
            seed.name
        );
    }
    assert!(listed.is_empty(), "there are no such seeds: {listed:?}");
}
