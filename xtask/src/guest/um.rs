// SPDX-License-Identifier: GPL-2.0
//! User Mode Linux: the kernel is a program, its root is the host's through hostfs.

use std::fs;
use std::fs::File;
use std::path::Path;
use std::path::PathBuf;

use anyhow::bail;
use anyhow::Context;
use anyhow::Result;

use super::exchange::Exchange;
use super::options::Options;
use super::process;
use super::process::Channels;
use super::process::Running;
use crate::build::Flavour;
use crate::build::Kernel;
use crate::ui;

/// Starts the guest.
pub fn start(
    kernel: &Kernel,
    options: &Options,
    exchange: &Exchange,
    log: &Path,
    interactive: bool,
) -> Result<Running> {
    if !options.nvme.is_empty() {
        bail!("User Mode Linux has no PCI bus, so no --nvme: add `--guest qemu`");
    }
    if options.cpus > MOST_CPUS {
        bail!("User Mode Linux has at most {MOST_CPUS} CPUs here: add `--guest qemu` for more");
    }
    let several = matches!(
        options.variant().flavour,
        Flavour::Smp | Flavour::SmpDebug | Flavour::Kcsan
    );
    if options.cpus > 1 && !several {
        bail!(
            "this kernel for User Mode Linux has one CPU: leave --cpus out, or add `--guest qemu`"
        );
    }
    allow_mappings(options.memory);
    let channels = Channels::new(interactive)?;
    let mut program = Vec::new();
    if let Some(dir) = memory_folder(options.memory_of_all(), exchange.path()) {
        program.extend([String::from("env"), format!("TMPDIR={}", dir.display())]);
    }
    program.push(kernel.image.display().to_string());
    program.extend(arguments(kernel, options, exchange, &channels));
    let log = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    process::start(program, channels, log)
}

/// As many as there is room for: `CONFIG_NR_CPUS` of `configs/smp.config`.
const MOST_CPUS: u32 = 8;

/// How the guest's programs are made to leave their system calls to it. With ptrace it works everywhere, but on one
/// CPU only. Several need a host whose seccomp is whole; if it is not, the guest says so and ends.
fn cpus(count: u32) -> Vec<String> {
    if count > 1 {
        vec![format!("ncpus={count}"), String::from("seccomp=on")]
    } else {
        vec![String::from("seccomp=off")]
    }
}

/// What UML writes when the host cannot do that.
const NO_SECCOMP: &str = "SECCOMP userspace requested but not functional";

/// Where the host limits the mappings of a process.
const MAX_MAPPINGS: &str = "/proc/sys/vm/max_map_count";

/// What a process has beside the pages of its memory.
const OTHER_MAPPINGS: u64 = 65_536;

/// Each page of a guest's process may be a mapping of its own on the host. A process that meets the
/// host's limit dies of a segmentation fault, so the limit is raised where we may. Where we may not,
/// [`explain`] tells what happened.
fn allow_mappings(memory: u64) {
    let Some(limit) = max_mappings() else { return };
    let needed = needed_mappings(memory);
    if limit < needed && fs::write(MAX_MAPPINGS, needed.to_string()).is_ok() {
        ui::note(&format!(
            "raised vm.max_map_count from {limit} to {needed}, for programs in the guest that use much memory"
        ));
    }
}

fn max_mappings() -> Option<u64> {
    fs::read_to_string(MAX_MAPPINGS).ok()?.trim().parse().ok()
}

fn needed_mappings(memory: u64) -> u64 {
    (memory >> 12).saturating_add(OTHER_MAPPINGS)
}

/// What UML writes when the host refuses a mapping.
const NO_MAPPING: &str = "UML ran out of memory on the host side";

/// What the log says of the host's limits, and what helps.
pub fn explain(log: &str, memory: u64) -> Option<String> {
    if log.contains(NO_SECCOMP) {
        return Some(String::from(
            "this machine's seccomp is not what User Mode Linux needs for several CPUs: add `--guest qemu`, or leave \
             --cpus out",
        ));
    }
    if !log.contains(NO_MAPPING) {
        return None;
    }
    let (limit, needed) = (max_mappings().unwrap_or_default(), needed_mappings(memory));
    Some(if limit < needed {
        format!(
            "a program in the guest used so much memory that this machine refused it another mapping, and it died: \
             vm.max_map_count is {limit} here. As root: sysctl vm.max_map_count={needed}"
        )
    } else {
        String::from(
            "this machine had no more memory for the guest, and a program in it died: free some, or give the guest \
             less with --memory",
        )
    })
}

fn arguments(
    kernel: &Kernel,
    options: &Options,
    exchange: &Exchange,
    channels: &Channels,
) -> Vec<String> {
    let input = channels.input.as_ref().map_or_else(
        || String::from("null"),
        |channel| format!("fd:{}", channel.number()),
    );
    let mode = if channels.input.is_some() {
        "shell"
    } else {
        "run"
    };
    let mut arguments = vec![
        format!("mem={}M", options.memory >> 20),
        String::from("root=/dev/root"),
        String::from("rootfstype=hostfs"),
        String::from("rootflags=/"),
        String::from("ro"),
        format!("init={}", exchange.init().display()),
        // The kernel's messages go to the first console, which is our log.
        String::from("con=null"),
        String::from("ssl=null"),
        String::from("con0=null,fd:1"),
        format!("con1={input},fd:{}", channels.out.number()),
        format!("con2=null,fd:{}", channels.err.number()),
        String::from("console=tty0"),
        String::from("panic=-1"),
        String::from("noreboot"),
        format!("uml_dir={}/", exchange.path().display()),
        String::from("X_HOST=hostfs"),
        format!("X_MODE={mode}"),
        format!("X_EXCHANGE={}", exchange.path().display()),
        format!("X_MODULES={}", kernel.modules.display()),
    ];
    if let Some(team) = &options.team {
        arguments.push(format!("X_SHARED={}", team.folder.display()));
    }
    arguments.extend(cpus(options.cpus));
    arguments.extend(options.words());
    arguments
}

/// Where UML's memory file shall be, if its own choice, /dev/shm, is too small or not executable.
fn memory_folder(memory: u64, exchange: &Path) -> Option<PathBuf> {
    let good = rustix::fs::statvfs("/dev/shm").is_ok_and(|stat| {
        stat.f_bavail.saturating_mul(stat.f_frsize) >= memory
            && !stat.f_flag.contains(rustix::fs::StatVfsMountFlags::NOEXEC)
    });
    let writable = rustix::fs::access("/dev/shm", rustix::fs::Access::WRITE_OK).is_ok();
    let chosen = std::env::var_os("TMPDIR").is_some();
    (!(chosen || good && writable)).then(|| exchange.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_mapping_is_explained() {
        let log = "[   12.0] UML ran out of memory on the host side! This can happen ...";
        assert!(explain("[   12.0] all is well", 1 << 30).is_none());
        let text = explain(log, u64::MAX).unwrap();
        assert!(text.contains("sysctl vm.max_map_count="), "{text}");
        let text = explain(log, 0).unwrap();
        assert!(
            text.contains("max_map_count") || text.contains("--memory"),
            "{text}"
        );
    }

    #[test]
    fn memory_too_large_for_shm_goes_to_a_file() {
        if std::env::var_os("TMPDIR").is_none() {
            assert_eq!(
                memory_folder(u64::MAX, Path::new("/x")),
                Some(PathBuf::from("/x"))
            );
        }
    }
}
