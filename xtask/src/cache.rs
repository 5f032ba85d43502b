// SPDX-License-Identifier: GPL-2.0
//! The cache folder: everything that is fetched, built or logged lives here, outside the repository.

use std::env;
use std::fs;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use anyhow::bail;
use anyhow::Context;
use anyhow::Result;
use rustix::fs::FlockOperation;

use crate::ui;

/// The variable that moves the cache folder.
pub const VARIABLE: &str = "COPY_OFFLOAD_CACHE";

/// Where things are kept between two runs.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// Finds the cache folder and creates it if it is not there yet.
    pub fn open() -> Result<Self> {
        let root = locate(|name| env::var_os(name).map(PathBuf::from))?;
        // These characters would end up inside a kernel command line and in QEMU's options.
        if root.to_string_lossy().contains(['"', '\'', ',', ' ', '\n']) {
            bail!(
                "the cache folder {} has a blank, comma or quote in its name: set {VARIABLE} to another folder",
                root.display()
            );
        }
        let cache = Self { root };
        for dir in [cache.root.clone(), cache.logs()] {
            fs::create_dir_all(&dir).with_context(|| {
                format!(
                    "cannot create {}: set {VARIABLE} to a folder you may write",
                    dir.display()
                )
            })?;
        }
        Ok(cache)
    }

    /// A cache in a folder of a test.
    #[cfg(test)]
    pub fn at(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
        }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Logs of builds and guests.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// Programs installed by `setup` with Cargo.
    pub fn tools(&self) -> PathBuf {
        self.root.join("tools")
    }

    /// Cargo's target folder for the host workspace.
    pub fn target(&self) -> PathBuf {
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.root.join("target"), PathBuf::from)
    }

    /// Takes the lock that keeps two runs of `./x` from working on the same tree; waits, and says so, if it is taken.
    pub fn lock(&self) -> Result<Lock> {
        let path = self.root.join("lock");
        let file =
            File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            ui::note("another ./x is working in the same cache folder: waiting for it");
            rustix::fs::flock(&file, FlockOperation::LockExclusive)
                .with_context(|| format!("cannot lock {}", path.display()))?;
        }
        Ok(Lock { _file: file })
    }
}

/// Held while the kernel tree or a build folder changes; released when dropped.
#[must_use]
pub struct Lock {
    _file: File,
}

/// The rule for where the cache is, on an environment given as a function.
fn locate(variable: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.as_os_str().is_empty());
    let root = if let Some(root) = set(VARIABLE) {
        root
    } else if let Some(cache) = set("XDG_CACHE_HOME") {
        cache.join("copy-offload")
    } else if let Some(home) = set("HOME") {
        home.join(".cache/copy-offload")
    } else {
        bail!("neither HOME nor {VARIABLE} is set: set {VARIABLE} to a folder for the cache");
    };
    std::path::absolute(&root).with_context(|| format!("cannot make {} absolute", root.display()))
}

/// Writes `data` so that a reader sees the old file or the new one, never a part.
pub fn write_atomically(path: &Path, data: &[u8]) -> Result<()> {
    let dir = path.parent().context("a file to write has no folder")?;
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::Builder::new()
            .prefix(".new-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(dir)?;
        file.write_all(data)?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Fails with advice unless `bytes` are free on the file system of `dir`.
pub fn require_space(dir: &Path, bytes: u64) -> Result<()> {
    let stat =
        rustix::fs::statvfs(dir).with_context(|| format!("cannot examine {}", dir.display()))?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    if free < bytes {
        bail!(
            "{} has {} free, this step needs {}: make room or set {VARIABLE} to a folder on a larger file system",
            dir.display(),
            ui::bytes(free),
            ui::bytes(bytes)
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn located(pairs: &[(&str, &str)]) -> Result<PathBuf> {
        locate(|name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| PathBuf::from(value))
        })
    }

    #[test]
    fn the_cache_follows_the_environment() {
        let home = ("HOME", "/home/a");
        assert_eq!(
            located(&[home]).unwrap(),
            Path::new("/home/a/.cache/copy-offload")
        );
        assert_eq!(
            located(&[home, ("XDG_CACHE_HOME", "/c")]).unwrap(),
            Path::new("/c/copy-offload")
        );
        assert_eq!(
            located(&[home, (VARIABLE, "/d"), ("XDG_CACHE_HOME", "")]).unwrap(),
            Path::new("/d")
        );
        assert!(located(&[]).is_err());
    }

    #[test]
    fn an_atomic_write_replaces_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/file");
        write_atomically(&path, b"one").unwrap();
        write_atomically(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path().join("sub")).unwrap().count(), 1);
    }

    #[test]
    fn too_little_space_is_an_error_with_advice() {
        let error = require_space(Path::new("/"), u64::MAX)
            .unwrap_err()
            .to_string();
        assert!(error.contains(VARIABLE), "{error}");
    }
}
