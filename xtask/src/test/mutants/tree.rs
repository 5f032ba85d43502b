// SPDX-License-Identifier: GPL-2.0
//! The pure core as a workspace of its own.
//!
//! cargo-mutants changes only files below the folder of a package, and `tests/host/core` takes the core
//! from outside of its own. So what it is made of is copied, with crate roots above all of it. Mutants
//! are then named by the files as the repository has them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;
use anyhow::Result;
use regex::Regex;
use sha2::Digest;
use sha2::Sha256;

/// The folders that may have files of the core, or its tests.
const FOLDERS: [&str; 4] = [
    "block/copy",
    "drivers/nvme",
    "rust/kernel/block",
    "tests/host/core/src",
];

/// The crate root of the core in the repository, and its manifest.
const ROOT: &str = "tests/host/core/src/lib.rs";
const MANIFEST: &str = "tests/host/core/Cargo.toml";

/// From the folder of the crate root to the top of the repository.
const UP: &str = "../../../../";

/// The files of the workspace, by their names.
pub struct Tree(BTreeMap<PathBuf, String>);

impl Tree {
    /// Reads it from a repository.
    pub fn of(repo: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        for folder in FOLDERS {
            sources(repo, Path::new(folder), &mut files)?;
        }
        let root = files
            .remove(Path::new(ROOT))
            .with_context(|| format!("there is no {ROOT}"))?;
        let read = |name: &str| {
            let path = repo.join(name);
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let mut add = |name: &str, text: String| files.insert(PathBuf::from(name), text);
        add("core.rs", crate_root(&root));
        add("Cargo.toml", manifest(&read(MANIFEST)?)?);
        add("Cargo.lock", read("Cargo.lock")?);
        add("rust/kernel/lib.rs", String::from(KERNEL));
        add("rust/kernel/Cargo.toml", String::from(KERNEL_MANIFEST));
        Ok(Self(files))
    }

    /// Changes when a mutant could have another fate.
    pub fn identity(&self) -> String {
        let mut hash = Sha256::new();
        for (path, text) in &self.0 {
            hash.update(format!("{} {}\n{text}", path.display(), text.len()));
        }
        let bytes = hash.finalize();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// A line of a file, counted from one, without the blanks around it.
    pub fn line(&self, file: &str, number: usize) -> Option<&str> {
        let text = self.0.get(Path::new(file))?;
        text.lines().nth(number.checked_sub(1)?).map(str::trim)
    }

    /// Writes it to a folder, in place of what is there.
    pub fn write(&self, dir: &Path) -> Result<()> {
        if dir.exists() {
            fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))?;
        }
        for (path, text) in &self.0 {
            let path = dir.join(path);
            let write = || -> std::io::Result<()> {
                path.parent().map_or(Ok(()), fs::create_dir_all)?;
                fs::write(&path, text)
            };
            write().with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}

/// The part of the `kernel` crate that the core needs, as in `tests/host/kernel`.
const KERNEL: &str = "pub mod block {\n    pub mod units;\n}\n";

const KERNEL_MANIFEST: &str = "\
[package]
name = \"kernel\"
version = \"0.0.0\"
edition = \"2021\"

[lib]
path = \"lib.rs\"
doctest = false

[lints.rust]
unexpected_cfgs = \"allow\"
";

/// The manifest of the core and of the workspace. Only the dependencies of its tests are the
/// repository's.
const CORE_MANIFEST: &str = "\
[workspace]
resolver = \"3\"
members = [\"rust/kernel\"]

[package]
name = \"copy-core\"
version = \"0.0.0\"
edition = \"2021\"

[lib]
path = \"core.rs\"
doctest = false

[dependencies]
kernel = { path = \"rust/kernel\" }

[lints.rust]
unexpected_cfgs = \"allow\"

[profile.dev]
debug = false

[profile.dev.package.\"*\"]
opt-level = 2
";

fn manifest(ours: &str) -> Result<String> {
    let ours: toml::Table = toml::from_str(ours).with_context(|| format!("in {MANIFEST}"))?;
    let mut tests = match ours.get("dev-dependencies") {
        Some(toml::Value::Table(table)) => table.clone(),
        _ => toml::Table::new(),
    };
    // The core itself needs that, which in the repository is nothing but tests.
    tests.remove("kernel");
    let mut all: toml::Table = toml::from_str(CORE_MANIFEST).context("in a manifest")?;
    all.insert(String::from("dev-dependencies"), toml::Value::Table(tests));
    toml::to_string(&all).context("cannot write a manifest")
}

/// The crate root, for the top of the workspace. The core is the crate, and not a part of its tests.
fn crate_root(text: &str) -> String {
    let mut lines = Vec::new();
    let mut has_path = false;
    for line in text.lines().filter(|line| *line != "#![cfg(test)]") {
        let module = line
            .strip_prefix("mod ")
            .and_then(|rest| rest.strip_suffix(';'));
        if let Some(module) = module.filter(|_| !has_path) {
            // What stands beside the root are tests.
            let folder = Path::new(ROOT).parent().unwrap_or(Path::new(""));
            lines.push(String::from("#[cfg(test)]"));
            lines.push(format!("#[path = \"{}/{module}.rs\"]", folder.display()));
        }
        has_path = line.starts_with("#[path = ");
        lines.push(line.replace(UP, ""));
    }
    lines.join("\n") + "\n"
}

/// Reads the Rust files of a folder, and of those in it.
fn sources(repo: &Path, folder: &Path, files: &mut BTreeMap<PathBuf, String>) -> Result<()> {
    let path = repo.join(folder);
    let entries = fs::read_dir(&path).with_context(|| format!("cannot list {}", path.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {}", path.display()))?;
        let name = folder.join(entry.file_name());
        if entry.path().is_dir() {
            sources(repo, &name, files)?;
        } else if name.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(entry.path())
                .with_context(|| format!("cannot read {}", entry.path().display()))?;
            files.insert(name, prepared(&text)?);
        }
    }
    Ok(())
}

/// A file, so that cargo-mutants sees what there is; for the compiler it is the same.
///
/// It does not take what is marked as KUnit's as well for tests. And it passes by functions that are
/// called `new`, which in most programs decide nothing: here they do, so they are written as raw
/// identifiers.
fn prepared(text: &str) -> Result<String> {
    let tests = Regex::new(r"#\[cfg\(any\(test, CONFIG_\w+\)\)\]").context("not an expression")?;
    let text = tests.replace_all(text, "#[cfg(test)]");
    Ok(text.replace("fn new(", "fn r#new("))
}

/// The same as the repository has it.
pub fn as_written(text: &str) -> String {
    text.replace("r#new", "new")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repo() -> PathBuf {
        // That of this checkout: several may share what cargo has built.
        let here = std::env::var("CARGO_MANIFEST_DIR").unwrap();
        Path::new(&here).join("..")
    }

    #[test]
    fn the_core_is_below_its_root() {
        let tree = Tree::of(&repo()).unwrap();
        let root = &tree.0[Path::new("core.rs")];
        assert!(!root.contains("../") && !root.contains("#![cfg(test)]"));
        let wanted =
            "#[cfg(test)]\n#[path = \"tests/host/core/src/properties.rs\"]\nmod properties;\n";
        assert!(root.contains(wanted), "{root}");
        // Each file that it names is there.
        let paths = root.split("#[path = \"").skip(1);
        for path in paths.filter_map(|rest| rest.split('"').next()) {
            let inside = |name: &PathBuf| name.starts_with(path);
            assert!(tree.0.keys().any(inside), "{path}");
        }
        assert!(tree.0[Path::new("Cargo.toml")].contains("proptest"));
    }

    #[test]
    fn it_is_written_and_has_an_identity() {
        let dir = tempfile::tempdir().unwrap();
        let mut tree = Tree::of(&repo()).unwrap();
        let to = dir.path().join("tree");
        fs::create_dir(&to).unwrap();
        fs::write(to.join("old"), "").unwrap();
        tree.write(&to).unwrap();
        assert!(!to.join("old").exists());
        assert!(to.join("block/copy/plan/mod.rs").is_file());
        let first = tree.identity();
        assert_eq!(first, Tree::of(&repo()).unwrap().identity());
        tree.0
            .insert(PathBuf::from("a.rs"), String::from("a\n  b \n"));
        assert_ne!(first, tree.identity());
        assert_eq!(tree.line("a.rs", 2), Some("b"));
        assert_eq!(tree.line("a.rs", 3), None);
    }

    #[test]
    fn tests_and_constructors_are_seen() {
        let text = "#[cfg(any(test, CONFIG_KUNIT))]\nmod tests {}\n";
        assert_eq!(prepared(text).unwrap(), "#[cfg(test)]\nmod tests {}\n");
        let text = "    pub const fn new(raw: u64) -> Self {\n";
        let seen = prepared(text).unwrap();
        assert_eq!(seen, "    pub const fn r#new(raw: u64) -> Self {\n");
        assert_eq!(as_written(&seen), text);
    }
}
