// SPDX-License-Identifier: GPL-2.0
//! The structure of the engine in `block/copy`: who imports whom, where C and `unsafe` may stand, and how much code
//! it is.

mod graph;
mod imports;
mod names;
mod rules;
mod source;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::ensure;
use anyhow::Context as _;
use anyhow::Result;

use super::report::Report;
use graph::Graph;
use names::Tree;
use source::Source;

/// The engine's folder in the repository.
const FOLDER: &str = "block/copy";

/// The root of the crate; its modules stand beside it.
const ROOT: &str = "blk_copy.rs";

/// What is in the folder and is no part of the engine.
const OTHERS: &str = "test";

/// Checks the repository.
pub fn run(repo: &Path, report: &mut Report) {
    match sources(&repo.join(FOLDER)) {
        Ok(sources) => check(&Tree::new(sources), report),
        Err(error) => report.fail("structure of the engine", &format!("{error:#}")),
    }
}

/// Reads the files of the engine, in the order of their names.
fn sources(folder: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    collect(folder, "", &mut sources)?;
    ensure!(
        sources.iter().any(|source| source.file == ROOT),
        "there is no {FOLDER}/{ROOT}"
    );
    sources.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(without_tests(sources))
}

/// Drops files that are modules with tests.
fn without_tests(mut sources: Vec<Source>) -> Vec<Source> {
    let mut tests = BTreeSet::new();
    for source in &sources {
        for name in &source.tests {
            let mut module = source.module(ROOT);
            module.push(name.clone());
            tests.insert(module);
        }
    }
    sources.retain(|source| {
        let module = source.module(ROOT);
        !tests.iter().any(|test| module.starts_with(test))
    });
    sources
}

fn collect(folder: &Path, prefix: &str, sources: &mut Vec<Source>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot list {}", folder.display()))?
            .path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let file = format!("{prefix}{name}");
        if path.is_dir() {
            if file != OTHERS {
                collect(&path, &format!("{file}/"), sources)?;
            }
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let source =
                Source::parse(&file, &text).with_context(|| format!("cannot read {file}"))?;
            sources.push(source);
        }
    }
    Ok(())
}

/// Applies the rules.
fn check(tree: &Tree, report: &mut Report) {
    let graph = Graph::new(tree);
    report.judge("the files of the engine import no circle", &graph.circles());
    report.judge(
        "imports of the engine go from the upper wings to the lower ones",
        &rules::order(tree, &graph),
    );
    report.judge(
        "the pure files of the engine use nothing of the kernel but units",
        &rules::purity(tree),
    );
    report.judge(
        "bindings stand only at the edge of the engine",
        &rules::bindings(tree),
    );
    report.judge(
        "unsafe stands in no file with policy",
        &rules::unsafety(tree),
    );
    let (said, complaints) = rules::size(tree);
    report.judge(&said, &complaints);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::report::Sum;

    fn write(folder: &Path, file: &str, text: &str) {
        let path = folder.join(FOLDER).join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn judged(folder: &Path) -> Sum {
        let mut report = Report::new("test");
        run(folder, &mut report);
        report.finish().0
    }

    #[test]
    fn a_folder_is_checked() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), ROOT, "mod chunk;\nmod plan;\n");
        write(
            dir.path(),
            "chunk.rs",
            "mod hold;\nuse super::plan::Plan;\n",
        );
        write(dir.path(), "chunk/hold.rs", "fn hold() {}\n");
        write(dir.path(), "test/example.rs", "use kernel::bindings;\n");
        write(
            dir.path(),
            "plan.rs",
            "mod range;\npub(crate) struct Plan;\n",
        );
        let range = "fn range() {}\n#[cfg(test)]\nmod tests;\n";
        write(dir.path(), "plan/range.rs", range);
        write(
            dir.path(),
            "plan/range/tests.rs",
            "use crate::ffi;\nuse kernel::bindings;\n",
        );
        let good = Sum {
            passed: 6,
            ..Sum::default()
        };
        assert_eq!(judged(dir.path()), good);

        write(
            dir.path(),
            "plan.rs",
            "use super::chunk;\npub(crate) struct Plan;\n",
        );
        assert_eq!(judged(dir.path()).failed, 2);
        write(dir.path(), "plan.rs", "use super::{chunk;\n");
        assert_eq!(judged(dir.path()).failed, 1);
    }
}
