// SPDX-License-Identifier: GPL-2.0
//! Programs that Cargo builds, in the cache: those that Debian has not, or not in the version that is needed.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::command::logged;
use super::command::output;
use crate::cache::Cache;
use crate::ui::Step;

/// The bindgen to build where the distribution's is too old.
const BINDGEN: &str = "bindgen-cli@0.72.1";

/// Makes mutants of Rust code, and runs its tests on each.
const MUTANTS: &str = "cargo-mutants@27.1.0";

/// Builds bindgen: Debian 12 has none that the kernel accepts.
pub fn bindgen(cache: &Cache) -> Result<()> {
    build(cache, BINDGEN)
}

/// Returns cargo-mutants, in the version that the list of mutants was made with. It is built if it is
/// not there.
pub fn mutants(cache: &Cache) -> Result<PathBuf> {
    let path = cache.tools().join("bin/cargo-mutants");
    // It wants to be called as Cargo does.
    let version = output(Command::new(&path).args(["mutants", "--version"])).unwrap_or_default();
    if !is_version(&version, MUTANTS) {
        build(cache, MUTANTS)?;
    }
    Ok(path)
}

/// Whether a program says of itself that it is the one of this name and version.
fn is_version(said: &str, wanted: &str) -> bool {
    said.trim() == wanted.replace('@', " ")
}

fn build(cache: &Cache, program: &str) -> Result<()> {
    let name = program.split('@').next().unwrap_or(program);
    let target = cache.root().join("target").join(name);
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["install", "--locked", "--force", "--root"])
        .arg(cache.tools())
        .arg(program);
    // Out of the repository's configuration, and apart from its target folder.
    command
        .current_dir("/")
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_TERM_COLOR", "never");
    // It runs a few times for some seconds: a quick build is worth more than a quick program.
    for (name, value) in [
        ("OPT_LEVEL", "1"),
        ("LTO", "false"),
        ("CODEGEN_UNITS", "16"),
    ] {
        command.env(format!("CARGO_PROFILE_RELEASE_{name}"), value);
    }
    let mut step = Step::new(format!("Building {program}"));
    let log = cache.logs().join(format!("{name}.log"));
    let hint = "Does Cargo reach its registry?";
    logged(&mut command, &log, hint, step.lines())?;
    step.done("");
    let _ = std::fs::remove_dir_all(target);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_not_taken() {
        assert!(is_version("cargo-mutants 27.1.0\n", MUTANTS));
        assert!(!is_version("cargo-mutants 27.2.0\n", MUTANTS));
        assert!(!is_version("", MUTANTS));
    }
}
