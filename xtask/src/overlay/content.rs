// SPDX-License-Identifier: GPL-2.0
//! What a patch of the series makes of the kernel's files: pure text in, text out.
//!
//! A hunk may have moved within its file, but its context must match exactly: there is no fuzz.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use anyhow::anyhow;
use anyhow::bail;
use anyhow::Context;
use anyhow::Result;
use diffy::patch_set::FileOperation;
use diffy::patch_set::FilePatch;
use diffy::patch_set::ParseOptions;
use diffy::patch_set::PatchKind;
use diffy::patch_set::PatchSet;

use super::Entry;

/// New contents by the file's path in the kernel; `None` is a file that is gone.
pub type Contents = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// Adds to `contents` what one entry changes; `pristine` reads a file of the unpatched kernel.
pub fn apply_entry(
    repo: &Path,
    entry: &Entry,
    contents: &mut Contents,
    pristine: &dyn Fn(&Path) -> Result<Option<Vec<u8>>>,
) -> Result<()> {
    for hook in &entry.hooks {
        apply_hook(repo, hook, contents, pristine)?;
    }
    add_files(repo, entry, contents)
}

/// Adds what one hook patch changes.
pub fn apply_hook(
    repo: &Path,
    hook: &Path,
    contents: &mut Contents,
    pristine: &dyn Fn(&Path) -> Result<Option<Vec<u8>>>,
) -> Result<()> {
    let text = fs::read_to_string(repo.join(hook))
        .with_context(|| format!("cannot read the hook patch {}", hook.display()))?;
    apply_patch(&text, contents, pristine).with_context(|| {
        format!(
            "the patch {} does not fit this kernel, which was left as it was. Compare the \
             hunk with the file and mend the patch",
            hook.display()
        )
    })
}

/// Adds the files of one entry that stand in the repository as they are.
pub fn add_files(repo: &Path, entry: &Entry, contents: &mut Contents) -> Result<()> {
    for path in &entry.files {
        for file in files_below(repo, path)? {
            let data = fs::read(repo.join(&file)).with_context(|| {
                format!("cannot read {} of {:?}", file.display(), entry.subject)
            })?;
            contents.insert(file, Some(data));
        }
    }
    Ok(())
}

fn apply_patch(
    text: &str,
    contents: &mut Contents,
    pristine: &dyn Fn(&Path) -> Result<Option<Vec<u8>>>,
) -> Result<()> {
    let options = if text.lines().any(|line| line.starts_with("diff --git ")) {
        ParseOptions::gitdiff()
    } else {
        ParseOptions::unidiff()
    };
    let mut files = 0;
    for file in PatchSet::parse(text, options) {
        let file = file.map_err(|error| anyhow!("not a valid diff: {error}"))?;
        apply_file(&file, contents, pristine)?;
        files += 1;
    }
    if files == 0 {
        bail!("there is no change in it");
    }
    Ok(())
}

fn apply_file(
    file: &FilePatch<'_, str>,
    contents: &mut Contents,
    pristine: &dyn Fn(&Path) -> Result<Option<Vec<u8>>>,
) -> Result<()> {
    let operation = file.operation().strip_prefix(1);
    let (path, new) = match &operation {
        FileOperation::Create(path) => (path, true),
        FileOperation::Delete(path) => (path, false),
        FileOperation::Modify { original, modified } if original == modified => (modified, false),
        other => bail!("renames and copies are not supported ({other:?})"),
    };
    let path = PathBuf::from(Cow::as_ref(path));
    let PatchKind::Text(patch) = file.patch() else {
        bail!("{}: binary changes are not supported", path.display());
    };
    let old = match contents.get(&path) {
        Some(data) => data.clone(),
        None => pristine(&path)?,
    };
    let old = match (old, new) {
        (Some(_), true) => bail!("{}: to be created, but it exists", path.display()),
        (None, false) => bail!("{}: there is no such file", path.display()),
        (data, _) => String::from_utf8(data.unwrap_or_default())
            .with_context(|| format!("{} is not text", path.display()))?,
    };
    let text = diffy::apply(&old, patch)
        .map_err(|error| anyhow!("{}: {error}{}", path.display(), failing_hunk(&old, patch)))?;
    let data = (!operation.is_delete()).then(|| text.into_bytes());
    contents.insert(path, data);
    Ok(())
}

/// The header of the hunk that does not apply, as it stands in the patch.
fn failing_hunk(old: &str, patch: &diffy::Patch<'_, str>) -> String {
    let number = match diffy::apply(old, patch) {
        Ok(_) => return String::new(),
        Err(error) => error.to_string(),
    };
    let number = number
        .rsplit('#')
        .next()
        .and_then(|digits| digits.parse::<usize>().ok());
    let hunk = number.and_then(|number| patch.hunks().get(number.checked_sub(1)?));
    hunk.map_or_else(String::new, |hunk| {
        let context = hunk.function_context().unwrap_or("").trim();
        format!(
            " (@@ -{} +{} @@ {context})",
            hunk.old_range(),
            hunk.new_range()
        )
    })
}

/// The files that an entry's path stands for: itself, or all below it that belong to the kernel.
fn files_below(repo: &Path, path: &Path) -> Result<Vec<PathBuf>> {
    let full = repo.join(path);
    let meta = fs::metadata(&full)
        .with_context(|| format!("series.toml names {}, which is not there", path.display()))?;
    if meta.is_file() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut files = Vec::new();
    let entries = fs::read_dir(&full).with_context(|| format!("cannot list {}", full.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {}", full.display()))?;
        let name = entry.file_name();
        if belongs_to_kernel(&name.to_string_lossy()) {
            files.extend(files_below(repo, &path.join(name))?);
        }
    }
    files.sort();
    Ok(files)
}

/// Whether a name found in a folder is kernel source, not a hook, a host file or an editor's copy.
fn belongs_to_kernel(name: &str) -> bool {
    let ignored = [".patch", ".orig", ".rej", "~"];
    !(name.starts_with('.')
        || name.starts_with("Cargo.")
        || name == "target"
        || ignored.iter().any(|end| name.ends_with(end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "one\ntwo\nthree\nfour\n";

    fn pristine(path: &Path) -> Result<Option<Vec<u8>>> {
        Ok((path == Path::new("block/a.c")).then(|| OLD.as_bytes().to_vec()))
    }

    fn patched(patch: &str) -> Result<Contents> {
        let mut contents = Contents::new();
        apply_patch(patch, &mut contents, &pristine).map(|()| contents)
    }

    #[test]
    fn a_hunk_may_move_but_not_change() {
        let patch = "--- a/block/a.c\n+++ b/block/a.c\n@@ -9,2 +9,3 @@ f()\n two\n+new\n three\n";
        let contents = patched(patch).unwrap();
        let text = contents[Path::new("block/a.c")].as_deref().unwrap();
        assert_eq!(text, b"one\ntwo\nnew\nthree\nfour\n");

        let error = patched(&patch.replace(" three", " tree"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("block/a.c") && error.contains("#1"),
            "{error}"
        );
        assert!(error.contains("f()"), "{error}");
    }

    #[test]
    fn patches_build_on_each_other() {
        let first = "--- a/block/a.c\n+++ b/block/a.c\n@@ -1,2 +1,2 @@\n-one\n+1\n two\n";
        let second = "--- a/block/a.c\n+++ b/block/a.c\n@@ -1,2 +1,2 @@\n-1\n+I\n two\n";
        let mut contents = Contents::new();
        apply_patch(first, &mut contents, &pristine).unwrap();
        apply_patch(second, &mut contents, &pristine).unwrap();
        assert!(contents[Path::new("block/a.c")]
            .as_deref()
            .unwrap()
            .starts_with(b"I\ntwo"));
    }

    #[test]
    fn git_diffs_create_files() {
        let patch = "diff --git a/n.h b/n.h\nnew file mode 100644\nindex 0000000..1111111\n\
                     --- /dev/null\n+++ b/n.h\n@@ -0,0 +1 @@\n+x\n";
        assert_eq!(
            patched(patch).unwrap()[Path::new("n.h")].as_deref(),
            Some(&b"x\n"[..])
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let patch = "--- a/block/b.c\n+++ b/block/b.c\n@@ -1 +1 @@\n-one\n+1\n";
        assert!(patched(patch)
            .unwrap_err()
            .to_string()
            .contains("block/b.c"));
        assert!(patched("no diff at all\n").is_err());
    }

    #[test]
    fn folders_give_their_kernel_files() {
        let dir = tempfile::tempdir().unwrap();
        let copy = dir.path().join("block/copy");
        fs::create_dir_all(&copy).unwrap();
        for name in [
            "lib.rs",
            "Kconfig",
            "hook.patch",
            ".hidden",
            "lib.rs~",
            "Cargo.toml",
        ] {
            fs::write(copy.join(name), "").unwrap();
        }
        let files = files_below(dir.path(), Path::new("block/copy/")).unwrap();
        assert_eq!(
            files,
            ["block/copy/Kconfig", "block/copy/lib.rs"].map(PathBuf::from)
        );
        assert!(files_below(dir.path(), Path::new("missing")).is_err());
    }
}
