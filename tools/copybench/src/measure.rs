// SPDX-License-Identifier: GPL-2.0
//! Ways to copy take turns, and each run is checked.

use std::time::Duration;

use anyhow::{anyhow, Context, Result};
use copyreport::{stats, Cost, Point, Proof, Row};
use evidence::activity::Tally;
use evidence::disk::Disk;
use evidence::flow::Flow;
use evidence::system;
use evidence::trace::{Scope, Trace};

use crate::counters::{self, Counted, Counters};
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
    place: Option<Place<'a>>,
}

/// Where it is copied, and where that is looked at.
#[derive(Clone, Copy)]
struct Place<'a> {
    src: &'a Disk,
    dst: &'a Disk,
    /// A disk below both of them, and how many times as much as it does they do.
    below: Option<(&'a Disk, u64)>,
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
            place: None,
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

    fn place<'b>(&'b self, setting: &'b Setting<'_>) -> Place<'b> {
        self.place.unwrap_or(Place {
            src: setting.src,
            dst: setting.dst,
            below: None,
        })
    }

    /// Copies within another disk than the others do. What it reads and copies is looked at where a driver does that:
    /// on a disk below it, if there are any, of which this is the first of so many that all do the same.
    pub fn within(mut self, disk: &'a Disk, below: Option<(&'a Disk, u64)>) -> Self {
        self.place = Some(Place {
            src: disk,
            dst: disk,
            below,
        });
        self
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

impl<'a> Place<'a> {
    /// Whose requests are traced.
    fn traced(&self) -> &'a Disk {
        self.below.map_or(self.dst, |(disk, _)| disk)
    }

    fn share(&self) -> u64 {
        self.below.map_or(1, |(_, share)| share)
    }

    /// All that the disks do, if one of them does so much.
    fn all(&self, one: Tally) -> Tally {
        Tally {
            requests: one.requests * self.share(),
            bytes: one.bytes * self.share(),
        }
    }
}

/// One run.
struct Once {
    time: Duration,
    counted: Counted,
    switches: u64,
}

/// The most reads and writes that there is room for in a trace.
const EVENTS: u64 = 1 << 18;

/// A way whose last run took longer than these seconds needs no untimed run: caches hardly matter to it.
const LONG: f64 = 1.0;

/// Runs each way once with a trace and then, in turns, `repeat` times without.
///
/// Each timed run follows an untimed run of the same way, unless the last run was [`LONG`]. Without that, a way pays for what
/// the way before it did to the processor's caches: a third of its time where memory is slow.
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
        let traced = traced(setting, variant).with_context(|| variant.label.clone())?;
        let (copies, counted, _) = &traced;
        check(setting, variant, Some(*copies), counted)?;
        found.push(traced);
    }
    let mut seconds = vec![Vec::new(); variants.len()];
    let mut switches = vec![Vec::new(); variants.len()];
    for round in 1..=repeat {
        say(&format!("  round {round} of {repeat}"));
        let results = seconds.iter_mut().zip(&mut switches);
        for (variant, (seconds, switches)) in variants.iter().zip(results) {
            let run = || -> Result<Once> {
                let run = once(setting, variant).with_context(|| variant.label.clone())?;
                check(setting, variant, None, &run.counted)?;
                Ok(run)
            };
            if seconds.last().is_none_or(|last| *last < LONG) {
                run()?;
            }
            let run = run()?;
            seconds.push(run.time.as_secs_f64());
            switches.push(run.switches as f64);
        }
    }
    let all = variants.iter().zip(seconds).zip(switches).zip(found);
    Ok(all
        .map(
            |(((variant, seconds), switches), (copies, counted, flow))| {
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
                    cost: cost(variant.way, &switches, flow),
                }
            },
        )
        .collect())
}

/// Runs it with traces of what the driver copies, and of when data is read and written.
fn traced(setting: &Setting<'_>, variant: &Variant<'_>) -> Result<(Tally, Counted, Option<Flow>)> {
    let (place, bytes) = (variant.place(setting), variant.of(setting));
    let (copies, moves) = match variant.way {
        Way::Offload { command }
        | Way::Passthrough { command }
        | Way::Gathered { piece: command } => {
            let requests = bytes.div_ceil(command.max(1));
            (requests, 2 * requests)
        }
        // At worst it reads and writes page by page.
        _ => (0, bytes / 2048),
    };
    // Room for twice as many, because what should not be there has to be seen.
    let trace = Trace::new(place.traced(), Scope::Copies, 2 * copies + 4096)?;
    let flow = Trace::new(place.dst, Scope::Flow, (moves + 4096).min(EVENTS))?;
    let disks = [place.src, place.dst];
    let (recorded, flow) = flow.follow(&disks, || trace.record(|| once(setting, variant)))?;
    let (run, activity) = recorded;
    Ok((place.all(activity.copy), run.counted, flow))
}

fn once(setting: &Setting<'_>, variant: &Variant<'_>) -> Result<Once> {
    let place = variant.place(setting);
    let src = place.below.map_or(place.src, |(disk, _)| disk);
    let counters = Counters::start(src, place.dst)?;
    let before = counters::context_switches()?;
    let time = (variant.run)()?;
    let switches = counters::context_switches()? - before;
    let counted = counters.counted()?.times(place.share());
    Ok(Once {
        time,
        counted,
        switches,
    })
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

fn cost(way: Way, switches: &[f64], flow: Option<Flow>) -> Cost {
    // What a program has in memory before it starts is in no trace.
    let in_memory = flow.filter(|_| !way.has_data());
    Cost {
        context_switches: Some(stats::median(switches) as u64),
        in_memory: in_memory.and_then(|flow| flow.most_in_memory()),
        copying: flow.map(|flow| flow.most_copying()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evidence::disk::Driver;

    #[test]
    fn one_of_several_disks_does_its_share() {
        let disk = |name: &str| Disk::found(name.into(), "/dev/null".into(), Driver::NullBlk);
        let (stacked, first) = (disk("dm-0"), disk("nullb0"));
        let place = Place {
            src: &stacked,
            dst: &stacked,
            below: Some((&first, 4)),
        };
        let one = Tally {
            requests: 16,
            bytes: 1 << 20,
        };
        let (all, counted) = (place.all(one), Counted::default());
        let way = Way::Offload { command: 65536 };
        assert_eq!(place.traced().name, "nullb0");
        assert!(way.check(4 << 20, Some(all), &counted).is_ok());
        assert!(way.check(4 << 20, Some(one), &counted).is_err());
        let alone = Place {
            below: None,
            ..place
        };
        assert_eq!((alone.all(one), &*alone.traced().name), (one, "dm-0"));
    }
}
