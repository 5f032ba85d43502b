// SPDX-License-Identifier: GPL-2.0
//! The kernel's source from Debian's package, wherever on the machine's own mirror it is.
//!
//! The package may be in a suite that the machine does not use. So apt runs with a configuration
//! of its own ([`Isolated`]), and verifies signature and checksum.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use anyhow::bail;
use anyhow::Context;
use anyhow::Result;

use super::import::unpack;
use super::incoming;
use super::Tree;
use super::PINNED;
use crate::cache::Cache;
use crate::host::command::find;
use crate::host::command::logged;
use crate::host::command::output;
use crate::host::suite::backports;
use crate::host::suite::codename;
use crate::host::suite::mirror;
use crate::host::suite::os_release;
use crate::host::suite::Isolated;
use crate::host::suite::Mirror;
use crate::ui::Step;

/// Suites that may have the package, beside the machine's own.
const SUITES: [&str; 3] = ["trixie-backports", "forky", "sid"];

/// Fetches the package and unpacks the tarball that is in it.
pub fn fetch(cache: &Cache) -> Result<Tree> {
    let Some(apt) = find("apt-get") else {
        bail!("this system has no apt")
    };
    let package = format!("linux-source-{}.{}", PINNED.0, PINNED.1);
    let mirror = mirror(&apt)?;
    let mut tried = Vec::new();
    for suite in suites(&os_release()) {
        let dir = incoming(cache)?;
        let work = Isolated {
            dir: dir.path(),
            apt: &apt,
            cache,
        };
        match candidate(&work, &mirror, &suite, &package) {
            Ok(Some(version)) => return take(&work, &package, &version, &suite),
            Ok(None) => tried.push(format!("{suite} does not have {package}")),
            Err(error) => tried.push(format!("{suite}: {}", first_line(&error))),
        }
    }
    bail!("{} has no {package}: {}", mirror.uri, tried.join("; "))
}

fn first_line(error: &anyhow::Error) -> String {
    error
        .to_string()
        .lines()
        .next()
        .unwrap_or_default()
        .to_string()
}

/// The machine's own suite first, then its backports, then where newer kernels are.
fn suites(os_release: &str) -> Vec<String> {
    let mut suites: Vec<String> = codename(os_release).into_iter().collect();
    suites.extend(backports(os_release));
    for suite in SUITES {
        if !suites.iter().any(|known| known == suite) {
            suites.push(String::from(suite));
        }
    }
    suites
}

/// The best version of the package in a suite: the pinned one, else the newest of its series.
fn candidate(
    work: &Isolated<'_>,
    mirror: &Mirror,
    suite: &str,
    package: &str,
) -> Result<Option<String>> {
    let step = Step::new(format!("Looking for {package} in {suite}"));
    work.read(mirror, suite)?;
    let madison = work.apt.with_file_name("apt-cache");
    let text = output(work.command(&madison).args(["madison", package])).unwrap_or_default();
    step.done_quietly();
    Ok(best_version(&text))
}

fn take(work: &Isolated<'_>, package: &str, version: &str, suite: &str) -> Result<Tree> {
    let step = Step::new(format!("Downloading {package} {version} from {suite}"));
    let mut download = work.command(work.apt);
    download
        .args(["download", "-q"])
        .arg(format!("{package}={version}"));
    let hint = "The download is broken or the network went away: try again.";
    logged(
        &mut download,
        &work.cache.logs().join("apt.log"),
        hint,
        |_| {},
    )?;
    let deb = only_file(work.dir, ".deb")?;
    let mut extract = Command::new("dpkg-deb");
    extract.arg("-x").arg(&deb).arg(work.dir.join("package"));
    output(&mut extract)?;
    step.done("verified by apt");
    let tarball = only_file(&work.dir.join("package/usr/src"), ".tar.xz")?;
    unpack(
        work.cache,
        &tarball,
        &format!("Debian package {package} {version} ({suite})"),
    )
}

/// Chooses from what `apt-cache madison` prints, which is newest first.
fn best_version(madison: &str) -> Option<String> {
    let versions = || {
        madison
            .lines()
            .filter_map(|line| line.split('|').nth(1).map(str::trim))
            .filter(|version| version.starts_with(&format!("{}.{}.", PINNED.0, PINNED.1)))
    };
    let pinned = format!("{PINNED}-");
    versions()
        .find(|version| version.starts_with(&pinned))
        .or_else(|| versions().next())
        .map(String::from)
}

fn only_file(dir: &Path, end: &str) -> Result<PathBuf> {
    fs::read_dir(dir)
        .with_context(|| format!("cannot list {}", dir.display()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| path.to_string_lossy().ends_with(end))
        .with_context(|| format!("there is no *{end} in the package"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinned_version_is_preferred() {
        let text = " linux-source-7.3 | 7.3.9-1~bpo13+1 | http://m sid/main amd64 Packages\n \
                    linux-source-7.3 | 7.3.4-1~bpo13+1 | http://m sid/main amd64 Packages\n";
        assert_eq!(best_version(text).as_deref(), Some("7.3.4-1~bpo13+1"));
        let newer = text.lines().next().unwrap();
        assert_eq!(best_version(newer).as_deref(), Some("7.3.9-1~bpo13+1"));
        assert_eq!(best_version(""), None);
    }

    #[test]
    fn the_own_suite_comes_first_and_none_twice() {
        let suites = suites("ID=debian\nVERSION_CODENAME=trixie\n");
        assert_eq!(suites, ["trixie", "trixie-backports", "forky", "sid"]);
        assert_eq!(super::suites("").len(), 3);
    }
}
