// SPDX-License-Identifier: GPL-2.0
//! The kernel's options: our fragments over `allnoconfig`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::bail;
use anyhow::Context;
use anyhow::Result;

use super::kbuild;
use super::text_of;
use super::Flavour;
use super::Variant;
use super::Work;
use crate::cache::write_atomically;
use crate::ui;

/// The file that has the option.
const OPTION: &str = "block/copy/Kconfig";

/// Merges the fragments of a variant into one, one line an option.
pub fn fragment(repo: &Path, variant: Variant) -> Result<String> {
    let mut options = BTreeMap::new();
    for name in variant.fragments() {
        let path = repo.join("configs").join(format!("{name}.config"));
        let text = fs::read_to_string(&path)
            .with_context(|| format!("cannot read the options {}", path.display()))?;
        merge(&text, &mut options);
    }
    let mut merged = String::new();
    for (option, line) in options {
        let _ = option;
        writeln!(merged, "{line}").context("cannot merge the options")?;
    }
    Ok(merged)
}

fn merge(text: &str, options: &mut BTreeMap<String, String>) {
    for line in text.lines() {
        if let Some(option) = option_of(line) {
            options.insert(String::from(option), String::from(line));
        }
    }
}

/// The option that a line of a configuration is about.
fn option_of(line: &str) -> Option<&str> {
    let set = line
        .starts_with("CONFIG_")
        .then(|| line.split_once('='))
        .flatten();
    let unset = || line.strip_prefix("# ")?.strip_suffix(" is not set");
    set.map(|(option, _)| option)
        .or_else(unset)
        .filter(|option| option.starts_with("CONFIG_"))
}

/// Writes `.config`, if anything that decides it changed.
pub fn configure(work: &Work<'_>) -> Result<()> {
    let dir = work.dir();
    let merged = fragment(&work.context.repo, work.variant)?;
    let stamp = dir.join(".x-config");
    let identity = format!(
        "{merged}{}\n{}{}\n",
        work.laid.kconfig_identity,
        work.toolchain.identity(),
        work.tree.dir.display()
    );
    if dir.join(".config").is_file() && text_of(&stamp) == identity {
        return Ok(());
    }
    let all = dir.join(".x-fragment");
    write_atomically(&all, merged.as_bytes())?;
    kbuild::configure(work, &all)?;
    check(work, &merged)?;
    write_atomically(&stamp, identity.as_bytes())
}

/// Makes sure that the kernel took what matters, and tells what it did not take.
fn check(work: &Work<'_>, wanted: &str) -> Result<()> {
    let config = text_of(&work.dir().join(".config"));
    let refused = refused(wanted, &config);
    if refused.contains(&"CONFIG_RUST=y") {
        bail!(
            "the kernel does not accept this Rust toolchain:\n{}\n   Run `./x doctor`, then `./x setup`",
            kbuild::rust_available(work)
        );
    }
    // A kernel without our patches, or with some of them, need not have it.
    let ours = work.laid.has(OPTION) && work.variant.flavour != Flavour::Off;
    if ours && refused.contains(&"CONFIG_BLK_COPY_OFFLOAD=y") {
        bail!("CONFIG_BLK_COPY_OFFLOAD is off: look at its dependencies in block/Kconfig");
    }
    let others: Vec<&str> = refused
        .into_iter()
        .filter(|line| !line.starts_with("CONFIG_BLK_COPY_"))
        .collect();
    if !others.is_empty() && work.variant.flavour != Flavour::Series {
        ui::note(&format!(
            "{} does not have: {}",
            work.variant,
            others.join(" ")
        ));
    }
    Ok(())
}

/// What a configuration has not of the fragments that it was made of.
pub fn refused_by(work: &Work<'_>) -> Result<Vec<String>> {
    let wanted = fragment(&work.context.repo, work.variant)?;
    let path = work.dir().join(".config");
    let config = fs::read_to_string(&path)
        .with_context(|| format!("cannot read the options {}", path.display()))?;
    let lines = refused(&wanted, &config);
    Ok(lines.into_iter().map(String::from).collect())
}

/// The lines of a fragment that did not make it into a configuration.
fn refused<'a>(wanted: &'a str, config: &str) -> Vec<&'a str> {
    let have: std::collections::BTreeSet<&str> = config.lines().collect();
    wanted
        .lines()
        .filter(|line| !have.contains(line))
        // An option that does not exist is off, too.
        .filter(|line| {
            !line.starts_with('#')
                || option_of(line).is_some_and(|option| config.contains(&format!("\n{option}=")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::Part;

    #[test]
    fn a_later_fragment_overrides() {
        let mut options = BTreeMap::new();
        merge("# a comment\nCONFIG_A=y\nCONFIG_B=\"x=y\"\n", &mut options);
        merge("# CONFIG_A is not set\n", &mut options);
        let lines: Vec<&String> = options.values().collect();
        assert_eq!(lines, ["# CONFIG_A is not set", "CONFIG_B=\"x=y\""]);
    }

    #[test]
    fn refused_options_are_found() {
        let wanted = "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=m\n# CONFIG_D is not set\n";
        let config = "#\nCONFIG_A=y\nCONFIG_B=y\n# CONFIG_C is not set\n";
        assert_eq!(
            refused(wanted, config),
            ["# CONFIG_B is not set", "CONFIG_C=m"]
        );
    }

    #[test]
    fn the_fragments_in_the_repository_are_valid() {
        // That of this checkout: several may share what cargo has built.
        let here = std::env::var("CARGO_MANIFEST_DIR").unwrap();
        let repo = Path::new(&here).join("..");
        let merged = fragment(&repo, Variant::UM).unwrap();
        assert!(merged.contains("CONFIG_RUST=y\n"));
        let without = Part::ALL.map(Part::fragment);
        let names = [
            "common", "um", "qemu", "off", "debug", "smp", "arm", "small",
        ];
        for name in names.into_iter().chain(without) {
            let text = fs::read_to_string(repo.join(format!("configs/{name}.config"))).unwrap();
            let mut seen = std::collections::BTreeSet::new();
            for option in text.lines().filter_map(option_of) {
                assert!(seen.insert(option), "{name}.config names {option} twice");
            }
        }
    }

    #[test]
    fn a_small_kernel_has_all_built_in_and_lacks_something() {
        let here = std::env::var("CARGO_MANIFEST_DIR").unwrap();
        let repo = Path::new(&here).join("..");
        for part in Part::ALL {
            let merged = fragment(&repo, Variant::without(part)).unwrap();
            let lines: Vec<&str> = merged.lines().collect();
            assert!(lines.contains(&"CONFIG_BLK_COPY_OFFLOAD=y"));
            assert!(lines.iter().all(|line| !line.ends_with("=m")));
            let name = part.fragment().strip_prefix("without/").unwrap();
            let option = name.replace('-', "_").to_uppercase();
            assert!(lines.contains(&format!("# CONFIG_{option} is not set").as_str()));
        }
    }
}
