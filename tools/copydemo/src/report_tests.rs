// SPDX-License-Identifier: GPL-2.0
use super::*;
use crate::proof;
use evidence::activity::{CopyOp, Tally};

const SIZE: u64 = 4 << 20;

/// A row as a right demo finds it.
pub(crate) fn row(method: Method) -> Row {
    let mut activity = Activity::default();
    if method.offloads() {
        activity.copies = (0..4)
            .map(|n| CopyOp {
                src: Some(n << 20),
                dst: SIZE + (n << 20),
                len: 1 << 20,
            })
            .collect();
        activity.copy = Tally {
            requests: 4,
            bytes: SIZE,
        };
    } else {
        activity.read = Tally {
            requests: 8,
            bytes: SIZE,
        };
        activity.write = Tally {
            requests: 4,
            bytes: SIZE,
        };
    }
    let seconds = if method.offloads() { 0.010 } else { 0.025 };
    Row {
        method,
        source: "nullb0".into(),
        destination: if method == Method::OffloadPartition {
            "nullb0p1"
        } else {
            "nullb0"
        }
        .into(),
        bytes: SIZE,
        copy_max_bytes: if method.offloads() { 1 << 20 } else { 0 },
        source_sha256: "abc".into(),
        path: PathSeen::of(&activity),
        seconds,
        bytes_crossed_memory: activity.crossed_memory(),
        runs: (0..4)
            .map(|n| Run {
                traced: n == 0,
                seconds,
                calls: 1,
                stat_read_bytes: activity.read.bytes,
                data_units: None,
                wire_bytes: None,
                destination_sha256: "abc".into(),
            })
            .collect(),
        activity,
    }
}

/// The same on an NVMe device.
pub(crate) fn nvme_row(method: Method) -> Row {
    let mut row = row(method);
    row.source = "nvme0n1".into();
    row.destination = row.source.clone();
    row.activity.ranges = 8 * row.activity.copy.requests;
    for copy in &mut row.activity.copies {
        copy.src = None;
    }
    let units = if method.offloads() { 0 } else { 8 };
    for run in &mut row.runs {
        run.data_units = Some(DataUnits {
            read: units,
            written: units,
        });
    }
    row
}

/// The same over a wire.
pub(crate) fn fabric_row(method: Method) -> Row {
    let mut row = nvme_row(method);
    for run in &mut row.runs {
        run.data_units = None;
        run.wire_bytes = Some(if method.offloads() { 6 << 10 } else { 9 << 20 });
    }
    row
}

fn section(driver: Driver, rows: Vec<Row>) -> Section {
    Section {
        driver,
        disk: rows[0].source.clone(),
        disk_bytes: 9 << 20,
        copy_max_bytes: Some(1 << 20),
        copy_max_hw_bytes: Some(1 << 20),
        rows,
    }
}

pub(crate) fn report(nvme: bool) -> Report {
    let methods = [
        Method::OffloadDisk,
        Method::OffloadPartition,
        Method::Generic,
        Method::ReadWrite,
    ];
    let null_blk = section(Driver::NullBlk, methods.map(row).to_vec());
    let methods = [Method::OffloadDisk, Method::ReadWrite];
    let nvme = nvme.then(|| section(Driver::Nvme, methods.map(nvme_row).to_vec()));
    let fabric = nvme
        .is_some()
        .then(|| section(Driver::NvmeTcp, methods.map(fabric_row).to_vec()));
    let proofs: Vec<_> = std::iter::once(&null_blk)
        .chain(&nvme)
        .chain(&fabric)
        .flat_map(|section| section.rows.iter().map(|row| (section.driver, row)))
        .flat_map(|(driver, row)| proof::of_row(driver, row, 0, SIZE))
        .collect();
    Report {
        kernel: "7.3.4".into(),
        proved: proofs.iter().all(|proof| proof.holds),
        null_blk,
        nvme,
        fabric,
        proofs,
    }
}

#[test]
fn a_table_for_people() {
    let text = report(false).human();
    for word in [
        "nullb0 → nullb0p1",
        "copy_file_range, offloaded",
        "copy_file_range, offload off",
        "read + write, 1 MiB each",
    ] {
        assert!(text.contains(word), "{word} is missing in\n{text}");
    }
    assert!(text.contains("2.50 x") && text.contains("1.00 x"), "{text}");
    assert!(
        text.contains("4 MiB were copied on nullb0 by 4 copy requests, and as many by 4"),
        "{text}"
    );
    assert!(!text.contains("FAILED"), "{text}");
    assert!(
        text.contains("--guest qemu") && !text.contains("on NVMe"),
        "{text}"
    );
    narrow(&text);
}

fn narrow(text: &str) {
    let widest = text.lines().map(|line| line.chars().count()).max();
    assert!(widest < Some(120), "{text}");
}

#[test]
fn nvme_has_a_table_of_its_own() {
    let text = report(true).human();
    for part in [
        "nvme0n1 → nvme0n1",
        "one Copy command moves up to 1 MiB",
        " 0 + 0 ",
        "8 + 8",
        "4 MiB were copied on nullb0",
        "Proved on NVMe: 4 MiB were copied on nvme0n1 by 4 Copy commands",
        "units of 512,000 bytes",
        "32 ranges of 32 bytes, 1 KiB in all",
        "NVMe over TCP",
        "6 KiB crossed the wire, 0.065 % of the 9 MiB that",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    assert!(!text.contains("--guest qemu"), "{text}");
    narrow(&text);
}

#[test]
fn a_failure_is_not_called_proved() {
    let mut report = report(true);
    report.proofs[0].holds = false;
    report.proved = false;
    let text = report.human();
    assert!(
        text.contains("FAILED") && text.contains("NOT PROVED: 1 of"),
        "{text}"
    );
    assert!(!text.contains("Proved"), "{text}");
}

#[test]
fn an_object_for_programs() {
    let value = serde_json::to_value(report(true)).unwrap();
    assert_eq!(value["proved"], true);
    assert_eq!(value["rows"][0]["method"], "offload_disk");
    assert_eq!(value["rows"][0]["path"], "offload");
    assert_eq!(value["rows"][0]["runs"][0]["traced"], true);
    assert_eq!(value["rows"][0]["activity"]["copy"]["requests"], 4);
    assert_eq!(value["rows"][2]["bytes_crossed_memory"], 2 * SIZE);
    assert!(value["proofs"][0]["claim"].is_string());
    assert!(value["rows"][0]["runs"][0]["data_units"].is_null());
    let nvme = &value["nvme"];
    assert_eq!(nvme["driver"], "nvme");
    assert_eq!(nvme["rows"][0]["activity"]["ranges"], 32);
    assert_eq!(nvme["rows"][0]["runs"][3]["data_units"]["read"], 0);
    assert_eq!(nvme["rows"][1]["runs"][0]["data_units"]["written"], 8);
    let value = serde_json::to_value(report(false)).unwrap();
    assert!(value["nvme"].is_null());
}

#[test]
fn medians() {
    assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
    assert_eq!(median([5.0].into_iter()), 5.0);
    assert_eq!(median(std::iter::empty()), 0.0);
}
