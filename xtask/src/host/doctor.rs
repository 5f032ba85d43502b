// SPDX-License-Identifier: GPL-2.0
//! Shows what is there, what is missing, and what to do about it.

use std::fmt::Display;

use anyhow::Result;

use super::command::find;
use super::command::output;
use super::needs::missing;
use super::needs::Purpose;
use super::needs::NEEDS;
use super::system::System;
use super::toolchain::min_bindgen;
use super::toolchain::Tool;
use super::toolchain::Toolchain;
use super::toolchain::Version;
use super::toolchain::MIN_LLVM;
use super::toolchain::MIN_RUSTC;
use crate::build::Context;
use crate::build::Flavour;
use crate::build::Guest;
use crate::build::Variant;
use crate::guest::describe_kvm;
use crate::source;
use crate::ui;

/// Prints the report; `true` if everything that is needed is there.
pub fn run(context: &Context) -> Result<bool> {
    let toolchain = Toolchain::find(&context.cache);
    let system = System::here();
    println!("Compilers for the kernel");
    let rust = toolchain.rust.as_ref();
    let mut good = row("rustc", rust.map(|rust| &rust.rustc), MIN_RUSTC);
    match rust {
        Some(rust) => line(true, "Rust library", rust.library.display()),
        None => line(
            false,
            "Rust library",
            "its source must be there, too (rust-src)",
        ),
    }
    let clang = toolchain.llvm.as_ref().map(|llvm| &llvm.clang);
    good &= row("clang", clang, MIN_LLVM);
    let minimum = min_bindgen(clang.map(|clang| clang.version));
    good &= row("bindgen", toolchain.bindgen.as_ref(), minimum);
    for (name, path) in [
        ("rustfmt", &toolchain.rustfmt),
        ("clippy", &toolchain.clippy),
    ] {
        match path {
            Some(path) => line(true, name, path.display()),
            None => line(false, name, "missing: some tests are skipped"),
        }
    }

    println!("Programs");
    for need in NEEDS.iter().filter(|need| need.is_for(&Purpose::ALL)) {
        if need.is_met() {
            let place = find(need.name()).unwrap_or_else(|| need.name().into());
            line(
                true,
                need.name(),
                format!("{}{}", place.display(), version(need.name())),
            );
        } else {
            line(
                false,
                need.name(),
                format!(
                    "missing: {} (package {})",
                    need.why,
                    system.package(need.package)
                ),
            );
        }
    }
    good &= missing(&Purpose::ALL).is_empty();

    println!("Kernel");
    match source::cached(&context.cache)? {
        Some(tree) => line(
            true,
            "source",
            format!("Linux {} from {}", tree.version, tree.origin),
        ),
        None => line(true, "source", "not fetched yet"),
    }
    for variant in Variant::ALL {
        if let Some(kernel) = crate::build::built(context, variant) {
            line(true, &variant.to_string(), kernel.image.display());
        }
    }

    println!("Machine");
    line(true, "system", &system.name);
    if let Some(text) = system.cannot() {
        line(false, "guests", text);
    }
    let qemu = Variant {
        guest: Guest::Qemu,
        flavour: Flavour::Normal,
    };
    let kernel = crate::build::built(context, qemu);
    line(true, "KVM", describe_kvm(context, kernel.as_ref())?);
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    line(true, "processors", cpus);
    if let Ok(stat) = rustix::fs::statvfs(context.cache.root()) {
        let free = ui::bytes(stat.f_bavail.saturating_mul(stat.f_frsize));
        line(
            true,
            "cache",
            format!("{}, {free} free", context.cache.root().display()),
        );
    }
    if !good {
        println!("\n`./x setup` installs what is missing, or says how.");
    }
    Ok(good)
}

fn row(name: &str, tool: Option<&Tool>, minimum: Version) -> bool {
    match tool {
        Some(tool) => {
            let text = format!("{} {} (needs {minimum})", tool.path.display(), tool.version);
            line(true, name, text);
        }
        None => line(false, name, format!("none that is {minimum} or later")),
    }
    tool.is_some()
}

fn line(good: bool, name: &str, text: impl Display) {
    println!("  {} {name:20} {text}", if good { "ok" } else { "--" });
}

/// The version of programs where it matters.
fn version(name: &str) -> String {
    if !["qemu-system-x86_64", "pahole", "fio", "nvme"].contains(&name) {
        return String::new();
    }
    let option = if name == "nvme" {
        "version"
    } else {
        "--version"
    };
    let text = output(std::process::Command::new(name).arg(option)).unwrap_or_default();
    Version::find_in(&text).map_or_else(String::new, |version| format!(" {version}"))
}
