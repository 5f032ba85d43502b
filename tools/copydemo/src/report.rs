// SPDX-License-Identifier: GPL-2.0
//! What the demo found, as data for programs and as a table for people.

use blkcopy::size::human;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use crate::events::Activity;
use crate::proof::Proof;

/// How a row's data were copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// `copy_file_range` on the disk, copy offload on.
    OffloadDisk,
    /// The same onto the partition.
    OffloadPartition,
    /// `copy_file_range`, copy offload switched off.
    Generic,
    /// `read` and `write` of 1 MiB each.
    ReadWrite,
}

impl Method {
    pub fn call(self) -> &'static str {
        match self {
            Self::OffloadDisk | Self::OffloadPartition => "copy_file_range",
            Self::Generic => "copy_file_range, copy_max_bytes=0",
            Self::ReadWrite => "read + write, 1 MiB each",
        }
    }

    pub fn offloads(self) -> bool {
        matches!(self, Self::OffloadDisk | Self::OffloadPartition)
    }
}

/// One of several identical copies.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// Recorded and counted, so that its time does not count.
    pub traced: bool,
    pub seconds: f64,
    /// System calls that it took to copy.
    pub calls: u64,
    /// Bytes read from the disk by its `stat` in sysfs, which is always on.
    pub stat_read_bytes: u64,
    /// The checksum of the destination afterwards.
    pub destination_sha256: String,
}

/// The copies of one kind.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub method: Method,
    pub source: String,
    pub destination: String,
    pub bytes: u64,
    pub copy_max_bytes: u64,
    /// The checksum of the source, taken after the copies.
    pub source_sha256: String,
    pub path: PathSeen,
    /// The median of the runs that were not traced.
    pub seconds: f64,
    pub bytes_crossed_memory: u64,
    /// What the driver did in the traced run.
    pub activity: Activity,
    pub runs: Vec<Run>,
}

/// The path that the driver's requests tell of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PathSeen {
    Offload,
    ReadWrite,
    Mixed,
    Nothing,
}

impl PathSeen {
    pub fn of(activity: &Activity) -> Self {
        match (activity.copy.requests > 0, activity.crossed_memory() > 0) {
            (true, false) => Self::Offload,
            (false, true) => Self::ReadWrite,
            (true, true) => Self::Mixed,
            (false, false) => Self::Nothing,
        }
    }

    /// In the words of the table: which call, and what became of it.
    fn text(self, method: Method) -> &'static str {
        match (self, method) {
            (Self::ReadWrite, Method::ReadWrite) => "read + write, 1 MiB each",
            (Self::ReadWrite, Method::Generic) => "copy_file_range, offload off",
            (Self::ReadWrite, _) => "copy_file_range, NOT offloaded",
            (Self::Offload, _) => "copy_file_range, offloaded",
            (Self::Mixed, _) => "copy_file_range, PARTLY offloaded",
            (Self::Nothing, _) => "NO request was seen",
        }
    }
}

/// Everything.
#[derive(Debug, Serialize)]
pub struct Report {
    pub kernel: String,
    pub disk: String,
    pub disk_bytes: u64,
    pub copy_max_bytes: Option<u64>,
    pub copy_max_hw_bytes: Option<u64>,
    pub rows: Vec<Row>,
    pub proofs: Vec<Proof>,
    pub proved: bool,
}

impl Report {
    /// The table, and what is proved by it.
    pub fn human(&self) -> String {
        let mut text = format!("{}\n\n{}\n\n", self.heading(), self.table());
        for proof in &self.proofs {
            let mark = if proof.holds { "ok    " } else { "FAILED" };
            text += &format!("  {mark}  {}", proof.claim);
            if !proof.holds {
                text += &format!(": {}", proof.found);
            }
            text.push('\n');
        }
        text + "\n" + &self.conclusion()
    }

    fn heading(&self) -> String {
        let limit = match self.copy_max_bytes {
            Some(bytes) => format!("one copy request moves up to {}", human(bytes)),
            None => "no copy offload in this kernel".to_string(),
        };
        format!(
            "Linux {}, {} of {} in memory (null_blk), {limit}\n(copies, reads, writes: requests that the driver executed)",
            self.kernel,
            self.disk,
            human(self.disk_bytes)
        )
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(UTF8_FULL_CONDENSED);
        table.set_header([
            "device",
            "path taken",
            "bytes",
            "copies",
            "reads",
            "writes",
            "crossed\nmemory",
            "time",
            "vs read\n+ write",
        ]);
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        for row in &self.rows {
            let requests = [row.activity.copy, row.activity.read, row.activity.write];
            let mut cells = vec![
                format!("{} → {}", row.source, row.destination),
                row.path.text(row.method).to_string(),
                human(row.bytes),
            ];
            cells.extend(requests.map(|tally| tally.requests.to_string()));
            cells.push(human(row.bytes_crossed_memory));
            cells.push(format!("{:.1} ms", row.seconds * 1000.0));
            cells.push(
                self.speed(row)
                    .map_or("-".to_string(), |times| format!("{times:.2} x")),
            );
            table.add_row(cells);
        }
        table
    }

    /// How many times as fast as reading and writing.
    fn speed(&self, row: &Row) -> Option<f64> {
        let baseline = self
            .rows
            .iter()
            .find(|row| row.method == Method::ReadWrite)?;
        (row.seconds > 0.0).then(|| baseline.seconds / row.seconds)
    }

    /// One sentence, and an honest one.
    fn conclusion(&self) -> String {
        if !self.proved {
            let failed = self.proofs.iter().filter(|proof| !proof.holds).count();
            return format!(
                "NOT PROVED: {failed} of {} claims failed.",
                self.proofs.len()
            );
        }
        let find = |method| self.rows.iter().find(|row| row.method == method);
        let (Some(disk), Some(partition)) =
            (find(Method::OffloadDisk), find(Method::OffloadPartition))
        else {
            return "Only reading and writing was tried; nothing is proved about copy offload."
                .to_string();
        };
        let requests = |row: &Row| row.activity.copy.requests;
        format!(
            "Proved: {} were copied on {} by {} copy requests, and as many by {} onto its partition.\n\
             No read or write request reached the driver, no byte crossed memory, the checksums agree,\n\
             and it took {:.1} ms: {:.2} x the speed of reading and writing.",
            human(disk.bytes),
            disk.source,
            requests(disk),
            requests(partition),
            disk.seconds * 1000.0,
            self.speed(disk).unwrap_or(0.0),
        )
    }
}

/// The middle one; the upper of two.
pub fn median(seconds: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = seconds.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
#[path = "report_tests.rs"]
pub(crate) mod tests;
