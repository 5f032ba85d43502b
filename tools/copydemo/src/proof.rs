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
    let whole = row
        .runs
        .iter()
        .filter(|run| run.activity.covers(src, dst, row.bytes))
        .count();
    let largest = row
        .runs
        .iter()
        .map(|run| run.activity.largest_copy())
        .max()
        .unwrap_or(0);
    let found = format!(
        "{whole} of {} copies did so, in requests of up to {}, where {} are allowed",
        row.runs.len(),
        human(largest),
        human(row.copy_max_bytes)
    );
    let claim = "copy requests of the driver moved every byte exactly once, within copy_max_bytes";
    judge(
        row,
        claim,
        whole == row.runs.len() && largest <= row.copy_max_bytes,
        found,
    )
}

fn nothing_read_or_written(row: &Row) -> Proof {
    let (mut read, mut write) = (0, 0);
    for run in &row.runs {
        read += run.activity.read.requests;
        write += run.activity.write.requests;
    }
    let found = format!("{read} read and {write} write requests");
    judge(
        row,
        "no read or write request reached the driver",
        read + write == 0,
        found,
    )
}

fn no_copy_request(row: &Row) -> Proof {
    let copies: u64 = row.runs.iter().map(|run| run.activity.copy.requests).sum();
    judge(
        row,
        "no copy request reached the driver",
        copies == 0,
        format!("{copies} copy requests"),
    )
}

fn all_read_and_written(row: &Row) -> Proof {
    let least =
        |bytes: fn(&crate::report::Run) -> u64| row.runs.iter().map(bytes).min().unwrap_or(0);
    let (read, write) = (
        least(|run| run.activity.read.bytes),
        least(|run| run.activity.write.bytes),
    );
    let found = format!(
        "at least {read} bytes read and {write} written, where {} were copied",
        row.bytes
    );
    let claim = "every byte was read into memory and written back";
    judge(row, claim, read >= row.bytes && write >= row.bytes, found)
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

    fn fails_with(row: &Row, word: &str) {
        let failed = failed(row);
        assert!(
            failed.len() == 1 && failed[0].contains(word),
            "{word}: {failed:?}"
        );
    }

    #[test]
    fn each_fault_is_found_in_any_run() {
        for n in 0..3 {
            let mut wrong = row(Method::OffloadDisk);
            wrong.runs[n].destination_sha256 = "other".into();
            fails_with(&wrong, "sha256");

            let mut wrong = row(Method::OffloadDisk);
            wrong.runs[n].activity.read.requests = 1;
            fails_with(&wrong, "no read or write");

            let mut wrong = row(Method::OffloadPartition);
            wrong.runs[n].activity.write.requests = 1;
            fails_with(&wrong, "no read or write");

            let mut wrong = row(Method::OffloadDisk);
            wrong.runs[n].activity.copies.pop();
            fails_with(&wrong, "exactly once");

            let mut wrong = row(Method::Generic);
            wrong.runs[n].activity.copy.requests = 1;
            fails_with(&wrong, "no copy request");

            let mut wrong = row(Method::ReadWrite);
            wrong.runs[n].activity.write.bytes -= 512;
            fails_with(&wrong, "written back");
        }
        let mut wrong = row(Method::OffloadDisk);
        wrong.copy_max_bytes = 4096;
        fails_with(&wrong, "copy_max_bytes");
    }

    #[test]
    fn no_runs_prove_nothing() {
        let mut empty = row(Method::OffloadDisk);
        empty.runs.clear();
        assert!(!failed(&empty).is_empty());
    }
}
