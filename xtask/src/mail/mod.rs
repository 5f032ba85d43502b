// SPDX-License-Identifier: GPL-2.0
//! The work as mail: one `git am`-able patch an entry, against the pristine kernel, in a folder for each mailed series.

mod repository;

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use anyhow::bail;
use anyhow::ensure;
use anyhow::Context as _;
use anyhow::Result;

use crate::build::Context;
use crate::host::git::Author;
use crate::overlay;
use crate::overlay::Contents;
use crate::overlay::Cover;
use crate::overlay::Entry;
use crate::overlay::Series;
use crate::source::Tree;
use crate::ui;
use repository::Repository;

/// What `git format-patch` leaves open in a cover letter.
const SUBJECT: &str = "*** SUBJECT HERE ***";
const BLURB: &str = "*** BLURB HERE ***";

/// The number of a cover letter.
const COVER: u32 = 0;

/// A mailed series that was written.
pub struct Mailed {
    /// Its cover letter, if it has one.
    pub cover: Option<PathBuf>,
    pub patches: Vec<PathBuf>,
}

/// The `series` subcommand: writes the patches, each mailed series to a folder in `dir`, and returns their paths.
pub fn write(context: &Context, tree: &Tree, dir: &Path) -> Result<Vec<Mailed>> {
    let series = Series::load(&context.repo)?;
    if series.patches.is_empty() {
        bail!("series.toml names no patch");
    }
    let repo = Repository::new(tree, &series, context)?;
    if repo.author.is_nobody() {
        ui::note(&format!(
            "git knows no user.name and user.email, so the patches are signed off by {} <{}>; set \
             them with `git config` before mailing",
            repo.author.name, repo.author.email
        ));
    }
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let dir = dir.canonicalize().context("the folder is gone")?;
    remove_patches(&dir)?;
    let mut contents = Contents::new();
    let mut mailed = Vec::new();
    for (name, entries) in series.mailed() {
        for entry in entries {
            commit(context, tree, entry, &mut contents, &repo)?;
        }
        let folder = dir.join(name);
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        remove_patches(&folder)?;
        let cover = series.covers.get(name);
        export(&repo, entries.len(), cover, &folder)?;
        let (covers, patches) = numbered(&folder)?
            .into_iter()
            .partition::<Vec<_>, _>(|(number, _)| *number == COVER);
        let path = |(_, path): (u32, PathBuf)| path;
        mailed.push(Mailed {
            cover: covers.into_iter().next().map(path),
            patches: patches.into_iter().map(path).collect(),
        });
    }
    Ok(mailed)
}

/// Commits what one entry changes: what differs from the state before it.
fn commit(
    context: &Context,
    tree: &Tree,
    entry: &Entry,
    contents: &mut Contents,
    repo: &Repository,
) -> Result<()> {
    let before = contents.clone();
    overlay::apply_entry(&context.repo, entry, contents, &|path| {
        overlay::pristine(&tree.dir, path)
    })?;
    let mut changed = Contents::new();
    for (path, data) in &*contents {
        if before.get(path) != Some(data) {
            changed.insert(path.clone(), data.clone());
        }
    }
    repo.write(&changed)?;
    repo.commit(&message(entry, &repo.author))
        .with_context(|| format!("{:?} changes nothing, or git failed", entry.subject))
}

/// Writes the last commits as patches, with a cover letter if there is one.
fn export(repo: &Repository, count: usize, cover: Option<&Cover>, folder: &Path) -> Result<()> {
    let base = format!("-{count}");
    let target = folder.display().to_string();
    let mut words = vec!["format-patch", "-q", "-o", &target];
    words.extend(cover.is_some().then_some("--cover-letter"));
    words.push(&base);
    repo.git(&words)?;
    let Some(cover) = cover else { return Ok(()) };
    let letter = numbered(folder)?
        .into_iter()
        .find(|(number, _)| *number == COVER);
    let (_, path) = letter.context("git wrote no cover letter")?;
    let text = fs::read_to_string(&path).context("cannot read the cover letter")?;
    let text = filled(&text, cover)?;
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// A cover letter of git's with title and text.
fn filled(letter: &str, cover: &Cover) -> Result<String> {
    ensure!(
        letter.contains(SUBJECT) && letter.contains(BLURB),
        "git writes cover letters in a form that is not known here"
    );
    Ok(letter
        .replacen(SUBJECT, cover.title.trim(), 1)
        .replacen(BLURB, cover.cover.trim(), 1))
}

/// Checks that `git am` takes the patches onto the pristine files and yields the laid tree.
pub fn verify(context: &Context, tree: &Tree, mailed: &[Mailed]) -> Result<()> {
    let replay = Replay::new(context, tree)?;
    for patch in mailed.iter().flat_map(|series| &series.patches) {
        replay.repo.am(patch)?;
    }
    for path in &replay.repo.paths {
        let laid = fs::read(tree.dir.join(path)).ok();
        if replay.repo.read(path) != laid {
            bail!(
                "{} differs after git am from what ./x linux laid",
                path.display()
            );
        }
    }
    Ok(())
}

/// The patches, taken one after the other.
pub struct Replay {
    repo: Repository,
    /// The files that the pristine kernel has.
    pristine: Vec<PathBuf>,
}

impl Replay {
    pub fn new(context: &Context, tree: &Tree) -> Result<Self> {
        let series = Series::load(&context.repo)?;
        let repo = Repository::new(tree, &series, context)?;
        let is_there = |path: &&PathBuf| repo.read(path).is_some();
        let pristine = repo.paths.iter().filter(is_there).cloned().collect();
        Ok(Self { repo, pristine })
    }

    /// Takes the next patch, and returns what the files are from then on.
    pub fn take(&self, patch: &Path) -> Result<Contents> {
        self.repo.am(patch)?;
        let mut contents = Contents::new();
        for path in &self.repo.paths {
            let data = self.repo.read(path);
            if data.is_some() || self.pristine.contains(path) {
                contents.insert(path.clone(), data);
            }
        }
        Ok(contents)
    }
}

/// Prints what was written.
pub fn announce(mailed: &[Mailed], tree: &Tree) {
    let mut count = 0;
    for Mailed { cover, patches } in mailed {
        for path in cover.iter().chain(patches) {
            println!("{}", path.display());
        }
        count += patches.len();
    }
    ui::note(&format!(
        "{count} patches against Linux {}: `git am` takes them in a clean tree",
        tree.version
    ));
}

/// Removes what an earlier run has left.
fn remove_patches(dir: &Path) -> Result<()> {
    for (_, old) in numbered(dir)? {
        fs::remove_file(&old).with_context(|| format!("cannot remove {}", old.display()))?;
    }
    Ok(())
}

/// The patches in a folder with their numbers, in that order.
fn numbered(dir: &Path) -> Result<Vec<(u32, PathBuf)>> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    let mut found: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let path = entry.path();
            let name = path.file_name()?.to_string_lossy();
            let (number, rest) = name.split_once('-')?;
            let ours = number.len() == 4 && rest.ends_with(".patch");
            let number = number.parse::<u32>().ok().filter(|_| ours)?;
            Some((number, path))
        })
        .collect();
    found.sort();
    Ok(found)
}

fn message(entry: &Entry, author: &Author) -> String {
    let body = entry.message.trim();
    let gap = if body.is_empty() { "" } else { "\n\n" };
    let sign = format!("Signed-off-by: {} <{}>", author.name, author.email);
    format!("{}\n\n{body}{gap}{sign}\n", entry.subject.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn author() -> Author {
        Author {
            name: String::from("A"),
            email: String::from("a@b"),
        }
    }

    #[test]
    fn a_message_is_subject_body_and_sign_off() {
        let entry = Entry {
            series: String::from("block"),
            subject: String::from("block: one"),
            message: String::from("\nWhy.\n"),
            hooks: Vec::new(),
            files: Vec::new(),
        };
        let text = message(&entry, &author());
        assert_eq!(text, "block: one\n\nWhy.\n\nSigned-off-by: A <a@b>\n");
    }

    #[test]
    fn only_patches_are_listed() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "0002-b.patch",
            "0001-a.patch",
            "0000-cover-letter.patch",
            "notes.txt",
            "x.patch",
            "001-a.patch",
        ] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let found = numbered(dir.path()).unwrap();
        let numbers: Vec<u32> = found.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [0, 1, 2]);
        assert!(found[1].1.ends_with("0001-a.patch"));
        remove_patches(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_cover_letter_is_filled() {
        let cover = Cover {
            title: String::from("block: copy"),
            cover: String::from("\nWhat.\n"),
        };
        let letter = format!("Subject: [PATCH 0/2] {SUBJECT}\n\n{BLURB}\n\nA (2):\n");
        let text = filled(&letter, &cover).unwrap();
        assert_eq!(
            text,
            "Subject: [PATCH 0/2] block: copy\n\nWhat.\n\nA (2):\n"
        );
        assert!(filled("Subject: none", &cover).is_err());
    }
}
