// SPDX-License-Identifier: GPL-2.0

//! Builds copies of the engine with a mistake in them, and runs the model.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::exit;
use std::process::Command;
use std::time::Instant;

/// What is built: the engine, and what it is compiled with here.
const COPIED: [&str; 5] = [
    "block/copy",
    "rust/kernel/block/units.rs",
    "tests/host/kernel-loom",
    "tests/host/kernel-macros",
    "tests/host/loom",
];

/// A part of a file, which is there once, and what takes its place.
#[derive(Clone, Copy)]
pub struct Edit {
    pub file: &'static str,
    pub text: &'static str,
    pub with: &'static str,
}

/// Who finds a mistake.
#[derive(Clone, Copy)]
pub enum Found {
    /// This test of `interleavings` fails, and says this.
    By {
        test: &'static str,
        says: &'static str,
    },
    /// The compiler, with this error.
    Compiler(&'static str),
}

/// A mistake.
#[derive(Clone, Copy)]
pub struct Fault {
    pub name: &'static str,
    pub edits: &'static [Edit],
    pub found: Found,
}

/// Where the copies are, in a workspace of its own. They are one folder further down than the files
/// are in the repository: Cargo tells crates of one name apart by their paths in their workspaces, and
/// builds into one folder for both, so that it need not build loom again.
const COPY: &str = "copy";

/// A copy of what is built.
struct Tree {
    workspace: PathBuf,
    files: BTreeMap<PathBuf, String>,
}

impl Tree {
    fn new() -> Self {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
        let mut files = BTreeMap::new();
        for name in COPIED {
            read(&from, Path::new(name), &mut files);
        }
        let tree = Self {
            workspace: Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults"),
            files,
        };
        let _ = fs::create_dir_all(&tree.workspace);
        let manifest = fs::read_to_string(from.join("Cargo.toml")).unwrap();
        let members = "members = [\"xtask\", \"tools/*\", \"tests/host/*\"]";
        let fewer = format!("members = [\"{COPY}/tests/host/*\"]");
        let manifest = replace(&manifest, members, &fewer).unwrap();
        fs::write(tree.workspace.join("Cargo.toml"), manifest).unwrap();
        fs::copy(from.join("Cargo.lock"), tree.workspace.join("Cargo.lock")).unwrap();
        tree.clean(Path::new(""));
        for (file, text) in &tree.files {
            tree.put(file, text);
        }
        tree
    }

    fn path(&self, file: &Path) -> PathBuf {
        self.workspace.join(COPY).join(file)
    }

    /// Removes what was there before, and is not any more.
    fn clean(&self, folder: &Path) {
        let Ok(entries) = fs::read_dir(self.path(folder)) else {
            return;
        };
        for entry in entries {
            let entry = entry.unwrap();
            let name = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                self.clean(&name);
                // Only if it is empty.
                let _ = fs::remove_dir(self.path(&name));
            } else if !self.files.contains_key(&name) {
                fs::remove_file(self.path(&name)).unwrap();
            }
        }
    }

    /// Writes a file if it is another one, so that nothing is built that has not changed.
    fn put(&self, file: &Path, text: &str) {
        let path = self.path(file);
        if fs::read_to_string(&path).is_ok_and(|before| before == text) {
            return;
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Makes a mistake, and runs the model. Returns what found it, or what it says otherwise.
    fn find(&self, fault: &Fault) -> Result<String, String> {
        let mut changed: BTreeMap<&Path, String> = BTreeMap::new();
        for edit in fault.edits {
            let file = Path::new(edit.file);
            let text = changed.get(file).unwrap_or(&self.files[file]);
            let text = replace(text, edit.text, edit.with)?;
            changed.insert(file, text);
        }
        for (file, text) in &changed {
            self.put(file, text);
        }
        let output = self.cargo(&fault.found).output().unwrap();
        for file in changed.keys() {
            self.put(file, &self.files[*file]);
        }
        let text =
            String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
        let compiled = !text.contains("could not compile");
        let (who, says, expected) = match fault.found {
            Found::By { test, says } => (test, says, compiled),
            Found::Compiler(code) => ("the compiler", code, !compiled),
        };
        if !output.status.success() && expected && text.contains(says) {
            Ok(format!("{who}: {}", reason(&text)))
        } else {
            Err(format!("{who} should say \"{says}\":\n{text}"))
        }
    }

    fn cargo(&self, found: &Found) -> Command {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo
            .current_dir(&self.workspace)
            .arg("test")
            .args(["--offline", "--quiet", "--color", "never"])
            .args(["--package", "copy-loom", "--test", "interleavings"])
            // It is built more often than it runs for long.
            .args(["--config", "profile.dev.package.copy-loom.opt-level=0"])
            .args(["--config", "profile.dev.package.copy-loom.debug=0"])
            .arg("--target-dir")
            .arg(target)
            .env("RUST_BACKTRACE", "0");
        match found {
            Found::By { test, .. } => cargo.args(["--", "--exact", test]),
            Found::Compiler(_) => cargo.arg("--no-run"),
        };
        cargo
    }
}

fn read(from: &Path, name: &Path, files: &mut BTreeMap<PathBuf, String>) {
    let path = from.join(name);
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            read(from, &name.join(entry.unwrap().file_name()), files);
        }
    } else {
        files.insert(name.to_path_buf(), fs::read_to_string(path).unwrap());
    }
}

fn replace(text: &str, part: &str, with: &str) -> Result<String, String> {
    match text.matches(part).count() {
        1 => Ok(text.replacen(part, with, 1)),
        count => Err(format!("{part:?} is there {count} times")),
    }
}

/// What is wrong, in short.
fn reason(text: &str) -> String {
    let mut lines = text.lines();
    let line = if lines.any(|line| line.contains("panicked at")) {
        lines.next()
    } else {
        text.lines().find(|line| line.starts_with("error"))
    };
    let line = line.unwrap_or_default();
    let equal = "assertion `left == right` failed: ";
    let line = line.strip_prefix(equal).unwrap_or(line);
    line.chars().take(70).collect()
}

/// Has all mistakes found, or those with one of the program's arguments in their names.
pub fn run(faults: &[Fault]) {
    let (options, names): (Vec<_>, Vec<_>) = env::args()
        .skip(1)
        .partition(|argument| argument.starts_with('-'));
    if options.iter().any(|option| option == "--list") {
        return;
    }
    let chosen: Vec<_> = faults
        .iter()
        .filter(|fault| names.is_empty() || names.iter().any(|name| fault.name.contains(name)))
        .collect();
    let unique: BTreeSet<_> = faults.iter().map(|fault| fault.name).collect();
    assert_eq!(unique.len(), faults.len(), "two have the same name");
    println!("\nrunning {} tests", chosen.len());
    let begun = Instant::now();
    let mut failed = 0;
    let tree = Tree::new();
    for fault in &chosen {
        let before = Instant::now();
        let (result, why) = match tree.find(fault) {
            Ok(why) => ("ok", why),
            Err(why) => {
                failed += 1;
                ("FAILED", why)
            }
        };
        let seconds = before.elapsed().as_secs_f32();
        println!("test {} ... {result} ({why}, {seconds:.1} s)", fault.name);
    }
    // As the test harness of Rust says it.
    let result = if failed == 0 { "ok" } else { "FAILED" };
    let passed = chosen.len() - failed;
    let left_out = faults.len() - chosen.len();
    let seconds = begun.elapsed().as_secs_f32();
    println!(
        "\ntest result: {result}. {passed} passed; {failed} failed; 0 ignored; 0 measured; \
         {left_out} filtered out; finished in {seconds:.2}s\n"
    );
    exit(i32::from(failed > 0));
}
