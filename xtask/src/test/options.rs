// SPDX-License-Identifier: GPL-2.0
//! The options of the work: all of them are in the menu of `Kconfig` at the top, and the guests' kernels set each.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;
use anyhow::Result;

use super::report::Report;
use crate::build::fragment;
use crate::build::Flavour;
use crate::build::Guest;
use crate::build::Variant;
use crate::overlay::Series;

/// The menu, from the top of the repository on.
const MENU: &str = "Kconfig";

/// The kernels that guests run: with the work, and without.
const ON: [Variant; 2] = [Variant::UM, Variant::of(Guest::Qemu, Flavour::Normal)];
const OFF: [Variant; 1] = [Variant::of(Guest::Um, Flavour::Off)];

/// Checks the repository.
pub fn run(repo: &Path, report: &mut Report) {
    let name = "the guests' kernels set each option of the menu";
    match complaints(repo) {
        Ok(complaints) => report.judge(name, &complaints),
        Err(error) => report.fail(name, &format!("{error:#}")),
    }
}

fn complaints(repo: &Path) -> Result<Vec<String>> {
    let mut menu = Menu::default();
    menu.read(repo, Path::new(MENU))?;
    let mut complaints = menu.missing(&Series::load(repo)?);
    for (variants, on) in [(&ON[..], true), (&OFF[..], false)] {
        for variant in variants {
            let fragment = fragment(repo, *variant)?;
            let lines: BTreeSet<&str> = fragment.lines().collect();
            complaints.extend(menu.unset(&lines, on).map(|option| {
                let state = if on { "on" } else { "off" };
                format!("{variant} does not switch CONFIG_{option} {state}")
            }));
        }
    }
    Ok(complaints)
}

/// What is in a menu, and in the files that it takes in.
#[derive(Debug, Default)]
struct Menu {
    files: BTreeSet<PathBuf>,
    options: BTreeSet<String>,
}

impl Menu {
    fn read(&mut self, repo: &Path, file: &Path) -> Result<()> {
        if !self.files.insert(file.to_path_buf()) {
            return Ok(());
        }
        let text = fs::read_to_string(repo.join(file))
            .with_context(|| format!("cannot read the options in {}", file.display()))?;
        for line in text.lines() {
            match line.split_whitespace().collect::<Vec<_>>()[..] {
                ["config" | "menuconfig", option] => {
                    self.options.insert(String::from(option));
                }
                ["source", file] => self.read(repo, Path::new(file.trim_matches('"')))?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Files of the series that have options, and are not in the menu.
    fn missing(&self, series: &Series) -> Vec<String> {
        let files = series.patches.iter().flat_map(|entry| &entry.files);
        let has_options = |file: &&PathBuf| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("Kconfig") && !self.files.contains(*file)
        };
        files
            .filter(has_options)
            .map(|file| format!("{MENU} does not take in {}", file.display()))
            .collect()
    }

    /// The options that a configuration does not switch on, or off.
    fn unset<'a>(&'a self, lines: &'a BTreeSet<&str>, on: bool) -> impl Iterator<Item = &'a str> {
        let has = |line: String| lines.contains(line.as_str());
        let is_set = move |option: &&String| {
            if on {
                has(format!("CONFIG_{option}=y")) || has(format!("CONFIG_{option}=m"))
            } else {
                has(format!("# CONFIG_{option} is not set"))
            }
        };
        let unset = self.options.iter().filter(move |option| !is_set(option));
        unset.map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn menu() -> Menu {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(
            MENU,
            "menu \"A\"\nsource \"b/Kconfig\"\nsource \"b/Kconfig\"\nendmenu\n",
        );
        write(
            "b/Kconfig",
            "config ONE\n\tbool \"One\"\n\tdepends on config\nmenuconfig TWO\n",
        );
        let mut menu = Menu::default();
        menu.read(dir.path(), Path::new(MENU)).unwrap();
        assert!(menu.read(dir.path(), Path::new("gone")).is_err());
        menu
    }

    #[test]
    fn each_option_is_found_and_has_to_be_set() {
        let menu = menu();
        assert_eq!(menu.options.iter().collect::<Vec<_>>(), ["ONE", "TWO"]);
        let lines = BTreeSet::from(["CONFIG_ONE=m", "# CONFIG_TWO is not set"]);
        assert_eq!(menu.unset(&lines, true).collect::<Vec<_>>(), ["TWO"]);
        assert_eq!(menu.unset(&lines, false).collect::<Vec<_>>(), ["ONE"]);
    }

    #[test]
    fn files_that_are_not_in_the_menu_are_named() {
        let entry = "[[patch]]\nsubject = 'a'\nfiles = ['b/Kconfig', 'c/Kconfig.copy', 'c/a.rs']";
        let series: Series = toml::from_str(entry).unwrap();
        assert_eq!(
            menu().missing(&series),
            ["Kconfig does not take in c/Kconfig.copy"]
        );
    }
}
