// SPDX-License-Identifier: GPL-2.0
//! User Mode Linux: the kernel is a program, its root is the host's through hostfs.

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
use crate::build::Kernel;

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
    if options.cpus != 1 {
        bail!("User Mode Linux has one CPU here: add `--guest qemu` for --cpus");
    }
    let channels = Channels::new(interactive)?;
    let mut program = Vec::new();
    if let Some(dir) = memory_folder(options.memory, exchange.path()) {
        program.extend([String::from("env"), format!("TMPDIR={}", dir.display())]);
    }
    program.push(kernel.image.display().to_string());
    program.extend(arguments(kernel, options, exchange, &channels));
    let log = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    process::start(program, channels, log)
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
        // The mode that works everywhere; the other one needs a recent host.
        String::from("seccomp=off"),
        format!("uml_dir={}/", exchange.path().display()),
        String::from("X_HOST=hostfs"),
        format!("X_MODE={mode}"),
        format!("X_EXCHANGE={}", exchange.path().display()),
        format!("X_MODULES={}", kernel.modules.display()),
    ];
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
    fn memory_too_large_for_shm_goes_to_a_file() {
        if std::env::var_os("TMPDIR").is_none() {
            assert_eq!(
                memory_folder(u64::MAX, Path::new("/x")),
                Some(PathBuf::from("/x"))
            );
        }
    }
}
