// SPDX-License-Identifier: GPL-2.0
//! How wide the Rust code is that goes to the kernel. checkpatch takes 100 columns, and rustfmt leaves comments as
//! they are; this says so before a kernel is built.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use anyhow::Result;

use super::report::Report;
use crate::overlay::Series;

/// Columns, none of which is a tab's in Rust.
const MOST: usize = 100;

/// Checks the repository.
pub fn run(repo: &Path, report: &mut Report) {
    let name = "kernel code ends at column 100";
    match wide(repo) {
        Ok(lines) if lines.is_empty() => report.pass(name),
        Ok(lines) => report.fail(name, &lines.join("\n")),
        Err(error) => report.fail(name, &format!("{error:#}")),
    }
}

/// The lines that are too wide, as FILE:LINE.
fn wide(repo: &Path) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for file in Series::load(repo)?
        .patches
        .iter()
        .flat_map(|patch| &patch.files)
    {
        if file.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = fs::read_to_string(repo.join(file))
            .with_context(|| format!("cannot read {}", file.display()))?;
        let wide = (1..)
            .zip(text.lines())
            .filter(|(_, line)| line.chars().count() > MOST);
        lines.extend(wide.map(|(number, _)| format!("{}:{number}", file.display())));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_lines_are_found() {
        let repo = tempfile::tempdir().unwrap();
        let series = "[[patch]]\nsubject = \"a\"\nfiles = [\"a.rs\", \"a.txt\"]\n";
        fs::write(repo.path().join("series.toml"), series).unwrap();
        let (most, more) = ("x".repeat(MOST), "x".repeat(MOST + 1));
        fs::write(repo.path().join("a.rs"), format!("{most}\n{more}\n")).unwrap();
        fs::write(repo.path().join("a.txt"), more).unwrap();
        assert_eq!(wide(repo.path()).unwrap(), ["a.rs:2"]);
    }
}
