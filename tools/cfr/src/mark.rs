// SPDX-License-Identifier: GPL-2.0
//! Fault injection for the task that copies.

use std::fs::File;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result};

/// Marks this task for fault injection while it lives.
pub struct Mark(File);

impl Mark {
    const PATH: &str = "/proc/self/make-it-fail";

    /// The file stays open: to open it again, to take the mark away, would need the memory that is not to be
    /// had, and a task that ends with the mark may damage what it closes.
    pub fn new() -> Result<Self> {
        let file = File::options().write(true).open(Self::PATH);
        let file = file.with_context(|| {
            format!(
                "cannot open {}: the kernel needs CONFIG_FAULT_INJECTION",
                Self::PATH
            )
        })?;
        let mark = Mark(file);
        mark.write(b"0")?;
        mark.write(b"1")?;
        Ok(mark)
    }

    fn write(&self, value: &[u8]) -> Result<()> {
        self.0
            .write_all_at(value, 0)
            .with_context(|| format!("cannot write {}", Self::PATH))
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        // If this fails, nothing is left to try.
        let _ = self.write(b"0");
    }
}
