// SPDX-License-Identifier: GPL-2.0
//! The kernel's source from Debian's package, wherever on the machine's own mirror it is.
//!
//! The package may be in a suite that the machine does not use. So apt runs with a configuration
//! of its own: one source line for that suite on the mirror that the machine uses, and its state in
//! the cache. The system's configuration is read, never changed; apt verifies signature and checksum.

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
use crate::ui::Step;

/// Suites that may have the package, beside the machine's own.
const SUITES: [&str; 3] = ["trixie-backports", "forky", "sid"];

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A mirror as the machine's apt knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mirror {
    uri: String,
    keyring: PathBuf,
}

/// Fetches the package and unpacks the tarball that is in it.
pub fn fetch(cache: &Cache) -> Result<Tree> {
    let Some(apt) = find("apt-get") else {
        bail!("this system has no apt")
    };
    let package = format!("linux-source-{}.{}", PINNED.0, PINNED.1);
    let mirror = mirror(&apt)?;
    let mut tried = Vec::new();
    for suite in suites(&fs::read_to_string("/etc/os-release").unwrap_or_default()) {
        let dir = incoming(cache)?;
        let work = Isolated {
            dir: dir.path(),
            apt: &apt,
            cache,
        };
        match work.candidate(&mirror, &suite, &package) {
            Ok(Some(version)) => return work.take(&package, &version, &suite),
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
    let own = os_release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .map(|name| name.trim_matches('"').to_string());
    let mut suites: Vec<String> = own
        .into_iter()
        .flat_map(|name| [name.clone(), format!("{name}-backports")])
        .collect();
    for suite in SUITES {
        if !suites.iter().any(|known| known == suite) {
            suites.push(String::from(suite));
        }
    }
    suites
}

/// Asks apt which mirror this machine uses for Debian itself.
fn mirror(apt: &Path) -> Result<Mirror> {
    let mut command = Command::new(apt);
    command.args([
        "indextargets",
        "--format",
        "$(ORIGIN)|$(LABEL)|$(REPO_URI)|$(SIGNED_BY)",
    ]);
    let text = output(command.arg("Created-By: Packages"))?;
    choose_mirror(&text)
        .context("apt has no Debian mirror configured, or no lists yet: run `apt-get update`")
}

fn choose_mirror(targets: &str) -> Option<Mirror> {
    let rows = || {
        targets.lines().filter_map(|line| {
            let fields: Vec<&str> = line.split('|').collect();
            <[&str; 4]>::try_from(fields).ok()
        })
    };
    // Without downloaded lists the origin is empty; the security mirror has another layout.
    let row = rows()
        .find(|[origin, label, ..]| *origin == "Debian" && *label == "Debian")
        .or_else(|| {
            rows().find(|[origin, _, uri, _]| origin.is_empty() && !uri.contains("security"))
        })?;
    let [_, _, uri, signed_by] = row;
    let keyring = if signed_by.starts_with('/') {
        signed_by
    } else {
        KEYRING
    };
    Some(Mirror {
        uri: String::from(uri),
        keyring: PathBuf::from(keyring),
    })
}

/// An apt of its own in a folder.
struct Isolated<'a> {
    dir: &'a Path,
    apt: &'a Path,
    cache: &'a Cache,
}

impl Isolated<'_> {
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        for (key, value) in [
            ("Dir::Etc::sourcelist", self.dir.join("source.list")),
            ("Dir::Etc::sourceparts", PathBuf::from("/dev/null")),
            ("Dir::State::Lists", self.dir.join("lists")),
            ("Dir::Cache", self.dir.join("cache")),
            ("APT::Sandbox::User", PathBuf::from("root")),
            ("Acquire::Languages", PathBuf::from("none")),
            ("APT::Get::List-Cleanup", PathBuf::from("0")),
        ] {
            command.arg("-o").arg(format!("{key}={}", value.display()));
        }
        command.current_dir(self.dir);
        command
    }

    /// The best version of the package in a suite: the pinned one, else the newest of its series.
    fn candidate(&self, mirror: &Mirror, suite: &str, package: &str) -> Result<Option<String>> {
        for folder in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(self.dir.join(folder)).context("cannot create apt's folders")?;
        }
        let mirror_line = format!(
            "deb [signed-by={}] {} {suite} main\n",
            mirror.keyring.display(),
            mirror.uri
        );
        fs::write(self.dir.join("source.list"), mirror_line)
            .context("cannot write apt's source")?;
        let step = Step::new(format!("Looking for {package} in {suite}"));
        let mut update = self.command(self.apt);
        update.args(["update", "-q", "--error-on=any"]);
        logged(&mut update, &self.cache.logs().join("apt.log"), "", |_| {})
            .map_err(|_| anyhow::anyhow!("apt cannot read it"))?;
        let madison = self.apt.with_file_name("apt-cache");
        let text = output(self.command(&madison).args(["madison", package])).unwrap_or_default();
        step.done_quietly();
        Ok(best_version(&text))
    }

    fn take(&self, package: &str, version: &str, suite: &str) -> Result<Tree> {
        let step = Step::new(format!("Downloading {package} {version} from {suite}"));
        let mut download = self.command(self.apt);
        download
            .args(["download", "-q"])
            .arg(format!("{package}={version}"));
        let hint = "The download is broken or the network went away: try again.";
        logged(
            &mut download,
            &self.cache.logs().join("apt.log"),
            hint,
            |_| {},
        )?;
        let deb = only_file(self.dir, ".deb")?;
        let mut extract = Command::new("dpkg-deb");
        extract.arg("-x").arg(&deb).arg(self.dir.join("package"));
        output(&mut extract)?;
        step.done("verified by apt");
        let tarball = only_file(&self.dir.join("package/usr/src"), ".tar.xz")?;
        unpack(
            self.cache,
            &tarball,
            &format!("Debian package {package} {version} ({suite})"),
        )
    }
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
    fn the_mirror_of_debian_itself_is_chosen() {
        let text = "Other|Other|http://other/|\n\
                    Debian|Debian-Security|http://mirror/debian-security/|/k.gpg\n\
                    Debian|Debian|http://mirror/debian/|/k.gpg\n";
        let mirror = choose_mirror(text).unwrap();
        assert_eq!(mirror.uri, "http://mirror/debian/");
        assert_eq!(mirror.keyring, Path::new("/k.gpg"));
        let fresh = "||http://mirror/debian-security/|\n||http://mirror/debian/|\n";
        assert_eq!(choose_mirror(fresh).unwrap().uri, "http://mirror/debian/");
        assert_eq!(choose_mirror("Other|Other|http://other/|\n"), None);
    }

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
