// SPDX-License-Identifier: GPL-2.0
//! A seed: one mistake in the kernel side, as a file of `tests/seeded`.
//!
//! It is a diff without line numbers, so that edits elsewhere in a file do not break it. What a hunk takes out, and the
//! lines around it, must be in the file exactly once.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use anyhow::bail;
use anyhow::ensure;
use anyhow::Context as _;
use anyhow::Result;

use crate::build::Flavour;
use crate::build::Guest;
use crate::build::Variant;
use crate::overlay::Contents;

/// The folder of the seeds in the repository.
pub const FOLDER: &str = "tests/seeded";

const EXTENSION: &str = "diff";

/// How the name of a KUnit suite begins, where others have the group of a test.
const KUNIT: &str = "kunit/";

/// Who has to find a mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finder {
    /// A test in blktests format, such as `block/036`.
    Test(String),
    /// A KUnit suite, such as `blk_copy_plan`.
    Kunit(String),
}

impl Finder {
    fn parse(text: &str) -> Result<Self> {
        if let Some(suite) = text.strip_prefix(KUNIT) {
            return Ok(Self::Kunit(String::from(suite)));
        }
        let number = text.split_once('/').map(|(_, number)| number);
        let is_number = |text: &str| text.len() == 3 && text.bytes().all(|c| c.is_ascii_digit());
        ensure!(
            number.is_some_and(is_number),
            "{text:?} is neither a test, such as block/036, nor a suite, such as {KUNIT}blk_copy_plan"
        );
        Ok(Self::Test(String::from(text)))
    }

    /// As a seed names it.
    pub fn name(&self) -> String {
        match self {
            Self::Test(name) => name.clone(),
            Self::Kunit(suite) => format!("{KUNIT}{suite}"),
        }
    }
}

/// Some lines that others take the place of.
#[derive(Debug, PartialEq, Eq)]
struct Hunk {
    old: String,
    new: String,
}

#[derive(Debug, PartialEq, Eq)]
struct Change {
    /// As it is called in the kernel.
    file: PathBuf,
    hunks: Vec<Hunk>,
}

/// How a mistake is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub finder: Finder,
    /// The kernel that the finder runs on.
    pub kernel: Variant,
    /// What is to be read then.
    pub says: String,
}

impl Finding {
    /// The finder, and the kernel that it runs on, if that is not the plain one.
    pub fn name(&self) -> String {
        match self.kernel {
            Variant::UM => self.finder.name(),
            other => format!("{} on {other}", self.finder.name()),
        }
    }
}

/// A mistake, and who finds it.
#[derive(Debug, PartialEq, Eq)]
pub struct Seed {
    pub name: String,
    /// What is wrong.
    pub mistake: String,
    /// There is at least one, and each has to find it.
    pub findings: Vec<Finding>,
    changes: Vec<Change>,
}

impl Seed {
    /// Reads all seeds of a repository, in the order of their names.
    pub fn load_all(repo: &Path) -> Result<Vec<Self>> {
        let folder = repo.join(FOLDER);
        let mut seeds = Vec::new();
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {FOLDER}"))?;
        for entry in entries {
            let path = entry
                .with_context(|| format!("cannot list {FOLDER}"))?
                .path();
            if path
                .extension()
                .is_some_and(|extension| extension == EXTENSION)
            {
                let name = path.file_stem().unwrap_or_default().to_string_lossy();
                let text = fs::read_to_string(&path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                let seed = Self::parse(&name, &text);
                seeds.push(seed.with_context(|| format!("{FOLDER}/{name}.{EXTENSION}"))?);
            }
        }
        ensure!(!seeds.is_empty(), "{FOLDER} has no seeds");
        seeds.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(seeds)
    }

    /// Reads one.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let (head, body) = text.split_once("\n\n").context("there is no blank line")?;
        let mut lines = body.lines().peekable();
        let mut field = |name: &str| {
            let value = |line: &&str| {
                line.strip_prefix(name)?
                    .strip_prefix(": ")
                    .map(String::from)
            };
            let value = value(lines.peek()?)?;
            lines.next();
            Some(value)
        };
        let mut findings = Vec::new();
        while let Some(finder) = field("Found-by") {
            findings.push(Finding {
                finder: Finder::parse(&finder)?,
                kernel: field("Kernel").map_or(Ok(Variant::UM), |name| kernel(&name))?,
                says: field("Says").context("Says: is missing")?,
            });
        }
        ensure!(!findings.is_empty(), "Found-by: is missing");
        let mut changes: Vec<Change> = Vec::new();
        for line in lines {
            if let Some(file) = line.strip_prefix("--- ") {
                changes.push(Change {
                    file: PathBuf::from(file),
                    hunks: Vec::new(),
                });
                continue;
            }
            let hunks = changes.last_mut().map(|change| &mut change.hunks);
            let hunks = hunks.with_context(|| format!("{line:?} is of no file (--- FILE)"))?;
            if line == "@@" {
                hunks.push(Hunk {
                    old: String::new(),
                    new: String::new(),
                });
                continue;
            }
            let hunk = hunks.last_mut();
            let hunk = hunk.with_context(|| format!("{line:?} is of no hunk (@@)"))?;
            let (old, new) = match line.split_at_checked(1).unwrap_or((" ", "")) {
                (" ", text) => (Some(text), Some(text)),
                ("-", text) => (Some(text), None),
                ("+", text) => (None, Some(text)),
                _ => bail!("{line:?} begins neither with ' ', '-' nor '+'"),
            };
            for (text, line) in [(&mut hunk.old, old), (&mut hunk.new, new)] {
                if let Some(line) = line {
                    text.push_str(line);
                    text.push('\n');
                }
            }
        }
        let mut hunks = changes.iter().flat_map(|change| &change.hunks).peekable();
        ensure!(hunks.peek().is_some(), "it changes nothing");
        ensure!(
            hunks.all(|hunk| hunk.old != hunk.new && !hunk.old.is_empty()),
            "a hunk takes no line out, or changes nothing"
        );
        Ok(Self {
            name: String::from(name),
            mistake: head.replace('\n', " "),
            findings,
            changes,
        })
    }

    /// The files that it changes.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.changes.iter().map(|change| change.file.as_path())
    }

    /// Makes the mistake in the files that the work puts into a kernel.
    pub fn sow(&self, contents: &mut Contents) -> Result<()> {
        for Change { file, hunks } in &self.changes {
            let data = contents.get_mut(file).and_then(Option::as_mut);
            let data =
                data.with_context(|| format!("{} is no file of the work", file.display()))?;
            let mut text = String::from_utf8(data.clone())
                .with_context(|| format!("{} is not text", file.display()))?;
            for hunk in hunks {
                text = hunk
                    .replace(&text)
                    .with_context(|| format!("in {}", file.display()))?;
            }
            *data = text.into_bytes();
        }
        Ok(())
    }
}

/// A kernel that tests run on, by its name.
fn kernel(name: &str) -> Result<Variant> {
    let kernels = [
        (Guest::Um, Flavour::Normal),
        (Guest::Um, Flavour::Debug),
        (Guest::Um, Flavour::Smp),
        (Guest::Um, Flavour::SmpDebug),
        (Guest::Um, Flavour::Kcsan),
        (Guest::Um, Flavour::Off),
        (Guest::Qemu, Flavour::Normal),
    ];
    let kernels = kernels.map(|(guest, flavour)| Variant::of(guest, flavour));
    let mut named = kernels
        .into_iter()
        .filter(|kernel| kernel.to_string() == name);
    named.next().with_context(|| {
        format!(
            "{name} is none of {}",
            kernels.map(|kernel| kernel.to_string()).join(", ")
        )
    })
}

impl Hunk {
    fn replace(&self, text: &str) -> Result<String> {
        // Whole lines: the first one begins where the text does, or behind a newline.
        let starts: Vec<usize> = text
            .match_indices(&self.old)
            .map(|(at, _)| at)
            .filter(|at| text[..*at].is_empty() || text[..*at].ends_with('\n'))
            .collect();
        let [at] = starts.as_slice() else {
            bail!("this is there {} times:\n{}", starts.len(), self.old);
        };
        Ok(text[..*at].to_string() + &self.new + &text[at + self.old.len()..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Something is\nforgotten.\n\nFound-by: block/036\nSays: + no\n\
                        --- block/a.c\n@@\n one\n-two\n+2\n@@\n-four\n";

    fn sown(text: &str, file: &str) -> Result<String> {
        let data = Some(file.as_bytes().to_vec());
        let mut contents = Contents::from([(PathBuf::from("block/a.c"), data)]);
        Seed::parse("x", text)?.sow(&mut contents)?;
        let data = contents[Path::new("block/a.c")].clone();
        Ok(String::from_utf8(data.unwrap())?)
    }

    #[test]
    fn a_seed_is_read() {
        let seed = Seed::parse("x", TEXT).unwrap();
        assert_eq!(seed.mistake, "Something is forgotten.");
        let first = Finding {
            finder: Finder::Test(String::from("block/036")),
            kernel: Variant::UM,
            says: String::from("+ no"),
        };
        assert_eq!(seed.findings, std::slice::from_ref(&first));
        assert_eq!(seed.files().collect::<Vec<_>>(), [Path::new("block/a.c")]);
        let also = "Found-by: kunit/blk_copy_plan\nKernel: um-smp\nSays: not ok\n---";
        let seed = Seed::parse("x", &TEXT.replace("---", also)).unwrap();
        let second = Finding {
            finder: Finder::Kunit(String::from("blk_copy_plan")),
            kernel: Variant::of(Guest::Um, Flavour::Smp),
            says: String::from("not ok"),
        };
        assert_eq!(second.name(), "kunit/blk_copy_plan on um-smp");
        assert_eq!(seed.findings, [first, second]);
        for (right, wrong) in [
            ("Found-by", "Found by"),
            ("block/036", "block/36"),
            ("Says", "Tells"),
            ("Says", "Kernel: um-none\nSays"),
            ("---", "Found-by: block/037\n---"),
            ("@@\n-four", "@@\n four"),
            ("@@\n-four", "@@\n+four"),
            ("@@\n one", "one"),
            (" one", "*one"),
        ] {
            assert!(
                Seed::parse("x", &TEXT.replace(right, wrong)).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn lines_are_found_wherever_they_are_but_once() {
        let file = "zero\none\ntwo\nthree\nfour\n";
        assert_eq!(sown(TEXT, file).unwrap(), "zero\none\n2\nthree\n");
        // "\tfour" is another line.
        assert!(sown(TEXT, &file.replace("four", "\tfour")).is_err());
        let error = sown(TEXT, &format!("{file}four\n")).unwrap_err();
        assert!(format!("{error:#}").contains("2 times"), "{error:#}");
        assert!(sown(&TEXT.replace("--- block/a.c", "--- block/b.c"), file).is_err());
    }
}
