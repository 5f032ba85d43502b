// SPDX-License-Identifier: GPL-2.0
//! Mistakes that somebody could make in the kernel side, each with the tests that have to find it. A test that does not
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
use seed::Finding;
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
    let result = Field { work, contents }.run(&findings(&seeds), report);
    // Whatever happened, no mistake stays in the tree, nor does a kernel with one count as built.
    build::prepare_tree(context)?;
    result
}

/// The seeds with these names, or all.
fn chosen(mut seeds: Vec<Seed>, names: &[String]) -> Result<Vec<Seed>> {
    for name in names {
        ensure!(
            seeds.iter().any(|seed| seed.name == *name),
            "there is no {name}: the names are those of the files in {FOLDER}, without their ends"
        );
    }
    seeds.retain(|seed| names.is_empty() || names.contains(&seed.name));
    Ok(seeds)
}

/// How each seed is found; what is of one kernel and of one file together, so that little is built twice.
fn findings(seeds: &[Seed]) -> Vec<(&Seed, &Finding)> {
    let mut findings = Vec::new();
    for seed in seeds {
        findings.extend(seed.findings.iter().map(|finding| (seed, finding)));
    }
    let order = |(seed, finding): &(&Seed, &Finding)| {
        (
            finding.kernel != Variant::UM,
            finding.kernel.to_string(),
            seed.files().map(PathBuf::from).collect::<Vec<_>>(),
            seed.name.clone(),
        )
    };
    findings.sort_by_cached_key(order);
    findings
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
    fn run(&self, findings: &[(&Seed, &Finding)], report: &mut Report) -> Result<()> {
        for (index, (seed, finding)) in findings.iter().enumerate() {
            let at = format!("{} of {}", index + 1, findings.len());
            let name = format!("{}: {}", seed.name, finding.name());
            match self.find(seed, finding, &name, &at) {
                Ok((how, None)) => report.pass(&format!("{name} ({how})")),
                Ok((how, Some(why))) => report.fail(&format!("{name} ({how})"), &why),
                Err(error) => report.fail(&name, &format!("{error:#}")),
            }
        }
        // Comes last, so that the kernel that stays has no mistake.
        let name = "the tests that find mistakes pass without them";
        report.judge(name, &self.without(findings)?);
        Ok(())
    }

    /// Makes a mistake and runs its test, unless that was done before. Returns how long it took, and why the mistake
    /// was not found, if it was not.
    fn find(
        &self,
        seed: &Seed,
        finding: &Finding,
        name: &str,
        at: &str,
    ) -> Result<(String, Option<String>)> {
        let cache = &self.work.context.cache;
        let mut contents = self.contents.clone();
        seed.sow(&mut contents)
            .context("it does not fit any more")?;
        let key = self.key(&contents, finding)?;
        let before = Trial::remembered(cache, name, &key);
        if before.is_some_and(|trial| missed(seed, finding, &trial).is_none()) {
            return Ok((String::from("found before"), None));
        }
        ui::note(&format!("{at}: {name}: {}", seed.mistake));
        let start = Instant::now();
        let trial = self.trial(&contents, finding)?;
        trial.remember(cache, name, &key)?;
        let how = ui::elapsed(start.elapsed());
        Ok((how, missed(seed, finding, &trial)))
    }

    /// Runs the tests of seeds on the kernel as it is. Returns which of them do not pass.
    fn without(&self, findings: &[(&Seed, &Finding)]) -> Result<Vec<String>> {
        let finders: BTreeMap<String, &Finding> = findings
            .iter()
            .map(|(_, finding)| (finding.name(), *finding))
            .collect();
        let cache = &self.work.context.cache;
        let mut complaints = Vec::new();
        for (name, finding) in finders {
            let key = self.key(&self.contents, finding)?;
            let before = Trial::remembered(cache, &name, &key);
            if before.is_some_and(|trial| trial.verdict == Verdict::Passed) {
                continue;
            }
            ui::note(&format!("{name} without a mistake"));
            let trial = self.trial(&self.contents, finding)?;
            trial.remember(cache, &name, &key)?;
            if trial.verdict != Verdict::Passed {
                complaints.push(format!("{name}:\n{}", trial.text));
            }
        }
        Ok(complaints)
    }

    fn key(&self, contents: &Contents, finding: &Finding) -> Result<String> {
        let series = overlay::identity(contents);
        let kernel = self.work.identity_with(finding.kernel, &series)?;
        key(&self.work.context.repo, &kernel, &finding.finder)
    }

    /// Builds what the kernel is with these files, and runs a test.
    fn trial(&self, contents: &Contents, finding: &Finding) -> Result<Trial> {
        let Work { context, tree, .. } = &self.work;
        let laid = overlay::place(&tree.dir, contents)?;
        let kernel = Work::of(context, finding.kernel, tree.clone(), laid)
            .build(When::Changed)
            .context("a mistake has to compile")?;
        Trial::run(context, &kernel, &finding.finder)
    }
}

/// What is missing as well where a test has given up before its end.
const ENDED_EARLY: &str = "-Test complete";

/// Why a trial is not the proof that a seed is found, if it is not.
fn missed(seed: &Seed, finding: &Finding, trial: &Trial) -> Option<String> {
    let name = finding.finder.name();
    let says = &finding.says;
    let text = &trial.text;
    match trial.verdict {
        Verdict::Passed => Some(format!(
            "{name} passes, so it does not see that: {}",
            seed.mistake
        )),
        Verdict::Skipped => Some(format!("{name} did not run:\n{text}")),
        Verdict::Failed if says.starts_with('-') && text.contains(ENDED_EARLY) => Some(format!(
            "{name} ended before its end, so it is no wonder that {says:?} is missing:\n{text}"
        )),
        Verdict::Failed if text.contains(says) => None,
        Verdict::Failed => Some(format!("{name} fails, but does not say {says:?}:\n{text}")),
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
