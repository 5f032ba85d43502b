// SPDX-License-Identifier: GPL-2.0
//! The kernel with the option off: it builds, boots, shows nothing of copying, and costs no byte.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use anyhow::Result;

use super::guest::check;
use super::guest::script;
use super::report::Report;
use crate::build::Context;
use crate::build::Flavour;
use crate::build::Guest;
use crate::build::Variant;
use crate::build::When;
use crate::build::Work;
use crate::guest::Options;
use crate::guest::Outcome;
use crate::host::command::logged;
use crate::host::command::output;

/// What the guest must find, or rather not find.
const SCRIPT: &str = "\
modprobe null_blk nr_devices=1 memory_backed=1 gb=1 || exit 1
[ -e /sys/block/nullb0/queue/rotational ] || exit 2
found=$(find /sys/block/nullb0/ /sys/kernel/debug/block/nullb0/ /sys/module/null_blk/ -name '*copy*')
[ -z \"$found\" ] && exit 0
echo \"there is: $found\"
exit 3";

/// Runs the suite.
pub fn run(context: &Context, report: &mut Report) -> Result<()> {
    let options = Options {
        flavour: Flavour::Off,
        timeout: Duration::from_secs(120),
        ..Options::new(Guest::Um)
    };
    let kernel = crate::build::build(context, options.variant(), When::Changed)?;
    report.pass("the kernel builds");
    let name = "it boots, and sysfs has no copy files";
    let finished = script(context, report, &kernel, &options, SCRIPT, name)?;
    if context.repo.join("tests/off").is_dir() && finished.outcome != Outcome::TimedOut {
        check(context, report, &options, &["off"])?;
    }
    sizes(context, report)
}

/// `struct bio` must be of one size whether the option is on or off.
fn sizes(context: &Context, report: &mut Report) -> Result<()> {
    let name = "sizeof(struct bio) is the same with the option on and off";
    let on = size_of_bio(context, Variant::UM)?;
    let off = size_of_bio(
        context,
        Variant {
            flavour: Flavour::Off,
            ..Variant::UM
        },
    )?;
    if on == off {
        report.pass(&format!("{name} ({on} bytes)"));
    } else {
        report.fail(
            name,
            &format!("{on} bytes with the option on, {off} with it off"),
        );
    }
    Ok(())
}

/// Compiles an array of that size against a finished build and asks for the symbol's size.
fn size_of_bio(context: &Context, variant: Variant) -> Result<u64> {
    let _lock = context.cache.lock()?;
    let work = Work::new(context, variant)?;
    work.build(When::Changed)?;
    let dir = context.cache.root().join("probe").join(variant.to_string());
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let source = "#include <linux/bio.h>\nchar probe_size[sizeof(struct bio)];\n";
    fs::write(dir.join("probe.c"), source).context("cannot write a probe")?;
    fs::write(dir.join("Kbuild"), "obj-m := probe.o\n").context("cannot write a probe")?;
    let mut make = work.make()?;
    make.arg(format!("M={}", dir.display())).arg("probe.o");
    let log = context.cache.logs().join(format!("probe-{variant}.log"));
    logged(&mut make, &log, "", |_| {})?;
    let nm = work
        .llvm_tool("llvm-nm")
        .context("llvm-nm is not installed: run `./x setup`")?;
    symbol_size(&nm, &dir.join("probe.o"))
}

fn symbol_size(nm: &Path, object: &Path) -> Result<u64> {
    let text = output(Command::new(nm).arg("-S").arg(object))?;
    size_in(&text).with_context(|| format!("{} has no symbol probe_size", object.display()))
}

/// Reads the size out of `ADDRESS SIZE TYPE NAME`.
fn size_in(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.ends_with(" probe_size"))?;
    u64::from_str_radix(line.split_whitespace().nth(1)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_symbol_is_read() {
        let text = "0000000000000000 0000000000000070 B probe_size\n                 U memset\n";
        assert_eq!(size_in(text), Some(112));
        assert_eq!(size_in("nothing"), None);
    }
}
