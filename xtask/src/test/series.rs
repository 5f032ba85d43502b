// SPDX-License-Identifier: GPL-2.0
//! The series, patch by patch: `git am` takes each of them onto those before it, and the kernel builds then.
//!
//! What was built is remembered, so a run goes on where one before it has ended, and an edit costs the patches from
//! there on.

use anyhow::Context as _;
use anyhow::Result;

use super::kernel::name_of;
use super::kernel::warnings;
use super::report::Report;
use crate::build;
use crate::build::Context;
use crate::build::Steps;
use crate::mail;
use crate::mail::Replay;
use crate::ui;

/// Runs the suite.
pub fn run(context: &Context, report: &mut Report) -> Result<()> {
    let _lock = context.cache.lock()?;
    let (tree, _) = build::prepare_tree(context)?;
    let dir = tempfile::tempdir().context("cannot create a temporary folder")?;
    let mailed = mail::write(context, &tree, dir.path())?;
    let patches: Vec<_> = mailed.iter().flat_map(|series| &series.patches).collect();
    let replay = Replay::new(context, &tree)?;
    let steps = Steps::new(context, &tree)?;
    let mut failed: Option<String> = None;
    for (index, patch) in patches.iter().enumerate() {
        let name = name_of(patch);
        if let Some(first) = &failed {
            report.skip(&name, &format!("stands on {first}"));
            continue;
        }
        let contents = replay.take(patch)?;
        if let Some(complaints) = steps.before(&contents) {
            report.judge(&format!("{name} (built before)"), &complaints);
            continue;
        }
        ui::note(&format!("{} of {}: {name}", index + 1, patches.len()));
        match steps.build(&contents) {
            Ok(work) => {
                let (early, others): (Vec<_>, Vec<_>) = warnings(&work)?
                    .into_iter()
                    .partition(|line| is_early(line) && index + 1 < patches.len());
                let name = match early.len() {
                    0 => name,
                    count => format!("{name} ({count} warnings of what a later patch uses)"),
                };
                report.judge(&name, &others);
                steps.remember(&contents, &others)?;
            }
            Err(error) => {
                report.fail(&name, &format!("{error:#}"));
                failed = Some(name);
            }
        }
    }
    Ok(())
}

/// Whether a warning is that nothing uses something. Before the last patch that says little.
fn is_early(warning: &str) -> bool {
    let unused = [
        " never used",
        " never read",
        " never constructed",
        "unused ",
    ];
    // That one is an error that is lost.
    !warning.contains("must be used") && unused.iter().any(|text| warning.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_used_yet_is_told_from_what_is_wrong() {
        assert!(is_early("a.rs:1:2: warning: method `len` is never used"));
        assert!(is_early("a.c:1:2: warning: unused function 'len'"));
        assert!(!is_early("a.c:1:2: warning: 'len' is used uninitialized"));
        let lost = "a.rs:1:2: warning: unused `Result` that must be used";
        assert!(!is_early(lost));
    }
}
