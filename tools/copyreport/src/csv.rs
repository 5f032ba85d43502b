// SPDX-License-Identifier: GPL-2.0
//! The raw data for spreadsheets: a line for each timed run.

use anyhow::Result;
use serde::Serialize;

use crate::Report;

/// One timed run of one way.
#[derive(Serialize)]
struct Line<'a> {
    benchmark: &'a str,
    label: &'a str,
    series: Option<&'a str>,
    at: Option<&'a str>,
    way: &'a str,
    ours: bool,
    bytes: u64,
    round: usize,
    seconds: f64,
    copies: u64,
    copied: u64,
    read: u64,
    offloaded: Option<u64>,
    onloaded: Option<u64>,
    context_switches: Option<u64>,
    in_memory: Option<u64>,
    copying: Option<u64>,
}

/// All runs of a report, with a line of names before them.
pub fn write(report: &Report) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for benchmark in report.results() {
        for row in &benchmark.variants {
            for (round, seconds) in (1..).zip(&row.seconds) {
                writer.serialize(Line {
                    benchmark: &benchmark.name,
                    label: &row.label,
                    series: row.point.as_ref().map(|point| &*point.series),
                    at: row.point.as_ref().map(|point| &*point.at),
                    way: &row.way,
                    ours: row.ours,
                    bytes: row.bytes,
                    round,
                    seconds: *seconds,
                    copies: row.proof.copies,
                    copied: row.proof.copied,
                    read: row.proof.read,
                    offloaded: row.proof.offloaded,
                    onloaded: row.proof.onloaded,
                    context_switches: row.cost.context_switches,
                    in_memory: row.cost.in_memory,
                    copying: row.cost.copying,
                })?;
            }
        }
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn a_line_for_each_run() {
        let text = write(&samples::report()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1 + 3 * (2 + 6), "{text}");
        assert!(lines[0].starts_with("benchmark,label,series,at,way,ours,bytes,round,seconds,"));
        assert_eq!(
            lines[1],
            "chunk,4 KiB,,,offload,true,67108864,1,0.04,16384,67108864,0,,,7,0,1048576"
        );
        assert!(
            text.contains("\nlatency,\"offload, 20 us\",offload,20 us,"),
            "{text}"
        );
    }
}
