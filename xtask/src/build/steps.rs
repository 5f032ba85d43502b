// SPDX-License-Identifier: GPL-2.0
//! Builds what the kernel is after each patch of the series, in a tree and a build folder for that alone.
//!
//! The tree is a copy of links. That is enough, for files are never written to, but replaced.

use std::collections::BTreeSet;
use std::fs;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use anyhow::Result;
use sha2::Digest;
use sha2::Sha256;

use super::config;
use super::Context;
use super::Variant;
use super::When;
use super::Work;
use crate::cache::Cache;
use crate::host::command::logged;
use crate::host::toolchain::Toolchain;
use crate::overlay;
use crate::overlay::Contents;
use crate::source;
use crate::source::Tree;
use crate::ui::Step;

/// A file of every kernel that no patch changes.
const WITNESS: &str = "COPYING";

/// Where the tree is, and the list of what was built.
pub fn folder(cache: &Cache) -> PathBuf {
    cache.root().join("series")
}

/// The states of the tree, and which of them were built.
pub struct Steps<'a> {
    context: &'a Context,
    tree: Tree,
    /// What decides about a build besides the files.
    base: String,
    built: BTreeSet<String>,
}

impl<'a> Steps<'a> {
    /// Makes the tree, if it is not there. The caller holds the cache's lock.
    pub fn new(context: &'a Context, tree: &Tree) -> Result<Self> {
        let base = format!(
            "{}\n{}\n{}",
            tree.version,
            Toolchain::find(&context.cache).identity(),
            config::fragment(&context.repo, Variant::SERIES)?
        );
        let built = super::text_of(&list(&context.cache));
        Ok(Self {
            context,
            tree: copy(context, tree)?,
            base,
            built: built.lines().map(String::from).collect(),
        })
    }

    /// Whether this state was built before, with the same compilers and options.
    pub fn is_built(&self, contents: &Contents) -> bool {
        self.built.contains(&self.key(contents))
    }

    /// Brings the tree to a state and builds it.
    pub fn build(&mut self, contents: &Contents) -> Result<Work<'a>> {
        let laid = overlay::place(&self.tree.dir, contents)?;
        let work = Work::of(self.context, Variant::SERIES, self.tree.clone(), laid);
        work.build(When::Always)?;
        let key = self.key(contents);
        let path = list(&self.context.cache);
        let add = || -> std::io::Result<()> {
            let mut file = File::options().create(true).append(true).open(&path)?;
            writeln!(file, "{key}")
        };
        add().with_context(|| format!("cannot write {}", path.display()))?;
        self.built.insert(key);
        Ok(work)
    }

    fn key(&self, contents: &Contents) -> String {
        let state = overlay::identity(contents);
        let hash = Sha256::digest(format!("{}{state}", self.base));
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn list(cache: &Cache) -> PathBuf {
    folder(cache).join("built")
}

/// Copies a tree and its pristine files.
fn copy(context: &Context, tree: &Tree) -> Result<Tree> {
    let name = tree.dir.file_name().context("the tree has no name")?;
    let folder = folder(&context.cache);
    let dir = folder.join(name);
    let copied = Tree {
        dir: dir.clone(),
        ..tree.clone()
    };
    if is_same(&dir.join(WITNESS), &tree.dir.join(WITNESS)) {
        return Ok(copied);
    }
    source::discard(&dir)?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let step = Step::new("Copying the kernel's source");
    // The tree comes last: with it the copy is whole.
    link(context, &overlay::store(&tree.dir), &overlay::store(&dir))?;
    link(context, &tree.dir, &dir)?;
    step.done_quietly();
    Ok(copied)
}

fn link(context: &Context, from: &Path, to: &Path) -> Result<()> {
    let partial = to.with_extension("partial");
    let _ = fs::remove_dir_all(&partial);
    let mut command = Command::new("cp");
    command.arg("-al").arg(from).arg(&partial);
    let log = context.cache.logs().join("copy-series.log");
    logged(&mut command, &log, "Is there room for it?", |_| {})?;
    fs::rename(&partial, to).with_context(|| format!("cannot create {}", to.display()))
}

/// Whether two names are of one file.
fn is_same(a: &Path, b: &Path) -> bool {
    let number = |path: &Path| fs::metadata(path).map(|meta| (meta.dev(), meta.ino()));
    matches!((number(a), number(b)), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::toolchain::Version;

    #[test]
    fn a_tree_is_copied_once_and_does_not_change_with_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let context = Context {
            cache: Cache::at(dir.path()),
            repo: dir.path().to_path_buf(),
            linux: None,
        };
        let tree = Tree {
            dir: dir.path().join("linux-7.3.4"),
            version: Version(7, 3, 4),
            origin: String::new(),
        };
        fs::create_dir_all(context.cache.logs()).unwrap();
        for folder in [tree.dir.clone(), overlay::store(&tree.dir)] {
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(WITNESS), "GPL").unwrap();
        }
        let first = copy(&context, &tree).unwrap();
        assert!(is_same(&first.dir.join(WITNESS), &tree.dir.join(WITNESS)));
        let mine = first.dir.join("mine");
        fs::write(&mine, "").unwrap();
        copy(&context, &tree).unwrap();
        assert!(mine.exists());

        // Another tree has come to its place.
        fs::remove_dir_all(&tree.dir).unwrap();
        fs::create_dir_all(&tree.dir).unwrap();
        fs::write(tree.dir.join(WITNESS), "GPL").unwrap();
        copy(&context, &tree).unwrap();
        assert!(!mine.exists());
    }
}
