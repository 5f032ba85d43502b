// SPDX-License-Identifier: GPL-2.0
//! The files of the series in a kernel tree, as a git repository: `git diff` there shows what was edited by hand.
//!
//! What git needs is kept with the pristine copies; the tree has a file `.git` that says where.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;
use anyhow::Result;

use super::tree::store;
use crate::cache::write_atomically;
use crate::host::command::find;
use crate::host::git::Author;
use crate::host::git::Git;

/// What was laid last. The branch is the user's to commit to.
const LAID: &str = "refs/copy-offload/laid";

fn folder(tree: &Path) -> PathBuf {
    store(tree).join("git")
}

/// Commits the files as they are, unless that was done before. Without git there is no history.
pub fn record(tree: &Path, files: &[PathBuf], identity: &str) -> Result<()> {
    let marker = folder(tree).join("laid");
    if find("git").is_none() || fs::read_to_string(&marker).is_ok_and(|text| text == identity) {
        return Ok(());
    }
    let git = open(tree)?;
    git.run(&["read-tree", "--empty"])?;
    let there = files.iter().filter(|path| tree.join(path).is_file());
    let there: Vec<String> = there.map(|path| path.display().to_string()).collect();
    let mut words = vec!["update-index", "--add", "--"];
    words.extend(there.iter().map(String::as_str));
    git.run(&words)?;
    let message = "What `./x linux` has laid over the kernel";
    git.run(&["commit", "-q", "--allow-empty", "-m", message])?;
    git.run(&["update-ref", LAID, "HEAD"])?;
    write_atomically(&marker, identity.as_bytes())
}

/// A file as it was laid last.
pub fn laid(tree: &Path, path: &Path) -> Result<String> {
    let git = open(tree)?;
    git.run(&["cat-file", "blob", &format!("{LAID}:{}", path.display())])
}

/// Makes the repository, or finds it after the cache has moved.
fn open(tree: &Path) -> Result<Git> {
    let folder = folder(tree);
    let dir = folder.display().to_string();
    if !folder.join("HEAD").is_file() {
        let parent = store(tree);
        fs::create_dir_all(&parent)
            .with_context(|| format!("cannot create {}", parent.display()))?;
        let git = Git::at(&parent, Author::nobody())?;
        git.run(&["init", "-q", "--bare", "-b", "laid", &dir])?;
        for (key, value) in [
            ("core.bare", "false"),
            // The rest of the kernel is not its business.
            ("status.showUntrackedFiles", "no"),
        ] {
            git.run(&["--git-dir", &dir, "config", key, value])?;
        }
    }
    let link = tree.join(".git");
    let text = format!("gitdir: {dir}\n");
    if fs::read_to_string(&link).ok().as_ref() != Some(&text) {
        write_atomically(&link, text.as_bytes())?;
    }
    Git::at(tree, Author::nobody())
}
