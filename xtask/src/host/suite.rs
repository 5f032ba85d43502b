// SPDX-License-Identifier: GPL-2.0
//! Suites of Debian that the machine does not use, on the mirror that it uses.
//!
//! apt reads them with a configuration and a state of its own, in a folder of ours. The system's
//! configuration and package lists are read, never changed.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use anyhow::anyhow;
use anyhow::Context;
use anyhow::Result;

use super::command::logged;
use super::command::output;
use crate::cache::Cache;

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The system's sources of the old style; the others are in a folder beside it.
const SYSTEM_SOURCES: &str = "/etc/apt/sources.list";

const SYSTEM_LISTS: &str = "/var/lib/apt/lists";

/// A mirror as the machine's apt knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    pub uri: String,
    pub keyring: PathBuf,
}

impl Mirror {
    /// A suite of it, as a line of apt's sources.
    fn line(&self, suite: &str) -> String {
        format!(
            "deb [signed-by={}] {} {suite} main\n",
            self.keyring.display(),
            self.uri
        )
    }
}

/// What the system says that it is.
pub fn os_release() -> String {
    fs::read_to_string("/etc/os-release").unwrap_or_default()
}

/// The machine's own suite.
pub fn codename(os_release: &str) -> Option<String> {
    os_release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .map(|name| name.trim_matches('"').to_string())
}

/// The suite with newer packages for the machine's own.
pub fn backports(os_release: &str) -> Option<String> {
    codename(os_release).map(|name| format!("{name}-backports"))
}

/// Asks apt which mirror this machine uses for Debian itself.
pub fn mirror(apt: &Path) -> Result<Mirror> {
    let text = targets(apt, "$(ORIGIN)|$(LABEL)|$(REPO_URI)|$(SIGNED_BY)")?;
    choose_mirror(&text)
        .context("apt knows no mirror of Debian, or has no lists of it yet (`apt-get update`)")
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

/// Whether the machine uses a suite already, by whichever of its names.
pub fn is_used(apt: &Path, suite: &str) -> Result<bool> {
    Ok(names(&targets(apt, "$(RELEASE)|$(CODENAME)")?, suite))
}

fn names(targets: &str, suite: &str) -> bool {
    targets
        .lines()
        .any(|line| line.split('|').any(|name| name == suite))
}

/// The package lists that the machine's apt uses, one a line.
fn targets(apt: &Path, format: &str) -> Result<String> {
    let mut command = Command::new(apt);
    command.args(["indextargets", "--format", format]);
    output(command.arg("Created-By: Packages"))
}

/// An apt of its own in a folder.
pub struct Isolated<'a> {
    pub dir: &'a Path,
    pub apt: &'a Path,
    pub cache: &'a Cache,
}

impl Isolated<'_> {
    /// A program of apt that sees the suite last read, and nothing else.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        for (key, value) in [
            ("Dir::Etc::sourcelist", self.dir.join("source.list")),
            ("Dir::Etc::sourceparts", PathBuf::from("/dev/null")),
            ("Dir::State::Lists", self.lists()),
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

    fn lists(&self) -> PathBuf {
        self.dir.join("lists")
    }

    /// Reads the package lists of a suite.
    pub fn read(&self, mirror: &Mirror, suite: &str) -> Result<()> {
        for folder in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(self.dir.join(folder)).context("cannot create apt's folders")?;
        }
        fs::write(self.dir.join("source.list"), mirror.line(suite))
            .context("cannot write apt's source")?;
        let mut update = self.command(self.apt);
        update.args(["update", "-q", "--error-on=any"]);
        logged(&mut update, &self.cache.logs().join("apt.log"), "", |_| {})
            .map_err(|_| anyhow!("apt cannot read it"))
    }

    /// Options with which the system's apt sees a suite that was read, beside its own.
    pub fn beside_system(&self, mirror: &Mirror, suite: &str) -> Result<Vec<String>> {
        link_files(Path::new(SYSTEM_LISTS), &self.lists())?;
        let sources = self.dir.join("sources.list");
        let own = match fs::read_to_string(SYSTEM_SOURCES) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            result => result.with_context(|| format!("cannot read {SYSTEM_SOURCES}"))?,
        };
        fs::write(&sources, format!("{own}\n{}", mirror.line(suite)))
            .context("cannot write apt's sources")?;
        let options = [
            ("Dir::Etc::sourcelist", sources),
            ("Dir::State::Lists", self.lists()),
            // What it computes from these lists must not take the place of the system's.
            ("Dir::Cache::pkgcache", PathBuf::new()),
            ("Dir::Cache::srcpkgcache", PathBuf::new()),
        ];
        Ok(options
            .into_iter()
            .flat_map(|(key, value)| [String::from("-o"), format!("{key}={}", value.display())])
            .collect())
    }
}

/// Links the files of a folder into another one, except those that are there.
fn link_files(from: &Path, to: &Path) -> Result<()> {
    let entries = fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))?;
    for entry in entries.flatten() {
        let link = to.join(entry.file_name());
        if entry.path().is_file() && entry.file_name() != "lock" && !link.exists() {
            std::os::unix::fs::symlink(entry.path(), &link)
                .with_context(|| format!("cannot create {}", link.display()))?;
        }
    }
    Ok(())
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
        let line = mirror.line("a-backports");
        assert_eq!(
            line,
            "deb [signed-by=/k.gpg] http://mirror/debian/ a-backports main\n"
        );
        let fresh = "||http://mirror/debian-security/|\n||http://mirror/debian/|\n";
        assert_eq!(choose_mirror(fresh).unwrap().uri, "http://mirror/debian/");
        assert_eq!(choose_mirror("Other|Other|http://other/|\n"), None);
    }

    #[test]
    fn backports_belong_to_the_own_suite() {
        let text = "ID=debian\nVERSION_CODENAME=\"bookworm\"\n";
        assert_eq!(codename(text).as_deref(), Some("bookworm"));
        assert_eq!(backports(text).as_deref(), Some("bookworm-backports"));
        assert_eq!(backports("ID=other\n"), None);
    }

    #[test]
    fn a_suite_that_is_used_is_known_by_each_of_its_names() {
        let text = "bookworm|bookworm\nstable-backports|bookworm-backports\n";
        assert!(names(text, "bookworm-backports") && names(text, "stable-backports"));
        assert!(!names("bookworm|bookworm\n", "bookworm-backports"));
        assert!(!names("", "bookworm-backports"));
    }

    #[test]
    fn only_files_that_are_missing_are_linked() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(from.path().join("partial")).unwrap();
        for name in ["lock", "a", "b"] {
            fs::write(from.path().join(name), "system").unwrap();
        }
        fs::write(to.path().join("b"), "own").unwrap();
        link_files(from.path(), to.path()).unwrap();
        let read = |name: &str| fs::read_to_string(to.path().join(name)).ok();
        assert_eq!(read("a").as_deref(), Some("system"));
        assert_eq!(read("b").as_deref(), Some("own"));
        assert_eq!(fs::read_dir(to.path()).unwrap().count(), 2);
    }
}
