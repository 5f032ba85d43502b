// SPDX-License-Identifier: GPL-2.0
//! Git in a folder, free of the user's configuration and hooks.

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use anyhow::Result;

use super::command::find;
use super::command::output;

/// Who signs if git knows nobody.
const NOBODY: [&str; 2] = ["Nobody", "nobody@localhost"];

/// Who makes a commit.
#[derive(Clone, Debug)]
pub struct Author {
    pub name: String,
    pub email: String,
}

impl Author {
    /// Who the user of a repository is to git, or somebody who is obviously nobody.
    pub fn of(repo: &Path) -> Self {
        let ask = |key: &str| {
            let mut command = Command::new(find("git")?);
            let text = output(command.arg("-C").arg(repo).args(["config", key])).ok()?;
            Some(String::from(text.trim())).filter(|text| !text.is_empty())
        };
        match (ask("user.name"), ask("user.email")) {
            (Some(name), Some(email)) => Self { name, email },
            _ => Self::nobody(),
        }
    }

    pub fn nobody() -> Self {
        let [name, email] = NOBODY.map(String::from);
        Self { name, email }
    }

    pub fn is_nobody(&self) -> bool {
        self.name == NOBODY[0]
    }
}

/// Git in one folder.
#[derive(Clone, Debug)]
pub struct Git {
    program: PathBuf,
    dir: PathBuf,
    author: Author,
}

impl Git {
    pub fn at(dir: &Path, author: Author) -> Result<Self> {
        Ok(Self {
            program: find("git").context("git is not installed: run `./x setup`")?,
            dir: dir.to_path_buf(),
            author,
        })
    }

    /// Runs a command, and returns what it wrote.
    pub fn run(&self, words: &[&str]) -> Result<String> {
        output(&mut self.command(words))
    }

    /// A command, for the caller to run.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.dir).args(words);
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
        command
    }
}
