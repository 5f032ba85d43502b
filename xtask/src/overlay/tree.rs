// SPDX-License-Identifier: GPL-2.0
//! Puts the series into a kernel tree, touching only files whose content changes.
//!
//! kbuild goes by modification times, so an unchanged file must not be written. Every file that we
//! touch is kept in its pristine form beside the tree; a manifest lists them. The order of writing
//! (copy, manifest, tree) makes an interrupted run harmless: the next one starts from the copies.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::Result;
use serde::Deserialize;
use serde::Serialize;
use sha2::Digest;
use sha2::Sha256;

use super::Contents;
use crate::cache::write_atomically;

/// A file of the tree that is ours to change.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Managed {
    /// Whether the pristine kernel has it.
    pristine: bool,
    /// SHA-256 of what we made of it.
    sha256: String,
    /// The same of what it may still be, while a run is under way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    before: Vec<String>,
}

type Manifest = BTreeMap<PathBuf, Managed>;

/// What laying the series changed.
#[derive(Debug)]
pub struct Laid {
    /// Files that were written or removed.
    pub changed: usize,
    /// All files that the series has in the tree.
    pub files: Vec<PathBuf>,
    /// A hash of all that we put there.
    pub identity: String,
    /// The same for what decides the kernel's options only.
    pub kconfig_identity: String,
}

impl Laid {
    /// Whether the series has a file in the tree by now.
    pub fn has(&self, path: &str) -> bool {
        self.files.iter().any(|file| file == Path::new(path))
    }
}

/// The folder of pristine copies that belongs to a tree.
pub fn store(tree: &Path) -> PathBuf {
    tree.with_extension(match tree.extension() {
        Some(extension) => format!("{}.pristine", extension.to_string_lossy()),
        None => String::from("pristine"),
    })
}

fn manifest_path(tree: &Path) -> PathBuf {
    store(tree).join("manifest.json")
}

/// Reads a file of the unpatched kernel that `tree` was.
pub fn pristine(tree: &Path, path: &Path) -> Result<Option<Vec<u8>>> {
    let manifest = read_manifest(tree)?;
    read_pristine(tree, &manifest, path)
}

fn read_pristine(tree: &Path, manifest: &Manifest, path: &Path) -> Result<Option<Vec<u8>>> {
    match manifest.get(path) {
        Some(managed) if managed.pristine => {
            let copy = store(tree).join("files").join(path);
            let data = fs::read(&copy).with_context(|| {
                format!(
                    "the pristine copy {} is gone: run `./x clean linux`",
                    copy.display()
                )
            })?;
            Ok(Some(data))
        }
        Some(_) => Ok(None),
        None => read(&tree.join(path)),
    }
}

/// Reads a file that need not be there.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(data) => Ok(Some(data)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn read_manifest(tree: &Path) -> Result<Manifest> {
    let path = manifest_path(tree);
    let Some(data) = read(&path)? else {
        return Ok(Manifest::new());
    };
    serde_json::from_slice(&data)
        .with_context(|| format!("{} is damaged: run `./x clean linux`", path.display()))
}

fn write_manifest(tree: &Path, manifest: &Manifest) -> Result<()> {
    let data = serde_json::to_vec_pretty(manifest).context("cannot encode the manifest")?;
    write_atomically(&manifest_path(tree), &data)
}

/// The files of the series that somebody has edited in the tree. A file that was removed is not one of them: nothing
/// of it can be lost.
pub fn edited(tree: &Path) -> Result<Vec<PathBuf>> {
    let manifest = read_manifest(tree)?;
    let mut found = Vec::new();
    for (path, managed) in &manifest {
        let Some(data) = read(&tree.join(path))? else {
            continue;
        };
        let hash = hex(&Sha256::digest(&data));
        let known = managed.sha256 == hash || managed.before.contains(&hash);
        if !known && read_pristine(tree, &manifest, path)?.as_ref() != Some(&data) {
            found.push(path.clone());
        }
    }
    Ok(found)
}

/// Whether a file of the tree was this text when it was laid.
pub fn was_laid(tree: &Path, path: &Path, text: &str) -> Result<bool> {
    let manifest = read_manifest(tree)?;
    let hash = hex(&Sha256::digest(text));
    Ok(manifest
        .get(path)
        .is_some_and(|managed| managed.sha256 == hash))
}

/// Reads a file that is text.
pub fn text(dir: &Path, path: &Path) -> Result<String> {
    let path = dir.join(path);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// Makes the tree the pristine kernel, but for some files.
pub fn place(tree: &Path, contents: &Contents) -> Result<Laid> {
    let old = read_manifest(tree)?;
    let new = describe(tree, &old, contents)?;
    save_pristine(tree, &old, &new)?;

    // From here on the manifest covers every file that is, or was, different from the original.
    let mut both = old.clone();
    for (path, managed) in &new {
        let mut managed = managed.clone();
        if let Some(old) = old.get(path).filter(|old| **old != managed) {
            managed.before.clone_from(&old.before);
            managed.before.push(old.sha256.clone());
        }
        both.insert(path.clone(), managed);
    }
    if both != old {
        write_manifest(tree, &both)?;
    }
    let mut changed = 0;
    for path in both.keys() {
        let wanted = match contents.get(path) {
            Some(data) => data.clone(),
            None => read_pristine(tree, &both, path)?,
        };
        changed += usize::from(update(&tree.join(path), wanted.as_deref())?);
    }
    if new != both {
        write_manifest(tree, &new)?;
    }
    Ok(Laid {
        changed,
        identity: hash_of(&new, |_| true),
        kconfig_identity: hash_of(&new, |path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("Kconfig"))
        }),
        files: new.into_keys().collect(),
    })
}

fn describe(tree: &Path, old: &Manifest, contents: &Contents) -> Result<Manifest> {
    let mut manifest = Manifest::new();
    for (path, data) in contents {
        let pristine = match old.get(path) {
            Some(managed) => managed.pristine,
            None => tree.join(path).exists(),
        };
        let sha256 = data
            .as_ref()
            .map_or_else(String::new, |data| hex(&Sha256::digest(data)));
        let managed = Managed {
            pristine,
            sha256,
            before: Vec::new(),
        };
        manifest.insert(path.clone(), managed);
    }
    Ok(manifest)
}

fn save_pristine(tree: &Path, old: &Manifest, new: &Manifest) -> Result<()> {
    for (path, managed) in new {
        if managed.pristine && !old.contains_key(path) {
            let data = fs::read(tree.join(path))
                .with_context(|| format!("cannot read {}", tree.join(path).display()))?;
            write_atomically(&store(tree).join("files").join(path), &data)?;
        }
    }
    Ok(())
}

/// Brings one file of the tree to the wanted content; says whether that changed anything.
fn update(path: &Path, wanted: Option<&[u8]>) -> Result<bool> {
    let present = read(path)?;
    if present.as_deref() == wanted {
        return Ok(false);
    }
    match wanted {
        Some(data) => write_atomically(path, data)?,
        None => {
            fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
            // A folder that came with the file goes with it; a folder in use stays.
            let _ = path.parent().map(fs::remove_dir);
        }
    }
    Ok(true)
}

/// A hash of what files are to be.
pub fn identity(contents: &Contents) -> String {
    let mut hash = Sha256::new();
    for (path, data) in contents {
        let data = data
            .as_deref()
            .map_or_else(String::new, |data| hex(&Sha256::digest(data)));
        hash.update(format!("{} {data}\n", path.display()));
    }
    hex(&hash.finalize())
}

fn hash_of(manifest: &Manifest, wanted: impl Fn(&Path) -> bool) -> String {
    let mut hash = Sha256::new();
    for (path, managed) in manifest.iter().filter(|(path, _)| wanted(path)) {
        hash.update(format!("{} {}\n", path.display(), managed.sha256));
    }
    hex(&hash.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
