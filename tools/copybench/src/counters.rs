// SPDX-License-Identifier: GPL-2.0
//! Counters of the kernel that are always on, so that every timed run can be checked.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use evidence::disk::Disk;
use evidence::system;

/// What was counted during one run, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Read from the source disk by requests.
    pub read: u64,
    /// How many of these requests there were.
    pub reads: u64,
    /// What the block layer says of copies to the destination disk, if it keeps count.
    pub stats: Option<CopyStats>,
}

/// Of `copy_stats` in debugfs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyStats {
    pub offloaded: u64,
    pub onloaded: u64,
    /// Pieces that were read and written.
    pub pieces: u64,
}

impl CopyStats {
    /// The mean length of what was read and written at a time.
    pub fn piece(&self) -> Option<u64> {
        self.onloaded.checked_div(self.pieces)
    }
}

/// The counters of two disks, which may be one and the same.
pub struct Counters<'a> {
    src: &'a Disk,
    dst: PathBuf,
    start: Counted,
}

impl<'a> Counters<'a> {
    /// Starts to count.
    pub fn start(src: &'a Disk, dst: &Disk) -> Result<Self> {
        let mut counters = Self {
            src,
            dst: PathBuf::from(format!("/sys/kernel/debug/block/{}/copy_stats", dst.name)),
            start: Counted::default(),
        };
        counters.start = counters.now()?;
        Ok(counters)
    }

    fn now(&self) -> Result<Counted> {
        let read = self.src.read()?;
        Ok(Counted {
            read: read.bytes,
            reads: read.requests,
            stats: self.dst.exists().then(|| stats(&self.dst)).transpose()?,
        })
    }

    /// What was counted since the start.
    pub fn counted(&self) -> Result<Counted> {
        Ok(self.now()?.since(&self.start))
    }
}

/// Context switches since the guest was booted, of all its processors.
pub fn context_switches() -> Result<u64> {
    let text = system::get(Path::new("/proc/stat"))?;
    switches_in(&text).context("/proc/stat has no ctxt")
}

fn switches_in(stat: &str) -> Option<u64> {
    let mut lines = stat.lines();
    let count = lines.find_map(|line| line.strip_prefix("ctxt "))?;
    count.trim().parse().ok()
}

impl Counted {
    /// The same for so many disks that all do as much.
    pub fn times(self, disks: u64) -> Self {
        Self {
            read: self.read * disks,
            reads: self.reads * disks,
            ..self
        }
    }

    fn since(&self, start: &Self) -> Self {
        let stats = self.stats.zip(start.stats).map(|(now, start)| CopyStats {
            offloaded: now.offloaded.saturating_sub(start.offloaded),
            onloaded: now.onloaded.saturating_sub(start.onloaded),
            pieces: now.pieces.saturating_sub(start.pieces),
        });
        Self {
            read: self.read.saturating_sub(start.read),
            reads: self.reads.saturating_sub(start.reads),
            stats,
        }
    }
}

fn stats(path: &Path) -> Result<CopyStats> {
    let text = system::get(path)?;
    stats_in(&text)
        .with_context(|| format!("{} has an unexpected content: {text:?}", path.display()))
}

/// `offloaded N`, `offloaded_sectors N` and so on, a line each.
fn stats_in(text: &str) -> Option<CopyStats> {
    let number = |name: &str| -> Option<u64> {
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        lines.find(|(key, _)| *key == name)?.1.trim().parse().ok()
    };
    Some(CopyStats {
        offloaded: number("offloaded_sectors")?.checked_mul(512)?,
        onloaded: number("onloaded_sectors")?.checked_mul(512)?,
        pieces: number("onloaded")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_statistics() {
        let text =
            "offloaded 3\noffloaded_sectors 24\nonloaded 2\nonloaded_sectors 256\nfailed 1\n";
        let stats = CopyStats {
            offloaded: 12288,
            onloaded: 131_072,
            pieces: 2,
        };
        assert_eq!(stats_in(text), Some(stats));
        assert_eq!(stats_in("offloaded 3\n"), None);
        assert_eq!(stats_in(""), None);
    }

    #[test]
    fn switches() {
        let text = "cpu  1 2 3\nintr 5 0\nctxt 1234\nbtime 1\n";
        assert_eq!(switches_in(text), Some(1234));
        assert_eq!(switches_in("cpu 1\n"), None);
    }

    #[test]
    fn differences() {
        let at = |read, stats| Counted {
            read,
            reads: read,
            stats,
        };
        let stats = |offloaded, onloaded, pieces| {
            Some(CopyStats {
                offloaded,
                onloaded,
                pieces,
            })
        };
        assert_eq!(
            at(9, stats(8, 7, 6)).since(&at(1, stats(2, 3, 4))),
            at(8, stats(6, 4, 2))
        );
        assert_eq!(at(9, None).since(&at(9, stats(1, 1, 1))), at(0, None));
        assert_eq!(at(9, stats(1, 2, 3)).times(4), at(36, stats(1, 2, 3)));
    }
}
