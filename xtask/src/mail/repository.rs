// SPDX-License-Identifier: GPL-2.0
//! A temporary repository that holds just the files that the series touches.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use anyhow::Result;

use crate::build::Context;
use crate::host::command::find;
use crate::host::command::output;
use crate::overlay;
use crate::overlay::Contents;
use crate::overlay::Series;
use crate::source::Tree;

/// Who signs if git knows nobody.
const NOBODY: [&str; 2] = ["Nobody", "nobody@localhost"];

/// Who wrote the patches.
pub struct Author {
    pub name: String,
    pub email: String,
}

impl Author {
    pub fn is_nobody(&self) -> bool {
        self.name == NOBODY[0]
    }
}

/// It begins with the pristine form of the files.
pub struct Repository {
    dir: tempfile::TempDir,
    git: PathBuf,
    pub author: Author,
    /// All files that the series touches.
    pub paths: Vec<PathBuf>,
}

impl Repository {
    pub fn new(tree: &Tree, series: &Series, context: &Context) -> Result<Self> {
        let git = find("git").context("git is not installed: run `./x setup`")?;
        let author = author(&git, &context.repo);
        let dir = tempfile::tempdir().context("cannot create a temporary folder")?;
        let mut contents = Contents::new();
        for entry in &series.patches {
            overlay::apply_entry(&context.repo, entry, &mut contents, &|path| {
                overlay::pristine(&tree.dir, path)
            })?;
        }
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

    /// Runs git free of the user's configuration.
    pub fn git(&self, words: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.git);
        command.current_dir(self.dir.path()).args(words);
        command
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1");
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), &self.author.name);
            command.env(format!("GIT_{role}_EMAIL"), &self.author.email);
        }
        for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            command.env_remove(variable);
        }
        output(&mut command)
    }
}

/// Who the user is to git, or somebody who is obviously nobody.
fn author(git: &Path, repo: &Path) -> Author {
    let ask = |key: &str| {
        let text = output(Command::new(git).arg("-C").arg(repo).args(["config", key])).ok()?;
        Some(String::from(text.trim())).filter(|text| !text.is_empty())
    };
    match (ask("user.name"), ask("user.email")) {
        (Some(name), Some(email)) => Author { name, email },
        _ => {
            let [name, email] = NOBODY.map(String::from);
            Author { name, email }
        }
    }
}
