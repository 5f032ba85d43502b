// SPDX-License-Identifier: GPL-2.0
//! Which way the data went, by the counters that the kernel keeps per disk
//! in debugfs. Best effort: the counters may not be readable, and they count
//! every copy on the disk, not only ours.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// The way the data went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PathTaken {
    /// The device copied; nothing crossed memory.
    Offloaded,
    /// Some of it was offloaded.
    PartlyOffloaded,
    /// `copy_file_range` succeeded, but the kernel read and wrote.
    Generic,
    /// `copy_file_range` was refused; this program read and wrote.
    ReadWrite,
    /// A copy between files: only the file system knows.
    FileSystem,
    /// The kernel's counters cannot be read.
    Unknown,
    /// There was nothing to copy.
    Nothing,
}

impl PathTaken {
    pub fn describe(self) -> &'static str {
        match self {
            Self::Offloaded => "offloaded to the device",
            Self::PartlyOffloaded => "partly offloaded to the device",
            Self::Generic => "the kernel's generic path (read and write)",
            Self::ReadWrite => "read and written by this program",
            Self::FileSystem => "copy_file_range of the file system",
            Self::Unknown => "unknown",
            Self::Nothing => "nothing to copy",
        }
    }
}

/// The counters of one disk at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters(pub BTreeMap<String, u64>);

impl Counters {
    /// Lines of `name value`; anything else is passed over.
    pub fn parse(text: &str) -> Self {
        let pair = |line: &str| {
            let (name, value) = line.trim().split_once(char::is_whitespace)?;
            Some((
                name.trim_end_matches(':').to_string(),
                value.trim().parse().ok()?,
            ))
        };
        Self(text.lines().filter_map(pair).collect())
    }

    /// What was added since `before`.
    pub fn since(&self, before: &Self) -> Self {
        let added = |(name, value): (&String, &u64)| {
            let old = before.0.get(name).copied().unwrap_or(0);
            (name.clone(), value.saturating_sub(old))
        };
        Self(
            self.0
                .iter()
                .map(added)
                .filter(|(_, value)| *value > 0)
                .collect(),
        )
    }

    fn offloaded_bytes(&self) -> u64 {
        self.0
            .get("offloaded_sectors")
            .map_or(0, |sectors| sectors.saturating_mul(512))
    }

    /// The counters that say why something was not offloaded.
    pub fn reasons(&self) -> String {
        let reasons = self.0.iter().filter(|(name, _)| {
            name.starts_with("fallback")
                || name.starts_with("failed")
                || name.starts_with("onloaded")
        });
        reasons
            .map(|(name, value)| format!("{name} {value}"))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// Where a disk's counters are.
pub fn counters_path(disk: &str) -> PathBuf {
    Path::new("/sys/kernel/debug/block")
        .join(disk)
        .join("copy_stats")
}

/// Reads a disk's counters, or says why that is impossible.
pub fn read(disk: &str) -> Result<Counters, String> {
    let path = counters_path(disk);
    fs::read_to_string(&path).map(|text| Counters::parse(&text)).map_err(|err| {
        format!("{} cannot be read ({err}); as root with debugfs mounted, a kernel with copy offload has it", path.display())
    })
}

/// Judges a copy of `bytes` by what the counters of its disks gained.
pub fn judge(bytes: u64, gained: &[Counters]) -> (PathTaken, String) {
    // A copy between two disks is counted on one of them, or on both.
    let offloaded = gained
        .iter()
        .map(Counters::offloaded_bytes)
        .max()
        .unwrap_or(0);
    let reasons: Vec<_> = gained
        .iter()
        .map(Counters::reasons)
        .filter(|text| !text.is_empty())
        .collect();
    let detail = reasons.join(", ");
    if offloaded >= bytes {
        (PathTaken::Offloaded, detail)
    } else if offloaded > 0 {
        let detail = [format!("{offloaded} of {bytes} bytes offloaded"), detail];
        (
            PathTaken::PartlyOffloaded,
            detail
                .into_iter()
                .filter(|text| !text.is_empty())
                .collect::<Vec<_>>()
                .join("; "),
        )
    } else {
        (PathTaken::Generic, detail)
    }
}

/// Bytes read from a disk since boot by its `stat`, if those are kept.
pub fn bytes_read(disk: &str) -> Option<u64> {
    let dir = Path::new("/sys/block").join(disk);
    let kept = fs::read_to_string(dir.join("queue/iostats")).ok()?;
    if kept.trim() != "1" {
        return None;
    }
    let stat = fs::read_to_string(dir.join("stat")).ok()?;
    let sectors: u64 = stat.split_whitespace().nth(2)?.parse().ok()?;
    sectors.checked_mul(512)
}

/// Judges a copy where the counters cannot be read, from what was read from
/// the source's disk meanwhile. Nothing read proves that the device copied;
/// something read proves nothing, for others read too.
pub fn judge_by_reads(read: Option<u64>, disk: &str, why: String) -> (PathTaken, String) {
    match read {
        Some(0) => (
            PathTaken::Offloaded,
            format!("nothing was read from {disk} meanwhile"),
        ),
        _ => (PathTaken::Unknown, why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "offloaded_chunks 1\noffloaded_sectors 8\nfallback_notsupp 2\n";

    fn gained(after: &str) -> Counters {
        Counters::parse(after).since(&Counters::parse(BEFORE))
    }

    #[test]
    fn parses_pairs_and_passes_over_the_rest() {
        let counters = Counters::parse("a 1\n\n# text here\nb: 2\nc\nd  x\n");
        let expected = [("a", 1), ("b", 2)].map(|(name, value)| (name.to_string(), value));
        assert_eq!(counters.0, BTreeMap::from(expected));
    }

    #[test]
    fn only_reading_nothing_proves_something() {
        let path = |read| judge_by_reads(read, "sda", "why".into()).0;
        assert_eq!(path(Some(0)), PathTaken::Offloaded);
        assert_eq!(path(Some(512)), PathTaken::Unknown);
        assert_eq!(path(None), PathTaken::Unknown);
    }

    #[test]
    fn all_some_or_nothing_offloaded() {
        let all = gained("offloaded_chunks 2\noffloaded_sectors 2056\nfallback_notsupp 2\n");
        assert_eq!(
            judge(1 << 20, &[all]),
            (PathTaken::Offloaded, String::new())
        );
        let some = gained("offloaded_sectors 1032\nfallback_notsupp 3\n");
        let (path, detail) = judge(1 << 20, std::slice::from_ref(&some));
        assert_eq!(path, PathTaken::PartlyOffloaded);
        assert_eq!(
            detail,
            "524288 of 1048576 bytes offloaded; fallback_notsupp 1"
        );
        let none = gained("offloaded_sectors 8\nfallback_notsupp 5\n");
        assert_eq!(
            judge(1 << 20, std::slice::from_ref(&none)),
            (PathTaken::Generic, "fallback_notsupp 3".into())
        );
        // Counted on one of the two disks.
        assert_eq!(judge(524_288, &[none, some]).0, PathTaken::Offloaded);
        assert_eq!(judge(512, &[]).0, PathTaken::Generic);
    }
}
