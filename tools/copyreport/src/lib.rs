// SPDX-License-Identifier: GPL-2.0
//! What `./x bench` has measured. The program in the guest makes it, the host shows it.
//!
//! - [`Report`] is all of it, and what JSON files have.
//! - [`ratio`]: ways that are divided by each other, and what should come of that; [`stats`] is below it.
//! - [`table`], [`plot`], [`html`], [`csv`]: the same for people, and for spreadsheets.
//! - [`compare`]: what got faster or slower from one report to another.

pub mod compare;
pub mod csv;
pub mod html;
pub mod plot;
pub mod ratio;
pub mod stats;
pub mod table;
pub mod units;

use anyhow::{ensure, Context, Result};
use serde::{Deserialize, Serialize};

pub use ratio::{Goal, Ratio};

/// The version of the JSON format. Reports of other versions are refused.
pub const SCHEMA: u32 = 1;

/// What can be measured, in the order in which it is. The host need not boot a guest for a mistyped name.
pub const BENCHMARKS: [&str; 16] = [
    "ways",
    "latency",
    "sizes",
    "small",
    "chunk",
    "range",
    "processes",
    "onload",
    "uring",
    "offload",
    "snapshot",
    "stacks",
    "buffered",
    "fabrics",
    "nvme",
    "instructions",
];

/// Everything.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Report {
    pub schema: u32,
    /// The version of the kernel in the guest.
    pub kernel: String,
    /// Timed runs of each way.
    pub repeat: u32,
    pub machine: Option<Machine>,
    pub benchmarks: Vec<Entry>,
}

/// Where it was measured. The guest does not know that.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Machine {
    pub cpu: String,
    /// Processors of the host, and of the guest.
    pub cpus: usize,
    pub guest_cpus: u32,
    pub guest_memory: u64,
    /// What runs the kernel: `um`, `qemu with KVM`, ...
    pub guest: String,
    /// The host's kernel.
    pub host: String,
    /// In UTC.
    pub date: String,
    /// What was measured, as git names it.
    pub commit: String,
    pub command: String,
}

/// One benchmark, or why there is none.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Entry {
    Result(Box<Benchmark>),
    Error { name: String, error: String },
}

/// One benchmark.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Benchmark {
    pub name: String,
    /// What was done, in a line.
    pub title: String,
    /// What changes from point to point of a series, if rows are points.
    pub axis: Option<String>,
    pub variants: Vec<Row>,
    pub ratios: Vec<Ratio>,
    /// More that follows from the numbers.
    pub notes: Vec<String>,
}

/// What came of one way.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Row {
    pub label: String,
    /// Where it is in a plot, if the benchmark has an axis.
    pub point: Option<Point>,
    /// The command that a user would give, or what the kernel was asked for.
    pub command: Option<String>,
    /// The way that the data should go, and did.
    pub way: String,
    /// Whether code that this project adds has part in it. What is not ours tells how fast the machine is.
    pub ours: bool,
    pub bytes: u64,
    pub median_seconds: f64,
    pub bytes_per_second: f64,
    /// One of each round.
    pub seconds: Vec<f64>,
    pub proof: Proof,
    /// The same in words.
    pub evidence: String,
    /// What it takes beside time. Older reports do not have it.
    #[serde(default)]
    pub cost: Cost,
}

/// What a way to copy takes beside time.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Context switches of the whole guest, from before the way starts until after its end: the median of the rounds.
    pub context_switches: Option<u64>,
    /// The most bytes that were in memory at a time: read from the disk, or about to be, and not yet written. By a
    /// trace of the run before the first round; not there if the way does not write just what it reads.
    pub in_memory: Option<u64>,
    /// The most bytes that drivers were asked to copy at a time and had not copied yet, by the same trace.
    pub copying: Option<u64>,
}

/// A place in a plot. Points of a series are as far apart as those of another, in the order of the rows.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Point {
    pub series: String,
    pub at: String,
}

/// What was traced and counted in a run before the first round. The others were found to have counted the same.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// Copies that the driver executed, and their bytes.
    pub copies: u64,
    pub copied: u64,
    /// Bytes that requests read from the source disk, and how many requests there were.
    pub read: u64,
    pub reads: u64,
    /// Bytes that the block layer has counted as copied and as read and written, and pieces of the latter.
    pub offloaded: Option<u64>,
    pub onloaded: Option<u64>,
    pub pieces: Option<u64>,
}

impl Report {
    /// Reads what [`Report::json`] wrote.
    pub fn parse(json: &str) -> Result<Self> {
        let version: Version =
            serde_json::from_str(json).context("this is no report of ./x bench")?;
        ensure!(
            version.schema == SCHEMA,
            "the report has version {} of the format, but this ./x reads version {SCHEMA}: measure again",
            version.schema
        );
        serde_json::from_str(json).context("the report is damaged")
    }

    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Those that have a result.
    pub fn results(&self) -> impl Iterator<Item = &Benchmark> {
        self.benchmarks.iter().filter_map(|entry| match entry {
            Entry::Result(benchmark) => Some(&**benchmark),
            Entry::Error { .. } => None,
        })
    }

    /// Whether none is without.
    pub fn is_complete(&self) -> bool {
        self.results().count() == self.benchmarks.len()
    }
}

#[derive(Deserialize)]
struct Version {
    #[serde(default)]
    schema: u32,
}

impl Benchmark {
    /// The series of a plot, in the order of their first points.
    pub fn series(&self) -> Vec<&str> {
        self.distinct(|point| &point.series)
    }

    /// Where points can be.
    pub fn places(&self) -> Vec<&str> {
        self.distinct(|point| &point.at)
    }

    fn distinct<'a>(&'a self, part: impl Fn(&'a Point) -> &'a String) -> Vec<&'a str> {
        let mut found: Vec<&str> = Vec::new();
        for point in self.variants.iter().filter_map(|row| row.point.as_ref()) {
            if !found.contains(&part(point).as_str()) {
                found.push(part(point));
            }
        }
        found
    }

    /// A row of a plot.
    pub fn at(&self, series: &str, at: &str) -> Option<&Row> {
        let is = |point: &Point| point.series == series && point.at == at;
        self.variants
            .iter()
            .find(|row| row.point.as_ref().is_some_and(is))
    }
}

#[cfg(test)]
mod samples;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let report = samples::report();
        assert_eq!(Report::parse(&report.json().unwrap()).unwrap(), report);
    }

    #[test]
    fn other_formats_are_refused() {
        let mut report = samples::report();
        report.schema = SCHEMA + 1;
        let error = Report::parse(&report.json().unwrap()).unwrap_err();
        assert!(error.to_string().contains("measure again"), "{error}");
        // Before there was a version.
        assert!(Report::parse(r#"{"kernel": "7.3.4", "benchmarks": []}"#).is_err());
        assert!(Report::parse("").is_err());
    }

    #[test]
    fn programs_find_what_they_look_for() {
        let report = samples::report();
        let value = serde_json::to_value(&report).unwrap();
        let chunk = &value["benchmarks"][0];
        assert_eq!(chunk["ratios"][0]["met"], false);
        assert_eq!(chunk["ratios"][0]["goal"]["at_most"], 1.5);
        assert_eq!(chunk["variants"][0]["proof"]["copies"], 16384);
        assert_eq!(value["benchmarks"][2]["error"], "no module");
        assert!(!report.is_complete());
    }

    #[test]
    fn series_keep_their_order() {
        let report = samples::report();
        let sweep = report.results().nth(1).unwrap();
        assert_eq!(sweep.series(), ["offload", "read + write"]);
        assert_eq!(sweep.places(), ["0", "20 us", "100 us"]);
        assert_eq!(
            sweep.at("offload", "20 us").unwrap().label,
            "offload, 20 us"
        );
        assert!(sweep.at("offload", "1 us").is_none());
    }
}
