// SPDX-License-Identifier: GPL-2.0
//! A temporary repository that holds just the files that the series touches.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;
use anyhow::Result;

use crate::build::Context;
use crate::host::git::Author;
use crate::host::git::Git;
use crate::overlay;
use crate::overlay::Contents;
use crate::overlay::Series;
use crate::source::Tree;

/// It begins with the pristine form of the files.
pub struct Repository {
    dir: tempfile::TempDir,
    git: Git,
    pub author: Author,
    /// All files that the series touches.
    pub paths: Vec<PathBuf>,
}

impl Repository {
    pub fn new(tree: &Tree, series: &Series, context: &Context) -> Result<Self> {
        let author = Author::of(&context.repo);
        let dir = tempfile::tempdir().context("cannot create a temporary folder")?;
        let git = Git::at(dir.path(), author.clone())?;
        let contents = overlay::contents(&context.repo, series, &tree.dir)?;
        let paths = contents.into_keys().collect();
        let repo = Self {
            dir,
            git,
            author,
            paths,
        };
        repo.git(&["init", "-q", "-b", "series"])?;
        let mut pristine = Contents::new();
        for path in &repo.paths {
            if let Some(data) = overlay::pristine(&tree.dir, path)? {
                pristine.insert(path.clone(), Some(data));
            }
        }
        repo.write(&pristine)?;
        repo.git(&[
            "commit",
            "-q",
            "--allow-empty",
            "-m",
            &format!("Linux {}", tree.version),
        ])?;
        Ok(repo)
    }

    /// Writes files and stages them.
    pub fn write(&self, contents: &Contents) -> Result<()> {
        for (path, data) in contents {
            let full = self.dir.path().join(path);
            match data {
                Some(data) => {
                    full.parent()
                        .map_or(Ok(()), fs::create_dir_all)
                        .context("no folder")?;
                    fs::write(&full, data)
                        .with_context(|| format!("cannot write {}", full.display()))?;
                }
                None => fs::remove_file(&full)
                    .with_context(|| format!("cannot remove {}", full.display()))?,
            }
        }
        // A kernel tarball may come with a .gitignore that ignores everything.
        self.git(&["add", "-A", "-f", "."])?;
        Ok(())
    }

    pub fn commit(&self, message: &str) -> Result<()> {
        let file = self.dir.path().join(".git/MESSAGE");
        fs::write(&file, message).context("cannot write the message")?;
        self.git(&["commit", "-q", "-F", &file.display().to_string()])
            .map(|_| ())
    }

    /// Reads a file as it is now.
    pub fn read(&self, path: &Path) -> Option<Vec<u8>> {
        fs::read(self.dir.path().join(path)).ok()
    }

    /// Takes a patch as a maintainer would.
    pub fn am(&self, patch: &Path) -> Result<()> {
        self.git(&["am", "-q", &patch.display().to_string()])
            .map(|_| ())
    }

    /// Runs git.
    pub fn git(&self, words: &[&str]) -> Result<String> {
        self.git.run(words)
    }
}
