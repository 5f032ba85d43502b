// SPDX-License-Identifier: GPL-2.0
//! Installs what is missing, and only that; says so before, and gives the exact words if it may not.

use anyhow::bail;
use anyhow::Context as _;
use anyhow::Result;

use super::apt::confirm;
use super::apt::Apt;
use super::apt::NoApt;
use super::choice::choose;
use super::crates;
use super::needs::missing;
use super::needs::Compilers;
use super::needs::Purpose;
use super::plan::Plan;
use super::system::System;
use super::toolchain::Toolchain;
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
    let choose = || choose(&system, compilers, clang);
    match Apt::find() {
        Ok(apt) => {
            apt.update(cache)?;
            packages.extend(choose()?);
            if !packages.is_empty() {
                let plan = Plan::find(&apt, cache, &packages)?;
                ui::note(&format!("to be installed: {plan}"));
                confirm(yes)?;
                apt.install(cache, &plan)?;
            }
        }
        Err(reason) => {
            let chosen = choose().map(|chosen| packages.extend(chosen));
            let others = Compilers {
                bindgen: false,
                ..compilers
            };
            // bindgen alone needs no root.
            if !packages.is_empty() || others.any() {
                let none = chosen.err().map(|error| format!("{error:#}"));
                bail!(
                    "{}",
                    advice(&reason, &system, &packages, compilers, none.as_deref())
                );
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

/// What to do where nothing can be installed; `none` says why no package has the compilers.
fn advice(
    reason: &NoApt,
    system: &System,
    packages: &[String],
    compilers: Compilers,
    none: Option<&str>,
) -> String {
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
    if *reason == NoApt::NotAllowed {
        lines.extend(none.map(String::from));
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

    #[test]
    fn without_a_package_there_is_advice() {
        let (system, packages) = (System::here(), [String::from("make")]);
        let advice = |reason| {
            advice(
                &reason,
                &system,
                &packages,
                Compilers::ALL,
                Some("no such package"),
            )
        };
        let text = advice(NoApt::Absent);
        assert!(text.contains("make") && text.contains("rust"), "{text}");
        assert!(!text.contains("no such package"), "{text}");
        let text = advice(NoApt::NotAllowed);
        assert!(text.contains("sudo") && text.contains("make"), "{text}");
        assert!(text.ends_with("no such package"), "{text}");
    }
}
