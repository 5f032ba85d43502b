// SPDX-License-Identifier: GPL-2.0
//! The same as `small`, in instructions: in a guest whose time counts them, a nanosecond for each. That has no noise
//! of other programs, caches or the machine, and says nothing of waits for memory.

use std::arch::asm;
use std::time::Instant;

use anyhow::{ensure, Result};
use copyreport::{Benchmark, Row};
use evidence::disk::Disk;

use super::{filled, small, Options};
use crate::measure::{measure, Setting, Variant};
use crate::module;
use crate::way::Way;

/// Iterations of the loop whose length is known, and its instructions.
const LOOP: u64 = 10_000_000;
const BODY: u64 = 2;

/// How exact the time has to be: ticks of the kernel come in between.
const WITHIN: f64 = 0.03;

const COMMAND: u64 = 1 << 20;
const FEW: u64 = 8;
const MANY: u64 = 24;

pub fn run(options: &Options, say: &dyn Fn(&str)) -> Result<Benchmark> {
    module::load()?;
    let each = nanoseconds_of_loop() / (LOOP * BODY) as f64;
    ensure!(
        (each - 1.0).abs() < WITHIN,
        "an instruction takes {each:.3} ns of this guest's time instead of 1: run `./x bench instructions --guest qemu`"
    );
    let mut benchmark = small::run(options, say)?;
    let mut notes = vec![format!(
        "a loop of {} instructions took {each:.4} ns for each",
        LOOP * BODY
    )];
    notes.extend(benchmark.variants.iter().map(|row| {
        let count = row.median_seconds * 1e9 / (row.bytes / small::SIZE) as f64;
        format!("{}: {count:.0} instructions for each 4 KiB", row.label)
    }));
    say("  large commands");
    let most = 2 * MANY * COMMAND;
    let nothing = further_command(&Disk::unwritten(most, &[])?, options, say)?;
    let moved = further_command(&filled(most, &[])?, options, say)?;
    // What null_blk does for each page, since that is nearly all of a large command.
    let page = moved * small::SIZE as f64 / COMMAND as f64;
    notes.push(format!(
        "one more command of 1 MiB: {moved:.0} instructions, or {nothing:.0} if it has nothing to move"
    ));
    for ratio in &mut benchmark.ratios {
        ratio.name = ratio.name.replace("time_small", "instructions");
        ratio.sentence = ratio
            .sentence
            .replace("as long as", "as many instructions as");
        if ratio.is_missed() {
            ratio.reason = Some(format!(
                "null_blk needs {page:.0} for each 4 KiB that it moves in large commands"
            ));
        }
    }
    Ok(Benchmark {
        name: "instructions".into(),
        title: format!("{}; a nanosecond is an instruction", benchmark.title),
        notes,
        ..benchmark
    })
}

/// How long a loop takes that is known instruction by instruction.
fn nanoseconds_of_loop() -> f64 {
    let started = Instant::now();
    // SAFETY: It counts a register down, and touches nothing else.
    unsafe {
        asm!("2:", "dec {0}", "jnz 2b", inout(reg) LOOP => _, options(nomem, nostack));
    }
    started.elapsed().as_secs_f64() * 1e9
}

/// What each command of a copy costs but the first ones, in nanoseconds.
fn further_command(disk: &Disk, options: &Options, say: &dyn Fn(&str)) -> Result<f64> {
    let most = MANY * COMMAND;
    let variants = [FEW, MANY].map(|count| {
        let bytes = count * COMMAND;
        let copy = move || module::copy("offload", (disk, 0), (disk, most), bytes);
        Variant::new(
            format!("{count} commands"),
            Way::Offload { command: COMMAND },
            copy,
        )
        .bytes(bytes)
    });
    let setting = Setting {
        src: disk,
        dst: disk,
        bytes: most,
    };
    let rows = measure(&setting, &variants, options.repeat, say)?;
    Ok(each_further(&rows))
}

fn each_further(rows: &[Row]) -> f64 {
    let [few, many] = rows else { return 0.0 };
    (many.median_seconds - few.median_seconds) * 1e9 / (MANY - FEW) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loop_ends() {
        assert!(nanoseconds_of_loop() > 0.0);
    }
}
