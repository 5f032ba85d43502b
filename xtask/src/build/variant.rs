// SPDX-License-Identifier: GPL-2.0
//! The kernels that can be built: what for, and with which options.

use std::fmt;
use std::path::PathBuf;

use clap::ValueEnum;

use crate::cache::Cache;

/// What a kernel is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Guest {
    /// User Mode Linux: a Linux kernel as a program on this machine; starts in a second.
    Um,
    /// QEMU x86-64: several CPUs and a PCI NVMe controller.
    Qemu,
    /// 32-bit Arm: compiled and linked only.
    #[value(skip)]
    Arm,
}

/// With which options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    Normal,
    /// The patched kernel with CONFIG_BLK_COPY_OFFLOAD off.
    Off,
    /// With everything that finds mistakes.
    Debug,
    /// With what finds data races, and several CPUs.
    Kcsan,
    /// With room for several CPUs, which QEMU's kernels have anyway.
    Smp,
    /// Several CPUs, and everything that finds mistakes.
    SmpDebug,
    /// The options of the normal one, but no zones, so that each run of the tests compiles our Rust
    /// code without them, too. Clippy looks at it, and nothing is linked.
    Clippy,
    /// The options of the normal one, and drivers that it need not have, as far as they exist after some patches of
    /// the series.
    Series,
    /// A small kernel with all built in, but for a part that not every kernel has.
    Without(Part),
}

/// What a kernel need not have. `configs/without` says it in options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    BlkCgroup,
    DebugFs,
    BlkDevZoned,
    Modules,
}

impl Part {
    pub const ALL: [Self; 4] = [
        Self::BlkCgroup,
        Self::DebugFs,
        Self::BlkDevZoned,
        Self::Modules,
    ];

    /// The fragment that takes it away.
    pub fn fragment(self) -> &'static str {
        match self {
            Self::BlkCgroup => "without/blk-cgroup",
            Self::DebugFs => "without/debug-fs",
            Self::BlkDevZoned => "without/blk-dev-zoned",
            Self::Modules => "without/modules",
        }
    }
}

/// One of the kernels that can be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variant {
    pub guest: Guest,
    pub flavour: Flavour,
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let guest = match self.guest {
            Guest::Um => "um",
            Guest::Qemu => "qemu",
            Guest::Arm => "arm",
        };
        let flavour = match self.flavour {
            Flavour::Normal => "",
            Flavour::Off => "-off",
            Flavour::Debug => "-debug",
            Flavour::Kcsan => "-kcsan",
            Flavour::Smp => "-smp",
            Flavour::SmpDebug => "-smp-debug",
            Flavour::Clippy => "-clippy",
            Flavour::Series => "-series",
            Flavour::Without(part) => {
                return write!(f, "{guest}-{}", part.fragment().replace('/', "-"));
            }
        };
        write!(f, "{guest}{flavour}")
    }
}

impl Variant {
    /// Those that some command builds.
    pub const ALL: [Self; 17] = [
        Self::UM,
        Self::of(Guest::Um, Flavour::Off),
        Self::of(Guest::Um, Flavour::Debug),
        Self::of(Guest::Um, Flavour::Smp),
        Self::of(Guest::Um, Flavour::SmpDebug),
        Self::of(Guest::Um, Flavour::Kcsan),
        Self::of(Guest::Um, Flavour::Clippy),
        Self::SERIES,
        Self::without(Part::BlkCgroup),
        Self::without(Part::DebugFs),
        Self::without(Part::BlkDevZoned),
        Self::without(Part::Modules),
        Self::of(Guest::Qemu, Flavour::Normal),
        Self::of(Guest::Qemu, Flavour::Off),
        Self::of(Guest::Qemu, Flavour::Debug),
        Self::of(Guest::Qemu, Flavour::Kcsan),
        Self::ARM,
    ];

    pub const fn of(guest: Guest, flavour: Flavour) -> Self {
        Self { guest, flavour }
    }

    /// A small kernel in User Mode Linux.
    pub const fn without(part: Part) -> Self {
        Self::of(Guest::Um, Flavour::Without(part))
    }

    pub const UM: Self = Self::of(Guest::Um, Flavour::Normal);

    pub const SERIES: Self = Self::of(Guest::Um, Flavour::Series);

    pub const ARM: Self = Self::of(Guest::Arm, Flavour::Normal);

    /// The build folder.
    pub fn dir(self, cache: &Cache) -> PathBuf {
        cache.root().join(format!("build-{self}"))
    }

    /// The name of the architecture in the kernel.
    pub fn arch(self) -> &'static str {
        match self.guest {
            Guest::Um => "um",
            Guest::Qemu => "x86_64",
            Guest::Arm => "arm",
        }
    }

    /// The file that is started, relative to the build folder.
    pub fn image(self) -> &'static str {
        match self.guest {
            Guest::Um => "linux",
            Guest::Qemu => "arch/x86/boot/bzImage",
            Guest::Arm => "vmlinux",
        }
    }

    /// Whether the compiler writes the sizes of the engine's stack frames into its object. The linker of
    /// other kernels complains of sections that it does not know; in debug kernels they say nothing.
    pub fn tells_frames(self) -> bool {
        self.guest == Guest::Um && self.flavour == Flavour::Normal
    }

    pub fn target(self) -> &'static str {
        match self.guest {
            Guest::Um => "linux",
            Guest::Qemu => "bzImage",
            Guest::Arm => "vmlinux",
        }
    }

    /// The fragments that make its configuration, later ones overriding.
    pub fn fragments(self) -> Vec<&'static str> {
        let base = match self.flavour {
            Flavour::Without(_) => "small",
            _ => "common",
        };
        let mut names = match self.guest {
            Guest::Um => vec![base, "um"],
            Guest::Qemu => vec![base, "qemu"],
            Guest::Arm => vec!["arm"],
        };
        match self.flavour {
            Flavour::Normal => {}
            Flavour::Series => names.push("series"),
            Flavour::Clippy => names.push(Part::BlkDevZoned.fragment()),
            Flavour::Off => names.push("off"),
            Flavour::Debug => names.push("debug"),
            Flavour::Kcsan => {
                // QEMU's kernels have several CPUs anyway.
                names.extend((self.guest == Guest::Um).then_some("smp"));
                names.push("kcsan");
            }
            Flavour::Smp => names.push("smp"),
            Flavour::SmpDebug => names.extend(["smp", "debug"]),
            Flavour::Without(part) => names.push(part.fragment()),
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_variant_has_a_name_of_its_own() {
        let mut names = Vec::new();
        for guest in [Guest::Um, Guest::Qemu] {
            for flavour in [
                Flavour::Normal,
                Flavour::Off,
                Flavour::Debug,
                Flavour::Clippy,
            ] {
                names.push(Variant { guest, flavour }.to_string());
            }
        }
        assert_eq!(
            names,
            [
                "um",
                "um-off",
                "um-debug",
                "um-clippy",
                "qemu",
                "qemu-off",
                "qemu-debug",
                "qemu-clippy"
            ]
        );
        let mut all = Variant::ALL.map(|variant| variant.to_string()).to_vec();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), Variant::ALL.len());
    }

    #[test]
    fn a_small_kernel_is_named_after_what_it_has_not() {
        for part in Part::ALL {
            let variant = Variant::without(part);
            let name = part.fragment().replace('/', "-");
            assert_eq!(variant.to_string(), format!("um-{name}"));
            assert!(Variant::ALL.contains(&variant));
        }
    }
}
