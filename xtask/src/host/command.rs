// SPDX-License-Identifier: GPL-2.0
//! Running programs: quietly for an answer, or with a log file for work that takes time.

use std::env;
use std::fs;
use std::fs::File;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use anyhow::bail;
use anyhow::Context;
use anyhow::Result;
use rustix::pipe::PipeFlags;

/// How many lines of a log a failure shows.
const TAIL: usize = 25;

/// Runs a program and returns what it wrote to standard output.
pub fn output(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run `{shown}`"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!("`{shown}` failed ({}): {}", output.status, text.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a program, writes all its output to `log`, and hands each line to `line`.
///
/// `hint` tells the user what to do if it fails.
pub fn logged(
    command: &mut Command,
    log: &Path,
    hint: &str,
    mut line: impl FnMut(&str),
) -> Result<()> {
    let shown = show(command);
    let mut file =
        File::create(log).with_context(|| format!("cannot write the log {}", log.display()))?;
    let _ = writeln!(file, "$ {shown}");
    let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).context("no pipe")?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(writer.try_clone().context("no pipe")?)
        .stderr(writer)
        .spawn()
        .with_context(|| format!("cannot run `{}`", command.get_program().to_string_lossy()))?;
    // The command holds the writing ends; keep none, or the pipe never ends.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut reader = BufReader::new(File::from(reader));
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        if reader
            .read_until(b'\n', &mut buffer)
            .context("cannot read the program's output")?
            == 0
        {
            break;
        }
        file.write_all(&buffer)
            .with_context(|| format!("cannot write the log {}", log.display()))?;
        line(String::from_utf8_lossy(&buffer).trim_end());
    }
    let status = child.wait().context("cannot wait for the program")?;
    if !status.success() {
        let name = command.get_program().to_string_lossy().into_owned();
        bail!(
            "{name} failed ({status}). The last lines of {}:\n{}\n   {hint}",
            log.display(),
            tail(log, TAIL)
        );
    }
    Ok(())
}

/// The last lines of a file, indented.
pub fn tail(path: &Path, count: usize) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(count);
    let mut out = String::new();
    for line in lines.iter().skip(from) {
        out.push_str("   | ");
        out.push_str(line);
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out
}

/// A command as a user would type it.
pub fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned());
    shell_words::join(words)
}

/// Looks for a program where Debian puts them, whoever the user is: `PATH`, then the system folders.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|file| is_executable(file))
}

/// Whether a file can be run by this user.
pub fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_returned_and_failure_explained() {
        assert_eq!(output(Command::new("echo").arg("a b")).unwrap(), "a b\n");
        let error = output(Command::new("sh").args(["-c", "echo why >&2; exit 3"])).unwrap_err();
        assert!(error.to_string().contains("why"), "{error}");
    }

    #[test]
    fn a_failure_shows_the_end_of_its_log() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let mut seen = 0;
        let script = "for i in $(seq 40); do echo line $i; done; exit 1";
        let error = logged(
            Command::new("sh").args(["-c", script]),
            &log,
            "do that",
            |_| seen += 1,
        )
        .unwrap_err()
        .to_string();
        assert_eq!(seen, 40);
        assert!(
            error.contains("| line 40") && !error.contains("| line 3\n"),
            "{error}"
        );
        assert!(error.contains("do that"), "{error}");
    }

    #[test]
    fn programs_are_found() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program-here").is_none());
    }
}
