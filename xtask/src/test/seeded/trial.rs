// SPDX-License-Identifier: GPL-2.0
//! What a test does on a kernel. It is kept, so that a run goes on where one before it was stopped.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use anyhow::Result;
use sha2::Digest;
use sha2::Sha256;

use super::seed::Finder;
use crate::build::Context;
use crate::build::Flavour;
use crate::build::Guest;
use crate::build::Kernel;
use crate::build::Variant;
use crate::cache::write_atomically;
use crate::cache::Cache;
use crate::guest::boot;
use crate::guest::message;
use crate::guest::plain_job;
use crate::guest::Finished;
use crate::guest::Options;
use crate::guest::Outcome;
use crate::guest::Sink;
use crate::host::command::tail;
use crate::test::guest;

/// A guest of a plain kernel that takes longer hangs: the tests that find mistakes take some seconds, and few a minute.
const LIMIT: Duration = Duration::from_secs(300);

/// The same where the processors are emulated.
const LIMIT_EMULATED: Duration = Duration::from_secs(900);

/// What a trial says of a guest that did not end, and of one that ended before its test did.
const HUNG: &str = "the guest hung";
const DIED: &str = "the guest died";

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Passed,
    Failed,
    /// It proves nothing.
    Skipped,
}

impl Verdict {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Passed, "passed"),
        (Self::Failed, "failed"),
        (Self::Skipped, "skipped"),
    ];

    fn name(self) -> &'static str {
        let mut all = Self::ALL.iter();
        all.find(|(verdict, _)| *verdict == self)
            .map_or("", |(_, name)| name)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find(|(_, name)| *name == text)
            .map(|(verdict, _)| *verdict)
    }
}

/// What a test did, and what was to be read meanwhile.
#[derive(Debug, PartialEq, Eq)]
pub struct Trial {
    pub verdict: Verdict,
    pub text: String,
}

impl Trial {
    /// Makes one: boots a kernel and runs the test.
    pub fn run(context: &Context, kernel: &Kernel, finder: &Finder) -> Result<Self> {
        let options = options(kernel.variant)?;
        match finder {
            Finder::Test(name) => Self::test(context, kernel, &options, name),
            Finder::Kunit(suite) => Self::kunit(context, kernel, options, suite),
        }
    }

    fn test(context: &Context, kernel: &Kernel, options: &Options, name: &str) -> Result<Self> {
        let mut text = String::new();
        let mut keep = |line: &str| add(&mut text, line);
        let (sum, finished) = guest::run(context, kernel, options, &[name], &mut keep)?;
        let verdict = match sum {
            Some(sum) if sum.failed == 0 && finished.problems.is_empty() => {
                if sum.passed > 0 {
                    Verdict::Passed
                } else {
                    Verdict::Skipped
                }
            }
            _ => Verdict::Failed,
        };
        end(&mut text, &finished);
        Ok(Self { verdict, text })
    }

    fn kunit(
        context: &Context,
        kernel: &Kernel,
        mut options: Options,
        suite: &str,
    ) -> Result<Self> {
        options.append.push(format!(
            "kunit.enable=1 kunit.autorun=1 kunit.filter_glob={suite}"
        ));
        let job = plain_job(context, vec![String::from("true")], context.repo.clone());
        let finished = boot(context, kernel, &options, &job, Sink::Lines(&mut |_| {}))?;
        let log = fs::read(&finished.log)
            .with_context(|| format!("cannot read {}", finished.log.display()))?;
        let log = String::from_utf8_lossy(&log);
        let (verdict, mut text) = ktap(&log);
        end(&mut text, &finished);
        Ok(Self { verdict, text })
    }

    /// The one that was made before with this key, if it was.
    pub fn remembered(cache: &Cache, name: &str, key: &str) -> Option<Self> {
        let text = fs::read_to_string(file(cache, name)).ok()?;
        let (head, text) = text.split_once('\n')?;
        let verdict = Verdict::parse(head.strip_prefix(key)?.trim_start())?;
        Some(Self {
            verdict,
            text: String::from(text),
        })
    }

    /// Keeps it in the place of the last one of that name.
    pub fn remember(&self, cache: &Cache, name: &str, key: &str) -> Result<()> {
        let text = format!("{key} {}\n{}", self.verdict.name(), self.text);
        write_atomically(&file(cache, name), text.as_bytes())
    }
}

/// A guest for a test on a kernel.
fn options(kernel: Variant) -> Result<Options> {
    if kernel.guest == Guest::Qemu {
        return Ok(Options {
            timeout: LIMIT_EMULATED,
            ..guest::nvme_devices()?
        });
    }
    let plain = Options {
        timeout: LIMIT,
        ..Options::new(kernel.guest)
    };
    let several = Options {
        cpus: 4,
        ..plain.clone()
    };
    Ok(match kernel.flavour {
        Flavour::Smp => several,
        Flavour::SmpDebug => several.flavoured(Flavour::Debug),
        Flavour::Kcsan => several.flavoured(Flavour::Kcsan),
        flavour => plain.flavoured(flavour),
    })
}

fn add(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// Adds what a guest says by how it ended.
fn end(text: &mut String, finished: &Finished) {
    for problem in &finished.problems {
        add(text, problem);
    }
    let how = match finished.outcome {
        Outcome::Exit(_) => return,
        Outcome::TimedOut => HUNG,
        Outcome::Crashed => DIED,
    };
    add(text, &tail(&finished.log, 40));
    add(text, how);
}

/// What the log of a kernel says of the only suite that ran.
fn ktap(log: &str) -> (Verdict, String) {
    let lines = log.lines().map(message);
    let lines = lines.skip_while(|line| !line.starts_with("KTAP version"));
    let mut text = String::new();
    let (mut good, mut bad) = (0, 0);
    for line in lines {
        good += usize::from(line.trim_start().starts_with("ok "));
        bad += usize::from(line.trim_start().starts_with("not ok "));
        add(&mut text, line);
    }
    let verdict = match (good, bad) {
        (0, 0) => Verdict::Skipped,
        (_, 0) => Verdict::Passed,
        _ => Verdict::Failed,
    };
    (verdict, text)
}

fn file(cache: &Cache, name: &str) -> PathBuf {
    super::folder(cache).join(name.replace('/', "-"))
}

/// A text that changes when a test could have another result on another `kernel`, which is the identity of one.
pub fn key(repo: &Path, kernel: &str, finder: &Finder) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(format!("{kernel}\n{}\n", finder.name()));
    if let Finder::Test(name) = finder {
        let group = name.split('/').next().unwrap_or_default();
        let mut files = vec![
            PathBuf::from("tests/check"),
            PathBuf::from("tests/complaints"),
            Path::new("tests").join(group).join("rc"),
            Path::new("tests").join(name),
            Path::new("tests").join(format!("{name}.out")),
        ];
        let programs = ["tools/blkcopy/src", "tools/cfr/src", "tools/copyring/src"];
        for folder in ["tests/common"].iter().chain(&programs) {
            below(repo, Path::new(folder), &mut files)?;
        }
        for file in files {
            let data = fs::read(repo.join(&file))
                .with_context(|| format!("cannot read {}", file.display()))?;
            hash.update(format!("{} {}\n", file.display(), data.len()));
            hash.update(data);
        }
    }
    let bytes = hash.finalize();
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// All files below a folder, in order.
fn below(repo: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(repo.join(folder))
        .with_context(|| format!("cannot list {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
        names.push(folder.join(entry.file_name()));
    }
    names.sort();
    for name in names {
        if repo.join(&name).is_dir() {
            below(repo, &name, files)?;
        } else {
            files.push(name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_remembered_by_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path());
        let trial = Trial {
            verdict: Verdict::Failed,
            text: String::from("one\ntwo\n"),
        };
        assert_eq!(Trial::remembered(&cache, "a/b", "k"), None);
        trial.remember(&cache, "a/b", "k").unwrap();
        assert_eq!(Trial::remembered(&cache, "a/b", "k"), Some(trial));
        assert_eq!(Trial::remembered(&cache, "a/b", "l"), None);
    }

    #[test]
    fn a_suite_that_did_not_run_proves_nothing() {
        let log = "[  0.1] ok 1 x\n[  0.2] KTAP version 1\n[  0.2] 1..1\n";
        assert_eq!(ktap(log).0, Verdict::Skipped);
        let log = format!("{log}[  0.3]     ok 1 a\n");
        assert_eq!(ktap(&log).0, Verdict::Passed);
        let log = format!("{log}[  0.3]     not ok 2 b\n");
        assert_eq!(
            ktap(&log),
            (
                Verdict::Failed,
                String::from("KTAP version 1\n1..1\n    ok 1 a\n    not ok 2 b\n")
            )
        );
    }

    #[test]
    fn a_key_is_of_the_test_and_of_the_kernel() {
        let repo = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let test = |name: &str| Finder::Test(String::from(name));
        let one = key(&repo, "a", &test("block/036")).unwrap();
        assert_eq!(one, key(&repo, "a", &test("block/036")).unwrap());
        assert_ne!(one, key(&repo, "b", &test("block/036")).unwrap());
        assert_ne!(one, key(&repo, "a", &test("block/037")).unwrap());
        assert!(key(&repo, "a", &test("block/999")).is_err());
    }
}
