// SPDX-License-Identifier: GPL-2.0
//! Installs what is missing, and only that; says so before, and gives the exact words if it may not.

use std::process::Command;

use anyhow::bail;
use anyhow::Context as _;
use anyhow::Result;

use super::apt::confirm;
use super::apt::Apt;
use super::apt::Candidates;
use super::apt::NoApt;
use super::command::find;
use super::crates;
use super::needs::missing;
use super::needs::Compilers;
use super::needs::Purpose;
use super::plan::Plan;
use super::system::System;
use super::toolchain::min_bindgen;
use super::toolchain::Toolchain;
use super::toolchain::Version;
use super::toolchain::LLVM_RELEASES;
use super::toolchain::MIN_LLVM;
use super::toolchain::MIN_RUSTC;
use crate::cache::Cache;
use crate::ui;

/// Makes sure that everything for `purposes` is there. Costs next to nothing if it is.
pub fn ensure(cache: &Cache, purposes: &[Purpose]) -> Result<()> {
    install(cache, purposes, false)
}

/// The `setup` subcommand.
pub fn run(cache: &Cache, yes: bool) -> Result<()> {
    install(cache, &Purpose::ALL, yes)?;
    ui::note("everything is there: `./x doctor` shows it, `./x demo` comes next");
    Ok(())
}

fn install(cache: &Cache, purposes: &[Purpose], yes: bool) -> Result<()> {
    let toolchain = Toolchain::find(cache);
    let compilers = Compilers::missing(&toolchain, purposes);
    let clang = toolchain.llvm.as_ref().map(|llvm| llvm.clang.version);
    let needs = missing(purposes);
    if needs.is_empty() && !compilers.any() {
        return Ok(());
    }
    ui::heading("Something is missing on this machine");
    let system = System::here();
    for need in &needs {
        ui::note(&format!(
            "{}: {} (package {})",
            need.name(),
            need.why,
            system.package(need.package)
        ));
    }
    for name in names(compilers) {
        ui::note(name);
    }
    let mut packages: Vec<String> = needs
        .iter()
        .map(|need| String::from(need.package))
        .collect();
    packages.sort();
    packages.dedup();
    match Apt::find() {
        Ok(apt) => {
            apt.update(cache)?;
            packages.extend(choose(compilers, clang)?);
            if !packages.is_empty() {
                let plan = Plan::find(&apt, cache, &packages)?;
                ui::note(&format!("to be installed: {plan}"));
                confirm(yes)?;
                apt.install(cache, &plan)?;
            }
        }
        Err(reason) => {
            packages.extend(choose(compilers, clang).unwrap_or_default());
            let others = Compilers {
                bindgen: false,
                ..compilers
            };
            // bindgen alone needs no root.
            if !packages.is_empty() || others.any() {
                bail!("{}", advice(&reason, &system, &packages, compilers));
            }
        }
    }
    if compilers.bindgen && Toolchain::find(cache).bindgen.is_none() {
        crates::bindgen(cache)?;
    }
    verify(cache, purposes)
}

fn names(compilers: Compilers) -> Vec<&'static str> {
    [
        (
            compilers.rust,
            "a Rust compiler with its library's source, for the kernel",
        ),
        (compilers.llvm, "clang, lld and llvm, for the kernel"),
        (compilers.bindgen, "bindgen, for the kernel"),
        (compilers.rustfmt, "rustfmt, for the tests"),
        (compilers.clippy, "clippy, for the tests"),
    ]
    .iter()
    .filter(|(missing, _)| *missing)
    .map(|(_, name)| *name)
    .collect()
}

/// The packages with the compilers, out of those that this release of Debian has.
fn choose(compilers: Compilers, clang: Option<Version>) -> Result<Vec<String>> {
    let mut ask: Vec<String> = Vec::new();
    for family in RUST {
        ask.extend(family.map(String::from));
    }
    for release in LLVM_RELEASES {
        ask.extend(llvm_packages(release));
    }
    ask.push(String::from("bindgen"));
    choose_from(
        compilers,
        clang,
        &Candidates::of(&ask),
        find("rustc").is_some() && installed("rustc"),
    )
}

/// rustc, library source, formatter, linter: Debian's default Rust, and the newer one beside it.
const RUST: [[&str; 4]; 2] = [
    [
        "rustc-web",
        "rust-web-src",
        "rustfmt-web",
        "rust-web-clippy",
    ],
    ["rustc", "rust-src", "rustfmt", "rust-clippy"],
];

fn llvm_packages(release: u32) -> [String; 4] {
    ["clang", "lld", "llvm", "libclang"].map(|name| match name {
        "libclang" => format!("libclang-{release}-dev"),
        name => format!("{name}-{release}"),
    })
}

/// Whether a package is installed already.
fn installed(package: &str) -> bool {
    let mut command = Command::new("dpkg-query");
    command.args(["-W", "-f", "${Status}", package]);
    super::command::output(&mut command).is_ok_and(|text| text.contains("ok installed"))
}

fn choose_from(
    compilers: Compilers,
    mut clang: Option<Version>,
    have: &Candidates,
    plain_rust: bool,
) -> Result<Vec<String>> {
    let mut packages = Vec::new();
    if compilers.rust || compilers.rustfmt || compilers.clippy {
        let good = |family: &&[&str; 4]| {
            have.version(family[0])
                .is_some_and(|version| version >= MIN_RUSTC)
                && have.has(family[1])
        };
        // The two families exclude each other: stay with the one that is installed.
        let mut families: Vec<&[&str; 4]> = RUST.iter().filter(good).collect();
        families.sort_by_key(|family| {
            let own = family[0] == "rustc" && plain_rust;
            std::cmp::Reverse((own, have.version(family[0])))
        });
        let Some([rustc, source, rustfmt, clippy]) = families.first() else {
            bail!(
                "no package has Rust {MIN_RUSTC} or later with its source: add the security archive \
                 to apt's sources, or `rustup component add rust-src`"
            );
        };
        let wanted = [
            (compilers.rust, rustc),
            (compilers.rust, source),
            (compilers.rustfmt, rustfmt),
            (compilers.clippy, clippy),
        ];
        packages.extend(
            wanted
                .iter()
                .filter(|(want, _)| *want)
                .map(|(_, name)| String::from(**name)),
        );
    }
    if compilers.llvm {
        let release = LLVM_RELEASES.into_iter().find(|release| {
            let packages = llvm_packages(*release);
            packages.iter().all(|package| have.has(package))
        });
        let Some(release) = release else {
            bail!("no package has clang {MIN_LLVM} or later: install clang, lld and llvm yourself");
        };
        packages.extend(llvm_packages(release));
        clang = Some(Version(release, 0, 0));
    }
    if compilers.bindgen
        && have
            .version("bindgen")
            .is_some_and(|version| version >= min_bindgen(clang))
    {
        packages.push(String::from("bindgen"));
    }
    Ok(packages)
}

/// What to do where nothing can be installed.
fn advice(reason: &NoApt, system: &System, packages: &[String], compilers: Compilers) -> String {
    let mut lines = vec![match reason {
        NoApt::Absent => format!("{} has no apt, so nothing was installed:", system.name),
        NoApt::NotAllowed => String::from(
            "something is missing, and neither root nor sudo is available here, so nothing was installed:",
        ),
    }];
    if !packages.is_empty() {
        lines.push(system.by_hand(packages));
    }
    if *reason == NoApt::Absent && compilers.any() {
        lines.push(format!(
            "compilers for the kernel (Rust {MIN_RUSTC} or later, LLVM {MIN_LLVM} or later): {}",
            system.compilers()
        ));
    }
    lines.join("\n   ")
}

fn verify(cache: &Cache, purposes: &[Purpose]) -> Result<()> {
    let needs = missing(purposes);
    let compilers = Compilers::missing(&Toolchain::find(cache), purposes);
    let mut gone: Vec<&str> = needs.iter().map(|need| need.name()).collect();
    gone.extend(names(compilers));
    if gone.is_empty() {
        return Ok(());
    }
    let log = cache.logs().join("apt.log");
    Err(anyhow::anyhow!("still missing: {}", gone.join(", "))).with_context(|| {
        format!(
            "the packages were installed, but that did not help; see {}",
            log.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(list: &[(&str, &str)]) -> Candidates {
        Candidates::from_pairs(list)
    }

    const ALL: Compilers = Compilers {
        rust: true,
        llvm: true,
        bindgen: true,
        rustfmt: true,
        clippy: true,
    };

    #[test]
    fn the_newest_complete_compilers_are_chosen() {
        let have = candidates(&[
            ("rustc-web", "1.96.0+dfsg1-1"),
            ("rust-web-src", "1.96.0+dfsg1-1"),
            ("rustc", "1.63.0"),
            ("rust-src", "1.63.0"),
            ("clang-22", "1:22.1.8-1"),
            ("clang-19", "1:19.1.7-1"),
            ("lld-19", "1:19.1.7-1"),
            ("llvm-19", "1:19.1.7-1"),
            ("libclang-19-dev", "1:19.1.7-1"),
            ("bindgen", "0.60.1-1"),
        ]);
        let packages = choose_from(ALL, None, &have, false).unwrap().join(" ");
        assert_eq!(
            packages,
            "rustc-web rust-web-src rustfmt-web rust-web-clippy clang-19 lld-19 llvm-19 libclang-19-dev"
        );
    }

    #[test]
    fn an_installed_rust_is_not_replaced() {
        let have = candidates(&[
            ("rustc-web", "1.96.0"),
            ("rust-web-src", "1.96.0"),
            ("rustc", "1.85.0+dfsg3-1"),
            ("rust-src", "1.85.0+dfsg3-1"),
            ("bindgen", "0.71.1-4"),
        ]);
        let want = Compilers {
            rust: true,
            bindgen: true,
            ..Compilers::default()
        };
        assert_eq!(
            choose_from(want, None, &have, true).unwrap(),
            ["rustc", "rust-src", "bindgen"]
        );
        assert_eq!(
            choose_from(want, None, &have, false).unwrap()[0],
            "rustc-web"
        );
    }

    #[test]
    fn a_bindgen_too_old_for_the_clang_is_not_installed() {
        let have = candidates(&[("bindgen", "0.71.1-4")]);
        let want = Compilers {
            bindgen: true,
            ..Compilers::default()
        };
        let packages = |clang| choose_from(want, Some(clang), &have, false).unwrap();
        assert_eq!(packages(Version(19, 1, 7)), ["bindgen"]);
        assert!(packages(Version(22, 1, 8)).is_empty());
    }

    #[test]
    fn without_a_package_there_is_advice() {
        let error = choose_from(ALL, None, &Candidates::default(), false)
            .unwrap_err()
            .to_string();
        assert!(error.contains("rustup"), "{error}");
        let packages = [String::from("make")];
        let system = System::here();
        let text = advice(&NoApt::Absent, &system, &packages, ALL);
        assert!(text.contains("make") && text.contains("rust"), "{text}");
        let text = advice(&NoApt::NotAllowed, &system, &packages, ALL);
        assert!(text.contains("sudo") && text.contains("make"), "{text}");
    }
}
