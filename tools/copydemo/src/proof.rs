// SPDX-License-Identifier: GPL-2.0
//! The claims of the demo, each judged by what was measured.

use blkcopy::size::human;
use evidence::disk::Driver;
use evidence::nvme::DataUnits;
use serde::Serialize;

use crate::report::{Method, Row};

/// One claim, and whether it holds for every run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proof {
    pub claim: String,
    pub holds: bool,
    /// What was found instead, or as well.
    pub found: String,
}

/// The claims about one row; the copy was from `src` to `dst` on the disk.
pub fn of_row(driver: Driver, row: &Row, src: u64, dst: u64) -> Vec<Proof> {
    let words = Words::of(driver);
    let mut proofs = vec![data(row)];
    if row.method.offloads() {
        proofs.push(every_chunk(row, words.chunks, src, dst));
        proofs.push(nothing_read_or_written(row, words.nothing));
    } else {
        proofs.push(no_copy_request(row, words.no_copy));
        proofs.push(all_read_and_written(row));
    }
    match driver {
        Driver::NullBlk => {}
        Driver::Nvme => proofs.push(data_units(row)),
        Driver::NvmeTcp => proofs.push(wire(row)),
    }
    proofs
}

/// The claims about what a driver was asked to do.
struct Words {
    chunks: &'static str,
    nothing: &'static str,
    no_copy: &'static str,
}

impl Words {
    fn of(driver: Driver) -> Self {
        match driver {
            Driver::NullBlk => Self {
                chunks: "copy requests of the driver moved every byte exactly once, within copy_max_bytes",
                nothing: "no read or write request reached the driver",
                no_copy: "no copy request reached the driver",
            },
            Driver::Nvme | Driver::NvmeTcp => Self {
                chunks: "Copy commands went to every place exactly once, within copy_max_bytes",
                nothing: "the driver sent no read or write command",
                no_copy: "the driver sent no Copy command",
            },
        }
    }
}

fn name(row: &Row) -> String {
    let how = match row.method {
        Method::Generic => ", offload switched off",
        Method::ReadWrite => ", read + write",
        Method::OffloadDisk | Method::OffloadPartition => "",
    };
    format!("{} → {}{how}", row.source, row.destination)
}

fn judge(row: &Row, claim: &str, holds: bool, found: String) -> Proof {
    Proof {
        claim: format!("{}: {claim}", name(row)),
        holds,
        found,
    }
}

fn data(row: &Row) -> Proof {
    let wrong = row
        .runs
        .iter()
        .filter(|run| run.destination_sha256 != row.source_sha256)
        .count();
    let found = format!(
        "{wrong} of {} copies differ from the source",
        row.runs.len()
    );
    let claim = format!(
        "sha256 of source and destination agree after each of {} copies",
        row.runs.len()
    );
    judge(row, &claim, wrong == 0 && !row.runs.is_empty(), found)
}

fn every_chunk(row: &Row, claim: &str, src: u64, dst: u64) -> Proof {
    let (covers, largest) = (
        row.activity.covers(src, dst, row.bytes),
        row.activity.largest_copy(),
    );
    let found = format!(
        "{} copies with {} bytes, the largest of {}, where {} are allowed",
        row.activity.copy.requests,
        row.activity.copy.bytes,
        human(largest),
        human(row.copy_max_bytes)
    );
    judge(row, claim, covers && largest <= row.copy_max_bytes, found)
}

fn nothing_read_or_written(row: &Row, claim: &str) -> Proof {
    let (read, write) = (row.activity.read.requests, row.activity.write.requests);
    let by_stat: u64 = row.runs.iter().map(|run| run.stat_read_bytes).sum();
    let found =
        format!("{read} reads and {write} writes; {by_stat} bytes read by the disk's statistics");
    judge(row, claim, read + write + by_stat == 0, found)
}

fn no_copy_request(row: &Row, claim: &str) -> Proof {
    let copies = row.activity.copy.requests;
    judge(row, claim, copies == 0, format!("{copies} copies"))
}

fn all_read_and_written(row: &Row) -> Proof {
    let (read, write) = (row.activity.read.bytes, row.activity.write.bytes);
    let by_stat = row
        .runs
        .iter()
        .map(|run| run.stat_read_bytes)
        .min()
        .unwrap_or(0);
    let found = format!(
        "{read} bytes read and {write} written, at least {by_stat} read by the disk's statistics, where {} were copied",
        row.bytes
    );
    let claim = "every byte was read into memory and written back";
    judge(row, claim, read.min(write).min(by_stat) >= row.bytes, found)
}

/// What the device says of its bus, after each copy. That it counts at all is seen where every byte
/// is read and written.
fn data_units(row: &Row) -> Proof {
    let none = DataUnits::default();
    let (claim, right): (_, fn(DataUnits, u64) -> bool) = if row.method.offloads() {
        let claim = "by the device's own count less than one data unit crossed the bus either way";
        (claim, |units, _| units == DataUnits::default())
    } else {
        let claim = "by the device's own count every byte crossed the bus, and back again";
        (claim, DataUnits::may_be)
    };
    let mut runs = row.runs.iter();
    let holds = runs.all(|run| run.data_units.is_some_and(|units| right(units, row.bytes)));
    let all = row.runs.iter().map(|run| {
        let DataUnits { read, written } = run.data_units.unwrap_or(none);
        format!("{read} + {written}")
    });
    let found = format!(
        "data units of {} bytes read + written: {}",
        DataUnits::BYTES,
        all.collect::<Vec<_>>().join(", ")
    );
    judge(row, claim, holds && !row.runs.is_empty(), found)
}

/// What crossed the wire, in each copy.
fn wire(row: &Row) -> Proof {
    let moved = 2 * row.bytes;
    let (claim, right): (_, fn(u64, u64) -> bool) = if row.method.offloads() {
        let claim = "at most 0.5 % of what is read and written otherwise crossed the wire";
        (claim, |bytes, moved| bytes <= moved / 200)
    } else {
        (
            "every byte crossed the wire, and back again",
            |bytes, moved| bytes >= moved,
        )
    };
    let mut runs = row.runs.iter();
    let holds = runs.all(|run| run.wire_bytes.is_some_and(|bytes| right(bytes, moved)));
    let all = row
        .runs
        .iter()
        .map(|run| run.wire_bytes.unwrap_or(0).to_string());
    let found = format!("bytes on the wire: {}", all.collect::<Vec<_>>().join(", "));
    judge(row, claim, holds && !row.runs.is_empty(), found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{fabric_row, nvme_row, row};

    const SIZE: u64 = 4 << 20;

    fn failed(row: &Row) -> Vec<String> {
        let driver = match (row.data_units(), row.wire_bytes()) {
            (Some(_), _) => Driver::Nvme,
            (_, Some(_)) => Driver::NvmeTcp,
            _ => Driver::NullBlk,
        };
        of_row(driver, row, 0, SIZE)
            .into_iter()
            .filter(|proof| !proof.holds)
            .map(|proof| proof.claim)
            .collect()
    }

    #[test]
    fn right_rows_hold() {
        for method in [
            Method::OffloadDisk,
            Method::OffloadPartition,
            Method::Generic,
            Method::ReadWrite,
        ] {
            assert_eq!(failed(&row(method)), Vec::<String>::new(), "{method:?}");
            for row in [nvme_row(method), fabric_row(method)] {
                assert_eq!(failed(&row), Vec::<String>::new(), "{method:?}");
            }
        }
    }

    #[test]
    fn each_fault_on_the_wire_is_found() {
        let faults: [Fault; 3] = [
            (
                Method::OffloadDisk,
                |row| row.runs[2].wire_bytes = Some(row.bytes / 99),
                "crossed the wire",
            ),
            (
                Method::ReadWrite,
                |row| row.runs[1].wire_bytes = Some(row.bytes),
                "crossed the wire",
            ),
            (
                Method::OffloadDisk,
                |row| row.runs[1].wire_bytes = None,
                "crossed the wire",
            ),
        ];
        for (method, spoil, word) in faults {
            fails(fabric_row(method), spoil, word);
        }
    }

    type Fault = (Method, fn(&mut Row), &'static str);

    #[test]
    fn each_fault_is_found() {
        let faults: [Fault; 9] = [
            (
                Method::OffloadDisk,
                |row| row.runs[0].destination_sha256 = "other".into(),
                "sha256",
            ),
            (
                Method::ReadWrite,
                |row| row.runs[3].destination_sha256 = "other".into(),
                "sha256",
            ),
            (
                Method::OffloadDisk,
                |row| row.activity.read.requests = 1,
                "no read or write",
            ),
            (
                Method::OffloadPartition,
                |row| row.activity.write.requests = 1,
                "no read or write",
            ),
            (
                Method::OffloadPartition,
                |row| row.runs[2].stat_read_bytes = 512,
                "no read or write",
            ),
            (
                Method::OffloadDisk,
                |row| row.activity.copies.truncate(3),
                "exactly once",
            ),
            (
                Method::OffloadDisk,
                |row| row.copy_max_bytes = 4096,
                "copy_max_bytes",
            ),
            (
                Method::Generic,
                |row| row.activity.copy.requests = 1,
                "no copy request",
            ),
            (
                Method::ReadWrite,
                |row| row.activity.write.bytes -= 512,
                "written back",
            ),
        ];
        for (method, spoil, word) in faults {
            fails(row(method), spoil, word);
        }
    }

    fn fails(mut wrong: Row, spoil: fn(&mut Row), word: &str) {
        spoil(&mut wrong);
        let failed = failed(&wrong);
        assert!(
            failed.len() == 1 && failed[0].contains(word),
            "{word}: {failed:?}"
        );
    }

    #[test]
    fn each_fault_of_nvme_is_found() {
        let units = |read, written| Some(DataUnits { read, written });
        assert!(units(0, 0) == nvme_row(Method::OffloadDisk).data_units());
        let faults: [Fault; 7] = [
            (
                Method::OffloadDisk,
                |row| row.activity.copies.clear(),
                "Copy commands went to every place",
            ),
            (
                Method::OffloadDisk,
                |row| row.activity.write.requests = 1,
                "no read or write command",
            ),
            (
                Method::OffloadDisk,
                |row| row.runs[3].data_units.as_mut().unwrap().read = 1,
                "less than one data unit",
            ),
            (
                Method::OffloadDisk,
                |row| row.runs[0].data_units.as_mut().unwrap().written = 1,
                "less than one data unit",
            ),
            (
                Method::OffloadDisk,
                |row| row.runs[1].data_units = None,
                "less than one data unit",
            ),
            (
                Method::ReadWrite,
                |row| row.runs[2].data_units = Some(DataUnits::default()),
                "every byte crossed the bus",
            ),
            (
                Method::ReadWrite,
                |row| row.activity.copy.requests = 1,
                "no Copy command",
            ),
        ];
        for (method, spoil, word) in faults {
            fails(nvme_row(method), spoil, word);
        }
    }

    #[test]
    fn no_runs_prove_nothing() {
        let mut empty = row(Method::OffloadDisk);
        empty.runs.clear();
        assert!(!failed(&empty).is_empty());
    }
}
