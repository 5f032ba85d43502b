// SPDX-License-Identifier: GPL-2.0
//! Whether KVM really runs a guest here.
//!
//! A /dev/kvm that opens proves little: nested virtualization, say, may hang a guest in early boot.
//! So the kernel is booted once without a root file system, which it must notice within seconds.
//! The answer is kept for as long as host kernel and QEMU stay the same.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;
use anyhow::Result;

use super::qemu::PROGRAM;
use crate::build::Context;
use crate::build::Guest;
use crate::build::Kernel;
use crate::cache::write_atomically;
use crate::host::command::find;
use crate::ui;

const LIMIT: Duration = Duration::from_secs(8);
const DEVICE: &str = "/dev/kvm";

/// Everything that TCG can do, but for page tables of five levels: with those KASAN reports the
/// first interrupt of all, and lockdep switches itself off for it.
const CPU: &str = "max,la57=off";

/// What makes the guest's processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    Kvm,
    Tcg,
}

impl Accelerator {
    /// QEMU's options for it.
    pub fn arguments(self, qemu: &Path) -> Vec<String> {
        let words = match self {
            Self::Kvm => ["-accel", "kvm", "-cpu", "host"],
            Self::Tcg if threads_are_sound(qemu) => ["-accel", "tcg,thread=multi", "-cpu", CPU],
            Self::Tcg => ["-accel", "tcg,thread=single", "-cpu", CPU],
        };
        words.map(String::from).to_vec()
    }
}

/// QEMU's options for a processor of which each instruction takes a nanosecond. It copies memory by loads and stores:
/// how QEMU counts what repeats itself is its own affair.
pub fn counting() -> Vec<String> {
    let cpu = format!("{CPU},erms=off,fsrm=off");
    [
        "-accel",
        "tcg,thread=single",
        "-icount",
        "shift=0",
        "-cpu",
        &cpu,
    ]
    .map(String::from)
    .to_vec()
}

/// Whether TCG can run each of the guest's CPUs in a thread of its own.
///
/// Before QEMU 8.1 a CPU could translate code that another one was just changing, and keep the old
/// translation. A Linux guest changes its code all the time (static keys, tracepoints), and then
/// dies of a stray breakpoint.
fn threads_are_sound(qemu: &Path) -> bool {
    let output = Command::new(qemu).arg("--version").output();
    output.is_ok_and(|output| {
        version(&String::from_utf8_lossy(&output.stdout)).is_some_and(|found| found >= (8, 1))
    })
}

/// The version in what `qemu --version` prints.
fn version(text: &str) -> Option<(u32, u32)> {
    let (_, rest) = text.split_once("version ")?;
    let mut numbers = rest.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The accelerator to use, from the cached answer or by trying.
pub fn accelerator(context: &Context, kernel: &Kernel) -> Result<Accelerator> {
    if !openable() {
        return Ok(Accelerator::Tcg);
    }
    let path = context.cache.root().join("kvm");
    let host = host_identity();
    if let Some(answer) = fs::read_to_string(&path)
        .ok()
        .and_then(|text| cached(&text, &host))
    {
        return Ok(answer);
    }
    let answer = if boots(&kernel.image)? {
        Accelerator::Kvm
    } else {
        Accelerator::Tcg
    };
    if answer == Accelerator::Tcg {
        ui::note("/dev/kvm is there but does not run a guest: using TCG, which is slower");
    }
    let word = if answer == Accelerator::Kvm {
        "works"
    } else {
        "fails"
    };
    write_atomically(&path, format!("{host}\n{word}\n").as_bytes())?;
    Ok(answer)
}

/// What runs such a kernel, in words for a report.
pub fn name(context: &Context, kernel: &Kernel) -> Result<&'static str> {
    Ok(match kernel.variant.guest {
        Guest::Um => "User Mode Linux",
        _ => match accelerator(context, kernel)? {
            Accelerator::Kvm => "QEMU with KVM",
            Accelerator::Tcg => "QEMU, emulated (TCG)",
        },
    })
}

/// What `doctor` says of KVM; `kernel` is there once the QEMU kernel was built.
pub fn describe(context: &Context, kernel: Option<&Kernel>) -> Result<String> {
    if !Path::new(DEVICE).exists() {
        return Ok(String::from("no /dev/kvm: QEMU guests use TCG"));
    }
    if !openable() {
        return Ok(String::from(
            "/dev/kvm may not be opened by this user: QEMU guests use TCG",
        ));
    }
    let Some(kernel) = kernel else {
        return Ok(String::from(
            "/dev/kvm opens; tried for real once the qemu kernel is built",
        ));
    };
    Ok(match accelerator(context, kernel)? {
        Accelerator::Kvm => String::from("runs a guest"),
        Accelerator::Tcg => String::from("/dev/kvm opens but runs no guest: TCG is used"),
    })
}

fn openable() -> bool {
    fs::File::options()
        .read(true)
        .write(true)
        .open(DEVICE)
        .is_ok()
}

fn host_identity() -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let qemu = find(PROGRAM).and_then(|path| fs::metadata(path).ok()?.modified().ok());
    format!("{} {} {qemu:?}", kernel.trim(), boot.trim())
}

fn cached(text: &str, host: &str) -> Option<Accelerator> {
    match text.split_once('\n') {
        Some((known, answer)) if known == host => match answer.trim() {
            "works" => Some(Accelerator::Kvm),
            "fails" => Some(Accelerator::Tcg),
            _ => None,
        },
        _ => None,
    }
}

/// Boots a kernel without a root under KVM and looks whether it gets as far as to miss it.
fn boots(image: &Path) -> Result<bool> {
    let Some(qemu) = find(PROGRAM) else {
        return Ok(false);
    };
    let dir = tempfile::tempdir().context("cannot create a temporary folder")?;
    let log = dir.path().join("log");
    let mut child = Command::new(&qemu)
        .args(Accelerator::Kvm.arguments(&qemu))
        .args([
            "-machine",
            "q35",
            "-m",
            "256M",
            "-smp",
            "2",
            "-nodefaults",
            "-no-user-config",
        ])
        .args(["-no-reboot", "-display", "none", "-serial"])
        .arg(format!("file:{}", log.display()))
        .arg("-kernel")
        .arg(image)
        .args(["-append", "console=ttyS0 panic=-1"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start QEMU")?;
    let start = Instant::now();
    while start.elapsed() < LIMIT && child.try_wait().context("cannot wait for QEMU")?.is_none() {
        std::thread::sleep(Duration::from_millis(50));
    }
    let _ = child.kill();
    let _ = child.wait();
    let text = fs::read(&log).unwrap_or_default();
    Ok(String::from_utf8_lossy(&text).contains("Unable to mount root fs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_need_a_recent_qemu() {
        let found = version("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)\n");
        assert_eq!(found, Some((7, 2)));
        assert_eq!(version("QEMU emulator version 10.0.2\n"), Some((10, 0)));
        assert_eq!(version("no"), None);
    }

    #[test]
    fn an_answer_counts_for_its_host_only() {
        assert_eq!(cached("host a\nworks\n", "host a"), Some(Accelerator::Kvm));
        assert_eq!(cached("host a\nfails\n", "host a"), Some(Accelerator::Tcg));
        assert_eq!(cached("host a\nworks\n", "host b"), None);
        assert_eq!(cached("", "host a"), None);
    }
}
