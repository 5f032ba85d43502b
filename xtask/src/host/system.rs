// SPDX-License-Identifier: GPL-2.0
//! What this machine is: which packages it calls how, and what cannot run here.

use std::env::consts::ARCH;

use super::suite::os_release;

/// The architecture that guests have.
const GUESTS: &str = "x86_64";

/// Who makes the packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// Debian, and what is made of it: `./x setup` installs there by itself.
    Debian,
    /// The same with Ubuntu, which has newer Rust in packages with the version in their names.
    Ubuntu,
    Fedora,
    Other,
}

/// A machine.
#[derive(Clone, Debug)]
pub struct System {
    /// What it calls itself.
    pub name: String,
    family: Family,
    arch: String,
}

impl System {
    pub fn here() -> Self {
        Self::read(&os_release(), ARCH)
    }

    fn read(os_release: &str, arch: &str) -> Self {
        let value = |key: &str| {
            let mut lines = os_release.lines();
            let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            value.unwrap_or_default().trim_matches('"')
        };
        let names = format!("{} {}", value("ID"), value("ID_LIKE"));
        let family = names.split_whitespace().find_map(|name| match name {
            "debian" => Some(Family::Debian),
            "ubuntu" => Some(Family::Ubuntu),
            "fedora" | "rhel" | "centos" => Some(Family::Fedora),
            _ => None,
        });
        let name = match value("PRETTY_NAME") {
            "" => "an unknown system",
            name => name,
        };
        Self {
            name: String::from(name),
            family: family.unwrap_or(Family::Other),
            arch: String::from(arch),
        }
    }

    /// What it calls a package of Debian's.
    pub fn package(&self, debian: &str) -> String {
        let name = match self.family {
            Family::Fedora => fedora(debian),
            _ => debian,
        };
        String::from(name)
    }

    /// What a user has to do to get these packages of Debian's.
    pub fn by_hand(&self, packages: &[String]) -> String {
        let names: Vec<String> = packages.iter().map(|name| self.package(name)).collect();
        let names = names.join(" ");
        match self.family {
            Family::Debian | Family::Ubuntu => {
                format!("as root: apt-get install --no-install-recommends {names}")
            }
            Family::Fedora => format!("as root: dnf install {names}"),
            Family::Other => format!("install what Debian calls {names}"),
        }
    }

    /// Which packages have the compilers, where we cannot ask.
    pub fn compilers(&self) -> &'static str {
        match self.family {
            Family::Fedora => "rust rust-src rustfmt clippy bindgen-cli clang lld llvm clang-devel",
            _ => "rust with its library's source (rustup: rust-src), rustfmt, clippy, bindgen, clang, lld, llvm",
        }
    }

    /// How to get a newer Rust than apt has.
    pub fn newer_rust(&self) -> &'static str {
        match self.family {
            Family::Debian => {
                "add the security archive to apt's sources, or use rustup: `rustup component add rust-src`"
            }
            Family::Ubuntu => {
                "switch on the component universe and the suite of updates in apt's sources, which have rustc-1.NN, \
                 or use rustup: `rustup component add rust-src`"
            }
            Family::Fedora | Family::Other => "use rustup: `rustup component add rust-src`",
        }
    }

    /// What cannot run here, if anything.
    pub fn cannot(&self) -> Option<String> {
        (self.arch != GUESTS).then(|| {
            format!(
                "this machine is {}: kernels for guests are built and run on {GUESTS} only. What runs here: \
                 `./x test host arch`, `./x linux`, `./x refresh`, `./x series`",
                self.arch
            )
        })
    }
}

/// Fedora's names for packages of Debian's.
fn fedora(debian: &str) -> &str {
    match debian {
        "busybox-static" => "busybox",
        "dmsetup" => "device-mapper",
        "fdisk" | "mount" => "util-linux",
        "iproute2" => "iproute-tc",
        "libelf-dev" => "elfutils-libelf-devel",
        "procps" => "procps-ng",
        "qemu-system-x86" => "qemu-system-x86-core",
        "qemu-utils" => "qemu-img",
        "udev" => "systemd-udev",
        "xz-utils" => "xz",
        same => same,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &str = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n";
    const UBUNTU: &str =
        "PRETTY_NAME=\"Ubuntu 24.04.2 LTS\"\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\n";
    const FEDORA: &str =
        "NAME=\"Fedora Linux\"\nID=fedora\nPRETTY_NAME=\"Fedora Linux 42 (Server)\"\n";
    const ROCKY: &str = "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n";
    const ARCH_LINUX: &str = "PRETTY_NAME=\"Arch Linux\"\nID=arch\n";

    fn advice(os_release: &str) -> String {
        let packages = ["make", "xz-utils", "dmsetup"].map(String::from);
        System::read(os_release, "x86_64").by_hand(&packages)
    }

    #[test]
    fn each_distribution_has_its_own_words() {
        for debian in [DEBIAN, UBUNTU] {
            assert!(advice(debian)
                .ends_with("apt-get install --no-install-recommends make xz-utils dmsetup"));
        }
        for fedora in [FEDORA, ROCKY] {
            assert_eq!(advice(fedora), "as root: dnf install make xz device-mapper");
        }
        for other in [ARCH_LINUX, ""] {
            assert_eq!(
                advice(other),
                "install what Debian calls make xz-utils dmsetup"
            );
        }
    }

    #[test]
    fn each_distribution_has_its_own_rust() {
        let newer = |os_release| System::read(os_release, "x86_64").newer_rust();
        assert!(newer(DEBIAN).contains("security archive") && !newer(DEBIAN).contains("universe"));
        for ubuntu in [UBUNTU, "ID=pop\nID_LIKE=\"ubuntu debian\"\n"] {
            let text = newer(ubuntu);
            assert!(
                text.contains("universe") && !text.contains("security"),
                "{text}"
            );
        }
        for text in [DEBIAN, UBUNTU, FEDORA, ARCH_LINUX, ""].map(newer) {
            assert!(text.contains("rustup component add rust-src"), "{text}");
        }
        let compilers = |os_release| System::read(os_release, "x86_64").compilers();
        assert!(
            compilers(FEDORA).contains("bindgen-cli") && compilers(FEDORA).contains("rust-src")
        );
        assert!(compilers(ARCH_LINUX).contains("rustup"));
    }

    #[test]
    fn a_system_has_a_name() {
        assert_eq!(System::read(UBUNTU, "x86_64").name, "Ubuntu 24.04.2 LTS");
        assert_eq!(System::read("", "x86_64").name, "an unknown system");
    }

    #[test]
    fn guests_are_for_one_architecture() {
        assert!(System::read(UBUNTU, "x86_64").cannot().is_none());
        let text = System::read(UBUNTU, "aarch64").cannot().unwrap();
        assert!(
            text.contains("aarch64") && text.contains("./x test host"),
            "{text}"
        );
    }
}
