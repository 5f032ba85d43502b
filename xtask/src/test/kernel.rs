// SPDX-License-Identifier: GPL-2.0
//! Our part of the kernel: no warnings, the kernel's style, and a series that applies.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::thread;

use anyhow::ensure;
use anyhow::Context as _;
use anyhow::Result;

use super::endian;
use super::frames;
use super::report::Report;
use super::seeded;
use crate::build::Context;
use crate::build::Flavour;
use crate::build::Variant;
use crate::build::When;
use crate::build::Work;
use crate::host::command::find;
use crate::mail;
use crate::overlay;
use crate::source::PINNED;

/// Complaints of checkpatch that do not fit: new files are announced in MAINTAINERS by whoever merges
/// them, and a Kconfig that takes in a `Kconfig.copy` beside it does not name itself.
const IGNORED: &str = "FILE_PATH_CHANGES,EMBEDDED_FILENAME";

/// The most lines that a patch may add, for somebody has to read them at once.
const MAX_ADDED: usize = 800;

/// Runs the suite.
pub fn run(context: &Context, report: &mut Report) -> Result<()> {
    let lock = context.cache.lock()?;
    let work = Work::new(context, Variant::UM)?;
    recompile(&work)?;
    work.build(When::Always)?;
    report.pass("the kernel builds");
    report.judge("no warnings of compilers", &warnings(&work)?);
    if work.laid.files.is_empty() {
        report.skip("style and series", "the series is empty");
        return Ok(());
    }
    pinned(&work, report)?;
    frames::check(&work, report);
    report.judge("no warnings of clippy", &warnings(&lint(&work)?)?);
    match external(&work) {
        Ok(()) => report.pass("Kbuild builds its modules outside of the tree"),
        Err(error) => report.fail("Kbuild outside of the tree", &format!("{error:#}")),
    }
    match endian::check(&work) {
        Ok(0) => report.skip("big-endian", "nothing is written for a device"),
        Ok(_) => report.pass("what devices read is the same on a big-endian machine"),
        Err(error) => report.fail("big-endian", &format!("{error:#}")),
    }
    format(&work, report);
    seeded::check(context, Some(&work.tree), report);
    let dir = tempfile::tempdir().context("cannot create a temporary folder")?;
    let mailed = mail::write(context, &work.tree, dir.path())?;
    match mail::verify(context, &work.tree, &mailed) {
        Ok(()) => report.pass("git am takes the series and yields the same tree"),
        Err(error) => report.fail("git am takes the series", &format!("{error:#}")),
    }
    let patches: Vec<&PathBuf> = mailed.iter().flat_map(|series| &series.patches).collect();
    let mut large = Vec::new();
    for patch in &patches {
        let text = fs::read_to_string(patch)
            .with_context(|| format!("cannot read {}", patch.display()))?;
        let added = added_lines(&text);
        if added > MAX_ADDED {
            large.push(format!("{}: {added} lines", name_of(patch)));
        }
    }
    report.judge(
        &format!("no patch adds more than {MAX_ADDED} lines"),
        &large,
    );
    checkpatch(&work.tree.dir, &patches, report)?;
    drop(lock);
    Ok(())
}

/// How many lines a mailed patch adds.
fn added_lines(patch: &str) -> usize {
    // What is before the first file is the message.
    let files = patch.split("\ndiff --git ").skip(1);
    // The first lines of a file name it: `+++ b/block/bio.c`.
    let hunks = files.filter_map(|file| file.split_once("\n@@ "));
    hunks
        .map(|(_, hunks)| hunks.lines().filter(|line| line.starts_with('+')).count())
        .sum()
}

/// The series and the name of a patch.
pub fn name_of(patch: &Path) -> String {
    let folder = patch.parent().and_then(Path::file_name).unwrap_or_default();
    let file = patch.file_name().unwrap_or_default();
    Path::new(folder).join(file).display().to_string()
}

/// What `Kbuild` at the top builds.
const MODULES: [&str; 2] = [
    "block/copy/test/blk_copy_test.ko",
    "samples/rust/rust_copy_offload.ko",
];

/// Builds the test module and the sample as modules that are not part of the kernel.
fn external(work: &Work<'_>) -> Result<()> {
    let out = tempfile::tempdir().context("cannot create a temporary folder")?;
    work.build_external(out.path())?;
    for module in MODULES {
        ensure!(out.path().join(module).is_file(), "there is no {module}");
    }
    Ok(())
}

/// Makes kbuild compile our C and Rust files anew, or warnings of an earlier build would not show.
pub fn recompile(work: &Work<'_>) -> Result<()> {
    let now = std::time::SystemTime::now();
    for path in &work.laid.files {
        let source = path
            .extension()
            .is_some_and(|ext| ext == "c" || ext == "rs");
        if source {
            let path = work.tree.dir.join(path);
            let file = fs::File::options()
                .append(true)
                .open(&path)
                .with_context(|| format!("cannot open {}", path.display()))?;
            file.set_modified(now).context("cannot touch a file")?;
        }
    }
    Ok(())
}

/// Has clippy look at the kernel crate, and at those files of ours that are the root of a crate.
fn lint<'a>(work: &Work<'a>) -> Result<Work<'a>> {
    let rust = work
        .laid
        .files
        .iter()
        .filter(|path| path.extension().is_some_and(|ext| ext == "rs"));
    let objects = rust.map(|path| path.with_extension("o"));
    let roots: Vec<_> = objects
        .filter(|object| work.dir().join(object).is_file())
        .collect();
    ensure!(!roots.is_empty(), "no crate of ours was built");
    let variant = Variant {
        flavour: Flavour::Clippy,
        ..work.variant
    };
    let lint = Work::new(work.context, variant)?;
    lint.lint(&roots)?;
    Ok(lint)
}

/// Judges a kernel that was built: its options, and what compilers have said.
pub fn judge_built(work: &Work<'_>, report: &mut Report) -> Result<()> {
    let variant = work.variant;
    let name = format!("{variant} has and lacks the options that its fragments name");
    report.judge(&name, &work.refused()?);
    let name = format!("{variant}: no warnings of compilers");
    report.judge(&name, &warnings(work)?);
    Ok(())
}

/// Warnings about files of ours in the log of the last build.
pub fn warnings(work: &Work<'_>) -> Result<Vec<String>> {
    let log = fs::read(work.log()).context("cannot read the build's log")?;
    let log = String::from_utf8_lossy(&log);
    Ok(warnings_in(&log, &work.laid.files, &work.tree.dir))
}

/// Warnings about some files in a build log: `file:line: warning: …`, or Rust's two lines.
fn warnings_in(log: &str, files: &[PathBuf], tree: &Path) -> Vec<String> {
    let ours = |place: &str| {
        let file = place.trim().split(':').next().unwrap_or_default();
        let file = Path::new(file);
        // Seen from the build folder, the tree may be given by its path, absolute or not.
        let name = file.strip_prefix(tree).unwrap_or(file);
        files
            .iter()
            .any(|path| name == path || name.ends_with(path))
    };
    let mut found = Vec::new();
    let mut pending: Option<&str> = None;
    for line in log.lines() {
        if line.starts_with("warning: ") || line.starts_with("error: ") {
            pending = Some(line);
        } else if let Some(place) = line.trim_start().strip_prefix("--> ") {
            if let Some(text) = pending.take().filter(|_| ours(place)) {
                found.push(format!("{place}: {text}"));
            }
        } else if let Some((place, _)) = line.split_once(": warning: ") {
            if ours(place) {
                found.push(String::from(line));
            }
        }
    }
    found
}

/// Whether the series lies over the files that it was made against.
fn pinned(work: &Work<'_>, report: &mut Report) -> Result<()> {
    let name = format!("the files that the series changes are those of Linux {PINNED}");
    if work.tree.version != PINNED {
        report.skip(&name, &format!("this is {}", work.tree.version));
        return Ok(());
    }
    let others = overlay::pinned::differing(&work.context.repo, &work.tree.dir)?;
    let others: Vec<String> = others
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    report.judge(&name, &others);
    Ok(())
}

/// rustfmt with the kernel's own settings.
fn format(work: &Work<'_>, report: &mut Report) {
    let name = "rustfmt";
    let Some(rustfmt) = work.rustfmt() else {
        report.skip(name, "rustfmt is not installed");
        return;
    };
    let mut complaints = Vec::new();
    for path in &work.laid.files {
        if path.extension().is_none_or(|ext| ext != "rs") {
            continue;
        }
        // From standard input: given a file, rustfmt would follow its modules as well.
        let input = match fs::File::open(work.tree.dir.join(path)) {
            Ok(file) => file,
            Err(error) => {
                complaints.push(format!("{}: {error}", path.display()));
                continue;
            }
        };
        let output = Command::new(rustfmt)
            .args([
                "--check",
                "--color",
                "never",
                "--edition",
                "2021",
                "--config-path",
            ])
            .arg(work.tree.dir.join(".rustfmt.toml"))
            .stdin(input)
            .output();
        match output {
            Ok(output) if output.status.success() && output.stdout.is_empty() => {}
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                let text = text + &String::from_utf8_lossy(&output.stderr);
                let diff: Vec<&str> = text.lines().take(20).collect();
                complaints.push(format!("{}:\n{}", path.display(), diff.join("\n")));
            }
            Err(error) => complaints.push(format!("{}: {error}", path.display())),
        }
    }
    report.judge(name, &complaints);
}

/// Asks the kernel's `checkpatch.pl` about the patches, as many at a time as there are processors.
fn checkpatch(tree: &Path, patches: &[&PathBuf], report: &mut Report) -> Result<()> {
    let Some(perl) = find("perl") else {
        report.skip("checkpatch", "perl is not installed");
        return Ok(());
    };
    let jobs = thread::available_parallelism().map_or(2, usize::from);
    for patches in patches.chunks(jobs) {
        let children: Vec<Child> = patches
            .iter()
            .map(|patch| ask_checkpatch(&perl, tree, patch))
            .collect::<Result<_>>()?;
        for (patch, child) in patches.iter().zip(children) {
            let answer = child.wait_with_output().context("cannot run checkpatch")?;
            judge_checkpatch(patch, &answer, report);
        }
    }
    Ok(())
}

fn ask_checkpatch(perl: &Path, tree: &Path, patch: &Path) -> Result<Child> {
    Command::new(perl)
        .current_dir(tree)
        // The repository of the tree has the series' files only: no commits of the kernel, no licences.
        .env("GIT_DIR", "/nonexistent")
        .arg("scripts/checkpatch.pl")
        .args([
            "--terse",
            "--show-types",
            "--no-summary",
            "--color=never",
            "--ignore",
            IGNORED,
        ])
        .arg(patch)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run checkpatch")
}

fn judge_checkpatch(patch: &Path, answer: &Output, report: &mut Report) {
    let name = format!("checkpatch {}", name_of(patch));
    let text = String::from_utf8_lossy(&answer.stdout);
    let prefix = format!("{}:", patch.display());
    let complaints: Vec<String> = text
        .lines()
        .map(|line| line.strip_prefix(&prefix).unwrap_or(line))
        .filter(|line| !line.trim().is_empty())
        .map(String::from)
        .collect();
    if complaints.is_empty() && !answer.status.success() {
        let why = String::from_utf8_lossy(&answer.stderr).into_owned();
        report.fail(&name, &why);
    } else {
        report.judge(&name, &complaints);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_code_are_counted() {
        let patch =
            "Subject: a\n\n+ in the message\n---\n a | 2 +\n\ndiff --git a/a b/a\nnew file\n\
                     --- /dev/null\n+++ b/a\n@@ -0,0 +1,2 @@\n+one\n+++ two\n\n\
                     diff --git a/b b/b\n--- a/b\n+++ b/b\n@@ -1 +1 @@ f()\n-x\n+y\n-- \n2.47\n";
        assert_eq!(added_lines(patch), 3);
        assert_eq!(
            name_of(Path::new("/tmp/block/0001-a.patch")),
            "block/0001-a.patch"
        );
    }

    #[test]
    fn only_our_warnings_count() {
        let log = "\
../linux/block/bio.c:12:3: warning: unused variable 'x'
../linux/block/other.c:1:1: warning: unused variable 'y'
warning: unused import: `a`
  --> /tree/block/copy/plan.rs:3:5
   |
warning: unused import: `b`
  --> /tree/rust/kernel/other.rs:3:5
ld: warning: something
";
        let files = ["block/bio.c", "block/copy/plan.rs"].map(PathBuf::from);
        let found = warnings_in(log, &files, Path::new("/tree"));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[1].contains("plan.rs:3:5: warning: unused import: `a`"));
    }
}
