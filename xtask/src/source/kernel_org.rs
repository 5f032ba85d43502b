// SPDX-License-Identifier: GPL-2.0
//! The pinned release from kernel.org, checked against the list of checksums published beside it.
//!
//! That finds a broken download, not a server that lies: the list comes from it too. A checksum here would have to be of
//! a tarball whose signature (`linux-*.tar.sign`, made by the release's maintainer) was verified; we have had none.
//! What the series changes is checked against `series.sha256` in any case.

use std::fs;
use std::fs::File;
use std::path::Path;
use std::process::Command;

use anyhow::bail;
use anyhow::Context;
use anyhow::Result;
use sha2::Digest;
use sha2::Sha256;

use super::import::unpack;
use super::incoming;
use super::Tree;
use super::PINNED;
use crate::cache::Cache;
use crate::host::command::find;
use crate::host::command::logged;
use crate::ui::Step;

/// Where the releases are; a mirror with the same layout can be named instead.
const VARIABLE: &str = "COPY_OFFLOAD_KERNEL_URL";
const DEFAULT: &str = "https://cdn.kernel.org/pub/linux/kernel";

/// Downloads, verifies and unpacks the pinned release.
pub fn fetch(cache: &Cache) -> Result<Tree> {
    let base = std::env::var(VARIABLE).unwrap_or_else(|_| String::from(DEFAULT));
    let folder = format!("{}/v{}.x", base.trim_end_matches('/'), PINNED.0);
    let name = format!("linux-{PINNED}.tar.xz");
    let dir = incoming(cache)?;
    let tarball = dir.path().join(&name);
    let sums = dir.path().join("sha256sums.asc");

    let step = Step::new(format!("Downloading {name} from {folder}"));
    download(cache, &format!("{folder}/sha256sums.asc"), &sums)?;
    download(cache, &format!("{folder}/{name}"), &tarball)?;
    step.done("");
    let list = fs::read_to_string(&sums).context("cannot read the list of checksums")?;
    let Some(expected) = published(&list, &name) else {
        bail!("the list of checksums at {folder} does not name {name}");
    };
    let found = sha256(&tarball)?;
    if found != expected {
        bail!("{name} is broken: its SHA-256 is {found}, published is {expected}; try again");
    }
    unpack(cache, &tarball, &format!("{folder}/{name}"))
}

fn download(cache: &Cache, url: &str, to: &Path) -> Result<()> {
    let mut command = if let Some(curl) = find("curl") {
        let mut command = Command::new(curl);
        command.args(["--fail", "--location", "--silent", "--show-error"]);
        command
            .args(["--connect-timeout", "10", "--retry", "2", "--output"])
            .arg(to)
            .arg(url);
        command
    } else if let Some(wget) = find("wget") {
        let mut command = Command::new(wget);
        command
            .args(["--no-verbose", "--timeout=10", "--tries=3", "-O"])
            .arg(to)
            .arg(url);
        command
    } else {
        bail!("neither curl nor wget is installed");
    };
    logged(
        &mut command,
        &cache.logs().join("download.log"),
        "Is the network there?",
        |_| {},
    )
}

/// Finds a file's checksum in a list as `sha256sum` writes it.
fn published<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    list.lines().find_map(|line| {
        let (sum, file) = line.split_once("  ")?;
        (file.trim() == name && sum.len() == 64).then_some(sum)
    })
}

fn sha256(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut buffer = vec![0; 1 << 20];
    let mut hash = Sha256::new();
    loop {
        let count = std::io::Read::read(&mut file, &mut buffer)
            .with_context(|| format!("cannot read {}", path.display()))?;
        match buffer.get(..count) {
            None | Some([]) => break,
            Some(data) => hash.update(data),
        }
    }
    Ok(hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_the_right_file_is_taken() {
        let sum = "a".repeat(64);
        let list = format!("-----BEGIN\nshort  linux-7.3.4.tar.xz\n{sum}  linux-7.3.4.tar.xz\n");
        assert_eq!(published(&list, "linux-7.3.4.tar.xz"), Some(sum.as_str()));
        assert_eq!(published(&list, "linux-7.3.40.tar.xz"), None);
    }

    #[test]
    fn files_are_hashed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "abc").unwrap();
        assert!(sha256(file.path())
            .unwrap()
            .starts_with("ba7816bf8f01cfea414140de5dae2223"));
    }
}
