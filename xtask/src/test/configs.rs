// SPDX-License-Identifier: GPL-2.0
//! Small kernels, each without a part that our code can use but need not have. Each builds without
//! a warning, boots, and copies.

use std::time::Duration;

use anyhow::Context as _;
use anyhow::Result;

use super::guest::script;
use super::kernel::judge_built;
use super::kernel::recompile;
use super::report::Report;
use crate::build::Context;
use crate::build::Kernel;
use crate::build::Part;
use crate::build::Variant;
use crate::build::When;
use crate::build::Work;
use crate::guest::Options;
use crate::tools;
use crate::ui;

/// A disk that can copy, made by a driver that is built in.
const DISK: &str = "null_blk.nr_devices=1 null_blk.memory_backed=1 null_blk.gb=1";

/// What the guest must find, and do.
const SCRIPT: &str = "\
max=$(cat /sys/block/nullb0/queue/copy_max_bytes) || exit 1
echo \"copy_max_bytes is $max\"
[ \"$max\" -gt 0 ] || exit 2
cfr fill /dev/nullb0 --len 16M || exit 3
blkcopy /dev/nullb0 /dev/nullb0 --dst-offset 32M --length 16M --require-offload || exit 4
cfr check /dev/nullb0 --off 32M --len 16M --from 0 || exit 5";

/// Runs the suite.
pub fn run(context: &Context, report: &mut Report) -> Result<()> {
    tools::build(context)?;
    for (index, part) in Part::ALL.into_iter().enumerate() {
        let variant = Variant::without(part);
        ui::note(&format!("{} of {}: {variant}", index + 1, Part::ALL.len()));
        // The others tell something even if this one does not build.
        match build(context, report, variant, index == 0) {
            Ok(kernel) => start(context, report, &kernel)?,
            Err(error) => report.fail(&format!("{variant} builds"), &format!("{error:#}")),
        }
    }
    Ok(())
}

/// Builds a kernel, and looks at its options and at what the compilers said.
fn build(
    context: &Context,
    report: &mut Report,
    variant: Variant,
    is_first: bool,
) -> Result<Kernel> {
    let _lock = context.cache.lock()?;
    let work = Work::new(context, variant)?;
    if is_first {
        // All build after that, and so compile our files anew.
        recompile(&work)?;
    }
    let kernel = work.build(When::Always)?;
    report.pass(&format!("{variant} builds"));
    judge_built(&work, report)?;
    Ok(kernel)
}

/// Boots a kernel, and has a disk copy.
fn start(context: &Context, report: &mut Report, kernel: &Kernel) -> Result<()> {
    let variant = kernel.variant;
    let name = format!("{variant} boots, and a disk copies");
    script(context, report, kernel, &options(variant), SCRIPT, &name)
        .with_context(|| format!("cannot run the {variant} guest"))?;
    Ok(())
}

fn options(variant: Variant) -> Options {
    let Variant { guest, flavour } = variant;
    Options {
        flavour,
        timeout: Duration::from_secs(120),
        append: vec![String::from(DISK)],
        ..Options::new(guest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::Guest;

    #[test]
    fn each_guest_is_of_its_kernel() {
        for part in Part::ALL {
            let options = options(Variant::without(part));
            assert_eq!(options.variant(), Variant::without(part));
            assert_eq!(options.guest, Guest::Um);
        }
    }
}
