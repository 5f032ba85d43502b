// SPDX-License-Identifier: GPL-2.0
//! The folder that a guest shares with the host: what to run goes in, the exit status comes out.

use std::fmt::Write;
use std::fs;
use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::Result;

use super::options::Job;
use super::options::Options;
use super::process::terminal_size;
use crate::cache::Cache;

/// The guest's first process.
const INIT: &str = include_str!("../../guest/init.sh");

/// Removed when dropped.
pub struct Exchange {
    dir: tempfile::TempDir,
}

impl Exchange {
    pub fn new(cache: &Cache, options: &Options, job: &Job, interactive: bool) -> Result<Self> {
        let exchange = Self {
            dir: folder(cache)?,
        };
        exchange.write("init", INIT)?;
        fs::set_permissions(exchange.init(), Permissions::from_mode(0o755))
            .context("cannot make the init script executable")?;
        exchange.write(
            "job",
            &script(job, interactive.then(terminal_size).flatten())?,
        )?;
        let mut modules = String::new();
        for module in &options.modules {
            writeln!(modules, "{}", module.replace(',', " ")).context("cannot list modules")?;
        }
        exchange.write("modules", &modules)?;
        exchange.write("nvme", &format!("{}\n", options.awaited_nvme()))?;
        Ok(exchange)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.dir.path().join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn init(&self) -> PathBuf {
        self.dir.path().join("init")
    }

    /// Moves what the job left in `results` to the logs.
    pub fn keep_results(&self, cache: &Cache, name: &str) -> Result<()> {
        let from = self.dir.path().join("results");
        if from.is_dir() {
            let to = results(cache, name);
            let _ = fs::remove_dir_all(&to);
            fs::rename(&from, &to)
                .with_context(|| format!("cannot move the results to {}", to.display()))?;
        }
        Ok(())
    }

    /// The job's exit status, if it ran to its end.
    pub fn status(&self) -> Result<Option<u8>> {
        match fs::read_to_string(self.dir.path().join("status")) {
            Ok(text) => {
                let status = text.trim().parse();
                Ok(Some(
                    status.context("the guest wrote no number as its status")?,
                ))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context("cannot read the guest's status"),
        }
    }
}

/// Where the results of the last guest of a name are kept.
pub fn results(cache: &Cache, name: &str) -> PathBuf {
    cache.logs().join(format!("results-{name}"))
}

/// Makes a folder for guests of this process. It is removed when dropped.
pub fn folder(cache: &Cache) -> Result<tempfile::TempDir> {
    let parent = cache.root().join("run");
    fs::create_dir_all(&parent).with_context(|| format!("cannot create {}", parent.display()))?;
    remove_leftovers(&parent);
    tempfile::Builder::new()
        .prefix(&format!("{}-", std::process::id()))
        .tempdir_in(&parent)
        .with_context(|| format!("cannot create a folder in {}", parent.display()))
}

/// The shell script that runs a job.
fn script(job: &Job, size: Option<(u16, u16)>) -> Result<String> {
    let mut text = String::new();
    let mut line = |words: std::fmt::Arguments<'_>| {
        text.write_fmt(words)
            .and_then(|()| text.write_char('\n'))
            .context("cannot write a script")
    };
    for (name, value) in &job.environment {
        line(format_args!("export {name}={}", shell_words::quote(value)))?;
    }
    let dir = job.dir.to_string_lossy();
    line(format_args!("cd {} || exit 125", shell_words::quote(&dir)))?;
    if let Some((rows, columns)) = size {
        line(format_args!("stty rows {rows} cols {columns}"))?;
    }
    match job.command.as_slice() {
        [script] => line(format_args!("{script}"))?,
        words => line(format_args!("exec {}", shell_words::join(words)))?,
    }
    Ok(text)
}

/// Removes folders of runs that are no more: they are named after their process.
fn remove_leftovers(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.split('-').next().unwrap_or_default();
        if !Path::new("/proc").join(owner).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(command: &[&str]) -> Job {
        Job {
            command: command.iter().map(|word| String::from(*word)).collect(),
            dir: PathBuf::from("/a b"),
            environment: vec![(String::from("A"), String::from("it's"))],
        }
    }

    #[test]
    fn one_word_is_a_script_and_several_are_a_program() {
        let text = script(&job(&["echo a; echo b"]), None).unwrap();
        assert!(
            text.ends_with("cd '/a b' || exit 125\necho a; echo b\n"),
            "{text}"
        );
        assert!(text.starts_with("export A="), "{text}");
        let text = script(&job(&["echo", "a; b"]), Some((24, 80))).unwrap();
        assert!(
            text.ends_with("stty rows 24 cols 80\nexec echo 'a; b'\n"),
            "{text}"
        );
    }
}
