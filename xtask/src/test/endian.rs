// SPDX-License-Identifier: GPL-2.0
//! What a device reads has one byte order, whatever the CPU's: files named `wire.rs` say so in constants
//! that the compiler evaluates, here for a machine that is big-endian.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::ensure;
use anyhow::Context as _;
use anyhow::Result;

use crate::build::Work;
use crate::host::toolchain::Rust;
use crate::host::toolchain::Version;

/// The name of such a file.
const NAME: &str = "wire.rs";

/// A big-endian machine with 64 bits.
const TARGET: &str = "powerpc64-unknown-linux-gnu";

/// From this release on the library is written in the edition of 2024.
const EDITION_2024: Version = Version(1, 87, 0);

/// Compiles each of them, and says how many there were.
pub fn check(work: &Work<'_>) -> Result<usize> {
    let rust = work.rust().context("there is no Rust compiler")?;
    let dir = tempfile::tempdir().context("cannot create a temporary folder")?;
    let compiler = Compiler {
        rust,
        out: dir.path(),
    };
    compiler.library(&work.tree.dir)?;
    let mut count = 0;
    for path in &work.laid.files {
        if path.file_name().is_some_and(|name| name == NAME) {
            compiler.compile(&work.tree.dir.join(path))?;
            count += 1;
        }
    }
    Ok(count)
}

struct Compiler<'a> {
    rust: &'a Rust,
    out: &'a Path,
}

impl Compiler<'_> {
    /// The core library, as the kernel has it: for this machine no compiler comes with one.
    fn library(&self, tree: &Path) -> Result<()> {
        let edition = if self.rust.rustc.version >= EDITION_2024 {
            "2024"
        } else {
            "2021"
        };
        let core = self.rust.library.join("core/src/lib.rs");
        self.run("core", edition, &core)?;
        let builtins = tree.join("rust/compiler_builtins.rs");
        self.run("compiler_builtins", "2021", &builtins)
    }

    fn compile(&self, file: &Path) -> Result<()> {
        let root = self.out.join("root.rs");
        let text = format!(
            "#![no_std]\n#[path = {:?}]\nmod wire;\n",
            file.display().to_string()
        );
        fs::write(&root, text).with_context(|| format!("cannot write {}", root.display()))?;
        self.run("root", "2021", &root)
    }

    fn run(&self, name: &str, edition: &str, source: &Path) -> Result<()> {
        let output = Command::new(&self.rust.rustc.path)
            .env("RUSTC_BOOTSTRAP", "1")
            .args(["--crate-type=rlib", "--emit=metadata", "-Cpanic=abort"])
            .args([
                "--target",
                TARGET,
                "--cap-lints=allow",
                "--crate-name",
                name,
            ])
            .args(["--edition", edition, "-L"])
            .arg(self.out)
            .arg("--out-dir")
            .arg(self.out)
            .arg(source)
            .output()
            .context("cannot run the Rust compiler")?;
        ensure!(
            output.status.success(),
            "{}:\n{}",
            source.display(),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }
}
