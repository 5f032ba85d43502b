// SPDX-License-Identifier: GPL-2.0
//! Ways to copy take turns, and each run is checked.

use std::time::Duration;

use anyhow::{anyhow, Context, Result};
use copyreport::{stats, Point, Proof, Row};
use evidence::activity::Tally;
use evidence::disk::Disk;
use evidence::system;
use evidence::trace::{Scope, Trace};

use crate::counters::{Counted, Counters};
use crate::way::{words, Way};

/// Copies everything once, and says how long that took.
type Run<'a> = Box<dyn Fn() -> Result<Duration> + 'a>;

/// One way to copy.
pub struct Variant<'a> {
    label: String,
    way: Way,
    run: Run<'a>,
    point: Option<Point>,
    command: Option<String>,
    bytes: Option<u64>,
}

impl<'a> Variant<'a> {
    pub fn new(
        label: impl Into<String>,
        way: Way,
        run: impl Fn() -> Result<Duration> + 'a,
    ) -> Self {
        Self {
            label: label.into(),
            way,
            run: Box::new(run),
            point: None,
            command: None,
            bytes: None,
        }
    }

    /// A point of a series.
    pub fn point(
        series: &str,
        at: &str,
        way: Way,
        run: impl Fn() -> Result<Duration> + 'a,
    ) -> Self {
        let (series, at) = (String::from(series), String::from(at));
        Self {
            point: Some(Point {
                series: series.clone(),
                at: at.clone(),
            }),
            ..Self::new(format!("{series}, {at}"), way, run)
        }
    }

    fn of(&self, setting: &Setting<'_>) -> u64 {
        self.bytes.unwrap_or(setting.bytes)
    }

    /// Copies another amount than the others.
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = Some(bytes);
        self
    }

    /// Says what a user would type.
    pub fn command(mut self, command: impl Into<String>) -> Self {
        self.command = Some(command.into());
        self
    }
}

/// What is copied.
pub struct Setting<'a> {
    pub src: &'a Disk,
    pub dst: &'a Disk,
    pub bytes: u64,
}

/// Runs each way once with a trace and then, in turns, `repeat` times without.
pub fn measure(
    setting: &Setting<'_>,
    variants: &[Variant<'_>],
    repeat: u32,
    say: &dyn Fn(&str),
) -> Result<Vec<Row>> {
    system::mounted("/sys/kernel/debug", "debugfs")?;
    let mut found = Vec::new();
    say("  each way once, traced");
    for variant in variants {
        let requests = match variant.way {
            Way::Offload { command } | Way::Passthrough { command } => {
                variant.of(setting).div_ceil(command.max(1))
            }
            _ => 0,
        };
        // Room for twice as many, because what should not be there has to be seen.
        let trace = Trace::new(setting.dst, Scope::Copies, 2 * requests + 4096)?;
        let traced = trace.record(|| once(setting, variant));
        let ((_, counted), activity) = traced.with_context(|| variant.label.clone())?;
        check(setting, variant, Some(activity.copy), &counted)?;
        found.push((activity.copy, counted));
    }
    let mut seconds = vec![Vec::new(); variants.len()];
    for round in 1..=repeat {
        say(&format!("  round {round} of {repeat}"));
        for (variant, seconds) in variants.iter().zip(&mut seconds) {
            let (time, counted) = once(setting, variant).with_context(|| variant.label.clone())?;
            check(setting, variant, None, &counted)?;
            seconds.push(time.as_secs_f64());
        }
    }
    let all = variants.iter().zip(seconds).zip(found);
    Ok(all
        .map(|((variant, seconds), (copies, counted))| {
            let bytes = variant.of(setting);
            let median_seconds = stats::median(&seconds);
            Row {
                label: variant.label.clone(),
                point: variant.point.clone(),
                command: variant.command.clone(),
                way: variant.way.name().into(),
                ours: variant.way.is_ours(&counted),
                bytes,
                median_seconds,
                bytes_per_second: bytes as f64 / median_seconds,
                seconds,
                proof: proof(copies, &counted),
                evidence: words(copies, &counted),
            }
        })
        .collect())
}

fn once(setting: &Setting<'_>, variant: &Variant<'_>) -> Result<(Duration, Counted)> {
    let counters = Counters::start(setting.src, setting.dst)?;
    let time = (variant.run)()?;
    Ok((time, counters.counted()?))
}

fn check(
    setting: &Setting<'_>,
    variant: &Variant<'_>,
    copies: Option<Tally>,
    counted: &Counted,
) -> Result<()> {
    let checked = variant.way.check(variant.of(setting), copies, counted);
    checked.map_err(|why| anyhow!("{}: {why}", variant.label))
}

fn proof(copies: Tally, counted: &Counted) -> Proof {
    Proof {
        copies: copies.requests,
        copied: copies.bytes,
        read: counted.read,
        reads: counted.reads,
        offloaded: counted.stats.map(|stats| stats.offloaded),
        onloaded: counted.stats.map(|stats| stats.onloaded),
        pieces: counted.stats.map(|stats| stats.pieces),
    }
}
