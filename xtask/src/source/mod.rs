// SPDX-License-Identifier: GPL-2.0
//! The kernel's source: where it comes from, and that it is whole and of the right version.
//!
//! It is found in this order: what the user names, the cache, kernel.org, the distribution's package. The last one has
//! patches of its own: `series.sha256` tells whether they touch what the series changes. A tree is unpacked under a
//! temporary name and renamed at the end, so the cache never has half of one.

mod debian;
mod import;
mod kernel_org;

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use anyhow::bail;
use anyhow::Context;
use anyhow::Result;

use crate::cache::require_space;
use crate::cache::write_atomically;
use crate::cache::Cache;
use crate::host::toolchain::Version;
use crate::ui;

/// The release that this work is made for and tested with.
pub const PINNED: Version = Version(7, 3, 4);

/// An unpacked tree and what it takes to get there.
const SPACE: u64 = 4 << 30;

/// A kernel tree in the cache.
#[derive(Clone, Debug)]
pub struct Tree {
    pub dir: PathBuf,
    pub version: Version,
    /// Where it came from, for people.
    pub origin: String,
}

impl Tree {
    /// Reads a tree that is in the cache.
    fn open(dir: PathBuf) -> Result<Self> {
        let version = version_of(&dir)?;
        let origin = fs::read_to_string(origin_path(&dir))
            .map_or_else(|_| String::from("unknown"), |text| text.trim().to_string());
        Ok(Self {
            dir,
            version,
            origin,
        })
    }
}

/// Returns the tree in the cache, fetching it first if there is none or if `from` names another.
pub fn obtain(cache: &Cache, from: Option<&Path>) -> Result<Tree> {
    remove_leftovers(cache);
    if let Some(from) = from {
        return import::from_path(cache, from);
    }
    if let Some(tree) = cached(cache)? {
        return Ok(tree);
    }
    require_space(cache.root(), SPACE)?;
    let mut reasons = Vec::new();
    for (name, fetch) in SOURCES {
        match fetch(cache) {
            Ok(tree) => {
                if tree.version != PINNED {
                    ui::note(&format!(
                        "this is Linux {}; the work is tested with {PINNED}, other 7.3.y should do",
                        tree.version
                    ));
                }
                return Ok(tree);
            }
            Err(error) => {
                let why = format!("{error:#}");
                let why = why.lines().next().unwrap_or_default();
                ui::note(&format!("{name}: not from there ({why})"));
                reasons.push(format!("   {name}: {error:#}"));
            }
        }
    }
    bail!(
        "cannot get the source of Linux {PINNED}:\n{}\n   Download linux-{PINNED}.tar.xz yourself \
         and say `./x linux --linux FILE`",
        reasons.join("\n")
    )
}

type Fetch = fn(&Cache) -> Result<Tree>;

const SOURCES: [(&str, Fetch); 2] = [
    ("kernel.org", kernel_org::fetch),
    ("Debian's package", debian::fetch),
];

/// The file that names the tree in use.
fn current_path(cache: &Cache) -> PathBuf {
    cache.root().join("linux.current")
}

/// The tree in the cache: the one last taken, else the pinned release, else the newest.
pub fn cached(cache: &Cache) -> Result<Option<Tree>> {
    let mut found: Vec<(Version, PathBuf)> = fs::read_dir(cache.root())
        .with_context(|| format!("cannot list {}", cache.root().display()))?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let version = Version::find_in(name.strip_prefix("linux-")?)?;
            let whole =
                name == format!("linux-{version}") && entry.path().join("Makefile").is_file();
            whole.then(|| (version, entry.path()))
        })
        .collect();
    let current = fs::read_to_string(current_path(cache)).unwrap_or_default();
    found.sort_by_key(|(version, _)| {
        (
            version.to_string() == current.trim(),
            *version == PINNED,
            *version,
        )
    });
    found.pop().map(|(_, dir)| Tree::open(dir)).transpose()
}

/// Reads the version from a tree's Makefile and refuses another series.
pub fn version_of(dir: &Path) -> Result<Version> {
    let path = dir.join("Makefile");
    let text = fs::read_to_string(&path)
        .with_context(|| format!("{} is not a kernel tree: no Makefile", dir.display()))?;
    let number = |name: &str| {
        text.lines().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            (key.trim() == name)
                .then(|| value.trim().parse::<u32>().ok())
                .flatten()
        })
    };
    let (Some(major), Some(minor), Some(patch)) =
        (number("VERSION"), number("PATCHLEVEL"), number("SUBLEVEL"))
    else {
        bail!(
            "{} is not a kernel tree: its Makefile names no version",
            dir.display()
        );
    };
    let version = Version(major, minor, patch);
    if (major, minor) != (PINNED.0, PINNED.1) {
        bail!(
            "{} is Linux {version}, this work needs {}.{}.y",
            dir.display(),
            PINNED.0,
            PINNED.1
        );
    }
    Ok(version)
}

/// Gives an unpacked tree its place in the cache; an older tree of that version makes way.
fn adopt(cache: &Cache, unpacked: &Path, origin: &str) -> Result<Tree> {
    let version = version_of(unpacked).with_context(|| format!("cannot use {origin}"))?;
    for needed in ["Kconfig", "block/blk-core.c", "rust/kernel/lib.rs"] {
        if !unpacked.join(needed).is_file() {
            bail!("the kernel tree is not complete: {needed} is missing");
        }
    }
    let dir = cache.root().join(format!("linux-{version}"));
    discard(&dir)?;
    fs::rename(unpacked, &dir)
        .with_context(|| format!("cannot move the tree to {}", dir.display()))?;
    write_atomically(&origin_path(&dir), format!("{origin}\n").as_bytes())?;
    write_atomically(&current_path(cache), format!("{version}\n").as_bytes())?;
    Tree::open(dir)
}

/// Removes a tree together with what belongs to it.
pub fn discard(dir: &Path) -> Result<()> {
    for path in [beside(dir, "pristine"), origin_path(dir), dir.to_path_buf()] {
        let gone = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        match gone {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

fn beside(dir: &Path, what: &str) -> PathBuf {
    let mut name = dir.as_os_str().to_os_string();
    name.push(format!(".{what}"));
    PathBuf::from(name)
}

fn origin_path(dir: &Path) -> PathBuf {
    beside(dir, "origin")
}

/// A folder for unpacking; it goes away if it is not adopted.
fn incoming(cache: &Cache) -> Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix(INCOMING)
        .tempdir_in(cache.root())
        .with_context(|| format!("cannot create a folder in {}", cache.root().display()))
}

const INCOMING: &str = ".incoming-";

/// Removes what an interrupted run could not remove itself.
fn remove_leftovers(cache: &Cache) {
    let Ok(entries) = fs::read_dir(cache.root()) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(INCOMING) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(makefile: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("Makefile"), makefile).unwrap();
        dir
    }

    #[test]
    fn the_version_is_read_from_the_makefile() {
        let dir = tree("# x\nVERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 12\nEXTRAVERSION =\n");
        assert_eq!(version_of(dir.path()).unwrap(), Version(7, 3, 12));
    }

    #[test]
    fn another_series_is_refused_by_name() {
        let dir = tree("VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 1\n");
        let error = version_of(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains("6.12.1") && error.contains("7.3.y"),
            "{error}"
        );
        assert!(version_of(tree("all:\n").path()).is_err());
        assert!(version_of(Path::new("/nonexistent")).is_err());
    }

    #[test]
    fn the_tree_last_taken_is_used() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path());
        assert!(cached(&cache).unwrap().is_none());
        for patch in [9, 4, 6] {
            let unpacked = dir.path().join("unpacked");
            for file in [
                "Makefile",
                "Kconfig",
                "block/blk-core.c",
                "rust/kernel/lib.rs",
            ] {
                let text = format!("VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = {patch}\n");
                write_atomically(&unpacked.join(file), text.as_bytes()).unwrap();
            }
            assert_eq!(
                adopt(&cache, &unpacked, "test").unwrap().version,
                Version(7, 3, patch)
            );
        }
        let version = || cached(&cache).unwrap().unwrap().version;
        assert_eq!(version(), Version(7, 3, 6));
        fs::remove_file(current_path(&cache)).unwrap();
        assert_eq!(version(), PINNED);
        discard(&dir.path().join("linux-7.3.4")).unwrap();
        assert_eq!(version(), Version(7, 3, 9));
    }

    #[test]
    fn an_incomplete_tree_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let unpacked = tree("VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\n");
        let error = adopt(&Cache::at(dir.path()), unpacked.path(), "test").unwrap_err();
        assert!(error.to_string().contains("Kconfig"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
