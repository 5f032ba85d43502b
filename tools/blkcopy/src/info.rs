// SPDX-License-Identifier: GPL-2.0
//! `blkcopy info`: a device's limits, whether offload is possible, why not; and what has become of the copies of a
//! command.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::stderr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{ensure, Context, Result};
use serde::Serialize;

use crate::cli::InfoArgs;
use crate::failure::Failure;
use crate::size::human;
use crate::stats::{self, Counters};
use crate::sysfs::{BlockDevice, DevNo, Offload, Sysfs};

/// What is known of one device.
#[derive(Debug, Serialize)]
pub struct Info {
    /// Of this program.
    pub version: &'static str,
    pub device: String,
    pub disk: String,
    pub partition: Option<u32>,
    /// Where a partition starts on its disk.
    pub start: u64,
    pub size: u64,
    pub logical_block_size: u64,
    pub read_only: bool,
    pub offload: bool,
    pub copy: Offload,
    pub reason: String,
    /// What becomes of a copy by a program that knows nothing of all this, and why.
    pub stock_programs: String,
    /// The disk's counters, where they can be read.
    pub counters: Option<BTreeMap<String, u64>>,
    /// What was counted while a command ran, if there was one.
    pub meanwhile: Option<Meanwhile>,
}

/// What became of copies while a command ran.
#[derive(Debug, Serialize)]
pub struct Meanwhile {
    /// What the counters have gained, where they can be read.
    counted: Option<BTreeMap<String, u64>>,
    /// Bytes that were read from the disk, where those are counted.
    read: Option<u64>,
}

impl Meanwhile {
    fn human(&self) -> String {
        let counted = match &self.counted {
            None => "copies are not counted, or their counters cannot be read".to_string(),
            Some(counted) if counted.is_empty() => "no copy was counted".to_string(),
            Some(counted) => list(counted),
        };
        match self.read {
            None => counted,
            Some(0) => format!("{counted}; nothing was read"),
            Some(bytes) => format!("{counted}; {} were read", human(bytes)),
        }
    }
}

/// What is counted of a disk.
struct Before {
    counters: Option<Counters>,
    read: Option<u64>,
}

impl Before {
    fn of(device: &BlockDevice) -> Self {
        Self {
            counters: stats::read(&device.disk).ok(),
            read: stats::bytes_read(&device.disk),
        }
    }

    fn until(self, now: Self) -> Meanwhile {
        let counters = self.counters.zip(now.counters);
        let read = self.read.zip(now.read);
        Meanwhile {
            counted: counters.map(|(before, now)| now.since(&before).0),
            read: read.map(|(before, now)| now.saturating_sub(before)),
        }
    }
}

/// `offloaded 3, onloaded 1`, without those that are 0.
fn list(counters: &BTreeMap<String, u64>) -> String {
    let used = counters.iter().filter(|(_, value)| **value > 0);
    let used: Vec<_> = used
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    used.join(", ")
}

impl Info {
    fn new(path: &Path, device: &BlockDevice) -> Self {
        let counters = match device.offload {
            Offload::NoKernelSupport => None,
            _ => stats::read(&device.disk).ok().map(|counters| counters.0),
        };
        Self {
            version: env!("CARGO_PKG_VERSION"),
            device: path.display().to_string(),
            disk: device.disk.clone(),
            partition: device.partition,
            start: device.start,
            size: device.size,
            logical_block_size: device.logical_block,
            read_only: device.read_only,
            offload: device.offload.is_possible(),
            copy: device.offload,
            reason: device.offload.explain(&device.disk),
            stock_programs: stock_programs(device),
            counters,
            meanwhile: None,
        }
    }

    /// A few lines for people.
    fn human(&self) -> String {
        let what = match self.partition {
            Some(number) => format!(
                "partition {number} of {}, from byte {} on",
                self.disk, self.start
            ),
            None => format!("disk {}", self.disk),
        };
        let mut text = format!(
            "{}: {what}, {}, blocks of {} bytes{}\n",
            self.device,
            human(self.size),
            self.logical_block_size,
            if self.read_only { ", read-only" } else { "" },
        );
        let verdict = if self.offload {
            "possible"
        } else {
            "not possible"
        };
        text += &format!("  copy offload  {verdict}: {}\n", self.reason);
        text += &format!("  other tools   {}\n", self.stock_programs);
        let (max, hw) = match self.copy {
            Offload::NoKernelSupport => return text + &self.of_command(),
            Offload::NoDeviceSupport => (0, 0),
            Offload::SwitchedOff { hw_bytes } => (0, hw_bytes),
            Offload::Possible {
                max_bytes,
                hw_bytes,
            } => (max_bytes, hw_bytes),
        };
        text += &format!("  limits        copy_max_bytes {max}, copy_max_hw_bytes {hw}\n");
        if let Some(counters) = &self.counters {
            let used = list(counters);
            let used = match used.as_str() {
                "" => "nothing copied yet",
                used => used,
            };
            text += &format!("  in all        {used}\n");
        }
        text + &self.of_command()
    }

    fn of_command(&self) -> String {
        match &self.meanwhile {
            None => String::new(),
            Some(meanwhile) => format!("  meanwhile     {}\n", meanwhile.human()),
        }
    }
}

/// What becomes of a copy by a program that knows nothing of all this: `cp`, `cat` and others.
fn stock_programs(device: &BlockDevice) -> String {
    if device.offload.is_possible() {
        let lower = device.lower().unwrap_or_default();
        let places = match lower.as_slice() {
            [] => format!("within {}", device.disk),
            lower => format!(
                "within {}, and between it and others on {}, where both places are on one disk,",
                device.disk,
                lower.join(", ")
            ),
        };
        return format!(
            "copy_file_range(2) of 256 KiB or more {places} is offloaded, however the files were opened; \
             so cp is, and programs that read and write are not"
        );
    }
    "copies are read and written, whatever asks for them, for the reason above".to_string()
}

/// Runs the command and returns what it prints.
pub fn run(args: &InfoArgs, sysfs: &Sysfs) -> Result<String> {
    let mut devices = Vec::new();
    for path in &args.devices {
        let path = in_dev(path);
        let meta =
            fs::metadata(&path).with_context(|| format!("cannot look at {}", path.display()))?;
        if !meta.file_type().is_block_device() {
            let text = format!(
                "{} is not a block device; only block devices have copy limits",
                path.display()
            );
            return Err(Failure::Refused(text).into());
        }
        let device = sysfs.device(DevNo::from_raw(meta.rdev()))?;
        devices.push((path, device));
    }
    let before: Vec<_> = devices
        .iter()
        .map(|(_, device)| Before::of(device))
        .collect();
    let [program, words @ ..] = args.command.as_slice() else {
        return show(
            args,
            devices.iter().map(|(path, device)| Info::new(path, device)),
        );
    };
    execute(program, words, args.json)?;
    let all = devices.iter().zip(before);
    let infos = all.map(|((path, device), before)| Info {
        meanwhile: Some(before.until(Before::of(device))),
        ..Info::new(path, device)
    });
    show(args, infos)
}

/// Runs another program. What that prints goes elsewhere if this one prints for programs.
fn execute(program: &OsString, words: &[OsString], is_json: bool) -> Result<()> {
    let mut command = Command::new(program);
    command.args(words);
    if is_json {
        command.stdout(Stdio::from(stderr()));
    }
    let program = program.to_string_lossy();
    let status = command
        .status()
        .with_context(|| format!("cannot run {program}"))?;
    ensure!(status.success(), "{program} failed: {status}");
    Ok(())
}

fn show(args: &InfoArgs, infos: impl Iterator<Item = Info>) -> Result<String> {
    let infos: Vec<_> = infos.collect();
    if args.json {
        return Ok(serde_json::to_string_pretty(&infos)?);
    }
    let texts: Vec<_> = infos.iter().map(Info::human).collect();
    Ok(texts.join("\n").trim_end().to_string())
}

/// `nullb0` means `/dev/nullb0`, unless there is such a file here.
fn in_dev(path: &Path) -> PathBuf {
    if path.components().count() == 1 && !path.exists() {
        return Path::new("/dev").join(path);
    }
    path.to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sysfs::tests::{devno, FakeSysfs};

    fn info(dev: &str, fake: &FakeSysfs) -> Info {
        Info::new(
            Path::new("/dev/x"),
            &fake.sysfs().device(devno(dev)).unwrap(),
        )
    }

    #[test]
    fn a_partition_that_can_copy() {
        let fake = FakeSysfs::new();
        let mut info = info("259:0", &fake);
        info.counters = Some(BTreeMap::from([
            ("offloaded_chunks".to_string(), 3),
            ("failed_chunks".to_string(), 0),
        ]));
        let expected = "\
/dev/x: partition 1 of nullb0, from byte 1048576 on, 2 MiB, blocks of 512 bytes
  copy offload  possible: one command copies up to 1 MiB
  other tools   copy_file_range(2) of 256 KiB or more within nullb0 is offloaded, however the files were opened; so cp is, and programs that read and write are not
  limits        copy_max_bytes 1048576, copy_max_hw_bytes 4194304
  in all        offloaded_chunks 3
";
        assert_eq!(info.human(), expected);
        let json = serde_json::to_value(&info).unwrap();
        assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(json["offload"], true);
        assert_eq!(json["copy"]["state"], "possible");
        assert_eq!(json["copy"]["max_bytes"], 1 << 20);
    }

    #[test]
    fn a_device_on_another_one() {
        let fake = FakeSysfs::new();
        fake.write("devices/virtual/block/nullb0/slaves/sdb/size", "1");
        let text = info("250:0", &fake).human();
        let wanted = "within nullb0, and between it and others on sdb, where both places are on one disk, is offloaded";
        assert!(text.contains(wanted), "{text}");
    }

    #[test]
    fn what_was_counted_meanwhile() {
        let meanwhile = |before: &str, now: &str, read| {
            let at = |text, read| Before {
                counters: Some(Counters::parse(text)),
                read,
            };
            at(before, Some(512)).until(at(now, read)).human()
        };
        let text = meanwhile("offloaded 1\n", "offloaded 4\nfailed 0\n", Some(512));
        assert_eq!(text, "offloaded 3; nothing was read");
        let text = meanwhile("offloaded 1\n", "offloaded 1\n", Some((1 << 20) + 512));
        assert_eq!(text, "no copy was counted; 1 MiB were read");
        let unknown = Before {
            counters: None,
            read: None,
        };
        let mut info = info("8:0", &FakeSysfs::new());
        info.meanwhile = Some(unknown.until(Before {
            counters: None,
            read: None,
        }));
        assert!(info
            .human()
            .contains("  meanwhile     copies are not counted"));
    }

    #[test]
    fn a_command_is_run() {
        let words = |text: &str| -> Vec<OsString> { text.split(' ').map(OsString::from).collect() };
        assert!(execute(&"true".into(), &words("a b"), false).is_ok());
        let error = execute(&"false".into(), &[], true).unwrap_err();
        assert!(error.to_string().starts_with("false failed"), "{error}");
        assert!(execute(&"/no/such/program".into(), &[], false).is_err());
    }

    #[test]
    fn a_kernel_that_cannot() {
        let info = info("8:0", &FakeSysfs::new());
        assert!(info
            .human()
            .contains("not possible: this kernel has no copy offload"));
        let json = serde_json::to_value(&info).unwrap();
        assert_eq!(
            (&json["offload"], &json["copy"]["state"]),
            (&false.into(), &"no_kernel_support".into())
        );
    }

    #[test]
    fn a_regular_file_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let args = InfoArgs {
            devices: vec![file.path().to_path_buf()],
            json: false,
            command: Vec::new(),
        };
        let err = run(&args, &FakeSysfs::new().sysfs()).unwrap_err();
        assert_eq!(crate::failure::exit_code(&err), 3);
    }
}
