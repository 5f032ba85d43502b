// SPDX-License-Identifier: GPL-2.0
//! The controllers of NVMe devices, and the disks that are behind them.

use std::fs;
use std::path::Path;

use anyhow::{bail, Context, Result};

use crate::system;

/// Where the kernel lists them.
pub(crate) const CLASS: &str = "/sys/class/nvme";

/// Loads the core of the drivers so that a controller leads to a disk of its own. With one path, requests are traced
/// under the name of the disk.
pub(crate) fn with_one_path() -> Result<()> {
    let core = Path::new("/sys/module/nvme_core");
    system::module("nvme_core", &["multipath=N"], core)
}

/// The disk behind the first controller in `class` whose attribute is as wanted, if it is there yet.
pub(crate) fn disk(
    class: &Path,
    attribute: &str,
    wanted: impl Fn(&str) -> bool,
) -> Result<Option<String>> {
    for controller in fs::read_dir(class).context("cannot list the NVMe controllers")? {
        let controller = controller?.path();
        let value = system::get(&controller.join(attribute)).unwrap_or_default();
        if !wanted(value.trim()) {
            continue;
        }
        let mut names: Vec<_> = fs::read_dir(&controller)?
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        if let Some(name) = names.iter().find(|name| is_namespace(name, is_number)) {
            return Ok(Some(name.clone()));
        }
        if let Some(name) = names.iter().find(|name| is_namespace(name, is_path)) {
            bail!("{name} is a path of a disk, and its requests are traced under that name: load nvme_core with multipath=N");
        }
    }
    Ok(None)
}

/// Whether this is `nvme`, what is wanted, `n` and a number.
fn is_namespace(name: &str, wanted: impl Fn(&str) -> bool) -> bool {
    name.strip_prefix("nvme")
        .and_then(|rest| rest.rsplit_once('n'))
        .is_some_and(|(head, number)| wanted(head) && is_number(number))
}

/// The numbers of a subsystem and of a controller.
fn is_path(text: &str) -> bool {
    text.split_once('c')
        .is_some_and(|(subsystem, controller)| is_number(subsystem) && is_number(controller))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_found_by_the_serial_number() {
        let copies = |class| disk(class, "serial", |serial| serial.starts_with("copy"));
        let dir = tempfile::tempdir().unwrap();
        for (serial, names) in [
            ("other", ["nvme0n1", "ng0n1"]),
            ("copy1  ", ["ng1n1", "nvme1n1"]),
        ] {
            let controller = dir.path().join(serial.trim());
            fs::create_dir(&controller).unwrap();
            fs::write(controller.join("serial"), format!("{serial}\n")).unwrap();
            for name in names.iter().chain(&["nvme1c1n1", "device"]) {
                fs::create_dir(controller.join(name)).unwrap();
            }
        }
        assert_eq!(copies(dir.path()).unwrap().as_deref(), Some("nvme1n1"));
        fs::remove_dir(dir.path().join("copy1/nvme1n1")).unwrap();
        let error = copies(dir.path()).unwrap_err().to_string();
        assert!(error.starts_with("nvme1c1n1 is a path"), "{error}");
    }
}
