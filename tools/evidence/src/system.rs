// SPDX-License-Identifier: GPL-2.0
//! Small dealings with the kernel's file systems and with commands.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{bail, Context, Result};
use rustix::mount::{mount, MountFlags};

/// Writes a value to a file of the kernel.
pub fn set(path: &Path, value: &str) -> Result<()> {
    fs::write(path, value).with_context(|| format!("cannot write {value:?} to {}", path.display()))
}

/// Reads a file of the kernel.
pub fn get(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Makes sure that a file system of the kernel is mounted where it belongs.
pub fn mounted(on: &str, fs_type: &str) -> Result<()> {
    let mounts = get(Path::new("/proc/self/mountinfo"))?;
    if mounts
        .lines()
        .any(|line| line.split(' ').nth(4) == Some(on))
    {
        return Ok(());
    }
    mount(fs_type, on, fs_type, MountFlags::empty(), None).with_context(|| {
        format!("cannot mount {fs_type} on {on}; root and a kernel with {fs_type} are needed")
    })
}

/// Runs a command of the system that must succeed.
pub fn command(program: &str, args: &[&str]) -> Result<()> {
    output(program, args).map(drop)
}

/// Runs a command of the system that must succeed, and returns what it says.
pub fn output(program: &str, args: &[&str]) -> Result<String> {
    let output = Command::new(program).args(args).output().with_context(|| {
        format!("cannot run {program}; is its package installed, and /sbin in PATH?")
    })?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{program} {} failed ({}): {}",
            args.join(" "),
            output.status,
            stderr.trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Loads a module unless the file that it makes is there.
pub fn module(name: &str, args: &[&str], makes: &Path) -> Result<()> {
    if makes.exists() {
        return Ok(());
    }
    command("modprobe", &[&[name], args].concat())
        .with_context(|| format!("the module {name} is needed"))?;
    if !makes.exists() {
        bail!(
            "the module {name} is loaded, but there is no {}",
            makes.display()
        );
    }
    Ok(())
}

/// The kernel's version.
pub fn kernel() -> String {
    let uname = rustix::system::uname();
    uname.release().to_string_lossy().into_owned()
}

/// Memory that can be had without swapping, in bytes.
pub fn available_memory() -> Result<u64> {
    available_in(&get(Path::new("/proc/meminfo"))?).context("/proc/meminfo has no MemAvailable")
}

fn available_in(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory() {
        let text = "MemTotal:        2035268 kB\nMemAvailable:    1996124 kB\n";
        assert_eq!(available_in(text), Some(1_996_124 * 1024));
        assert_eq!(available_in("MemTotal: 1 kB\n"), None);
        assert_eq!(available_in("MemAvailable: lots\n"), None);
    }

    #[test]
    fn a_failing_command_is_quoted() {
        command("true", &[]).unwrap();
        assert_eq!(output("echo", &["yes"]).unwrap(), "yes\n");
        let err = command("sh", &["-c", "echo because >&2; exit 3"]).unwrap_err();
        assert!(format!("{err}").contains("because"), "{err}");
        let err = command("no-such-command", &[]).unwrap_err();
        assert!(format!("{err:#}").contains("no-such-command"));
    }

    #[test]
    fn a_module_that_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        module("no_such_module", &[], dir.path()).unwrap();
        let err = module("no_such_module", &[], &dir.path().join("none")).unwrap_err();
        assert!(
            format!("{err:#}").contains("no_such_module is needed"),
            "{err:#}"
        );
    }
}
