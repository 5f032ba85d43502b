// SPDX-License-Identifier: GPL-2.0
//! The claims of the demo, each judged by what was measured.

use blkcopy::size::human;
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
pub fn of_row(row: &Row, src: u64, dst: u64) -> Vec<Proof> {
    let mut proofs = vec![data(row)];
    if row.method.offloads() {
        proofs.push(every_chunk(row, src, dst));
        proofs.push(nothing_read_or_written(row));
    } else {
        proofs.push(no_copy_request(row));
        proofs.push(all_read_and_written(row));
    }
    proofs
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

fn every_chunk(row: &Row, src: u64, dst: u64) -> Proof {
    let (covers, largest) = (
        row.activity.covers(src, dst, row.bytes),
        row.activity.largest_copy(),
    );
    let found = format!(
        "{} copy requests with {} bytes, the largest of {}, where {} are allowed",
        row.activity.copy.requests,
        row.activity.copy.bytes,
        human(largest),
        human(row.copy_max_bytes)
    );
    let claim = "copy requests of the driver moved every byte exactly once, within copy_max_bytes";
    judge(row, claim, covers && largest <= row.copy_max_bytes, found)
}

fn nothing_read_or_written(row: &Row) -> Proof {
    let (read, write) = (row.activity.read.requests, row.activity.write.requests);
    let by_stat: u64 = row.runs.iter().map(|run| run.stat_read_bytes).sum();
    let found = format!(
        "{read} read and {write} write requests; {by_stat} bytes read by the disk's statistics"
    );
    judge(
        row,
        "no read or write request reached the driver",
        read + write + by_stat == 0,
        found,
    )
}

fn no_copy_request(row: &Row) -> Proof {
    let copies = row.activity.copy.requests;
    judge(
        row,
        "no copy request reached the driver",
        copies == 0,
        format!("{copies} copy requests"),
    )
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::row;

    const SIZE: u64 = 4 << 20;

    fn failed(row: &Row) -> Vec<String> {
        of_row(row, 0, SIZE)
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
            let mut wrong = row(method);
            spoil(&mut wrong);
            let failed = failed(&wrong);
            assert!(
                failed.len() == 1 && failed[0].contains(word),
                "{word}: {failed:?}"
            );
        }
    }

    #[test]
    fn no_runs_prove_nothing() {
        let mut empty = row(Method::OffloadDisk);
        empty.runs.clear();
        assert!(!failed(&empty).is_empty());
    }
}
