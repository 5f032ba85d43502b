// SPDX-License-Identifier: GPL-2.0
//! Which packages have the compilers.

use std::process::Command;

use anyhow::bail;
use anyhow::Result;

use super::apt::beginning_with;
use super::apt::Candidates;
use super::command::find;
use super::needs::Compilers;
use super::system::System;
use super::toolchain::min_bindgen;
use super::toolchain::Version;
use super::toolchain::LLVM_RELEASES;
use super::toolchain::MIN_LLVM;
use super::toolchain::MIN_RUSTC;

/// The packages with the compilers, out of those that this release of the distribution has.
pub fn choose(
    system: &System,
    compilers: Compilers,
    clang: Option<Version>,
) -> Result<Vec<String>> {
    let mut ask: Vec<String> = Vec::new();
    for family in RUST {
        ask.extend(family.map(String::from));
    }
    for rustc in beginning_with(VERSIONED) {
        ask.extend(
            rustc
                .strip_prefix(VERSIONED)
                .into_iter()
                .flat_map(versioned),
        );
    }
    for release in LLVM_RELEASES {
        ask.extend(llvm_packages(release));
    }
    ask.push(String::from("bindgen"));
    choose_from(
        system,
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

/// How the compiler's name begins where the version is in it.
const VERSIONED: &str = "rustc-1.";

/// Ubuntu's packages of Rust 1.`minor`.
fn versioned(minor: &str) -> [String; 4] {
    [
        "rustc-1.N",
        "rust-1.N-src",
        "rustfmt-1.N",
        "rust-1.N-clippy",
    ]
    .map(|name| name.replace('N', minor))
}

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
    system: &System,
    compilers: Compilers,
    mut clang: Option<Version>,
    have: &Candidates,
    plain_rust: bool,
) -> Result<Vec<String>> {
    let mut packages = Vec::new();
    if compilers.rust || compilers.rustfmt || compilers.clippy {
        let good = |[rustc, source, ..]: &[String; 4]| {
            have.version(rustc)
                .is_some_and(|version| version >= MIN_RUSTC)
                && have.has(source)
        };
        // Debian's two families exclude each other: stay with the one that is installed.
        let rank =
            |[rustc, ..]: &[String; 4]| (rustc == "rustc" && plain_rust, have.version(rustc));
        let families = RUST.map(|family| family.map(String::from)).into_iter();
        let families = families.chain(have.behind(VERSIONED).map(versioned));
        let Some([rustc, source, rustfmt, clippy]) = families.filter(good).max_by_key(rank) else {
            bail!(
                "no package has Rust {MIN_RUSTC} or later with its source: {}",
                system.newer_rust()
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
                .into_iter()
                .filter_map(|(want, name)| want.then_some(name)),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(list: &[(&str, &str)]) -> Candidates {
        Candidates::from_pairs(list)
    }

    fn chosen(
        compilers: Compilers,
        clang: Option<Version>,
        have: &Candidates,
        plain_rust: bool,
    ) -> Vec<String> {
        choose_from(&System::here(), compilers, clang, have, plain_rust).unwrap()
    }

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
        let packages = chosen(Compilers::ALL, None, &have, false).join(" ");
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
            chosen(want, None, &have, true),
            ["rustc", "rust-src", "bindgen"]
        );
        assert_eq!(chosen(want, None, &have, false)[0], "rustc-web");
    }

    #[test]
    fn ubuntu_has_rust_in_packages_with_versions() {
        let have = candidates(&[
            ("rustc", "1.75.0+dfsg0ubuntu1-0ubuntu7.1"),
            ("rust-src", "1.75.0+dfsg0ubuntu1-0ubuntu7.1"),
            ("rustc-1.83", "1.83.0+dfsg0ubuntu1~bpo2-0ubuntu0.24.04"),
            ("rust-1.83-src", "1.83.0+dfsg0ubuntu1~bpo2-0ubuntu0.24.04"),
            ("rustc-1.91", "1.91.1+dfsg~24.04-0ubuntu0.24.04.3"),
            ("rust-1.91-src", "1.91.1+dfsg~24.04-0ubuntu0.24.04.3"),
            ("rustc-1.100", "1.100.0+dfsg~24.04-0ubuntu1"),
        ]);
        let want = Compilers {
            llvm: false,
            ..Compilers::ALL
        };
        let packages = chosen(want, None, &have, true).join(" ");
        assert_eq!(
            packages,
            "rustc-1.91 rust-1.91-src rustfmt-1.91 rust-1.91-clippy"
        );
    }

    #[test]
    fn a_bindgen_too_old_for_the_clang_is_not_installed() {
        let have = candidates(&[("bindgen", "0.71.1-4")]);
        let want = Compilers {
            bindgen: true,
            ..Compilers::default()
        };
        let packages = |clang| chosen(want, Some(clang), &have, false);
        assert_eq!(packages(Version(19, 1, 7)), ["bindgen"]);
        assert!(packages(Version(22, 1, 8)).is_empty());
    }

    #[test]
    fn without_a_package_there_is_advice() {
        let system = System::here();
        let none = choose_from(&system, Compilers::ALL, None, &Candidates::default(), false);
        let none = none.unwrap_err().to_string();
        assert!(none.ends_with(system.newer_rust()), "{none}");
    }
}
