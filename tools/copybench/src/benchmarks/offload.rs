// SPDX-License-Identifier: GPL-2.0
//! What a program gains: `copy_file_range` within a disk against reading and writing.

use anyhow::Result;
use blkcopy::size::human;

use super::{copy_file_range, filled, pair, read_and_write, Options};
use crate::measure::{measure, Setting, Variant};
use crate::way::Way;
use copyreport::{Benchmark, Ratio};

const BYTES: u64 = 256 << 20;
const STEP: u64 = 1 << 20;

pub fn run(options: &Options, say: &dyn Fn(&str)) -> Result<Benchmark> {
    let disk = filled(2 * BYTES, &[])?;
    let command = disk.copy_max_hw_bytes()?;
    let disk = &disk;
    let copy = move |max: u64| {
        disk.set_copy_max_bytes(max)?;
        copy_file_range(disk, BYTES)
    };
    let variants = [
        Variant::new("copy_file_range", Way::Offload { command }, move || {
            copy(command)
        }),
        Variant::new("the same, copy_max_bytes=0", Way::Kernel, move || copy(0)),
        Variant::new(
            format!("read + write, {} each", human(STEP)),
            Way::Program,
            move || read_and_write((disk, 0), (disk, BYTES), BYTES, STEP),
        ),
    ];
    let setting = Setting {
        src: disk,
        dst: disk,
        bytes: BYTES,
    };
    let variants = measure(&setting, &variants, options.repeat, say)?;
    let program = format!(
        "offloading is {{}} as fast as a program that reads and writes {} each",
        human(STEP)
    );
    let kernel = String::from("offloading is {} as fast as the kernel without it");
    Ok(Benchmark {
        name: "offload".into(),
        axis: None,
        title: format!("{} within one disk", human(BYTES)),
        ratios: vec![
            Ratio::new("rate_offload_program", program, pair(&variants, 2, 0)),
            Ratio::new("rate_offload_kernel", kernel, pair(&variants, 1, 0)),
        ],
        notes: Vec::new(),
        variants,
    })
}
