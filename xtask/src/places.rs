// SPDX-License-Identifier: GPL-2.0
//! The folders of the cache by name: to print one, and to remove some.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::Result;

use crate::build;
use crate::build::Variant;
use crate::cache::Cache;
use crate::source;
use crate::test;
use crate::ui;

/// The tree that takes one patch after the other, and what was built of it.
const SERIES: &str = "series";

/// What tests did about seeded mistakes.
const SEEDED: &str = "seeded";

/// What tests did about mutants of the pure core, and the core that they are made in.
const MUTANTS: &str = "mutants";

/// What `path` knows.
pub fn names() -> Vec<String> {
    with_builds(&["cache", "linux", "logs", MUTANTS, SEEDED])
}

/// What `clean` knows.
pub fn cleanable() -> Vec<String> {
    with_builds(&["all", "linux", "logs", MUTANTS, SEEDED])
}

fn with_builds(others: &[&str]) -> Vec<String> {
    let others = others.iter().map(ToString::to_string);
    others
        .chain([String::from(SERIES)])
        .chain(Variant::ALL.iter().map(ToString::to_string))
        .collect()
}

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
        SERIES => build::series_folder(cache),
        MUTANTS => test::mutants_folder(cache),
        SEEDED => test::seeded_folder(cache),
        build => Variant::ALL
            .into_iter()
            .find(|variant| variant.to_string() == build)
            .with_context(|| format!("{name:?} is none of {}", names().join(", ")))?
            .dir(cache),
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
    let chosen = if names.is_empty() {
        with_builds(&[])
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
        let names = names();
        for name in cleanable().iter().filter(|name| *name != "all") {
            assert!(names.contains(name), "{name}");
        }
    }
}
