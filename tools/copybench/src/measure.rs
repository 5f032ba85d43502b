// SPDX-License-Identifier: GPL-2.0
//! Ways to copy take turns, and each run is checked.

use std::time::Duration;

use anyhow::{anyhow, Context, Result};
use evidence::activity::Tally;
use evidence::disk::Disk;
use evidence::system;
use evidence::trace::{Scope, Trace};
use serde::Serialize;

use crate::counters::{Counted, Counters};
use crate::ratio;
use crate::way::Way;

/// Copies everything once, and says how long that took.
type Run<'a> = Box<dyn Fn() -> Result<Duration> + 'a>;

/// One way to copy.
pub struct Variant<'a> {
    pub label: String,
    pub way: Way,
    pub run: Run<'a>,
}

/// What is copied.
pub struct Setting<'a> {
    pub src: &'a Disk,
    pub dst: &'a Disk,
    pub bytes: u64,
}

/// What came of one way.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    pub label: String,
    pub way: Way,
    pub median_seconds: f64,
    pub bytes_per_second: f64,
    /// One of each round.
    pub seconds: Vec<f64>,
    /// What the driver executed in the run before the first round, which was traced.
    pub copies: Tally,
    /// What was counted in that run. The others were found to have counted the same.
    pub counted: Counted,
}

/// Runs each way once with a trace and then, in turns, `repeat` times without.
pub fn measure(
    setting: &Setting<'_>,
    variants: &[Variant<'_>],
    repeat: u32,
    say: &dyn Fn(&str),
) -> Result<Vec<Measured>> {
    system::mounted("/sys/kernel/debug", "debugfs")?;
    let mut found = Vec::new();
    say("  each way once, traced");
    for variant in variants {
        let requests = match variant.way {
            Way::Offload { command } | Way::Passthrough { command } => {
                setting.bytes.div_ceil(command.max(1))
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
            let median_seconds = ratio::median(&seconds);
            Measured {
                label: variant.label.clone(),
                way: variant.way,
                median_seconds,
                bytes_per_second: setting.bytes as f64 / median_seconds,
                seconds,
                copies,
                counted,
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
    let checked = variant.way.check(setting.bytes, copies, counted);
    checked.map_err(|why| anyhow!("{}: {why}", variant.label))
}
