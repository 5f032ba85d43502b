// SPDX-License-Identifier: GPL-2.0
//! What the demo found, as data for programs. `text.rs` has it for people.

use evidence::activity::Activity;
use evidence::disk::Driver;
use evidence::nvme::DataUnits;
use serde::Serialize;

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
    /// What crossed the bus, as an NVMe device counts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_units: Option<DataUnits>,
    /// Bytes that crossed the wire to the disk, both ways, with all that the protocols add.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wire_bytes: Option<u64>,
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

impl Row {
    /// What crossed the bus in the traced run, as an NVMe device counts it.
    pub fn data_units(&self) -> Option<DataUnits> {
        self.runs.iter().find(|run| run.traced)?.data_units
    }

    /// Bytes that crossed the wire in the traced run.
    pub fn wire_bytes(&self) -> Option<u64> {
        self.runs.iter().find(|run| run.traced)?.wire_bytes
    }
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
}

/// What was found on one disk.
#[derive(Debug, Serialize)]
pub struct Section {
    pub driver: Driver,
    pub disk: String,
    pub disk_bytes: u64,
    pub copy_max_bytes: Option<u64>,
    pub copy_max_hw_bytes: Option<u64>,
    pub rows: Vec<Row>,
}

impl Section {
    pub fn row(&self, method: Method) -> Option<&Row> {
        self.rows.iter().find(|row| row.method == method)
    }

    /// How many times as fast as reading and writing.
    pub fn speed(&self, row: &Row) -> Option<f64> {
        let baseline = self.row(Method::ReadWrite)?;
        (row.seconds > 0.0).then(|| baseline.seconds / row.seconds)
    }
}

/// Everything.
#[derive(Debug, Serialize)]
pub struct Report {
    pub kernel: String,
    #[serde(flatten)]
    pub null_blk: Section,
    /// If there was such a device.
    pub nvme: Option<Section>,
    /// If that was asked for.
    pub fabric: Option<Section>,
    pub proofs: Vec<Proof>,
    pub proved: bool,
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
