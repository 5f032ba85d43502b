// SPDX-License-Identifier: GPL-2.0
//! What the host must have, how that is recognized, and which Debian package brings it.

use std::path::Path;

use super::command::find;
use super::toolchain::Toolchain;

/// For what something is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To fetch and build a kernel.
    Build,
    /// To boot any guest.
    Guest,
    /// To boot QEMU.
    Qemu,
    /// To look at how code is written, and to make patches of it.
    Style,
    /// The programs that tests in guests use.
    Programs,
    /// To run them in a tree of upstream's tests.
    Blktests,
}

impl Purpose {
    /// All but those for suites that need something of the user anyway.
    pub const ALL: [Self; 5] = [
        Self::Build,
        Self::Guest,
        Self::Qemu,
        Self::Style,
        Self::Programs,
    ];
}

/// How a thing is recognized.
#[derive(Clone, Copy, Debug)]
pub enum Sign {
    Program(&'static str),
    /// One of these files.
    File(&'static [&'static str]),
}

/// A thing from one package.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    pub purpose: Purpose,
    pub sign: Sign,
    pub package: &'static str,
    pub why: &'static str,
}

const fn program(
    purpose: Purpose,
    name: &'static str,
    package: &'static str,
    why: &'static str,
) -> Need {
    Need {
        purpose,
        sign: Sign::Program(name),
        package,
        why,
    }
}

/// All of them, except the compilers, of which there is a choice.
#[rustfmt::skip]
pub const NEEDS: [Need; 33] = [
    program(Purpose::Build, "make", "make", "builds the kernel"),
    program(Purpose::Build, "gcc", "gcc", "links programs of the host"),
    program(Purpose::Build, "flex", "flex", "the kernel's configuration program"),
    program(Purpose::Build, "bison", "bison", "the kernel's configuration program"),
    program(Purpose::Build, "bc", "bc", "computes constants of the kernel"),
    program(Purpose::Build, "perl", "perl", "scripts of the kernel"),
    program(Purpose::Build, "python3", "python3", "scripts of the kernel"),
    program(Purpose::Build, "xz", "xz-utils", "unpacks the kernel's source"),
    program(Purpose::Build, "depmod", "kmod", "indexes modules, and loads them in the guest"),
    program(Purpose::Build, "pahole", "dwarves", "shows the layout of structures"),
    program(Purpose::Build, "ccache", "ccache", "makes a second build quick"),
    Need { purpose: Purpose::Build, sign: Sign::File(&["/usr/include/libelf.h"]), package: "libelf-dev",
           why: "objtool of the x86 kernel" },
    // Debian's, and Fedora's.
    Need { purpose: Purpose::Build,
           sign: Sign::File(&["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"]),
           package: "ca-certificates", why: "downloads" },
    program(Purpose::Guest, "busybox", "busybox-static", "powers the guest off"),
    program(Purpose::Guest, "switch_root", "util-linux", "enters the guest's root"),
    program(Purpose::Guest, "mount", "mount", "mounts what the guest needs"),
    program(Purpose::Qemu, "qemu-system-x86_64", "qemu-system-x86", "the QEMU guest"),
    program(Purpose::Style, "git", "git", "writes the patch series"),
    program(Purpose::Programs, "sfdisk", "fdisk", "partitions test devices"),
    program(Purpose::Programs, "dmsetup", "dmsetup", "stacks test devices"),
    program(Purpose::Programs, "fio", "fio", "makes load in tests"),
    program(Purpose::Programs, "nvme", "nvme-cli", "asks NVMe devices"),
    program(Purpose::Programs, "ip", "iproute2", "connects the guest with itself"),
    program(Purpose::Programs, "mkfs.ext2", "e2fsprogs", "file systems in tests"),
    program(Purpose::Programs, "mkfs.xfs", "xfsprogs", "file systems that share blocks in tests"),
    program(Purpose::Programs, "tc", "iproute2", "slows networks down in tests"),
    program(Purpose::Programs, "qemu-img", "qemu-utils", "copies in tests"),
    program(Purpose::Programs, "xfs_io", "xfsprogs", "copies in tests"),
    program(Purpose::Programs, "lvm", "lvm2", "moves volumes in tests"),
    program(Purpose::Programs, "ps", "procps", "watches processes in tests"),
    program(Purpose::Programs, "hostname", "hostname", "names the guest"),
    program(Purpose::Blktests, "udevadm", "udev", "waits for devices in upstream's helpers"),
    program(Purpose::Blktests, "gawk", "gawk", "reads results in upstream's runner"),
];

impl Need {
    /// Whether the host has it.
    pub fn is_met(&self) -> bool {
        match self.sign {
            Sign::Program(name) => find(name).is_some(),
            Sign::File(paths) => paths.iter().any(|path| Path::new(path).exists()),
        }
    }

    /// Whether one of these purposes asks for it.
    pub fn is_for(&self, purposes: &[Purpose]) -> bool {
        purposes.contains(&self.purpose)
    }

    /// What to call it.
    pub fn name(&self) -> &'static str {
        match self.sign {
            Sign::Program(name) => name,
            Sign::File(paths) => paths.first().unwrap_or(&"a file"),
        }
    }
}

/// The things that are missing for some purposes.
pub fn missing(purposes: &[Purpose]) -> Vec<&'static Need> {
    NEEDS
        .iter()
        .filter(|need| need.is_for(purposes) && !need.is_met())
        .collect()
}

/// Compilers that are missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compilers {
    pub rust: bool,
    pub llvm: bool,
    pub bindgen: bool,
    pub rustfmt: bool,
    pub clippy: bool,
}

impl Compilers {
    /// All of them are missing.
    #[cfg(test)]
    pub const ALL: Self = Self {
        rust: true,
        llvm: true,
        bindgen: true,
        rustfmt: true,
        clippy: true,
    };

    /// What of a toolchain is missing; formatter and linter only count for style.
    pub fn missing(toolchain: &Toolchain, purposes: &[Purpose]) -> Self {
        let build = purposes.contains(&Purpose::Build);
        let style = purposes.contains(&Purpose::Style);
        Self {
            rust: build && toolchain.rust.is_none(),
            llvm: build && toolchain.llvm.is_none(),
            bindgen: build && toolchain.bindgen.is_none(),
            rustfmt: style && toolchain.rustfmt.is_none(),
            clippy: style && toolchain.clippy.is_none(),
        }
    }

    pub fn any(self) -> bool {
        self.rust || self.llvm || self.bindgen || self.rustfmt || self.clippy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_need_stands_once() {
        for (index, need) in NEEDS.iter().enumerate() {
            assert!(NEEDS
                .iter()
                .skip(index + 1)
                .all(|other| other.name() != need.name()));
        }
    }

    #[test]
    fn what_runs_this_test_is_there() {
        assert!(missing(&[Purpose::Guest])
            .iter()
            .all(|need| need.name() != "mount"));
        assert!(!Compilers::default().any());
    }
}
