// SPDX-License-Identifier: GPL-2.0
//! Another architecture: 32-bit Arm, where the kernel has no function to divide by a 64-bit variable, so code that does
//! it does not link.

use std::fs;

use anyhow::Result;

use super::kernel::judge_built;
use super::kernel::recompile;
use super::report::Report;
use crate::build::Context;
use crate::build::Variant;
use crate::build::When;
use crate::build::Work;

/// Runs the suite.
pub fn run(context: &Context, report: &mut Report) -> Result<()> {
    let _lock = context.cache.lock()?;
    let work = Work::new(context, Variant::ARM)?;
    let name = "the kernel for 32-bit Arm builds, and links without a 64-bit division";
    // What is compiled anew says its warnings.
    recompile(&work)?;
    match work.build(When::Always) {
        Ok(_) => {
            report.pass(name);
            judge_built(&work, report)?;
        }
        Err(error) => {
            let log = fs::read(work.log()).unwrap_or_default();
            let undefined = undefined(&String::from_utf8_lossy(&log));
            if undefined.is_empty() {
                report.fail(name, &format!("{error:#}"));
            } else {
                report.fail(name, &undefined.join("\n"));
            }
        }
    }
    Ok(())
}

/// What the linker did not find, and what refers to it.
fn undefined(log: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut inside = false;
    for line in log.lines() {
        inside = line.contains("undefined symbol: ") || inside && line.starts_with(">>> ");
        if inside {
            found.push(String::from(line));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_functions_are_named() {
        let log = "  LD      .tmp_vmlinux1\nld.lld-22: error: undefined symbol: __aeabi_uldivmod\n\
                   >>> referenced by blk_copy.rs\n>>>               vmlinux.o:(blk_copy)\nmake: ***\n";
        let found = undefined(log);
        assert_eq!(found.len(), 3);
        assert!(found[0].ends_with("__aeabi_uldivmod"));
        assert!(undefined("  LD vmlinux\n").is_empty());
    }
}
