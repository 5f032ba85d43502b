// SPDX-License-Identifier: GPL-2.0
//! Rules for the tests in blktests format: what each of them says of itself, and that README lists it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use regex::Regex;

/// The text of each test and what it must print, by its name: `block/036`.
fn cases() -> BTreeMap<String, (String, Option<String>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests");
    let mut cases = BTreeMap::new();
    for group in ["block", "nvme", "off"] {
        for entry in fs::read_dir(root.join(group)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.bytes().all(|byte| byte.is_ascii_digit()) {
                let text = fs::read_to_string(&path).unwrap();
                let out = fs::read_to_string(path.with_extension("out")).ok();
                cases.insert(format!("{group}/{name}"), (text, out));
            }
        }
    }
    assert!(cases.len() > 50);
    cases
}

/// The name of each test.
pub fn names() -> impl Iterator<Item = String> {
    cases().into_keys()
}

/// The value of a variable that a test sets at the start of a line.
fn variable<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
        .map(|value| value.trim_matches('"'))
}

/// Each complaint of a rule, with the name of the test.
fn complaints(rule: impl Fn(&str, &str) -> Vec<String>) -> Vec<String> {
    let cases = cases();
    let found = cases.iter().flat_map(|(name, (text, _))| {
        let found = rule(name, text);
        found.into_iter().map(move |text| format!("{name}: {text}"))
    });
    found.collect()
}

#[test]
fn each_test_says_what_it_is_and_ends() {
    for (name, (text, out)) in cases() {
        assert!(
            variable(&text, "DESCRIPTION").is_some_and(|text| text.len() > 10),
            "{name} has no description"
        );
        let out = out.unwrap_or_else(|| panic!("{name} has no .out"));
        assert!(out.ends_with("Test complete\n"), "{name}.out");
    }
}

/// As in blktests: a test with `QUICK` takes some 30 seconds at most, one with `TIMED` as long as `TIMEOUT` says,
/// and nothing else has to do with `TIMEOUT`.
#[test]
fn quick_and_timed_mean_what_they_mean_in_blktests() {
    let found = complaints(|_, text| {
        let quick = variable(text, "QUICK").is_some();
        let timed = variable(text, "TIMED").is_some();
        let mut found = Vec::new();
        if quick && timed {
            found.push(String::from("both QUICK and TIMED"));
        }
        if timed != text.contains("${TIMEOUT:-") {
            found.push(String::from("TIMED says that it honours TIMEOUT"));
        }
        found
    });
    assert!(found.is_empty(), "{found:#?}");
}

/// What can be waited for is waited for. A pause of a tenth of a second or more is for what must not happen
/// meanwhile, or sets a pace, and then a comment above it says so.
#[test]
fn no_pause_without_a_reason() {
    let pause = Regex::new(r"^\s*sleep (\.[1-9]|[1-9])").unwrap();
    let found = complaints(|name, text| {
        if !name.starts_with("block/") {
            return Vec::new();
        }
        let lines: Vec<&str> = text.lines().collect();
        let found = lines.windows(2).enumerate();
        let found = found
            .filter(|(_, pair)| pause.is_match(pair[1]) && !pair[0].trim_start().starts_with("# "));
        found
            .map(|(at, pair)| format!("line {}: {}", at + 2, pair[1].trim()))
            .collect()
    });
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_readme_lists_each_test() {
    let readme = include_str!("../../../tests/README.md");
    let number = Regex::new(r"\b[0-9]{3}\b").unwrap();
    let mut listed = Vec::new();
    for line in readme.lines() {
        let Some((cell, _)) = line
            .strip_prefix("| ")
            .and_then(|line| line.split_once(" | "))
        else {
            continue;
        };
        if let Some((group, numbers)) = cell.split_once('/') {
            let numbers = number.find_iter(numbers);
            listed.extend(numbers.map(|found| format!("{group}/{}", found.as_str())));
        }
    }
    let names: Vec<String> = cases().into_keys().collect();
    let missing: Vec<_> = names.iter().filter(|name| !listed.contains(name)).collect();
    assert!(missing.is_empty(), "not in tests/README.md: {missing:?}");
    let gone: Vec<_> = listed.iter().filter(|name| !names.contains(name)).collect();
    assert!(gone.is_empty(), "only in tests/README.md: {gone:?}");
}

/// What a test proves on devices that do not offload is in the test, for the runner, and in the table for readers.
#[test]
fn the_readme_says_what_passes_without_offload() {
    let readme = include_str!("../../../tests/README.md");
    let (_, table) = readme.split_once("| passes without offload |").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let lines = table.lines().filter_map(|line| line.strip_prefix("| "));
    let lines: Vec<_> = lines
        .filter_map(|line| line.trim_end_matches(" |").split_once(" | "))
        .map(|(name, text)| (String::from(name), String::from(text)))
        .collect();
    let said: Vec<_> = cases()
        .into_iter()
        .filter_map(|(name, (text, _))| {
            let text = variable(&text, "WITHOUT_OFFLOAD")?;
            Some((name, String::from(text)))
        })
        .collect();
    assert_eq!(lines, said);
}
