// SPDX-License-Identifier: GPL-2.0
//! `blkcopy info`: a device's limits, whether offload is possible, why not.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::cli::InfoArgs;
use crate::failure::Failure;
use crate::size::human;
use crate::stats;
use crate::sysfs::{BlockDevice, DevNo, Offload, Sysfs};

/// What is known of one device.
#[derive(Debug, Serialize)]
pub struct Info {
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
}

impl Info {
    fn new(path: &Path, device: &BlockDevice) -> Self {
        let counters = match device.offload {
            Offload::NoKernelSupport => None,
            _ => stats::read(&device.disk).ok().map(|counters| counters.0),
        };
        Self {
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
            Offload::NoKernelSupport => return text,
            Offload::NoDeviceSupport => (0, 0),
            Offload::SwitchedOff { hw_bytes } => (0, hw_bytes),
            Offload::Possible {
                max_bytes,
                hw_bytes,
            } => (max_bytes, hw_bytes),
        };
        text += &format!("  limits        copy_max_bytes {max}, copy_max_hw_bytes {hw}\n");
        if let Some(counters) = &self.counters {
            let used = counters.iter().filter(|(_, value)| **value > 0);
            let used: Vec<_> = used
                .map(|(name, value)| format!("{name} {value}"))
                .collect();
            let used = if used.is_empty() {
                "nothing copied yet".to_string()
            } else {
                used.join(", ")
            };
            text += &format!("  since boot    {used}\n");
        }
        text
    }
}

/// What becomes of a copy by a program that knows nothing of all this: `cp`, `cat` and others.
fn stock_programs(device: &BlockDevice) -> String {
    if device.offload.is_possible() {
        return format!(
            "copy_file_range(2) of 256 KiB or more within {} is offloaded, however the files were opened; \
             programs that read and write are not",
            device.disk
        );
    }
    "copies are read and written, whatever asks for them, for the reason above".to_string()
}

/// Runs the command and returns what it prints.
pub fn run(args: &InfoArgs, sysfs: &Sysfs) -> Result<String> {
    let mut infos = Vec::new();
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
        infos.push(Info::new(
            &path,
            &sysfs.device(DevNo::from_raw(meta.rdev()))?,
        ));
    }
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
  other tools   copy_file_range(2) of 256 KiB or more within nullb0 is offloaded, however the files were opened; programs that read and write are not
  limits        copy_max_bytes 1048576, copy_max_hw_bytes 4194304
  since boot    offloaded_chunks 3
";
        assert_eq!(info.human(), expected);
        let json = serde_json::to_value(&info).unwrap();
        assert_eq!(json["offload"], true);
        assert_eq!(json["copy"]["state"], "possible");
        assert_eq!(json["copy"]["max_bytes"], 1 << 20);
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
        };
        let err = run(&args, &FakeSysfs::new().sysfs()).unwrap_err();
        assert_eq!(crate::failure::exit_code(&err), 3);
    }
}
