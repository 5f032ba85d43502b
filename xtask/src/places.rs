// SPDX-License-Identifier: GPL-2.0
//! The folders of the cache by name: to print one, and to remove some.

use std::fs;
use std::path::PathBuf;

use anyhow::bail;
use anyhow::Context;
use anyhow::Result;

use crate::cache::Cache;
use crate::source;
use crate::ui;

/// What `path` knows.
pub const NAMES: [&str; 10] = [
    "cache",
    "linux",
    "logs",
    "um",
    "um-off",
    "um-debug",
    "um-clippy",
    "qemu",
    "qemu-off",
    "qemu-debug",
];

/// What `clean` knows.
pub const CLEANABLE: [&str; 10] = [
    "all",
    "linux",
    "logs",
    "um",
    "um-off",
    "um-debug",
    "um-clippy",
    "qemu",
    "qemu-off",
    "qemu-debug",
];

/// The folder of something; it need not exist yet, except the kernel's source.
pub fn path(cache: &Cache, name: &str) -> Result<PathBuf> {
    Ok(match name {
        "cache" => cache.root().to_path_buf(),
        "logs" => cache.logs(),
        "linux" => {
            let tree = source::cached(cache)?;
            tree.context("there is no kernel source yet: `./x linux` fetches it")?
                .dir
        }
        build if NAMES.contains(&build) => cache.root().join(format!("build-{build}")),
        _ => bail!("{name:?} is none of {}", NAMES.join(", ")),
    })
}

/// The `clean` subcommand; without names it removes what was built, but no download.
pub fn clean(cache: &Cache, names: &[String]) -> Result<()> {
    let _lock = cache.lock()?;
    if names.iter().any(|name| name == "all") {
        // The lock file and our own program stay: both are in use.
        for entry in fs::read_dir(cache.root())
            .context("cannot list the cache")?
            .flatten()
        {
            if !["lock", "target"]
                .iter()
                .any(|keep| entry.file_name() == *keep)
            {
                remove(&entry.path())?;
            }
        }
        return Ok(());
    }
    let builds = || {
        CLEANABLE
            .iter()
            .filter(|name| name.starts_with("um") || name.starts_with("qemu"))
    };
    let chosen: Vec<String> = if names.is_empty() {
        builds().map(|name| String::from(*name)).collect()
    } else {
        names.to_vec()
    };
    for name in chosen {
        if name == "linux" {
            while let Some(tree) = source::cached(cache)? {
                source::discard(&tree.dir)?;
                ui::note(&format!("removed {}", tree.dir.display()));
            }
        } else {
            remove(&path(cache, &name)?)?;
        }
    }
    Ok(())
}

fn remove(path: &std::path::Path) -> Result<()> {
    let Ok(meta) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    let gone = if meta.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    gone.with_context(|| format!("cannot remove {}", path.display()))?;
    ui::note(&format!("removed {}", path.display()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_folders() {
        for name in CLEANABLE.iter().filter(|name| **name != "all") {
            assert!(NAMES.contains(name), "{name}");
        }
    }
}
