// SPDX-License-Identifier: GPL-2.0
//! A folder that looks like `/lib/modules/RELEASE`, made of links into the build folder.
//!
//! That saves `make modules_install` and its copies; modprobe does not see the difference.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use anyhow::Result;

use crate::host::command::find;
use crate::host::command::output;

/// Where the modules of a build are.
pub fn folder(build: &Path) -> Result<PathBuf> {
    let path = build.join("include/config/kernel.release");
    let release = fs::read_to_string(&path)
        .with_context(|| format!("cannot read the kernel's release from {}", path.display()))?;
    Ok(build.join("modroot/lib/modules").join(release.trim()))
}

/// Links every module that was built and lets depmod write its indexes.
pub fn install(build: &Path) -> Result<()> {
    let folder = folder(build)?;
    let order = fs::read_to_string(build.join("modules.order"))
        .context("the build left no modules.order")?;
    // The same modules as before: keep the links, a guest may be using them.
    if fs::read_to_string(folder.join("modules.order"))
        .ok()
        .as_ref()
        != Some(&order)
    {
        let _ = fs::remove_dir_all(build.join("modroot"));
        for module in order.lines().filter_map(module_file) {
            let link = folder.join("kernel").join(&module);
            link.parent()
                .map_or(Ok(()), fs::create_dir_all)
                .context("cannot create a folder")?;
            symlink(build.join(&module), &link)
                .with_context(|| format!("cannot link {}", link.display()))?;
        }
    }
    // Without any module there is no folder yet.
    fs::create_dir_all(&folder).context("cannot create a folder")?;
    for name in [
        "modules.order",
        "modules.builtin",
        "modules.builtin.modinfo",
    ] {
        fs::copy(build.join(name), folder.join(name))
            .with_context(|| format!("the build left no {name}"))?;
    }
    let depmod = find("depmod").context("depmod is not installed: run `./x setup`")?;
    let release = folder.file_name().context("the kernel has no release")?;
    output(
        Command::new(depmod)
            .arg("-b")
            .arg(build.join("modroot"))
            .arg(release),
    )?;
    Ok(())
}

/// Leaves an empty folder for a kernel without modules, for the guest mounts one.
pub fn install_none(build: &Path) -> Result<()> {
    let _ = fs::remove_dir_all(build.join("modroot"));
    fs::create_dir_all(folder(build)?).context("cannot create a folder")
}

/// The module behind a line of `modules.order`.
fn module_file(line: &str) -> Option<PathBuf> {
    let stem = line
        .strip_suffix(".o")
        .or_else(|| line.strip_suffix(".ko"))?;
    Some(PathBuf::from(format!("{stem}.ko")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_named_after_their_objects() {
        let expected = Some(PathBuf::from("fs/ext2/ext2.ko"));
        assert_eq!(module_file("fs/ext2/ext2.o"), expected);
        assert_eq!(module_file("fs/ext2/ext2.ko"), expected);
        assert_eq!(module_file(""), None);
    }
}
