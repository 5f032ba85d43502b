// SPDX-License-Identifier: GPL-2.0
//! Why a goal is missed, from what was measured and counted.

use blkcopy::size::human;
use copyreport::units::{count, size, time};
use copyreport::Row;

/// Why one of two that read and write is slower.
pub fn requests(ours: &Row, peer: &Row) -> String {
    format!(
        "it needs {}; the peer needs {}",
        reading(ours),
        reading(peer)
    )
}

fn reading(row: &Row) -> String {
    let mean = row.proof.read.checked_div(row.proof.reads).unwrap_or(0);
    let mut text = format!(
        "{} for each MiB and {} context switches, and reads by {} KiB in the mean",
        time(each(row, 1 << 20)),
        count(row.cost.context_switches),
        mean >> 10
    );
    if row.cost.in_memory.is_some() {
        text += &format!(", with at most {} in memory", size(row.cost.in_memory));
    }
    text
}

/// Why one of two that have the device copy is slower, if both send the same commands.
pub fn commands(ours: &Row, peer: &Row) -> String {
    format!("it needs {}; the other {}", copying(ours), copying(peer))
}

fn copying(row: &Row) -> String {
    format!(
        "{} for each of {} commands and {} context switches, with at most {} under way",
        time(each_command(row)),
        row.proof.copies,
        count(row.cost.context_switches),
        size(row.cost.copying)
    )
}

/// Why commands are slower than something that reads and writes, or less faster than they should be.
pub fn against_reading(ours: &Row, peer: &Row) -> String {
    format!(
        "it needs {}; the program needs {}",
        copying(ours),
        reading(peer)
    )
}

/// What a command takes, in seconds.
pub fn each_command(row: &Row) -> f64 {
    row.median_seconds / row.proof.copies.max(1) as f64
}

/// What so many bytes take.
fn each(row: &Row, bytes: u64) -> f64 {
    row.median_seconds * bytes as f64 / row.bytes as f64
}

/// What each command costs by which one of two copies has more than the other one, in seconds.
pub fn further_command(more: &Row, fewer: &Row) -> Option<f64> {
    let further = more.proof.copies.checked_sub(fewer.proof.copies)?;
    (further > 0).then(|| (more.median_seconds - fewer.median_seconds) / further as f64)
}

/// What a disk that moves nothing takes for the same commands.
pub fn way_there(row: &Row, nothing_moved: f64) -> String {
    format!(
        "of {} for each {}, the way to the driver and back takes {}; the rest is null_blk, which looks up and copies \
         page by page",
        time(each_command(row)),
        human(row.bytes / row.proof.copies.max(1)),
        time(nothing_moved)
    )
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use copyreport::{Cost, Proof};

    /// Makes a row: 64 MiB within one disk took `seconds`, with so many commands (`copies`) and `reads`.
    pub fn row(seconds: f64, copies: u64, reads: u64) -> Row {
        let bytes = 64 << 20;
        Row {
            label: String::new(),
            point: None,
            command: None,
            way: String::new(),
            ours: true,
            bytes,
            median_seconds: seconds,
            bytes_per_second: bytes as f64 / seconds,
            seconds: vec![seconds],
            proof: Proof {
                copies,
                read: if reads > 0 { bytes } else { 0 },
                reads,
                ..Proof::default()
            },
            evidence: String::new(),
            cost: Cost {
                context_switches: Some(12),
                in_memory: Some(8 << 20),
                copying: Some(1 << 20),
            },
        }
    }

    #[test]
    fn who_reads_and_writes() {
        assert_eq!(
            requests(&row(0.64, 0, 1024), &row(0.32, 0, 64)),
            "it needs 10.0 ms for each MiB and 12 context switches, and reads by 64 KiB in the mean, with at most 8 MiB \
             in memory; the peer needs 5.0 ms for each MiB and 12 context switches, and reads by 1024 KiB in the mean, \
             with at most 8 MiB in memory"
        );
    }

    #[test]
    fn who_has_the_device_copy() {
        assert_eq!(
            commands(&row(0.64, 64, 0), &row(0.32, 64, 0)),
            "it needs 10.0 ms for each of 64 commands and 12 context switches, with at most 1 MiB under way; the other \
             5.0 ms for each of 64 commands and 12 context switches, with at most 1 MiB under way"
        );
        let text = against_reading(&row(0.64, 64, 0), &row(0.32, 0, 64));
        assert!(
            text.contains("; the program needs 5.0 ms for each MiB"),
            "{text}"
        );
    }

    #[test]
    fn what_commands_cost() {
        let (more, fewer) = (row(0.96, 96, 0), row(0.64, 64, 0));
        assert!((further_command(&more, &fewer).unwrap() - 0.01).abs() < 1e-12);
        assert_eq!(further_command(&fewer, &more), None);
        assert_eq!(further_command(&more, &more), None);
        assert_eq!(
            way_there(&fewer, 0.004),
            "of 10.0 ms for each 1 MiB, the way to the driver and back takes 4.0 ms; the rest is null_blk, which looks \
             up and copies page by page"
        );
    }
}
