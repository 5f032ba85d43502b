// SPDX-License-Identifier: GPL-2.0
//! Where something was measured, and what.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use copyreport::Machine;

use crate::build::Context;
use crate::build::Kernel;
use crate::guest;
use crate::guest::Options;
use crate::host::command::output;

/// Looks at the host. What it does not tell is not worth a failure after all was measured.
pub fn machine(context: &Context, kernel: &Kernel, options: &Options) -> Result<Machine> {
    let unknown = || String::from("unknown");
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let host = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_else(|_| unknown());
    let date = output(Command::new("date").args(["--utc", "+%Y-%m-%d %H:%M UTC"]));
    let words = std::env::args().skip(1).collect::<Vec<_>>();
    Ok(Machine {
        cpu: model(&cpus).map_or_else(unknown, String::from),
        cpus: std::thread::available_parallelism().map_or(1, usize::from),
        guest_cpus: if options.counts_instructions {
            1
        } else {
            options.cpus
        },
        guest_memory: options.memory,
        guest: name(context, kernel, options)?.into(),
        host: host.trim().into(),
        date: date.unwrap_or_else(|_| unknown()).trim().into(),
        commit: commit(&context.repo).unwrap_or_else(|_| unknown()),
        command: format!("./x {}", shell_words::join(words)),
    })
}

/// What runs the kernel.
fn name(context: &Context, kernel: &Kernel, options: &Options) -> Result<&'static str> {
    if options.counts_instructions {
        return Ok("QEMU, emulated (TCG), counting instructions");
    }
    guest::machine_name(context, kernel)
}

/// The first processor's name.
fn model(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo
        .lines()
        .find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim())
}

/// The commit, and whether there is more than that.
fn commit(repo: &Path) -> Result<String> {
    let mut git = Command::new("git");
    git.arg("-C").arg(repo);
    let text = output(git.args(["describe", "--always", "--dirty", "--abbrev=12"]))?;
    Ok(text.trim().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_has_a_name() {
        let text = "processor\t: 0\nmodel name\t: A CPU @ 2 GHz\nflags\t: fpu\nmodel name\t: B\n";
        assert_eq!(model(text), Some("A CPU @ 2 GHz"));
        assert_eq!(model("processor\t: 0\n"), None);
    }
}
