// SPDX-License-Identifier: GPL-2.0
//! The compilers that build the kernel, found by what they can do and named explicitly to `make`.
//!
//! Nothing depends on the order of `PATH`: a rustup toolchain without the library's source, for
//! instance, cannot build the kernel and must not shadow the distribution's.

use std::env;
use std::fmt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::cache::Cache;
use crate::host::command::find;
use crate::host::command::is_executable;
use crate::host::command::output;

/// What the kernel (7.3, `scripts/min-tool-version.sh`) asks for at least.
pub const MIN_RUSTC: Version = Version(1, 85, 0);
pub const MIN_LLVM: Version = Version(17, 0, 1);
const MIN_BINDGEN: Version = Version(0, 71, 1);

/// What bindgen must be for a clang: with a libclang newer than it knows, it takes structures for
/// opaque, and the kernel's Rust does not compile.
pub fn min_bindgen(clang: Option<Version>) -> Version {
    match clang {
        Some(Version(release, ..)) if release > 19 => Version(0, 72, 1),
        _ => MIN_BINDGEN,
    }
}

/// LLVM releases to look for, best first.
pub const LLVM_RELEASES: [u32; 6] = [22, 21, 20, 19, 18, 17];

/// A version of three numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

impl Version {
    /// Reads the first thing in a text that looks like a version.
    pub fn find_in(text: &str) -> Option<Self> {
        text.split(|c: char| !(c.is_ascii_digit() || c == '.'))
            .find_map(|word| {
                let mut numbers = word.split('.').map(str::parse::<u32>);
                let major = numbers.next()?.ok()?;
                let minor = numbers.next()?.ok()?;
                let patch = numbers.next().and_then(Result::ok).unwrap_or(0);
                Some(Self(major, minor, patch))
            })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// A program and its version.
#[derive(Clone, Debug)]
pub struct Tool {
    pub path: PathBuf,
    pub version: Version,
}

/// A Rust compiler together with the source of its library.
#[derive(Clone, Debug)]
pub struct Rust {
    pub rustc: Tool,
    pub library: PathBuf,
}

/// clang and friends, all of one release.
#[derive(Clone, Debug)]
pub struct Llvm {
    pub clang: Tool,
    /// What stands behind each program's name: `-22`, or nothing.
    pub suffix: String,
}

/// What was found; a part that is `None` is missing.
#[derive(Clone, Debug)]
pub struct Toolchain {
    pub rust: Option<Rust>,
    pub llvm: Option<Llvm>,
    pub bindgen: Option<Tool>,
    pub rustfmt: Option<PathBuf>,
    pub clippy: Option<PathBuf>,
    pub ccache: Option<PathBuf>,
}

impl Toolchain {
    /// Looks for everything.
    pub fn find(cache: &Cache) -> Self {
        let rust = find_rust();
        let beside = |name: &str| {
            rust.as_ref()
                .and_then(|rust| rust.rustc.path.parent())
                .map(|dir| dir.join(name))
                .filter(|path| is_executable(path))
        };
        let llvm = find_llvm();
        Self {
            rustfmt: beside("rustfmt").or_else(|| find("rustfmt")),
            // clippy must be of the very compiler that it stands in for.
            clippy: beside("clippy-driver"),
            bindgen: find_bindgen(
                cache,
                min_bindgen(llvm.as_ref().map(|llvm| llvm.clang.version)),
            ),
            llvm,
            ccache: find("ccache"),
            rust,
        }
    }

    /// The variables for the kernel's `make`, or the names of what is missing.
    pub fn make_variables(&self) -> Result<Vec<String>, Vec<&'static str>> {
        let (Some(rust), Some(llvm), Some(bindgen)) = (&self.rust, &self.llvm, &self.bindgen)
        else {
            let missing = [
                (
                    self.rust.is_none(),
                    "a Rust compiler with its library's source",
                ),
                (self.llvm.is_none(), "clang, lld and llvm"),
                (self.bindgen.is_none(), "bindgen"),
            ];
            return Err(missing
                .iter()
                .filter(|(gone, _)| *gone)
                .map(|(_, name)| *name)
                .collect());
        };
        let release = if llvm.suffix.is_empty() {
            "1"
        } else {
            &llvm.suffix
        };
        let mut variables = vec![
            format!("LLVM={release}"),
            format!("RUSTC={}", rust.rustc.path.display()),
            format!("RUST_LIB_SRC={}", rust.library.display()),
            format!("BINDGEN={}", bindgen.path.display()),
        ];
        let rustdoc = rust.rustc.path.with_file_name("rustdoc");
        variables.push(format!("RUSTDOC={}", rustdoc.display()));
        if let Some(rustfmt) = &self.rustfmt {
            variables.push(format!("RUSTFMT={}", rustfmt.display()));
        }
        if let Some(clippy) = &self.clippy {
            variables.push(format!("CLIPPY_DRIVER={}", clippy.display()));
        }
        if let Some(ccache) = &self.ccache {
            variables.push(format!("CC={} clang{}", ccache.display(), llvm.suffix));
        }
        Ok(variables)
    }

    /// Environment variables for the kernel's `make`.
    pub fn environment(&self, cache: &Cache) -> Vec<(&'static str, PathBuf)> {
        let mut environment = vec![
            ("CCACHE_DIR", cache.root().join("ccache")),
            // The kernel's build stamps would make every compilation unique otherwise.
            ("CCACHE_NOHASHDIR", PathBuf::from("1")),
            // It knows what was included from the file that the compiler writes for kbuild, and trusts it as kbuild
            // does. Else it preprocesses each file once more, and a first build takes a quarter longer.
            ("CCACHE_DEPEND", PathBuf::from("1")),
        ];
        if let Some(llvm) = &self.llvm {
            let library = PathBuf::from(format!("/usr/lib/llvm{}/lib", llvm.suffix));
            if library.is_dir() {
                environment.push(("LIBCLANG_PATH", library));
            }
        }
        environment
    }

    /// A text that changes when a compiler does.
    pub fn identity(&self) -> String {
        let tool = |tool: Option<&Tool>| {
            tool.map_or_else(String::new, |tool| {
                format!("{} {}", tool.path.display(), tool.version)
            })
        };
        format!(
            "{}\n{}\n{}\n",
            tool(self.rust.as_ref().map(|rust| &rust.rustc)),
            tool(self.llvm.as_ref().map(|llvm| &llvm.clang)),
            tool(self.bindgen.as_ref())
        )
    }
}

/// Asks a program for its version; `None` if it is not there, too old or does not answer.
fn tool(path: PathBuf, minimum: Version) -> Option<Tool> {
    let text = output(Command::new(&path).arg("--version")).ok()?;
    let version = Version::find_in(&text)?;
    (version >= minimum).then_some(Tool { path, version })
}

fn find_rust() -> Option<Rust> {
    let chosen = env::var_os("COPY_OFFLOAD_RUSTC").map(PathBuf::from);
    let candidates = chosen
        .into_iter()
        .chain(std::iter::once(PathBuf::from("/usr/bin/rustc")))
        .chain(find("rustc"))
        .chain(versioned(Path::new("/usr/lib")));
    for path in candidates.filter(|path| is_executable(path)) {
        let Some(rustc) = tool(path, MIN_RUSTC) else {
            continue;
        };
        if let Some(library) = rust_library(&rustc) {
            return Some(Rust { rustc, library });
        }
    }
    None
}

/// The compilers of Ubuntu's packages rustc-1.NN, which are in folders of their own; the newest first.
fn versioned(lib: &Path) -> Vec<PathBuf> {
    let entries = lib.read_dir().into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter_map(|entry| {
            let name = entry.file_name();
            let version = Version::find_in(name.to_str()?.strip_prefix("rust-")?)?;
            Some((version, entry.path().join("bin/rustc")))
        })
        .collect();
    found.sort();
    found.into_iter().rev().map(|(_, path)| path).collect()
}

/// The library's source: below the toolchain (rustup), or where Debian puts it.
fn rust_library(rustc: &Tool) -> Option<PathBuf> {
    let sysroot = output(Command::new(&rustc.path).args(["--print", "sysroot"])).ok()?;
    let below = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library");
    let debian = PathBuf::from(format!("/usr/src/rustc-{}/library", rustc.version));
    [below, debian]
        .into_iter()
        .find(|dir| dir.join("core/src/lib.rs").is_file())
}

fn find_llvm() -> Option<Llvm> {
    let releases = LLVM_RELEASES.iter().map(|release| format!("-{release}"));
    releases
        .chain(std::iter::once(String::new()))
        .find_map(|suffix| {
            let complete = ["ld.lld", "llvm-ar", "llvm-nm", "llvm-objcopy"]
                .iter()
                .all(|name| find(&format!("{name}{suffix}")).is_some());
            let clang = find(&format!("clang{suffix}")).filter(|_| complete)?;
            tool(clang, MIN_LLVM).map(|clang| Llvm { clang, suffix })
        })
}

fn find_bindgen(cache: &Cache, minimum: Version) -> Option<Tool> {
    let home = env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo/bin/bindgen"));
    std::iter::once(cache.tools().join("bin/bindgen"))
        .chain(find("bindgen"))
        .chain(home)
        .filter(|path| is_executable(path))
        .find_map(|path| tool(path, minimum))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_tools_print() {
        let read = |text| Version::find_in(text);
        assert_eq!(
            read("rustc 1.96.0 (abc 2026-01-01) (built)"),
            Some(Version(1, 96, 0))
        );
        assert_eq!(
            read("Debian clang version 22.1.8 (1~deb12u1)"),
            Some(Version(22, 1, 8))
        );
        assert_eq!(read("bindgen 0.72.1"), Some(Version(0, 72, 1)));
        assert_eq!(
            read("QEMU emulator version 7.2.19 (Debian 1:7.2+dfsg)"),
            Some(Version(7, 2, 19))
        );
        assert_eq!(read("v1.24"), Some(Version(1, 24, 0)));
        assert_eq!(read("none"), None);
    }

    #[test]
    fn a_new_clang_needs_a_new_bindgen() {
        assert_eq!(min_bindgen(None), MIN_BINDGEN);
        assert_eq!(min_bindgen(Some(Version(19, 1, 7))), MIN_BINDGEN);
        assert_eq!(min_bindgen(Some(Version(22, 1, 8))), Version(0, 72, 1));
    }

    #[test]
    fn versioned_compilers_are_found() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["rust-1.85", "rust-1.100", "rust-1.91", "rustlib", "llvm-22"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let path = |name: &str| dir.path().join(name).join("bin/rustc");
        let wanted = ["rust-1.100", "rust-1.91", "rust-1.85"].map(path);
        assert_eq!(versioned(dir.path()), wanted);
        assert!(versioned(&dir.path().join("none")).is_empty());
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert!(Version(1, 100, 0) > MIN_RUSTC);
        assert!(Version(1, 84, 9) < MIN_RUSTC);
    }
}
