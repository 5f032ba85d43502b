// SPDX-License-Identifier: GPL-2.0
//! The system's package manager: which packages it has, and installing them.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::io::IsTerminal;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use anyhow::bail;
use anyhow::Context;
use anyhow::Result;

use super::command::find;
use super::command::logged;
use super::command::output;
use super::plan::Batch;
use super::plan::Outcome;
use super::plan::Plan;
use super::toolchain::Version;
use crate::cache::Cache;
use crate::ui;
use crate::ui::Step;

/// What to do when apt fails.
const HINT: &str = "Mend what apt complains of (`apt-get -f install`?) and say the same again.";

/// How commands become root.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Root {
    Already,
    Sudo(PathBuf),
}

/// apt, when it is there and we may use it.
#[derive(Clone, Debug)]
pub struct Apt {
    program: PathBuf,
    root: Root,
}

/// Why nothing can be installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoApt {
    /// Another distribution.
    Absent,
    /// Neither root nor a sudo that works.
    NotAllowed,
}

impl Apt {
    /// Finds apt and a way to use it.
    pub fn find() -> Result<Self, NoApt> {
        let program = find("apt-get").ok_or(NoApt::Absent)?;
        if rustix::process::geteuid().is_root() {
            return Ok(Self {
                program,
                root: Root::Already,
            });
        }
        let sudo = find("sudo").ok_or(NoApt::NotAllowed)?;
        // Without a terminal nobody can type a password.
        let quiet = Command::new(&sudo)
            .args(["-n", "true"])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if quiet || std::io::stdin().is_terminal() {
            Ok(Self {
                program,
                root: Root::Sudo(sudo),
            })
        } else {
            Err(NoApt::NotAllowed)
        }
    }

    fn command(&self) -> Command {
        let mut command = match &self.root {
            Root::Already => Command::new(&self.program),
            Root::Sudo(sudo) => {
                let mut command = Command::new(sudo);
                command
                    .args(["env", "DEBIAN_FRONTEND=noninteractive"])
                    .arg(&self.program);
                command
            }
        };
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("LC_ALL", "C");
        command
    }

    /// Reads the package lists anew.
    pub fn update(&self, cache: &Cache) -> Result<()> {
        let step = Step::new("Reading the package lists");
        // A password is asked for before our spinner hides the question.
        self.authenticate()?;
        let log = cache.logs().join("apt.log");
        logged(
            self.command().args(["-q", "update"]),
            &log,
            "Is the network there?",
            |_| {},
        )?;
        step.done("");
        Ok(())
    }

    fn authenticate(&self) -> Result<()> {
        if let Root::Sudo(sudo) = &self.root {
            let status = Command::new(sudo)
                .arg("-v")
                .status()
                .context("cannot run sudo")?;
            if !status.success() {
                bail!("sudo does not let this user install packages");
            }
        }
        Ok(())
    }

    /// What apt would do to install packages; needs neither root nor the network, and changes nothing.
    pub fn simulate(&self, cache: &Cache, batch: &Batch) -> Result<Outcome> {
        let mut command = Command::new(&self.program);
        command
            .env("LC_ALL", "C")
            .args(["-q", "-s", "--no-install-recommends"])
            .args(&batch.options)
            .arg("install")
            .args(&batch.packages);
        let mut text = String::new();
        let log = cache.logs().join("apt.log");
        let result = logged(&mut command, &log, HINT, |line| {
            text.push_str(line);
            text.push('\n');
        });
        let outcome = Outcome::parse(&text);
        // That there is no way is an answer; all else that fails is a failure.
        if outcome.stuck.is_empty() {
            result?;
        }
        Ok(outcome)
    }

    /// Installs what was planned; never removes a package to do so, and never downgrades one.
    pub fn install(&self, cache: &Cache, plan: &Plan) -> Result<()> {
        self.authenticate()?;
        for batch in &plan.batches {
            let origin = match &batch.suite {
                Some(suite) => format!(" from {suite}"),
                None => String::new(),
            };
            let what = match batch.packages.len() {
                1 => String::from("1 package"),
                count => format!("{count} packages"),
            };
            let mut step = Step::new(format!("Installing {what}{origin}"));
            // Without --allow-downgrades, -y makes apt refuse them.
            let mut command = self.command();
            command
                .args(["-q", "-y", "--no-install-recommends", "--no-remove"])
                .args(&batch.options)
                .arg("install")
                .args(&batch.packages);
            let log = cache.logs().join("apt.log");
            logged(&mut command, &log, HINT, step.lines())?;
            step.done("");
        }
        Ok(())
    }

    pub fn program(&self) -> &Path {
        &self.program
    }

    /// How the user becomes root, for a command that we show.
    pub fn prefix(&self) -> &'static str {
        match self.root {
            Root::Already => "",
            Root::Sudo(_) => "sudo ",
        }
    }
}

/// The versions that apt would install.
#[derive(Clone, Debug, Default)]
pub struct Candidates {
    versions: BTreeMap<String, String>,
}

impl Candidates {
    /// Asks for some packages at once.
    pub fn of(packages: &[String]) -> Self {
        let Some(program) = find("apt-cache") else {
            return Self::default();
        };
        let mut command = Command::new(program);
        command.env("LC_ALL", "C").arg("policy").args(packages);
        output(&mut command).map_or_else(|_| Self::default(), |text| Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let mut versions = BTreeMap::new();
        let mut package = None;
        for line in text.lines() {
            if let Some(name) = line.strip_suffix(':').filter(|name| !name.starts_with(' ')) {
                package = Some(String::from(name));
            } else if let Some(version) = line.trim().strip_prefix("Candidate: ") {
                if let Some(name) = package.take().filter(|_| version != "(none)") {
                    versions.insert(name, String::from(version));
                }
            }
        }
        Self { versions }
    }

    #[cfg(test)]
    pub fn from_pairs(pairs: &[(&str, &str)]) -> Self {
        let own = |(name, version): &(&str, &str)| (String::from(*name), String::from(*version));
        Self {
            versions: pairs.iter().map(own).collect(),
        }
    }

    /// What stands behind `prefix` in the names of the packages that begin with it.
    pub fn behind<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        let names = self.versions.keys();
        names.filter_map(move |name| name.strip_prefix(prefix))
    }

    pub fn has(&self, package: &str) -> bool {
        self.versions.contains_key(package)
    }

    /// The upstream version of a package.
    pub fn version(&self, package: &str) -> Option<Version> {
        let version = self.versions.get(package)?;
        let upstream = version
            .split_once(':')
            .map_or(version.as_str(), |(_, rest)| rest);
        Version::find_in(upstream)
    }
}

/// All packages whose names begin with this.
pub fn beginning_with(prefix: &str) -> Vec<String> {
    let Some(program) = find("apt-cache") else {
        return Vec::new();
    };
    let text = output(Command::new(program).args(["pkgnames", prefix])).unwrap_or_default();
    text.lines().map(String::from).collect()
}

/// Asks before something is installed; without a terminal the answer is yes.
pub fn confirm(yes: bool) -> Result<()> {
    if yes || !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Ok(());
    }
    eprint!("   Go on? [Y/n] ");
    std::io::stderr().flush().context("cannot ask")?;
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .context("cannot read the answer")?;
    if !matches!(
        answer.trim().to_ascii_lowercase().as_str(),
        "" | "y" | "yes"
    ) {
        bail!("nothing was installed");
    }
    ui::note("installing");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_read() {
        let text =
            "clang-22:\n  Installed: (none)\n  Candidate: 1:22.1.8-1~deb12u1\n  Version table:\n\
                    nothing:\n  Installed: (none)\n  Candidate: (none)\n\
                    rustc-web:\n  Installed: 1.96.0\n  Candidate: 1.96.0+dfsg1-1~deb12u2\n";
        let candidates = Candidates::parse(text);
        assert_eq!(candidates.version("clang-22"), Some(Version(22, 1, 8)));
        assert_eq!(candidates.version("rustc-web"), Some(Version(1, 96, 0)));
        assert!(!candidates.has("nothing") && !candidates.has("unknown"));
    }
}
