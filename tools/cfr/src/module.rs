// SPDX-License-Identifier: GPL-2.0
//! The module `blk_copy_test`, which copies as kernel code does.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result};
use nix::errno::Errno;

use crate::copy::Outcome;

/// Its file.
pub const PATH: &str = "/sys/kernel/debug/blk_copy_test/copy";

/// The file of the test module.
pub struct Module {
    writer: File,
    reader: File,
}

impl Module {
    pub fn open(path: &Path) -> Result<Self> {
        let context = || format!("cannot open {}", path.display());
        Ok(Module {
            writer: File::options()
                .write(true)
                .open(path)
                .with_context(context)?,
            reader: File::open(path).with_context(context)?,
        })
    }

    /// Has the module copy; an error means that it did not take the line.
    pub fn start(&mut self, line: &str) -> io::Result<()> {
        let written = self.writer.write(line.as_bytes())?;
        if written == line.len() {
            Ok(())
        } else {
            Err(io::Error::other("the module took a part of the line"))
        }
    }

    /// How the last copy ended; counted in sectors.
    pub fn outcome(&self) -> Result<Outcome> {
        let mut answer = [0; 64];
        let len = self.reader.read_at(&mut answer, 0)?;
        let answer = String::from_utf8_lossy(&answer[..len]);
        parse(&answer).with_context(|| format!("the module says {answer:?}"))
    }

    /// Runs a line, and says how that ended; counted in sectors.
    pub fn run(&mut self, line: &str) -> Result<Outcome> {
        let started = self.start(line);
        started.context("the module does not take this line")?;
        self.outcome()
    }
}

/// Reads `copied=16 error=0`.
fn parse(answer: &str) -> Option<Outcome> {
    let (copied, error) = answer.trim_end().split_once(' ')?;
    let copied = copied.strip_prefix("copied=")?.parse().ok()?;
    let error: i32 = error.strip_prefix("error=")?.parse().ok()?;
    let error = (error != 0).then(|| Errno::from_raw(-error));
    Some(Outcome { copied, error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_answers_of_the_module() {
        let outcome = |copied, error| Some(Outcome { copied, error });
        assert_eq!(parse("copied=16 error=0\n"), outcome(16, None));
        assert_eq!(
            parse("copied=0 error=-95\n"),
            outcome(0, Some(Errno::EOPNOTSUPP))
        );
        assert_eq!(parse("nothing was copied so far\n"), None);
    }
}
