// SPDX-License-Identifier: GPL-2.0
//! Builds what the kernel is after each patch of the series, in a tree and a build folder for that alone.
//!
//! The tree is a copy of links. That is enough, for files are never written to, but replaced.

use std::fs;
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
use crate::cache::write_atomically;
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

/// Where the tree is, and what was wrong with each state that was built.
pub fn folder(cache: &Cache) -> PathBuf {
    cache.root().join("series")
}

/// The states of the tree.
pub struct Steps<'a> {
    context: &'a Context,
    tree: Tree,
    /// What decides about a build besides the files.
    base: String,
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
        Ok(Self {
            context,
            tree: copy(context, tree)?,
            base,
        })
    }

    /// What was wrong with this state, if it was built before with the same compilers and options.
    pub fn before(&self, contents: &Contents) -> Option<Vec<String>> {
        let text = fs::read_to_string(self.file(contents)).ok()?;
        Some(text.lines().map(String::from).collect())
    }

    /// Remembers that a state was built, and what was wrong with it: compilers say so once. What they said before a
    /// build was stopped in its middle is lost.
    pub fn remember(&self, contents: &Contents, complaints: &[String]) -> Result<()> {
        let file = self.file(contents);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        write_atomically(&file, complaints.join("\n").as_bytes())
    }

    /// Brings the tree to a state and builds it.
    pub fn build(&self, contents: &Contents) -> Result<Work<'a>> {
        let laid = overlay::place(&self.tree.dir, contents)?;
        let work = Work::of(self.context, Variant::SERIES, self.tree.clone(), laid);
        work.build(When::Always)?;
        Ok(work)
    }

    fn file(&self, contents: &Contents) -> PathBuf {
        let state = overlay::identity(contents);
        let hash = Sha256::digest(format!("{}{state}", self.base));
        let key: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        folder(&self.context.cache).join("judged").join(key)
    }
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
