// SPDX-License-Identifier: GPL-2.0
//! Carries what was edited in the kernel tree back into the repository: into the files that stand there as they are,
//! and into hook patches, which are written anew.
//!
//! If several hooks change a file, a change goes to the first of them that has what it touches: as far down as it can
//! be made without them. What touches no line of any hook goes to the last.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use anyhow::anyhow;
use anyhow::bail;
use anyhow::Context as _;
use anyhow::Result;
use diffy::DiffOptions;
use diffy::Patch;

use super::content::add_files;
use super::content::apply_hook;
use super::history;
use super::lay::lay_edited;
use super::tree;
use super::Contents;
use super::Series;
use crate::cache::write_atomically;
use crate::host::git::Author;
use crate::host::git::Git;

/// What one step of the series makes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Layer {
    /// The hook patch; none if the file itself stands in the repository.
    hook: Option<PathBuf>,
    before: Option<String>,
    after: String,
}

/// For each file of the repository that was written, the edited files of the tree.
pub type Refreshed = BTreeMap<PathBuf, Vec<PathBuf>>;

/// Writes all edits of a tree to the repository, and says what went where.
pub fn refresh(repo: &Path, series: &Series, tree: &Path) -> Result<Refreshed> {
    let mut layers = Layers::read(repo, series, tree)?;
    let mut refreshed = Refreshed::new();
    let mut texts: BTreeMap<PathBuf, String> = BTreeMap::new();
    let mut expected = BTreeMap::new();
    for path in tree::edited(tree)? {
        let layers = layers.0.remove(&path).unwrap_or_default();
        let edited = tree::text(tree, &path)?;
        let laid = layers.last().map(|layer| layer.after.clone());
        let laid = laid.with_context(|| format!("no patch has {} any more", path.display()))?;
        let base = base(tree, &path, &laid)?;
        // The repository may have changed since.
        let wanted = if laid == base {
            edited
        } else {
            diffy::merge(&base, &edited, &laid).map_err(|_| {
                anyhow!(
                    "{} was edited in the kernel's tree and changed in the repository, in the same \
                     lines: carry the edit back by hand, then take it out of the tree with `git -C \
                     {} checkout {}`",
                    path.display(),
                    tree.display(),
                    path.display()
                )
            })?
        };
        let new = carry(&layers, &wanted)?;
        for (old, new) in layers.iter().zip(&new).filter(|(old, new)| old != new) {
            let target = old.hook.as_ref().unwrap_or(&path);
            let text = match &old.hook {
                None => new.after.clone(),
                Some(hook) => {
                    let text = match texts.remove(hook) {
                        Some(text) => text,
                        None => tree::text(repo, hook)?,
                    };
                    let section = diff(tree, &path, new.before.as_deref(), &new.after)?;
                    replace_section(&text, &path, &section)
                        .with_context(|| format!("cannot write {} anew", hook.display()))?
                }
            };
            texts.insert(target.clone(), text);
            refreshed
                .entry(target.clone())
                .or_default()
                .push(path.clone());
        }
        expected.insert(path, wanted);
    }
    let old: Result<Vec<_>> = texts.keys().map(|path| tree::text(repo, path)).collect();
    let old: Vec<_> = texts.keys().zip(old?).collect();
    for (path, text) in &texts {
        write_atomically(&repo.join(path), text.as_bytes())?;
    }
    if let Err(error) = lay_edited(repo, series, tree, &expected) {
        for (path, text) in old {
            write_atomically(&repo.join(path), text.as_bytes())?;
        }
        return Err(
            error.context("the edits do not fit the series, and the repository was left as it was")
        );
    }
    Ok(refreshed)
}

/// What was laid, before somebody edited it.
fn base(tree: &Path, path: &Path, now: &str) -> Result<String> {
    if tree::was_laid(tree, path, now)? {
        return Ok(String::from(now));
    }
    let text = history::laid(tree, path)?;
    if !tree::was_laid(tree, path, &text)? {
        bail!(
            "nobody knows what {} was before it was edited: carry the edit back by hand",
            path.display()
        );
    }
    Ok(text)
}

/// The steps that lead to each file of the series.
struct Layers(BTreeMap<PathBuf, Vec<Layer>>);

impl Layers {
    fn read(repo: &Path, series: &Series, tree: &Path) -> Result<Self> {
        let pristine = |path: &Path| tree::pristine(tree, path);
        let mut layers = Self(BTreeMap::new());
        let mut contents = Contents::new();
        for entry in &series.patches {
            for hook in &entry.hooks {
                let before = contents.clone();
                apply_hook(repo, hook, &mut contents, &pristine)?;
                layers.add(Some(hook), &before, &contents, &pristine)?;
            }
            let before = contents.clone();
            add_files(repo, entry, &mut contents)?;
            layers.add(None, &before, &contents, &pristine)?;
        }
        Ok(layers)
    }

    fn add(
        &mut self,
        hook: Option<&PathBuf>,
        before: &Contents,
        after: &Contents,
        pristine: &dyn Fn(&Path) -> Result<Option<Vec<u8>>>,
    ) -> Result<()> {
        let text = |data: &Option<Vec<u8>>| {
            let text = |data: &Vec<u8>| String::from_utf8_lossy(data).into_owned();
            data.as_ref().map(text)
        };
        for (path, data) in after {
            let old = match before.get(path) {
                Some(old) if old == data => continue,
                Some(old) => text(old),
                None => text(&pristine(path)?),
            };
            let layers = self.0.entry(path.clone()).or_default();
            match text(data) {
                Some(after) => layers.push(Layer {
                    hook: hook.cloned(),
                    before: old,
                    after,
                }),
                // A file that is gone again.
                None => layers.clear(),
            }
        }
        Ok(())
    }
}

/// What the steps have to be for the last of them to make `wanted`.
fn carry(layers: &[Layer], wanted: &str) -> Result<Vec<Layer>> {
    let mut layers = layers.to_vec();
    loop {
        let Some(last) = layers.last().filter(|last| last.after != wanted) else {
            return Ok(layers);
        };
        let now = last.after.clone();
        let next = first_change(&now, wanted)?;
        if next == now {
            bail!("a change could not be told from the rest");
        }
        // The change on what each step has made, as far down as it can be made there.
        let made: Vec<String> = layers
            .iter()
            .rev()
            .map_while(|layer| diffy::merge(&now, &next, &layer.after).ok())
            .collect();
        let first = layers.first().and_then(|layer| layer.before.as_ref());
        let needs_none = made.len() == layers.len()
            && first.is_some_and(|first| diffy::merge(&now, &next, first).is_ok());
        let count = if needs_none { 1 } else { made.len() };
        let from = layers.len() - count;
        for (layer, after) in layers.iter_mut().rev().zip(made.into_iter().take(count)) {
            layer.after = after;
        }
        for index in from + 1..layers.len() {
            layers[index].before = Some(layers[index - 1].after.clone());
        }
    }
}

/// `old` with the first of the changes that lead to `new`.
fn first_change(old: &str, new: &str) -> Result<String> {
    let patch = DiffOptions::new().set_context_len(1).create_patch(old, new);
    let text = patch.to_string();
    let end = text.match_indices("\n@@ ").nth(1);
    let first = end.and_then(|(end, _)| text.get(..=end));
    let first = Patch::from_str(first.unwrap_or(&text)).context("not a valid diff")?;
    // It stands where its header says: nothing before it has moved.
    diffy::apply(old, &first).context("a change does not fit the text that it was made from")
}

/// A file's part of a hook patch, as git writes it.
fn diff(tree: &Path, path: &Path, before: Option<&str>, after: &str) -> Result<String> {
    let dir = tempfile::tempdir().context("cannot create a temporary folder")?;
    let git = Git::at(dir.path(), Author::nobody())?;
    git.run(&["init", "-q"])?;
    // It says how to find the function that a change is in.
    if let Ok(text) = fs::read(tree.join(".gitattributes")) {
        write_atomically(&dir.path().join(".git/info/attributes"), &text)?;
    }
    let name = path.display().to_string();
    let file = dir.path().join(path);
    write_atomically(&file, before.unwrap_or("").as_bytes())?;
    let add: &[&str] = match before {
        Some(_) => &["add", "-f", &name],
        None => &["add", "-f", "-N", &name],
    };
    git.run(add)?;
    write_atomically(&file, after.as_bytes())?;
    let text = git.run(&["diff", "--no-color", "--no-ext-diff", "--", &name])?;
    let lines = text.split_inclusive('\n');
    Ok(lines.filter(|line| !line.starts_with("index ")).collect())
}

/// A hook patch whose part about one file is another.
fn replace_section(hook: &str, path: &Path, section: &str) -> Result<String> {
    const START: &str = "diff --git ";
    let name = path.display();
    let wanted = format!("{START}a/{name} b/{name}\n");
    let mut parts: Vec<String> = Vec::new();
    for line in hook.split_inclusive('\n') {
        match parts.last_mut() {
            Some(part) if !line.starts_with(START) => part.push_str(line),
            _ => parts.push(String::from(line)),
        }
    }
    let part = parts.iter_mut().find(|part| part.starts_with(&wanted));
    let part = part.with_context(|| format!("it has no line `{}`", wanted.trim_end()))?;
    *part = String::from(section);
    let text = parts.concat();
    if !text.contains(START) {
        bail!("nothing is left of it: take it out of series.toml");
    }
    Ok(text)
}

#[cfg(test)]
#[path = "refresh_tests.rs"]
mod tests;
