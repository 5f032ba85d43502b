// SPDX-License-Identifier: GPL-2.0
//! What a command costs: the same copy, by one call, in small commands and in large ones.

use anyhow::{bail, Result};
use blkcopy::size::human;

use super::{discard, filled, pair, Options};
use crate::measure::{measure, Setting, Variant};
use crate::module;
use crate::way::Way;
use copyreport::{Benchmark, Ratio, Row};

const BYTES: u64 = 64 << 20;
const SMALL: u64 = 4096;
const LARGE: u64 = 1 << 20;

pub fn run(options: &Options, say: &dyn Fn(&str)) -> Result<Benchmark> {
    module::load()?;
    let disk = filled(2 * BYTES, &[])?;
    if disk.copy_max_hw_bytes()? < LARGE {
        bail!(
            "null_blk copies less than {} with one command",
            human(LARGE)
        );
    }
    let variant = |max: u64| {
        Variant::new(
            format!("commands of {}", human(max)),
            Way::Offload { command: max },
            {
                let disk = &disk;
                move || {
                    disk.set_copy_max_bytes(max)?;
                    module::copy("offload", (disk, 0), (disk, BYTES), BYTES)
                }
            },
        )
    };
    let setting = Setting {
        src: &disk,
        dst: &disk,
        bytes: BYTES,
    };
    let variants = measure(
        &setting,
        &[variant(SMALL), variant(LARGE)],
        options.repeat,
        say,
    )?;
    let sentence = format!(
        "commands of {} take {{}} as long as of {}",
        human(SMALL),
        human(LARGE)
    );
    let ratio = Ratio::new("time_small_large", sentence, pair(&variants, 0, 1));
    let each = nanoseconds_each(&variants[0], &variants[1]);
    drop(disk);
    say("  discards, for comparison");
    let discard = discard::nanoseconds_each(BYTES, SMALL, LARGE, options.repeat)?;
    // What the small commands would take if each of them cost no more than that.
    let least = discard_ratio(&variants[0], &variants[1], discard);
    Ok(Benchmark {
        name: "chunk".into(),
        axis: None,
        title: format!("{} within one disk, offloaded by one call", human(BYTES)),
        ratios: vec![ratio],
        notes: vec![
            format!("each further command costs {each:.0} ns"),
            format!(
                "a discard of what was never written costs {discard:.0} ns: with that per command the \
                 ratio would be {least:.2}"
            ),
        ],
        variants,
    })
}

fn discard_ratio(small: &Row, large: &Row, each: f64) -> f64 {
    let further = small.proof.copies - large.proof.copies;
    1.0 + further as f64 * each / 1e9 / large.median_seconds
}

fn nanoseconds_each(small: &Row, large: &Row) -> f64 {
    let further = small.proof.copies - large.proof.copies;
    (small.median_seconds - large.median_seconds) * 1e9 / further as f64
}
