// SPDX-License-Identifier: GPL-2.0
//! Lays the series over a kernel tree, in which somebody may have edited something.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use anyhow::bail;
use anyhow::Result;

use super::apply_entry;
use super::history;
use super::tree;
use super::Contents;
use super::Laid;
use super::Series;

/// Makes the tree the pristine kernel plus `series`; nothing is touched if a patch does not apply, or if something that
/// was edited in the tree would be lost.
pub fn lay(repo: &Path, series: &Series, tree: &Path) -> Result<Laid> {
    let contents = contents(repo, series, tree)?;
    let mut lost = Vec::new();
    for path in tree::edited(tree)? {
        let wanted = match contents.get(&path) {
            Some(data) => data.clone(),
            None => tree::pristine(tree, &path)?,
        };
        if tree::read(&tree.join(&path))? != wanted {
            lost.push(format!("   {}", path.display()));
        }
    }
    if !lost.is_empty() {
        let tree = tree.display();
        bail!(
            "these files were edited in the kernel's tree, {tree}:\n{}\n   `./x refresh` carries \
             the edits into the repository. `git -C {tree} diff` shows them, and `git -C {tree} \
             checkout FILE` drops one",
            lost.join("\n")
        );
    }
    place(tree, &contents)
}

/// Makes the tree what it is after its edits have become a part of the series: these files have to be these texts.
pub fn lay_edited(
    repo: &Path,
    series: &Series,
    tree: &Path,
    expected: &BTreeMap<PathBuf, String>,
) -> Result<Laid> {
    let contents = contents(repo, series, tree)?;
    for (path, text) in expected {
        let data = contents.get(path).and_then(Option::as_deref);
        if data != Some(text.as_bytes()) {
            bail!("the series makes something else of {}", path.display());
        }
    }
    place(tree, &contents)
}

fn place(tree: &Path, contents: &Contents) -> Result<Laid> {
    let laid = tree::place(tree, contents)?;
    history::record(tree, &laid.files, &laid.identity)?;
    Ok(laid)
}

/// What the series makes of the files of the pristine kernel that `tree` was.
pub fn contents(repo: &Path, series: &Series, tree: &Path) -> Result<Contents> {
    let mut contents = Contents::new();
    for entry in &series.patches {
        apply_entry(repo, entry, &mut contents, &|path| {
            tree::pristine(tree, path)
        })?;
    }
    Ok(contents)
}
