// SPDX-License-Identifier: GPL-2.0
//! What a guest is made of and what it shall do.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::bail;
use anyhow::Context;
use anyhow::Result;

use crate::build::Flavour;
use crate::build::Guest;
use crate::build::Variant;

/// The module that drives NVMe devices on the PCI bus.
const NVME_DRIVER: &str = "nvme";

/// null_blk frees all pages of a device in one go, and nothing else runs on that CPU meanwhile. With KASAN, 128 MiB take
/// some 20 seconds on a busy machine. The kernel reports a soft lockup then, unless it waits longer.
const PATIENT: &str = "watchdog_thresh=60";

/// The machine.
#[derive(Clone, Debug)]
pub struct Options {
    pub guest: Guest,
    pub flavour: Flavour,
    pub cpus: u32,
    /// In bytes.
    pub memory: u64,
    /// More for the kernel's command line.
    pub append: Vec<String>,
    /// Modules to load, in modprobe's words.
    pub modules: Vec<String>,
    pub nvme: Vec<Nvme>,
    pub timeout: Duration,
    /// Do not count what the kernel complains of.
    pub allow_warnings: bool,
    /// Each instruction takes a nanosecond of the guest's time, on one processor (QEMU).
    pub counts_instructions: bool,
    /// If it is one of several guests.
    pub team: Option<Team>,
    /// Options for `tests/check`, such as `--no-offload`.
    pub check: Vec<&'static str>,
}

/// Guests of one kernel that run side by side (User Mode Linux).
#[derive(Clone, Debug)]
pub struct Team {
    /// Which of them it is, from 1 on.
    pub number: u32,
    pub size: u32,
    /// A folder of the host that they share as [`SHARED`].
    pub folder: PathBuf,
}

/// Where a guest finds the folder of its team.
pub const SHARED: &str = "/run/shared";

impl Options {
    /// The defaults for a guest.
    pub fn new(guest: Guest) -> Self {
        Self {
            guest,
            flavour: Flavour::Normal,
            cpus: match guest {
                Guest::Um | Guest::Arm => 1,
                Guest::Qemu => 2,
            },
            memory: 1 << 30,
            append: Vec::new(),
            modules: Vec::new(),
            nvme: Vec::new(),
            timeout: Duration::from_secs(600),
            allow_warnings: false,
            counts_instructions: false,
            team: None,
            check: Vec::new(),
        }
    }

    /// What its log and its results are named after.
    pub fn name(&self) -> String {
        match &self.team {
            Some(team) if team.number > 1 => format!("{}-{}", self.variant(), team.number),
            _ => self.variant().to_string(),
        }
    }

    /// The memory of all guests that run side by side, in bytes.
    pub fn memory_of_all(&self) -> u64 {
        let guests = self.team.as_ref().map_or(1, |team| u64::from(team.size));
        self.memory.saturating_mul(guests)
    }

    /// Loads the driver of NVMe devices, if there are any and it is not loaded anyway.
    pub fn load_nvme(&mut self) {
        if !self.nvme.is_empty() && !self.loads(NVME_DRIVER) {
            self.modules.push(String::from(NVME_DRIVER));
        }
    }

    /// The same, but with a disk for each device: how many controllers lead to it, some versions of QEMU say
    /// wrongly. The programs that look at its requests find them under its name then.
    pub fn load_nvme_alone(&mut self) {
        if !self.nvme.is_empty() {
            self.modules.push(String::from("nvme_core,multipath=N"));
        }
        self.load_nvme();
    }

    /// The number of NVMe devices that have to be there before the job starts: those whose driver is
    /// loaded. The driver finds them in the background.
    pub fn awaited_nvme(&self) -> usize {
        if self.loads(NVME_DRIVER) {
            self.nvme.len()
        } else {
            0
        }
    }

    fn loads(&self, name: &str) -> bool {
        let mut modules = self.modules.iter();
        modules.any(|module| module.split([',', ' ']).next() == Some(name))
    }

    /// What the kernel's command line has besides what the guest needs.
    pub fn words(&self) -> Vec<String> {
        let mut words = self.append.clone();
        if self.flavour == Flavour::Debug {
            // Not only the first report.
            words.push(String::from("kasan_multi_shot"));
        }
        if matches!(self.flavour, Flavour::Debug | Flavour::Kcsan) {
            words.push(String::from(PATIENT));
        }
        words
    }

    pub fn variant(&self) -> Variant {
        let flavour = match (self.guest, self.flavour) {
            (Guest::Um, Flavour::Normal) if self.cpus > 1 => Flavour::Smp,
            (Guest::Um, Flavour::Debug) if self.cpus > 1 => Flavour::SmpDebug,
            (_, flavour) => flavour,
        };
        Variant {
            guest: self.guest,
            flavour,
        }
    }
}

/// The command and what surrounds it.
#[derive(Clone, Debug)]
pub struct Job {
    /// One word is a shell script; several are a program and its arguments.
    pub command: Vec<String>,
    pub dir: PathBuf,
    pub environment: Vec<(String, String)>,
}

/// An NVMe device: one namespace, and the controllers that lead to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nvme {
    /// In bytes.
    pub size: u64,
    /// How many controllers lead to the namespace.
    pub paths: u64,
    /// Properties of the namespace, named and spelled as in QEMU: the limits of its Copy command,
    /// the size of its blocks, their metadata and protection information; and `zone_size`, in
    /// bytes, of one with zones, `bps`, the bytes a second that it reads and writes, and `streams`,
    /// its write streams (Flexible Data Placement, which QEMU has from version 8.1 on).
    pub properties: BTreeMap<String, u64>,
}

/// Those that can be given.
const PROPERTIES: [&str; 10] = [
    BPS,
    "logical_block_size",
    "mcl",
    "ms",
    "mset",
    "msrc",
    "mssrl",
    "pi",
    STREAMS,
    ZONE_SIZE,
];

/// Those that are sizes like `4M`.
pub const ZONE_SIZE: &str = "zone_size";
pub const BPS: &str = "bps";

/// The number of write streams.
pub const STREAMS: &str = "streams";

impl FromStr for Nvme {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.split(',');
        let mut nvme = Self {
            size: size(parts.next().unwrap_or_default())?,
            paths: 1,
            properties: BTreeMap::new(),
        };
        for part in parts {
            let (name, value) = part
                .split_once('=')
                .with_context(|| format!("{part:?} is not name=value"))?;
            let value = match name {
                ZONE_SIZE | BPS => size(value)?,
                _ => value
                    .parse()
                    .with_context(|| format!("{value:?} is not a number"))?,
            };
            if name == "paths" {
                if !(1..=4).contains(&value) {
                    bail!("a device has 1 to 4 paths, not {value}");
                }
                nvme.paths = value;
            } else if PROPERTIES.contains(&name) {
                nvme.properties.insert(String::from(name), value);
            } else {
                bail!("{name:?} is none of paths, {}", PROPERTIES.join(", "));
            }
        }
        Ok(nvme)
    }
}

/// Reads a size like `512M` or `2GiB`; without a unit it is bytes.
pub fn size(text: &str) -> Result<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text
        .get(digits.len()..)
        .unwrap_or_default()
        .to_ascii_lowercase();
    let shift = match unit.as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        "t" | "tib" => 40,
        _ => bail!("{text:?}: the unit is none of K, M, G, T"),
    };
    let number: u64 = digits
        .parse()
        .with_context(|| format!("{text:?} is not a size like 512M or 1G"))?;
    let bytes = number.checked_mul(1 << shift).filter(|bytes| *bytes > 0);
    bytes.with_context(|| format!("{text:?} is out of range"))
}

/// Reads a duration like `90`, `90s`, `10m` or `1h`.
pub fn duration(text: &str) -> Result<Duration> {
    let (digits, factor) = match text.chars().last() {
        Some('s') => (text.trim_end_matches('s'), 1),
        Some('m') => (text.trim_end_matches('m'), 60),
        Some('h') => (text.trim_end_matches('h'), 3600),
        _ => (text, 1),
    };
    let number: u64 = digits
        .parse()
        .with_context(|| format!("{text:?} is not a time like 90s or 10m"))?;
    match number.checked_mul(factor) {
        Some(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds)),
        _ => bail!("{text:?} is out of range"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_are_read() {
        assert_eq!(size("4096").unwrap(), 4096);
        assert_eq!(size("64K").unwrap(), 64 << 10);
        assert_eq!(size("1GiB").unwrap(), 1 << 30);
        assert!(size("").is_err() && size("1X").is_err() && size("0").is_err());
        assert!(size("99999999999T").is_err());
        assert_eq!(duration("90").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("10m").unwrap(), Duration::from_secs(600));
        assert!(duration("0").is_err() && duration("soon").is_err());
    }

    #[test]
    fn several_cpus_want_a_kernel_with_room_for_them() {
        let name = |guest, flavour, cpus| {
            let options = Options {
                flavour,
                cpus,
                ..Options::new(guest)
            };
            options.variant().to_string()
        };
        assert_eq!(name(Guest::Um, Flavour::Normal, 1), "um");
        assert_eq!(name(Guest::Um, Flavour::Normal, 4), "um-smp");
        assert_eq!(name(Guest::Um, Flavour::Debug, 1), "um-debug");
        assert_eq!(name(Guest::Um, Flavour::Debug, 4), "um-smp-debug");
        assert_eq!(name(Guest::Qemu, Flavour::Normal, 4), "qemu");
    }

    #[test]
    fn nvme_devices_are_awaited_if_their_driver_is_loaded() {
        let mut options = Options {
            nvme: vec!["1G".parse().unwrap()],
            ..Options::new(Guest::Qemu)
        };
        assert_eq!(options.awaited_nvme(), 0);
        options.load_nvme();
        assert_eq!((options.modules.len(), options.awaited_nvme()), (1, 1));
        options.modules.clear();
        options.load_nvme_alone();
        assert_eq!(options.modules, ["nvme_core,multipath=N", "nvme"]);
        assert_eq!(options.awaited_nvme(), 1);
        options.modules = vec![String::from("nvme,poll_queues=1")];
        options.load_nvme();
        assert_eq!((options.modules.len(), options.awaited_nvme()), (1, 1));
    }

    #[test]
    fn an_nvme_device_is_described_in_one_word() {
        let nvme: Nvme = "1G,mssrl=256,msrc=127".parse().unwrap();
        assert_eq!(
            (nvme.size, nvme.paths, nvme.properties.len()),
            (1 << 30, 1, 2)
        );
        assert_eq!(nvme.properties["mssrl"], 256);
        let nvme: Nvme = "64M,paths=2,logical_block_size=4096,ms=8,pi=1"
            .parse()
            .unwrap();
        assert_eq!((nvme.paths, nvme.properties.len()), (2, 3));
        let nvme: Nvme = "64M,zone_size=4M".parse().unwrap();
        assert_eq!(nvme.properties[ZONE_SIZE], 4 << 20);
        for wrong in ["1G,mmm=1", "1G,mcl", "1G,paths=0", "1G,paths=5", "1G,ms=x"] {
            assert!(wrong.parse::<Nvme>().is_err(), "{wrong}");
        }
    }
}
