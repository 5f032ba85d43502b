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
use super::Part;
use super::Variant;
use crate::host::command::logged;
use crate::ui::Step;

/// Makes the folder of `variant` from that of a kernel that is like it, if there is one.
pub fn copy(context: &Context, variant: Variant) -> Result<()> {
    let mut alike = alike(variant).into_iter();
    let Some(like) = alike.find(|like| super::built(context, *like).is_some()) else {
        return Ok(());
    };
    let from = like.dir(&context.cache);
    let to = variant.dir(&context.cache);
    let partial = to.with_extension("partial");
    let _ = fs::remove_dir_all(&partial);
    let step = Step::new(format!("Copying the {like} build"));
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

/// The kernels that differ from `variant` in little.
fn alike(variant: Variant) -> Vec<Variant> {
    let flavours = match variant.flavour {
        Flavour::Off | Flavour::Clippy => vec![Flavour::Normal],
        Flavour::Without(_) => Part::ALL.map(Flavour::Without).to_vec(),
        Flavour::Normal
        | Flavour::Debug
        | Flavour::Kcsan
        | Flavour::Smp
        | Flavour::SmpDebug
        | Flavour::Series => Vec::new(),
    };
    let flavours = flavours.into_iter();
    flavours
        .map(|flavour| Variant { flavour, ..variant })
        .filter(|like| *like != variant)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_copied_from_one_that_is_like_it() {
        assert!(alike(Variant::UM).is_empty());
        let off = Variant {
            flavour: Flavour::Off,
            ..Variant::UM
        };
        assert_eq!(alike(off), [Variant::UM]);
        let like = alike(Variant::without(Part::Modules));
        assert_eq!(like.len(), Part::ALL.len() - 1);
        assert!(like.contains(&Variant::without(Part::DebugFs)));
    }
}
