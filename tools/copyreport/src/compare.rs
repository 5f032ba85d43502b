// SPDX-License-Identifier: GPL-2.0
//! What got faster or slower from one report to another.
//!
//! Two boots never see the same machine. Ways that our code has no part in tell how much faster or slower it
//! was, and that is taken out of all others. What is left counts if it is more than the noise: more than
//! [`LEAST`], and more than [`ERRORS`] times the uncertainty of both medians.

use std::fmt::Write;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};

use crate::stats::{median, uncertainty};
use crate::units::time;
use crate::{Benchmark, Report, Row};

/// Differences below are noise, however steady each of the runs was: two boots lay out memory differently.
pub const LEAST: f64 = 0.05;

/// Standard errors that are still noise.
pub const ERRORS: f64 = 3.0;

/// What became of one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Faster,
    Slower,
    Same,
    /// It is not ours, and only tells how fast the machine is.
    Machine,
}

impl Verdict {
    /// Judges a time that is so many times as long as before.
    pub fn of(change: f64, noise: f64) -> Self {
        if change > 1.0 + noise {
            Self::Slower
        } else if change < 1.0 / (1.0 + noise) {
            Self::Faster
        } else {
            Self::Same
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Slower => "SLOWER",
            Self::Same => "the same",
            Self::Machine => "(the machine)",
        }
    }
}

/// One way in both reports.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub benchmark: String,
    pub label: String,
    /// Medians, in seconds.
    pub before: f64,
    pub after: f64,
    /// How many times as long it takes, the machine taken out.
    pub change: f64,
    /// How much of that is noise.
    pub noise: f64,
    pub verdict: Verdict,
}

/// Two reports.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// How many times as long everything takes that is not ours, and how many ways say so.
    pub machine: f64,
    pub yardsticks: usize,
    pub lines: Vec<Line>,
    /// Ways that only one of them has, and goals that are missed now.
    pub remarks: Vec<String>,
}

impl Comparison {
    pub fn new(before: &Report, after: &Report) -> Self {
        let both: Vec<(&Benchmark, &Row, &Row)> = rows(before)
            .filter_map(|(benchmark, row)| Some((benchmark, row, find(after, benchmark, row)?)))
            .collect();
        let changes: Vec<f64> = both
            .iter()
            .filter(|(_, before, after)| !before.ours && !after.ours)
            .map(|(_, before, after)| after.median_seconds / before.median_seconds)
            .collect();
        let machine = if changes.is_empty() {
            1.0
        } else {
            median(&changes)
        };
        let lines = both
            .iter()
            .map(|(benchmark, before, after)| line(&benchmark.name, before, after, machine));
        Self {
            machine,
            yardsticks: changes.len(),
            lines: lines.collect(),
            remarks: remarks(before, after),
        }
    }

    pub fn count(&self, verdict: Verdict) -> usize {
        let is = |line: &&Line| line.verdict == verdict;
        self.lines.iter().filter(is).count()
    }

    /// A table, and what it comes to.
    pub fn human(&self) -> String {
        let mut table = Table::new();
        table.load_preset(UTF8_FULL_CONDENSED);
        table.set_header(["benchmark", "way", "before", "after", "change", "noise", ""]);
        for column in table.column_iter_mut().skip(2).take(4) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        for line in &self.lines {
            table.add_row([
                line.benchmark.clone(),
                line.label.clone(),
                time(line.before),
                time(line.after),
                percent(line.change - 1.0),
                format!("±{:.1} %", line.noise * 100.0),
                line.verdict.text().into(),
            ]);
        }
        let mut text = format!("{table}\n");
        let machine = percent(self.machine - 1.0);
        let _ = match self.yardsticks {
            0 => writeln!(text, "Nothing tells how fast the machine was, so nothing is taken out."),
            count => writeln!(
                text,
                "By {count} ways that are not ours the machine needs {machine} time, which is taken out."
            ),
        };
        for remark in &self.remarks {
            let _ = writeln!(text, "{remark}");
        }
        let _ = write!(
            text,
            "{} faster, {} slower, {} the same",
            self.count(Verdict::Faster),
            self.count(Verdict::Slower),
            self.count(Verdict::Same)
        );
        text
    }
}

fn line(benchmark: &str, before: &Row, after: &Row, machine: f64) -> Line {
    let change = after.median_seconds / before.median_seconds / machine;
    let error = uncertainty(&before.seconds).hypot(uncertainty(&after.seconds));
    let noise = LEAST.max(ERRORS * error);
    let verdict = if before.ours && after.ours {
        Verdict::of(change, noise)
    } else {
        Verdict::Machine
    };
    Line {
        benchmark: benchmark.into(),
        label: before.label.clone(),
        before: before.median_seconds,
        after: after.median_seconds,
        change,
        noise,
        verdict,
    }
}

fn rows(report: &Report) -> impl Iterator<Item = (&Benchmark, &Row)> {
    report
        .results()
        .flat_map(|benchmark| benchmark.variants.iter().map(move |row| (benchmark, row)))
}

/// The same way in another report: of as many bytes, or it is another one.
fn find<'a>(report: &'a Report, benchmark: &Benchmark, row: &Row) -> Option<&'a Row> {
    let same = |(other, found): &(&Benchmark, &Row)| {
        other.name == benchmark.name && found.label == row.label && found.bytes == row.bytes
    };
    rows(report).find(same).map(|(_, row)| row)
}

fn remarks(before: &Report, after: &Report) -> Vec<String> {
    let mut remarks = Vec::new();
    let machine = |report: &Report| report.machine.clone();
    if let Some((one, other)) = machine(before).zip(machine(after)) {
        if (&one.cpu, &one.guest, one.guest_cpus) != (&other.cpu, &other.guest, other.guest_cpus) {
            remarks.push(format!(
                "These are different machines ({} on {}, {} on {}): their times say little.",
                one.guest, one.cpu, other.guest, other.cpu
            ));
        }
    }
    for (which, report, other) in [("before", before, after), ("after", after, before)] {
        for (benchmark, row) in rows(report) {
            if find(other, benchmark, row).is_none() {
                remarks.push(format!("{}: {}: only {which}", benchmark.name, row.label));
            }
        }
    }
    for benchmark in after.results() {
        for ratio in benchmark.ratios.iter().filter(|ratio| ratio.is_missed()) {
            let was_met = before.results().any(|benchmark| {
                let mut ratios = benchmark.ratios.iter();
                ratios.any(|old| old.name == ratio.name && old.met == Some(true))
            });
            if was_met {
                remarks.push(format!("A goal was met before: {}", ratio.text()));
            }
        }
    }
    remarks
}

/// `+12.3 %`
fn percent(part: f64) -> String {
    format!("{:+.1} %", part * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use crate::Entry;

    /// The report with the times of what is ours, and of what is not, multiplied.
    fn scaled(ours: f64, others: f64) -> Report {
        let mut report = samples::report();
        for entry in &mut report.benchmarks {
            let Entry::Result(benchmark) = entry else {
                continue;
            };
            for row in &mut benchmark.variants {
                let factor = if row.ours { ours } else { others };
                row.median_seconds *= factor;
                row.seconds.iter_mut().for_each(|time| *time *= factor);
            }
        }
        report
    }

    fn verdicts(ours: f64, others: f64) -> [usize; 4] {
        let comparison = Comparison::new(&samples::report(), &scaled(ours, others));
        use Verdict::*;
        [Faster, Slower, Same, Machine].map(|verdict| comparison.count(verdict))
    }

    #[test]
    fn what_is_ours_is_judged() {
        assert_eq!(verdicts(1.0, 1.0), [0, 0, 5, 3]);
        assert_eq!(verdicts(1.04, 1.0), [0, 0, 5, 3]);
        assert_eq!(verdicts(1.2, 1.0), [0, 5, 0, 3]);
        assert_eq!(verdicts(0.8, 1.0), [5, 0, 0, 3]);
    }

    #[test]
    fn a_slow_machine_is_no_slow_code() {
        assert_eq!(verdicts(1.5, 1.5), [0, 0, 5, 3]);
        // The machine got faster, and our code did not.
        assert_eq!(verdicts(1.0, 0.5), [0, 5, 0, 3]);
        let text = Comparison::new(&samples::report(), &scaled(1.5, 1.5)).human();
        assert!(text.contains("By 3 ways that are not ours the machine needs +50.0 % time"));
        assert!(text.ends_with("0 faster, 0 slower, 5 the same"), "{text}");
    }

    #[test]
    fn noise_is_no_change() {
        let steady = [1.0; 5];
        let noisy = [0.7, 1.0, 1.2, 1.4, 0.8];
        let row = |seconds: &[f64]| samples::row("a", seconds, 1);
        let slow = steady.map(|time| time * 1.2);
        let change =
            |before: &[f64], after: &[f64]| line("b", &row(before), &row(after), 1.0).verdict;
        assert_eq!(change(&steady, &slow), Verdict::Slower);
        assert_eq!(change(&slow, &steady), Verdict::Faster);
        assert_eq!(change(&noisy, &slow), Verdict::Same);
        let slowest = noisy.map(|time| time * 3.0);
        assert_eq!(change(&noisy, &slowest), Verdict::Slower);
    }

    #[test]
    fn the_limits_are_exact() {
        assert_eq!(Verdict::of(1.05, 0.05), Verdict::Same);
        assert_eq!(Verdict::of(1.051, 0.05), Verdict::Slower);
        assert_eq!(Verdict::of(0.953, 0.05), Verdict::Same);
        assert_eq!(Verdict::of(0.951, 0.05), Verdict::Faster);
    }

    #[test]
    fn what_cannot_be_compared_is_said() {
        let before = samples::report();
        let mut after = samples::report();
        let Entry::Result(chunk) = &mut after.benchmarks[0] else {
            panic!()
        };
        chunk.variants[0].label = "2 KiB".into();
        chunk.variants[1].bytes = 1;
        if let Some(machine) = &mut after.machine {
            machine.guest = "qemu".into();
        }
        let comparison = Comparison::new(&before, &after);
        assert_eq!(comparison.lines.len(), 6);
        let text = comparison.human();
        for part in [
            "chunk: 4 KiB: only before",
            "chunk: 2 KiB: only after",
            "chunk: 1 MiB: only after",
            "different machines (um on Fast & Cheap <3>, qemu on",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }

    #[test]
    fn a_goal_that_is_no_longer_met_is_said() {
        let (mut before, after) = (samples::report(), samples::report());
        let Entry::Result(chunk) = &mut before.benchmarks[0] else {
            panic!()
        };
        chunk.ratios[0].met = Some(true);
        let text = Comparison::new(&before, &after).human();
        assert!(
            text.contains("A goal was met before: 4 KiB takes 2.00 x"),
            "{text}"
        );
        assert!(!Comparison::new(&after, &after).human().contains("A goal"));
    }
}
