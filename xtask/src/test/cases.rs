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

/// The pauses of a tenth of a second or more, and those whose length is worked out, that have no comment above them.
fn pauses_without_a_reason(text: &str) -> Vec<String> {
    let pause = r"(?:^|[;&|({]|\b(?:do|then|else|while|until)\b)\s*(?:sleep\s+|read\s+(?:-\S+\s+)*-[a-z]*t\s*)";
    let pause = Regex::new(&format!(r#"{pause}"?0*\.?[1-9$]"#)).unwrap();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let found = lines.windows(2).enumerate().filter(|(_, pair)| {
        pause.is_match(pair[1]) && !pair[1].starts_with('#') && !pair[0].starts_with("# ")
    });
    found
        .map(|(at, pair)| format!("line {}: {}", at + 2, pair[1]))
        .collect()
}

#[test]
fn a_pause_is_known_in_each_form() {
    for pause in [
        "sleep 1",
        "\tsleep .5",
        "sleep 0.2",
        "sleep $((1 + round % 2)).$((round % 10))",
        "sleep .$((RANDOM % 3))",
        "sleep \"$seconds\"",
        "while :; do sleep .1; done",
        "read -rt .1 -u \"$fd\"",
        "read -r -t 1",
        "read -t1",
    ] {
        assert_eq!(
            pauses_without_a_reason(&format!("\n{pause}")).len(),
            1,
            "{pause}"
        );
        let reason = format!("\n# It must not end meanwhile.\n{pause}");
        assert!(pauses_without_a_reason(&reason).is_empty(), "{pause}");
    }
    for other in [
        "sleep .02",
        "sleep 0.05",
        "read -rt .01 -u \"$fd\"",
        "# A read that times out takes no process: sleep 1 does.",
        "read -ra status",
        "_copy_await nullb1 offloaded $pid",
    ] {
        assert!(
            pauses_without_a_reason(&format!("\n{other}")).is_empty(),
            "{other}"
        );
    }
}

/// What can be waited for is waited for. A pause is for what must not happen meanwhile, or sets a pace, and then a
/// comment above it says so.
#[test]
fn no_pause_without_a_reason() {
    let mut found = complaints(|_, text| pauses_without_a_reason(text));
    let common = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/common");
    for entry in fs::read_dir(common).unwrap() {
        let path = entry.unwrap().path();
        let pauses = pauses_without_a_reason(&fs::read_to_string(&path).unwrap());
        found.extend(
            pauses
                .iter()
                .map(|text| format!("{}: {text}", path.display())),
        );
    }
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
