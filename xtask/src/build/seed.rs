// SPDX-License-Identifier: GPL-2.0
//! Starts a build folder as a copy of one that differs in an option only.
//!
//! kbuild knows for each object which options it depends on, so what the option does not touch need
//! not be compiled again: two thirds of the kernel.

use std::fs;
use std::process::Command;

use anyhow::Context as _;
use anyhow::Result;

use super::Context;
use super::Flavour;
use super::Variant;
use crate::host::command::logged;
use crate::ui::Step;

/// Makes the folder of `variant` from that of the normal kernel, if there is one.
pub fn copy(context: &Context, variant: Variant) -> Result<()> {
    let normal = Variant {
        flavour: Flavour::Normal,
        ..variant
    };
    let from = normal.dir(&context.cache);
    if super::built(context, normal).is_none() {
        return Ok(());
    }
    let to = variant.dir(&context.cache);
    let partial = to.with_extension("partial");
    let _ = fs::remove_dir_all(&partial);
    let step = Step::new(format!("Copying the {normal} build"));
    let mut command = Command::new("cp");
    command
        .args(["-a", "--reflink=auto"])
        .arg(&from)
        .arg(&partial);
    let log = context.cache.logs().join(format!("copy-{variant}.log"));
    logged(
        &mut command,
        &log,
        "Is there room for another build folder?",
        |_| {},
    )?;
    // What tells of a finished build, and of modules, is about the other folder.
    for name in [".x-built", ".x-config", "modroot"] {
        let path = partial.join(name);
        let _ = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
    }
    fs::rename(&partial, &to).with_context(|| format!("cannot create {}", to.display()))?;
    step.done_quietly();
    Ok(())
}
