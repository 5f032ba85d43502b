// SPDX-License-Identifier: GPL-2.0
//! What the kernel's engine for reading and writing gains, between two disks that take their time.

use std::time::Duration;

use anyhow::{bail, Result};
use blkcopy::size::human;

use super::{filled, pair, read_and_write, Options};
use crate::measure::{measure, Setting, Variant};
use crate::module;
use crate::peers;
use crate::way::Way;
use crate::why;
use copyreport::{Benchmark, Goal, Proof, Ratio};

/// A disk is no larger, because it is in memory; it is copied several times.
const DISK: u64 = 512 << 20;

/// Each request takes 100 us, however large it is.
const LATENCY: [(&str, &str); 2] = [("irqmode", "2"), ("completion_nsec", "100000")];

/// At least so many times as fast as a program that reads and writes as much at a time.
const AGAINST_LOOP: Goal = Goal::AtLeast(4.0);
/// The same, against `dd` with 1 MiB at a time.
const AGAINST_DD: Goal = Goal::AtLeast(1.0);

pub fn run(options: &Options, say: &dyn Fn(&str)) -> Result<Benchmark> {
    let plan = Plan::new(options)?;
    module::load()?;
    let (src, dst) = (filled(plan.disk, &LATENCY)?, filled(plan.disk, &LATENCY)?);
    let (src, dst, piece) = (&src, &dst, options.piece);
    let variants = [
        Variant::new("onload", Way::Onload, move || {
            plan.each(|| module::copy("onload", (src, 0), (dst, 0), plan.disk))
        }),
        Variant::new(
            format!("read + write, {} each", human(piece)),
            Way::Program,
            move || plan.each(|| read_and_write((src, 0), (dst, 0), plan.disk, piece)),
        ),
        Variant::new("dd bs=1M, direct", Way::Program, move || {
            plan.each(|| peers::dd(&src.path, &dst.path, 1 << 20))
        }),
    ];
    let setting = Setting {
        src,
        dst,
        bytes: plan.bytes,
    };
    let variants = measure(&setting, &variants, options.repeat, say)?;
    let program = format!(
        "onload is {{}} as fast as reading and writing {} each",
        human(piece)
    );
    let ratios = vec![
        Ratio::new("rate_onload_loop", program, pair(&variants, 1, 0))
            .with_goal(AGAINST_LOOP)
            .because(why::requests(&variants[0], &variants[1])),
        Ratio::new(
            "rate_onload_dd",
            "onload is {} as fast as dd bs=1M",
            pair(&variants, 2, 0),
        )
        .with_goal(AGAINST_DD)
        .because(why::requests(&variants[0], &variants[2])),
    ];
    let mut notes = Vec::new();
    let engine = mean_piece(&variants[0].proof);
    if let Some(mean) = engine.filter(|mean| *mean != piece) {
        notes.push(format!(
            "the engine's pieces are of {}: say so with --piece",
            human(mean)
        ));
    }
    Ok(Benchmark {
        name: "onload".into(),
        axis: None,
        title: format!(
            "{} between two disks with a latency of 100 us",
            human(plan.bytes)
        ),
        variants,
        ratios,
        notes,
    })
}

/// The mean length of what the engine has read and written at a time.
fn mean_piece(proof: &Proof) -> Option<u64> {
    proof.onloaded?.checked_div(proof.pieces?)
}

/// How often disks of which size are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plan {
    disk: u64,
    times: u64,
    bytes: u64,
}

impl Plan {
    fn new(options: &Options) -> Result<Self> {
        let (size, piece) = (options.size, options.piece);
        let disk = size.min(DISK);
        if size == 0 || size % (1 << 20) != 0 || size % disk != 0 {
            bail!(
                "--size has to be in whole MiB, and above {0} a multiple of {0}",
                human(DISK)
            );
        }
        if piece == 0 || piece % 4096 != 0 || piece > 1 << 30 {
            bail!("--piece has to be a multiple of 4 KiB, and at most 1 GiB");
        }
        Ok(Self {
            disk,
            times: size / disk,
            bytes: size,
        })
    }

    /// Runs one copy of a disk as often as it takes.
    fn each(self, copy: impl Fn() -> Result<Duration>) -> Result<Duration> {
        let mut time = Duration::ZERO;
        for _ in 0..self.times {
            time += copy()?;
        }
        Ok(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(size: u64, piece: u64) -> Result<Plan> {
        let repeat = 1;
        Plan::new(&Options {
            effort: crate::benchmarks::Effort::Normal,
            repeat,
            size,
            piece,
        })
    }

    #[test]
    fn disks_are_small_enough() {
        let one = |disk, times| Plan {
            disk,
            times,
            bytes: disk * times,
        };
        assert_eq!(plan(1 << 30, 65536).unwrap(), one(DISK, 2));
        assert_eq!(plan(64 << 20, 65536).unwrap(), one(64 << 20, 1));
        assert_eq!(plan(DISK, 4096).unwrap(), one(DISK, 1));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (size, piece) in [
            (0, 65536),
            (4096, 65536),
            (DISK + (1 << 20), 65536),
            (DISK, 0),
            (DISK, 512),
            (DISK, 1 << 40),
        ] {
            assert!(plan(size, piece).is_err(), "{size} {piece}");
        }
    }

    #[test]
    fn times_add_up() {
        let plan = plan(1 << 30, 65536).unwrap();
        let second = Duration::from_secs(1);
        assert_eq!(plan.each(|| Ok(second)).unwrap(), 2 * second);
    }
}
