// SPDX-License-Identifier: GPL-2.0
//! Mistakes that somebody could make in the kernel side, each with the test that has to find it. A test that does not
//! find the mistake that it is there for proves little when it passes.

mod seed;
#[cfg(test)]
mod table;
mod trial;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::ensure;
use anyhow::Context as _;
use anyhow::Result;

use super::report::Report;
use crate::build;
use crate::build::Context;
use crate::build::Variant;
use crate::build::When;
use crate::build::Work;
use crate::cache::Cache;
use crate::overlay;
use crate::overlay::Contents;
use crate::overlay::Series;
use crate::source::Tree;
use crate::tools;
use crate::ui;
use seed::Finder;
use seed::Seed;
use seed::FOLDER;
use trial::key;
use trial::Trial;
use trial::Verdict;

/// Where the trials are kept.
pub fn folder(cache: &Cache) -> PathBuf {
    cache.root().join("seeded")
}

/// Runs the suite: all seeds, or those that are named.
pub fn run(context: &Context, report: &mut Report, names: &[String]) -> Result<()> {
    let seeds = chosen(Seed::load_all(&context.repo)?, names)?;
    tools::build(context)?;
    let _lock = context.cache.lock()?;
    let work = Work::new(context, Variant::UM)?;
    let contents = contents(context, &work.tree)?;
    let result = Field { work, contents }.run(&seeds, report);
    // Whatever happened, no mistake stays in the tree, nor does a kernel with one count as built.
    build::prepare_tree(context)?;
    result
}

/// The seeds with these names, or all; those of one kernel and of one file together, so that little is built twice.
fn chosen(mut seeds: Vec<Seed>, names: &[String]) -> Result<Vec<Seed>> {
    for name in names {
        ensure!(
            seeds.iter().any(|seed| seed.name == *name),
            "there is no {name}: the names are those of the files in {FOLDER}, without their ends"
        );
    }
    seeds.retain(|seed| names.is_empty() || names.contains(&seed.name));
    let order = |seed: &Seed| {
        (
            seed.kernel != Variant::UM,
            seed.kernel.to_string(),
            seed.files().map(PathBuf::from).collect::<Vec<_>>(),
        )
    };
    seeds.sort_by_cached_key(order);
    Ok(seeds)
}

/// What the work makes of a kernel.
fn contents(context: &Context, tree: &Tree) -> Result<Contents> {
    overlay::contents(&context.repo, &Series::load(&context.repo)?, &tree.dir)
}

/// Where seeds are sown.
struct Field<'a> {
    work: Work<'a>,
    contents: Contents,
}

impl Field<'_> {
    fn run(&self, seeds: &[Seed], report: &mut Report) -> Result<()> {
        for (index, seed) in seeds.iter().enumerate() {
            let at = format!("{} of {}", index + 1, seeds.len());
            let name = format!("{}: {}", seed.name, on(seed.kernel, &seed.finder));
            match self.find(seed, &at) {
                Ok((how, None)) => report.pass(&format!("{name} ({how})")),
                Ok((how, Some(why))) => report.fail(&format!("{name} ({how})"), &why),
                Err(error) => report.fail(&name, &format!("{error:#}")),
            }
        }
        // Comes last, so that the kernel that stays has no mistake.
        let name = "the tests that find mistakes pass without them";
        report.judge(name, &self.without(seeds)?);
        Ok(())
    }

    /// Makes a mistake and runs its test, unless that was done before. Returns how long it took, and why the mistake
    /// was not found, if it was not.
    fn find(&self, seed: &Seed, at: &str) -> Result<(String, Option<String>)> {
        let cache = &self.work.context.cache;
        let mut contents = self.contents.clone();
        seed.sow(&mut contents)
            .context("it does not fit any more")?;
        let key = self.key(&contents, seed.kernel, &seed.finder)?;
        let before = Trial::remembered(cache, &seed.name, &key);
        if before.is_some_and(|trial| missed(seed, &trial).is_none()) {
            return Ok((String::from("found before"), None));
        }
        ui::note(&format!("{at}: {}: {}", seed.name, seed.mistake));
        let start = Instant::now();
        let trial = self.trial(&contents, seed.kernel, &seed.finder)?;
        trial.remember(cache, &seed.name, &key)?;
        Ok((ui::elapsed(start.elapsed()), missed(seed, &trial)))
    }

    /// Runs the tests of seeds on the kernel as it is. Returns which of them do not pass.
    fn without(&self, seeds: &[Seed]) -> Result<Vec<String>> {
        let finders: BTreeMap<String, &Seed> = seeds
            .iter()
            .map(|seed| (on(seed.kernel, &seed.finder), seed))
            .collect();
        let cache = &self.work.context.cache;
        let mut complaints = Vec::new();
        for (name, Seed { kernel, finder, .. }) in finders {
            let key = self.key(&self.contents, *kernel, finder)?;
            let before = Trial::remembered(cache, &name, &key);
            if before.is_some_and(|trial| trial.verdict == Verdict::Passed) {
                continue;
            }
            ui::note(&format!("{name} without a mistake"));
            let trial = self.trial(&self.contents, *kernel, finder)?;
            trial.remember(cache, &name, &key)?;
            if trial.verdict != Verdict::Passed {
                complaints.push(format!("{name}:\n{}", trial.text));
            }
        }
        Ok(complaints)
    }

    fn key(&self, contents: &Contents, kernel: Variant, finder: &Finder) -> Result<String> {
        let series = overlay::identity(contents);
        let kernel = self.work.identity_with(kernel, &series)?;
        key(&self.work.context.repo, &kernel, finder)
    }

    /// Builds what the kernel is with these files, and runs a test.
    fn trial(&self, contents: &Contents, kernel: Variant, finder: &Finder) -> Result<Trial> {
        let Work { context, tree, .. } = &self.work;
        let laid = overlay::place(&tree.dir, contents)?;
        let kernel = Work::of(context, kernel, tree.clone(), laid)
            .build(When::Changed)
            .context("a mistake has to compile")?;
        Trial::run(context, &kernel, finder)
    }
}

/// A test, and the kernel that it runs on, if that is not the plain one.
fn on(kernel: Variant, finder: &Finder) -> String {
    match kernel {
        Variant::UM => finder.name(),
        other => format!("{} on {other}", finder.name()),
    }
}

/// Why a trial is not the proof that a seed is found, if it is not.
fn missed(seed: &Seed, trial: &Trial) -> Option<String> {
    let name = seed.finder.name();
    let text = &trial.text;
    match trial.verdict {
        Verdict::Passed => Some(format!(
            "{name} passes, so it does not see that: {}",
            seed.mistake
        )),
        Verdict::Skipped => Some(format!("{name} did not run:\n{text}")),
        Verdict::Failed if text.contains(&seed.says) => None,
        Verdict::Failed => Some(format!(
            "{name} fails, but does not say {:?}:\n{text}",
            seed.says
        )),
    }
}

/// Whether all seeds can be sown; hooks are known with a kernel only. A part of the suites `host` and `kernel`.
pub fn check(context: &Context, tree: Option<&Tree>, report: &mut Report) {
    let name = "the seeded mistakes fit the kernel side";
    match unfit(context, tree) {
        Ok(complaints) => report.judge(name, &complaints),
        Err(error) => report.fail(name, &format!("{error:#}")),
    }
}

fn unfit(context: &Context, tree: Option<&Tree>) -> Result<Vec<String>> {
    let mut complaints = Vec::new();
    let laid = tree.map(|tree| contents(context, tree)).transpose()?;
    for seed in Seed::load_all(&context.repo)? {
        let Some(mut contents) = laid.clone().or_else(|| ours(&context.repo, &seed)) else {
            continue;
        };
        if let Err(error) = seed.sow(&mut contents) {
            complaints.push(format!("{}: {error:#}", seed.name));
        }
    }
    Ok(complaints)
}

/// The files that a seed changes, if none is the kernel's.
fn ours(repo: &Path, seed: &Seed) -> Option<Contents> {
    let read = |file: &Path| Some((file.to_path_buf(), Some(fs::read(repo.join(file)).ok()?)));
    seed.files().map(read).collect()
}
