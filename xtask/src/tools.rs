// SPDX-License-Identifier: GPL-2.0
//! The programs of this workspace that run in a guest: built here, found there through `PATH`.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use anyhow::Result;
use serde::Deserialize;

use crate::build;
use crate::build::Context;
use crate::build::Guest;
use crate::build::Kernel;
use crate::build::When;
use crate::guest;
use crate::guest::Nvme;
use crate::guest::Options;
use crate::guest::Sink;
use crate::host::command::logged;
use crate::ui::Step;

/// The demo's program.
const DEMO: &str = "copydemo";

/// The program that measures.
const BENCH: &str = "copybench";

/// Cargo in this workspace, the one that runs us.
pub fn cargo(context: &Context) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(&context.repo);
    command.env("CARGO_TARGET_DIR", context.cache.target());
    // What goes to a log file needs no colours.
    command.env("CARGO_TERM_COLOR", "never");
    command
}

/// The names of the packages in `tools/`.
fn packages(repo: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(repo.join("tools"))
        .context("cannot list tools/")?
        .flatten()
    {
        if let Ok(text) = fs::read_to_string(entry.path().join("Cargo.toml")) {
            let manifest: Manifest = toml::from_str(&text)
                .with_context(|| format!("cannot read {}", entry.path().display()))?;
            names.push(manifest.package.name);
        }
    }
    names.sort();
    Ok(names)
}

#[derive(Deserialize)]
struct Manifest {
    package: Package,
}

#[derive(Deserialize)]
struct Package {
    name: String,
}

/// Builds all of them, optimized.
pub fn build(context: &Context) -> Result<()> {
    let mut command = cargo(context);
    command.args(["build", "--release", "--locked"]);
    for name in packages(&context.repo)? {
        command.arg("--package").arg(name);
    }
    let log = context.cache.logs().join("tools.log");
    let mut step = Step::new("Building the tools");
    let hint = "Mend the error and say the same again.";
    logged(&mut command, &log, hint, step.lines())?;
    step.done_quietly();
    Ok(())
}

/// What an NVMe device of ours copies with one command: 1 MiB, in ranges of at most 128 KiB.
const NVME_LIMITS: [(&str, u64); 3] = [("mcl", 2048), ("msrc", 127), ("mssrl", 256)];

/// An NVMe device to show and to measure something on.
pub fn nvme(size: u64) -> Nvme {
    let limits = NVME_LIMITS.map(|(name, value)| (String::from(name), value));
    Nvme {
        size,
        paths: 1,
        properties: limits.into(),
    }
}

/// The `demo` subcommand: builds everything and runs the demo in a guest.
pub fn demo(context: &Context, guest: Guest, mut arguments: Vec<String>) -> Result<ExitCode> {
    let options = demo_options(guest);
    if !options.nvme.is_empty() {
        arguments.push(String::from("--nvme"));
    }
    let ran = run(context, &options, DEMO, arguments)?;
    Ok(ExitCode::from(ran.status))
}

fn demo_options(guest: Guest) -> Options {
    let options = Options::new(guest);
    // The demo copies on a disk in memory first, so what fits there twice does so here.
    let nvme = (guest == Guest::Qemu).then(|| nvme(options.memory));
    let mut options = Options {
        timeout: Duration::from_secs(600),
        nvme: nvme.into_iter().collect(),
        ..options
    };
    // A slow guest finds them before the demo begins.
    options.load_nvme_alone();
    options
}

/// What a program of ours leaves in `results` of the guest, which is there once it has ended.
pub fn results(context: &Context, kernel: &Kernel) -> PathBuf {
    guest::results(&context.cache, &kernel.variant.to_string())
}

/// What a program did in a guest.
pub struct Ran {
    pub kernel: Kernel,
    pub status: u8,
}

/// Runs the program that measures. An emulated machine is slow, and all that can be measured takes hours.
pub fn bench(context: &Context, options: &Options, arguments: Vec<String>) -> Result<Ran> {
    run(context, options, BENCH, arguments)
}

fn run(context: &Context, options: &Options, program: &str, arguments: Vec<String>) -> Result<Ran> {
    let kernel = build::build(context, options.variant(), When::Changed)?;
    build(context)?;
    // What an earlier run has left would be taken for this one's.
    let _ = fs::remove_dir_all(results(context, &kernel));
    let path = context.cache.target().join("release").join(program);
    let mut command = vec![path.display().to_string()];
    command.extend(arguments);
    // Of one word the guest would make a script; that is the same here.
    let job = guest::plain_job(context, command, context.repo.clone());
    let finished = guest::boot(context, &kernel, options, &job, Sink::Stream)
        .with_context(|| format!("cannot run {program} in the {} guest", kernel.variant))?;
    finished.explain(options);
    let status = finished.status();
    Ok(Ran { kernel, status })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tools_are_found_by_their_manifests() {
        // That of this checkout: several may share what cargo has built.
        let here = std::env::var("CARGO_MANIFEST_DIR").unwrap();
        let names = packages(&Path::new(&here).join("..")).unwrap();
        for program in [DEMO, BENCH] {
            assert!(names.iter().any(|name| name == program), "{names:?}");
        }
        assert!(names.iter().all(|name| name != "xtask"));
    }

    #[test]
    fn the_demo_gets_an_nvme_device_where_there_can_be_one() {
        assert!(demo_options(Guest::Um).nvme.is_empty());
        let options = demo_options(Guest::Qemu);
        let nvme = &options.nvme;
        assert_eq!((nvme.len(), nvme[0].properties["mcl"]), (1, 2048));
        assert_eq!(options.awaited_nvme(), 1);
    }
}
