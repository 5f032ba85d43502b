// SPDX-License-Identifier: GPL-2.0
//! Reports for tests.

use crate::{Benchmark, Cost, Entry, Goal, Machine, Point, Proof, Ratio, Report, Row, SCHEMA};

pub fn row(label: &str, seconds: &[f64], copies: u64) -> Row {
    let bytes = 64 << 20;
    Row {
        label: label.into(),
        point: None,
        command: None,
        way: "offload".into(),
        ours: copies > 0,
        bytes,
        median_seconds: crate::stats::median(seconds),
        bytes_per_second: bytes as f64 / crate::stats::median(seconds),
        seconds: seconds.into(),
        proof: Proof {
            copies,
            copied: bytes,
            ..Proof::default()
        },
        evidence: format!("{copies} copies, nothing read"),
        cost: Cost {
            context_switches: Some(7),
            in_memory: (copies > 0).then_some(0),
            copying: (copies > 0).then_some(1 << 20),
        },
    }
}

/// Commands of two sizes, a sweep, and one that has failed.
pub fn report() -> Report {
    let variants = vec![
        row("4 KiB", &[0.04, 0.05, 0.04], 16384),
        row("1 MiB", &[0.02, 0.02, 0.02], 64),
    ];
    let sentence = String::from("4 KiB takes {} as long as 1 MiB");
    let ratio = Ratio::new(
        "time",
        sentence,
        (&variants[0].seconds, &variants[1].seconds),
    )
    .with_goal(Goal::AtMost(1.5))
    .because("a command has <its> price");
    let chunk = Benchmark {
        name: "chunk".into(),
        title: "64 MiB & more".into(),
        axis: None,
        variants,
        ratios: vec![ratio],
        notes: vec!["1 ns for each".into()],
    };
    let mut points = Vec::new();
    for (at, factor) in [("0", 1.0), ("20 us", 2.0), ("100 us", 6.0)] {
        for (series, time, copies) in [("offload", 0.01, 64), ("read + write", 0.05, 0)] {
            let mut point = row(&format!("{series}, {at}"), &[time * factor; 3], copies);
            point.point = Some(Point {
                series: series.into(),
                at: at.into(),
            });
            points.push(point);
        }
    }
    let sweep = Benchmark {
        name: "latency".into(),
        title: "64 MiB".into(),
        axis: Some("latency".into()),
        variants: points,
        ratios: Vec::new(),
        notes: Vec::new(),
    };
    let (name, error) = ("onload".into(), "no module".into());
    Report {
        schema: SCHEMA,
        kernel: "7.3.4".into(),
        repeat: 3,
        machine: Some(Machine {
            cpu: "Fast & Cheap <3>".into(),
            cpus: 2,
            guest_cpus: 1,
            guest_memory: 2 << 30,
            guest: "um".into(),
            host: "6.1".into(),
            date: "2026-01-01 00:00".into(),
            commit: "abc".into(),
            command: "./x bench".into(),
        }),
        benchmarks: vec![
            Entry::Result(Box::new(chunk)),
            Entry::Result(Box::new(sweep)),
            Entry::Error { name, error },
        ],
    }
}
