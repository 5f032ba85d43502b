// SPDX-License-Identifier: GPL-2.0
//! Calls of the kernel's `make`.

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use anyhow::anyhow;
use anyhow::ensure;
use anyhow::Result;

use super::text_of;
use super::Flavour;
use super::Variant;
use super::Work;
use crate::cache::write_atomically;
use crate::host::command::logged;
use crate::ui::Step;

/// About how many things a build makes; the count of the last full build is better.
fn estimate(variant: Variant) -> u64 {
    match variant.guest {
        super::Guest::Um => 1350,
        super::Guest::Qemu => 2080,
        super::Guest::Arm => 1362,
    }
}

/// The compilers that were found, as variables of `make`.
pub fn variables(work: &Work<'_>) -> Result<Vec<String>> {
    work.toolchain.make_variables().map_err(|missing| {
        anyhow!(
            "{} missing to build the kernel: run `./x setup`",
            missing.join(" and ")
        )
    })
}

/// A `make` in the tree with the compilers that were found.
pub fn command(work: &Work<'_>) -> Result<Command> {
    let variables = variables(work)?;
    let mut command = Command::new("make");
    command.arg("-C").arg(&work.tree.dir);
    command.arg(format!("O={}", work.dir().display()));
    command.arg(format!("ARCH={}", work.variant.arch()));
    command.args(variables);
    if work.variant.flavour == Flavour::Clippy {
        ensure!(
            work.toolchain.clippy.is_some(),
            "clippy is missing: run `./x setup`"
        );
        command.arg("CLIPPY=1");
    }
    if work.variant.tells_frames() {
        command.arg("RUSTFLAGS_blk_copy.o=-Zemit-stack-sizes");
    }
    command.envs(work.toolchain.environment(&work.context.cache));
    command
        .env("KBUILD_BUILD_USER", "copy-offload")
        .env("KBUILD_BUILD_HOST", "localhost");
    // Whatever the caller exported for another kernel must not leak into this one.
    for variable in [
        "MAKEFLAGS",
        "KBUILD_OUTPUT",
        "ARCH",
        "CROSS_COMPILE",
        "KCONFIG_CONFIG",
    ] {
        command.env_remove(variable);
    }
    command.env("LC_ALL", "C");
    // The release has no "+" for a repository in the tree: that one is ours.
    command.env("LOCALVERSION", "");
    Ok(command)
}

/// Makes `.config` of a merged fragment; what it does not name is off.
pub fn configure(work: &Work<'_>, fragment: &Path) -> Result<()> {
    let mut make = command(work)?;
    make.env("KCONFIG_ALLCONFIG", fragment).arg("allnoconfig");
    let step = Step::new(format!("Configuring the {} kernel", work.variant));
    let log = work
        .context
        .cache
        .logs()
        .join(format!("config-{}.log", work.variant));
    logged(
        &mut make,
        &log,
        "Is flex, bison or a compiler missing? `./x doctor` tells.",
        |_| {},
    )?;
    step.done_quietly();
    Ok(())
}

/// What the kernel says of the Rust toolchain.
pub fn rust_available(work: &Work<'_>) -> String {
    let Ok(mut make) = command(work) else {
        return String::new();
    };
    let Ok(output) = make.arg("rustavailable").output() else {
        return String::new();
    };
    String::from_utf8_lossy(&output.stderr).trim().to_string()
}

/// Whether the kernel has modules; one that has none refuses to make them.
pub fn has_modules(work: &Work<'_>) -> bool {
    let config = text_of(&work.dir().join(".config"));
    config.lines().any(|line| line == "CONFIG_MODULES=y")
}

/// Builds image and modules, with a bar for a first build.
pub fn make(work: &Work<'_>) -> Result<()> {
    let dir = work.dir();
    let counts = dir.join(".x-steps");
    let known = text_of(&counts).trim().parse::<u64>().ok();
    let first = !dir.join("vmlinux").exists();
    let length = first.then(|| known.unwrap_or_else(|| estimate(work.variant)));

    let mut make = command(work)?;
    let jobs = std::thread::available_parallelism().map_or(2, usize::from);
    make.arg(format!("-j{jobs}")).arg(work.variant.target());
    if has_modules(work) {
        make.arg("modules");
    }
    let mut step = Step::with_length(format!("Building the {} kernel", work.variant), length);
    let mut count = 0;
    let hint = if work.variant.flavour == Flavour::Normal {
        "Mend the first error in the log and say the same again; what is built stays built."
    } else {
        "The log's first error tells; does the normal kernel build?"
    };
    logged(&mut make, &work.log(), hint, |line| {
        if let Some(made) = made(line) {
            count += 1;
            step.update(count, made);
        }
    })?;
    if first {
        write_atomically(&counts, count.to_string().as_bytes())?;
    }
    step.done(&format!("{count} steps"));
    Ok(())
}

/// Builds single objects, and what they need.
pub fn make_objects(work: &Work<'_>, objects: &[PathBuf]) -> Result<()> {
    let mut make = command(work)?;
    make.args(objects);
    let step = Step::new(format!("Building objects of the {} kernel", work.variant));
    logged(
        &mut make,
        &work.log(),
        "The log's first error tells.",
        |_| {},
    )?;
    step.done_quietly();
    Ok(())
}

/// Builds the modules of a folder outside of the tree, for the kernel that was built, into `out`.
pub fn make_external(work: &Work<'_>, folder: &Path, out: &Path) -> Result<()> {
    let mut make = command(work)?;
    make.arg(format!("M={}", folder.display()))
        .arg(format!("MO={}", out.display()));
    let log = work.context.cache.logs().join("build-external.log");
    logged(&mut make, &log, "The log's first error tells.", |_| {})
}

/// What a line of kbuild's output says was made: `  CC [M]  fs/x.o`.
fn made(line: &str) -> Option<&str> {
    let line = line.strip_prefix("  ")?;
    line.starts_with(|c: char| c.is_ascii_uppercase())
        .then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_kbuild_are_counted() {
        assert_eq!(made("  CC      block/bio.o"), Some("CC      block/bio.o"));
        assert_eq!(made("  RUSTC L rust/core.o"), Some("RUSTC L rust/core.o"));
        assert_eq!(made("make[1]: Entering directory"), None);
        assert_eq!(made("  --> block/copy/lib.rs:3:1"), None);
    }
}
