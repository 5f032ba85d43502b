// SPDX-License-Identifier: GPL-2.0
//! The series as mail: one `git am`-able patch an entry, against the pristine kernel.
//!
//! A temporary repository holds just the files that the series touches; `git` writes the patches.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use anyhow::bail;
use anyhow::Context as _;
use anyhow::Result;

use crate::build::Context;
use crate::host::command::find;
use crate::host::command::output;
use crate::overlay;
use crate::overlay::Contents;
use crate::overlay::Entry;
use crate::overlay::Series;
use crate::source::Tree;
use crate::ui;

/// Who signs if git knows nobody.
const NOBODY: [&str; 2] = ["Nobody", "nobody@localhost"];

/// Who wrote the patches.
struct Author {
    name: String,
    email: String,
}

/// The `series` subcommand: writes the patches to `dir` and returns their paths.
pub fn write(context: &Context, tree: &Tree, dir: &Path) -> Result<Vec<PathBuf>> {
    let series = Series::load(&context.repo)?;
    if series.patches.is_empty() {
        bail!("series.toml names no patch");
    }
    let repo = Repository::new(tree, &series, context)?;
    if repo.author.name == NOBODY[0] {
        ui::note(&format!(
            "git knows no user.name and user.email, so the patches are signed off by {} <{}>; set \
             them with `git config` before mailing",
            repo.author.name, repo.author.email
        ));
    }
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    for old in patches_in(dir)? {
        fs::remove_file(&old).with_context(|| format!("cannot remove {}", old.display()))?;
    }
    let mut contents = Contents::new();
    for entry in &series.patches {
        let mut changed = Contents::new();
        // What an entry changes is what differs from the state before it.
        let before = contents.clone();
        overlay::apply_entry(&context.repo, entry, &mut contents, &|path| {
            overlay::pristine(&tree.dir, path)
        })?;
        for (path, data) in &contents {
            if before.get(path) != Some(data) {
                changed.insert(path.clone(), data.clone());
            }
        }
        repo.write(&changed)?;
        repo.commit(&message(entry, &repo.author))
            .with_context(|| format!("{:?} changes nothing, or git failed", entry.subject))?;
    }
    let dir = dir.canonicalize().context("the folder is gone")?;
    let base = format!("-{}", series.patches.len());
    let target = dir.display().to_string();
    repo.git(&["format-patch", "-q", "-o", &target, &base])?;
    patches_in(&dir)
}

/// Checks that `git am` takes the patches onto the pristine files and yields the laid tree.
pub fn verify(context: &Context, tree: &Tree, patches: &[PathBuf]) -> Result<()> {
    let series = Series::load(&context.repo)?;
    let repo = Repository::new(tree, &series, context)?;
    let mut am = vec![String::from("am"), String::from("-q")];
    am.extend(patches.iter().map(|path| path.display().to_string()));
    let words: Vec<&str> = am.iter().map(String::as_str).collect();
    repo.git(&words)?;
    for path in &repo.paths {
        let applied = fs::read(repo.dir.path().join(path)).ok();
        let laid = fs::read(tree.dir.join(path)).ok();
        if applied != laid {
            bail!(
                "{} differs after git am from what ./x linux laid",
                path.display()
            );
        }
    }
    Ok(())
}

/// Prints what was written.
pub fn announce(patches: &[PathBuf], tree: &Tree) {
    for path in patches {
        println!("{}", path.display());
    }
    ui::note(&format!(
        "{} patches against Linux {}: `git am` takes them in a clean tree",
        patches.len(),
        tree.version
    ));
}

fn patches_in(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir)
        .with_context(|| format!("cannot list {}", dir.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let number = name.get(..5).unwrap_or_default();
            name.ends_with(".patch") && number.ends_with('-') && number[..4].parse::<u32>().is_ok()
        })
        .collect();
    paths.sort();
    Ok(paths)
}

fn message(entry: &Entry, author: &Author) -> String {
    let body = entry.message.trim();
    let gap = if body.is_empty() { "" } else { "\n\n" };
    let sign = format!("Signed-off-by: {} <{}>", author.name, author.email);
    format!("{}\n\n{body}{gap}{sign}\n", entry.subject.trim())
}

/// A temporary repository with the pristine form of the files that the series touches.
struct Repository {
    dir: tempfile::TempDir,
    git: PathBuf,
    author: Author,
    paths: Vec<PathBuf>,
}

impl Repository {
    fn new(tree: &Tree, series: &Series, context: &Context) -> Result<Self> {
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
    fn write(&self, contents: &Contents) -> Result<()> {
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

    fn commit(&self, message: &str) -> Result<()> {
        let file = self.dir.path().join(".git/MESSAGE");
        fs::write(&file, message).context("cannot write the message")?;
        self.git(&["commit", "-q", "-F", &file.display().to_string()])
            .map(|_| ())
    }

    /// Runs git free of the user's configuration.
    fn git(&self, words: &[&str]) -> Result<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_subject_body_and_sign_off() {
        let author = Author {
            name: String::from("A"),
            email: String::from("a@b"),
        };
        let entry = Entry {
            subject: String::from("block: one"),
            message: String::from("\nWhy.\n"),
            hooks: Vec::new(),
            files: Vec::new(),
        };
        let text = message(&entry, &author);
        assert_eq!(text, "block: one\n\nWhy.\n\nSigned-off-by: A <a@b>\n");
    }

    #[test]
    fn only_patches_are_listed() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["0002-b.patch", "0001-a.patch", "notes.txt", "x.patch"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let names: Vec<PathBuf> = patches_in(dir.path()).unwrap();
        assert_eq!(names.len(), 2);
        assert!(names[0].ends_with("0001-a.patch"));
    }
}
