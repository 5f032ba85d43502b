// SPDX-License-Identifier: GPL-2.0
//! How to install packages without taking away what the user has.
//!
//! A package may belong to one that is installed in a version from backports, and conflict with it in
//! the version that apt would choose. Then it is taken from backports as well, with what it depends on.

use std::fmt;
use std::fs;

use anyhow::bail;
use anyhow::Context;
use anyhow::Result;

use super::apt::Apt;
use super::suite::backports;
use super::suite::is_used;
use super::suite::mirror;
use super::suite::os_release;
use super::suite::Isolated;
use crate::cache::Cache;
use crate::ui;
use crate::ui::Step;

/// What apt would do, by its own words in a simulation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    removed: Vec<String>,
    downgraded: Vec<String>,
    /// Its reasons, if it finds no way to install the packages.
    pub stuck: Vec<String>,
}

impl Outcome {
    pub fn parse(text: &str) -> Self {
        // Packages that are broken already are for the user to mend.
        let stuck = if text.contains("fix-broken") {
            Vec::new()
        } else {
            below(text, "The following packages have unmet dependencies:")
        };
        Self {
            removed: packages_below(text, "The following packages will be REMOVED:"),
            downgraded: packages_below(text, "The following packages will be DOWNGRADED:"),
            stuck,
        }
    }

    fn is_harmless(&self) -> bool {
        *self == Self::default()
    }

    /// What it would have to do to the user's packages; empty if it does not know.
    fn harm(&self) -> String {
        let lists = [("remove", &self.removed), ("downgrade", &self.downgraded)];
        lists
            .iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(verb, names)| format!("{verb} {}", names.join(" ")))
            .collect::<Vec<_>>()
            .join(" and ")
    }
}

/// The indented lines below a heading.
fn below(text: &str, heading: &str) -> Vec<String> {
    text.lines()
        .skip_while(|line| *line != heading)
        .skip(1)
        .take_while(|line| line.starts_with(' '))
        .map(|line| String::from(line.trim_end()))
        .collect()
}

/// The packages below a heading: some in a line or, with versions in parentheses, one.
fn packages_below(text: &str, heading: &str) -> Vec<String> {
    below(text, heading)
        .iter()
        .flat_map(|line| line.split(" (").next().unwrap_or_default().split(' '))
        // A package that is removed with its configuration has an asterisk.
        .map(|name| name.trim_end_matches('*'))
        .filter(|name| !name.is_empty())
        .map(String::from)
        .collect()
}

/// What is installed with one run of apt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    pub packages: Vec<String>,
    pub options: Vec<String>,
    /// Where they come from, unless from where apt takes them by itself.
    pub suite: Option<String>,
}

impl Batch {
    fn plain(packages: &[String]) -> Self {
        Self {
            packages: packages.to_vec(),
            ..Self::default()
        }
    }
}

/// What is to be installed, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub batches: Vec<Batch>,
}

impl Plan {
    /// Finds a way that removes and downgrades nothing. If there is none, the error tells what is in it.
    pub fn find(apt: &Apt, cache: &Cache, packages: &[String]) -> Result<Self> {
        let whole = Batch::plain(packages);
        let outcome = apt.simulate(cache, &whole)?;
        if outcome.is_harmless() {
            return Ok(Self {
                batches: vec![whole],
            });
        }
        let (harmful, rest) = sort_out(apt, cache, packages)?;
        let conflict = Conflict::explore(apt, cache, harmful, outcome)?;
        match from_backports(apt, cache, &conflict.packages) {
            Ok((batch, suite)) => {
                ui::note(&conflict.reason(&suite));
                let rest = (!rest.is_empty()).then(|| Batch::plain(&rest));
                Ok(Self {
                    batches: std::iter::once(batch).chain(rest).collect(),
                })
            }
            Err(error) => bail!(conflict.refusal(apt.prefix(), &format!("{error:#}"))),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, batch) in self.batches.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{}", batch.packages.join(" "))?;
            if let Some(suite) = &batch.suite {
                write!(f, " (from {suite})")?;
            }
        }
        Ok(())
    }
}

/// Finds out which packages do harm, and which do not. If none does alone, it is all of them together.
fn sort_out(apt: &Apt, cache: &Cache, packages: &[String]) -> Result<(Vec<String>, Vec<String>)> {
    let mut step = Step::new("Looking for what apt cannot install");
    let (mut harmful, mut rest) = (Vec::new(), Vec::new());
    for (count, package) in (1..).zip(packages) {
        step.update(count, package);
        let outcome = apt.simulate(cache, &Batch::plain(std::slice::from_ref(package)))?;
        let list = if outcome.is_harmless() {
            &mut rest
        } else {
            &mut harmful
        };
        list.push(package.clone());
    }
    step.done_quietly();
    if harmful.is_empty() {
        std::mem::swap(&mut harmful, &mut rest);
    }
    Ok((harmful, rest))
}

/// Takes packages from backports, with what they depend on; an error if that does harm, too.
fn from_backports(apt: &Apt, cache: &Cache, packages: &[String]) -> Result<(Batch, String)> {
    let suite = backports(&os_release()).context("this system does not tell its release")?;
    let mut options = if is_used(apt.program(), &suite)? {
        Vec::new()
    } else {
        read(apt, cache, &suite).with_context(|| format!("cannot use {suite}"))?
    };
    options.extend([String::from("-t"), suite.clone()]);
    let batch = Batch {
        packages: packages.to_vec(),
        options,
        suite: Some(suite.clone()),
    };
    let harm = apt.simulate(cache, &batch)?;
    if !harm.is_harmless() {
        bail!("what is in {suite} does not fit either");
    }
    Ok((batch, suite))
}

/// Reads a suite that the system does not use, and returns the options for apt to see it.
fn read(apt: &Apt, cache: &Cache, suite: &str) -> Result<Vec<String>> {
    let dir = cache.root().join("apt");
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    let isolated = Isolated {
        dir: &dir,
        apt: apt.program(),
        cache,
    };
    let step = Step::new(format!("Reading the package lists of {suite}"));
    let mirror = mirror(apt.program())?;
    isolated.read(&mirror, suite)?;
    step.done("");
    isolated.beside_system(&mirror, suite)
}

/// Packages that cannot be installed without harm.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Conflict {
    packages: Vec<String>,
    outcome: Outcome,
    /// Whether apt only finds a way if it may change packages that the user holds.
    held: bool,
}

impl Conflict {
    /// Where apt is stuck, it may be because of packages on hold: then this finds out which.
    fn explore(apt: &Apt, cache: &Cache, packages: Vec<String>, outcome: Outcome) -> Result<Self> {
        let mut conflict = Self {
            packages,
            outcome,
            held: false,
        };
        if conflict.outcome.harm().is_empty() {
            let batch = Batch {
                options: vec![String::from("--ignore-hold")],
                ..Batch::plain(&conflict.packages)
            };
            let outcome = apt.simulate(cache, &batch)?;
            if !outcome.harm().is_empty() {
                conflict.outcome = outcome;
                conflict.held = true;
            }
        }
        Ok(conflict)
    }

    /// Why the packages are taken from a suite.
    fn reason(&self, suite: &str) -> String {
        let names = self.packages.join(" ");
        let harm = self.outcome.harm();
        if harm.is_empty() {
            format!("{names}: from {suite}, as the usual version does not fit what is installed")
        } else {
            format!("{names}: from {suite}, as for the usual version apt would have to {harm}")
        }
    }

    /// What the user has to decide.
    fn refusal(&self, prefix: &str, why_no_suite: &str) -> String {
        let names = self.packages.join(" ");
        let harm = self.outcome.harm();
        if harm.is_empty() {
            return format!(
                "apt cannot install {names} beside what is installed, and backports do not help \
                 ({why_no_suite}):\n{}\n   If you can do without the package that is in the way, say\n   \
                 {prefix}apt-get remove PACKAGE\n   and then the same again.",
                self.outcome.stuck.join("\n")
            );
        }
        let hold = if self.held { " --ignore-hold" } else { "" };
        format!(
            "to install {names}, apt would have to {harm}; so nothing was installed. Backports do not \
             help ({why_no_suite}).\n   If apt may {harm}, say\n   \
             {prefix}apt-get install --no-install-recommends{hold} {names}\n   and then the same again."
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| String::from(*name)).collect()
    }

    const REMOVAL: &str = "Reading package lists...\n\
        The following additional packages will be installed:\n  qemu-system-common seabios\n\
        The following packages will be REMOVED:\n  qemu-block-extra* qemu-utils\n  libvirt0\n\
        The following NEW packages will be installed:\n  qemu-system-x86\n\
        0 upgraded, 3 newly installed, 3 to remove and 134 not upgraded.\n\
        Remv qemu-utils [1:10.0.2]\n";

    const STUCK: &str = "The following information may help to resolve the situation:\n\n\
        The following packages have unmet dependencies:\n \
        qemu-utils : Breaks: qemu-system-common (< 1:8.0) but 1:7.2 is to be installed\n\
        E: Unable to correct problems, you have held broken packages.\n";

    #[test]
    fn a_plan_of_apt_without_harm_is_recognized() {
        let text = "The following NEW packages will be installed:\n  make\n\
                    The following packages will be upgraded:\n  libc6\n\
                    Inst make (4.3-4.1 Debian:12.15/oldstable [amd64])\n";
        assert!(Outcome::parse(text).is_harmless());
        assert!(Outcome::parse("").is_harmless());
    }

    #[test]
    fn what_apt_would_remove_is_read() {
        let outcome = Outcome::parse(REMOVAL);
        assert_eq!(
            outcome.removed,
            ["qemu-block-extra", "qemu-utils", "libvirt0"]
        );
        assert_eq!(
            outcome.harm(),
            "remove qemu-block-extra qemu-utils libvirt0"
        );
        assert!(!outcome.is_harmless() && outcome.stuck.is_empty());
    }

    #[test]
    fn versions_in_apt_s_lists_are_no_packages() {
        let text = "The following packages will be REMOVED:\n   a (1:2-3)\n\
                    The following packages will be DOWNGRADED:\n   b (2 => 1)\n   c (2 => 1)\n";
        assert_eq!(Outcome::parse(text).harm(), "remove a and downgrade b c");
    }

    #[test]
    fn apt_without_a_way_gives_its_reasons() {
        let outcome = Outcome::parse(STUCK);
        assert!(outcome.stuck.len() == 1 && outcome.stuck[0].contains("qemu-utils : Breaks"));
        assert!(!outcome.is_harmless() && outcome.harm().is_empty());
        let broken = format!("{STUCK}E: Unmet dependencies. Try 'apt --fix-broken install'.\n");
        assert!(Outcome::parse(&broken).stuck.is_empty());
    }

    #[test]
    fn a_refusal_names_the_packages_and_the_command() {
        let mut conflict = Conflict {
            packages: own(&["qemu-system-x86"]),
            outcome: Outcome {
                removed: own(&["qemu-utils"]),
                ..Outcome::default()
            },
            held: false,
        };
        let text = conflict.refusal("sudo ", "apt cannot read it");
        assert!(text.contains("remove qemu-utils;"), "{text}");
        assert!(text.contains("(apt cannot read it)"), "{text}");
        let command = "\n   sudo apt-get install --no-install-recommends qemu-system-x86\n";
        assert!(text.contains(command), "{text}");
        conflict.held = true;
        let text = conflict.refusal("", "");
        assert!(
            text.contains("-recommends --ignore-hold qemu-system-x86\n"),
            "{text}"
        );
        conflict.outcome = Outcome::parse(STUCK);
        let text = conflict.refusal("", "");
        assert!(text.contains("\n qemu-utils : Breaks"), "{text}");
    }

    #[test]
    fn a_plan_tells_what_comes_from_where() {
        let backports = Batch {
            packages: own(&["qemu-system-x86"]),
            suite: Some(String::from("a-backports")),
            ..Batch::default()
        };
        let plan = Plan {
            batches: vec![backports, Batch::plain(&own(&["make", "gcc"]))],
        };
        assert_eq!(
            plan.to_string(),
            "qemu-system-x86 (from a-backports); make gcc"
        );
    }
}
