// SPDX-License-Identifier: GPL-2.0
//! What a copy has to say in the end, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::progress::rate;
use crate::size::human;
use crate::stats::PathTaken;

/// What is left of an incomplete copy: the values of the options that continue it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Rest {
    Copy {
        src_offset: u64,
        dst_offset: u64,
        length: u64,
    },
    Gather {
        skip: u64,
    },
}

impl fmt::Display for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Copy {
                src_offset,
                dst_offset,
                length,
            } => write!(
                f,
                "--src-offset {src_offset} --dst-offset {dst_offset} --length {length}"
            ),
            Self::Gather { skip } => write!(f, "--skip {skip}"),
        }
    }
}

/// How to continue an incomplete copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Resume {
    #[serde(flatten)]
    pub rest: Rest,
    /// All of it, for a shell.
    pub command: String,
}

/// The one object that `--json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Of this program.
    pub version: &'static str,
    pub source: String,
    pub destination: String,
    pub src_offset: u64,
    pub dst_offset: u64,
    /// What was asked for.
    pub length: u64,
    /// Copied from the start on without a gap.
    pub bytes: u64,
    /// Until the data was on the destination (fsync), without `--verify`.
    pub seconds: f64,
    /// Bytes in a second.
    pub rate: u64,
    /// What asked the kernel to copy.
    pub engine: &'static str,
    pub path: PathTaken,
    /// Why, as far as it is known.
    pub path_detail: String,
    /// What the kernel's counters of each disk have gained meanwhile, as far as they can be read.
    pub counted: BTreeMap<String, BTreeMap<String, u64>>,
    /// `None`: not asked for.
    pub verified: Option<bool>,
    pub error: Option<String>,
    pub resume: Option<Resume>,
}

impl Report {
    pub fn new(source: String, destination: String) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            source,
            destination,
            src_offset: 0,
            dst_offset: 0,
            length: 0,
            bytes: 0,
            seconds: 0.0,
            rate: 0,
            engine: "",
            path: PathTaken::Nothing,
            path_detail: String::new(),
            counted: BTreeMap::new(),
            verified: None,
            error: None,
            resume: None,
        }
    }

    pub fn timed(&mut self, bytes: u64, time: Duration) {
        self.bytes = bytes;
        self.seconds = time.as_secs_f64();
        self.rate = rate(bytes, time);
    }

    /// The lines after a successful copy.
    pub fn human(&self) -> String {
        let mut text = format!(
            "{} ({} bytes) copied in {:.3} s, {}/s, by {}\npath: {}",
            human(self.bytes),
            self.bytes,
            self.seconds,
            human(self.rate),
            self.engine,
            self.path.describe(),
        );
        if !self.path_detail.is_empty() {
            text += &format!(" ({})", self.path_detail);
        }
        for (disk, gained) in &self.counted {
            let gained: Vec<_> = gained
                .iter()
                .map(|(name, value)| format!("{name} {value}"))
                .collect();
            text += &format!("\ncounters of {disk}: {}", gained.join(", "));
        }
        if self.verified == Some(true) {
            text += "\nverified: source and destination are the same";
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut report = Report::new("/dev/a".into(), "/dev/b".into());
        report.engine = "io_uring";
        report.path = PathTaken::PartlyOffloaded;
        report.path_detail = "why".into();
        let gained = BTreeMap::from([("offloaded".to_string(), 3)]);
        report.counted.insert("nullb0".into(), gained);
        report.verified = Some(true);
        report.timed(1 << 20, Duration::from_millis(250));
        report
    }

    #[test]
    fn for_people() {
        let expected = "1 MiB (1048576 bytes) copied in 0.250 s, 4 MiB/s, by io_uring\n\
                        path: partly offloaded to the device (why)\n\
                        counters of nullb0: offloaded 3\n\
                        verified: source and destination are the same";
        assert_eq!(report().human(), expected);
    }

    #[test]
    fn for_programs() {
        let value = serde_json::to_value(report()).unwrap();
        assert_eq!(value["bytes"], 1 << 20);
        assert_eq!(value["rate"], 4 << 20);
        assert_eq!(value["seconds"], 0.25);
        assert_eq!(value["path"], "partly_offloaded");
        assert_eq!(value["verified"], true);
        for null in ["error", "resume"] {
            assert!(value[null].is_null());
        }
        for key in ["version", "source", "destination"] {
            assert!(value[key].is_string());
        }
    }

    #[test]
    fn resuming() {
        let rest = Rest::Copy {
            src_offset: 1,
            dst_offset: 2,
            length: 3,
        };
        assert_eq!(rest.to_string(), "--src-offset 1 --dst-offset 2 --length 3");
        let rest = Rest::Gather { skip: 4 };
        let command = format!("blkcopy gather {rest}");
        let value = serde_json::to_value(Resume { rest, command }).unwrap();
        let wanted = serde_json::json!({ "skip": 4, "command": "blkcopy gather --skip 4" });
        assert_eq!(value, wanted);
    }
}
