// SPDX-License-Identifier: GPL-2.0
//! A kernel source that is already on this machine: a tree or a tarball.

use std::path::Path;
use std::process::Command;

use anyhow::bail;
use anyhow::Context;
use anyhow::Result;

use super::adopt;
use super::incoming;
use super::Tree;
use super::SPACE;
use crate::cache::require_space;
use crate::cache::Cache;
use crate::host::command::logged;
use crate::ui;
use crate::ui::Step;

/// Takes the tree or tarball that the user named into the cache; the original is only read.
pub fn from_path(cache: &Cache, from: &Path) -> Result<Tree> {
    let from = from
        .canonicalize()
        .with_context(|| format!("cannot find the kernel source {}", from.display()))?;
    let origin = from.display().to_string();
    if let Some(tree) = super::cached(cache)?.filter(|tree| tree.origin == origin) {
        ui::note(&format!(
            "using the copy of {origin} made before (`./x clean linux` forgets it)"
        ));
        return Ok(tree);
    }
    require_space(cache.root(), SPACE)?;
    if from.is_dir() {
        copy(cache, &from)
    } else {
        unpack(cache, &from, &origin)
    }
}

fn copy(cache: &Cache, from: &Path) -> Result<Tree> {
    super::version_of(from)?;
    if from.join(".config").exists() || from.join("include/config").exists() {
        bail!(
            "{} was built in place: clean it with `make mrproper`, or name a clean tree",
            from.display()
        );
    }
    let dir = incoming(cache)?;
    let tree = dir.path().join("linux");
    let step = Step::new(format!("Copying the kernel from {}", from.display()));
    // `cp` shares the blocks where the file system can.
    let mut command = Command::new("cp");
    command.args(["-a", "--reflink=auto"]).arg(from).arg(&tree);
    let log = cache.logs().join("linux.log");
    logged(
        &mut command,
        &log,
        "Is there room, and may you read all of it?",
        |_| {},
    )?;
    let _ = std::fs::remove_dir_all(tree.join(".git"));
    let tree = adopt(cache, &tree, &from.display().to_string())?;
    step.done(&format!("Linux {}", tree.version));
    Ok(tree)
}

/// Unpacks a tarball whose single top folder is the kernel.
pub fn unpack(cache: &Cache, tarball: &Path, origin: &str) -> Result<Tree> {
    let dir = incoming(cache)?;
    let mut step = Step::new("Unpacking the kernel");
    let mut command = Command::new("tar");
    command
        .arg("-xvf")
        .arg(tarball)
        .args(["--strip-components=1", "--no-same-owner", "-C"]);
    command.arg(dir.path());
    let hint = "Is it a whole kernel tarball? If it is damaged, fetch it again.";
    let log = cache.logs().join("linux.log");
    logged(&mut command, &log, hint, step.lines())?;
    let tree = adopt(cache, dir.path(), origin)?;
    // Its folder is the tree now: there is nothing to remove.
    let _ = dir.keep();
    step.done(&format!("Linux {}", tree.version));
    Ok(tree)
}
