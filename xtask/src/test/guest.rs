// SPDX-License-Identifier: GPL-2.0
//! Tests in blktests format, run by `tests/check` inside a guest.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::report::Report;
use super::report::Sum;
use super::several;
use super::team;
use crate::build::Context;
use crate::build::Flavour;
use crate::build::Guest;
use crate::build::Kernel;
use crate::build::When;
use crate::guest::boot;
use crate::guest::plain_job;
use crate::guest::Finished;
use crate::guest::Nvme;
use crate::guest::Options;
use crate::guest::Sink;
use crate::guest::SHARED;
use crate::tools;

/// What of a suite is to run: on a kernel of this flavour, and only these tests, if there are any.
#[derive(Clone, Copy)]
pub struct Choice<'a> {
    pub flavour: Flavour,
    pub only: &'a [String],
}

impl<'a> Choice<'a> {
    /// The tests that were named, or else those of the suite.
    pub fn tests(self, all: &[&'a str]) -> Vec<&'a str> {
        if self.only.is_empty() {
            all.to_vec()
        } else {
            words(self.only)
        }
    }

    /// Runs them in a guest.
    pub fn check(
        self,
        context: &Context,
        report: &mut Report,
        options: Options,
        all: &[&'a str],
    ) -> Result<()> {
        let options = options.flavoured(self.flavour);
        check(context, report, &options, &self.tests(all))
    }
}

/// All tests in User Mode Linux.
pub fn um(context: &Context, report: &mut Report, chosen: Choice<'_>) -> Result<()> {
    let options = Options {
        timeout: Duration::from_secs(3000),
        ..Options::new(Guest::Um)
    };
    let tests = um_tests(&context.repo)?;
    chosen.check(context, report, options, &words(&tests))
}

/// The names of all tests that User Mode Linux can run.
pub fn um_tests(repo: &Path) -> Result<Vec<String>> {
    let mut names = names(repo, "block", |_| true)?;
    names.extend(fabrics(repo)?);
    Ok(names)
}

/// What tests of NVMe begin with that bring a target of their own.
const FABRICS: &str = ". common/copy_fabrics";

/// What those say that need a device beside it.
const DEVICE: &str = "_have_copy_nvme";

/// The names of the tests that bring a target, and need no device.
fn fabrics(repo: &Path) -> Result<Vec<String>> {
    names(repo, "nvme", |text| {
        text.contains(FABRICS) && !text.contains(DEVICE)
    })
}

/// The names of tests of a group.
pub fn names(repo: &Path, group: &str, wanted: impl Fn(&str) -> bool) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(repo.join("tests").join(group))? {
        let path = entry?.path();
        let number = path.file_name().unwrap_or_default().to_string_lossy();
        let is_test = number.parse::<u32>().is_ok();
        if is_test && wanted(&fs::read_to_string(&path)?) {
            names.push(format!("{group}/{number}"));
        }
    }
    names.sort();
    Ok(names)
}

/// All tests that User Mode Linux can run, and those of NVMe devices in QEMU, on devices that do not offload.
pub fn no_offload(context: &Context, report: &mut Report) -> Result<()> {
    let options = Options {
        timeout: Duration::from_secs(3000),
        check: vec!["--no-offload"],
        ..Options::new(Guest::Um)
    };
    let tests = um_tests(&context.repo)?;
    check(context, report, &options, &words(&tests))?;
    let options = Options {
        check: vec!["--no-offload"],
        ..nvme_devices()?
    };
    let tests = names(&context.repo, "nvme", |text| text.contains(DEVICE))?;
    check(context, report, &options, &words(&tests))
}

/// The tests with programs that know nothing of copy offload, in User Mode Linux.
pub fn clients(context: &Context, report: &mut Report) -> Result<()> {
    let options = Options {
        timeout: Duration::from_secs(1200),
        ..Options::new(Guest::Um)
    };
    check(context, report, &options, &["--clients"])
}

/// The smoke tests in QEMU, with several processors.
pub fn qemu(context: &Context, report: &mut Report, chosen: Choice<'_>) -> Result<()> {
    let options = Options {
        timeout: Duration::from_secs(1200),
        nvme: vec![NVME_SMOKE.parse()?],
        ..several::qemu()
    };
    chosen.check(context, report, options, &["--smoke"])
}

/// One for the smoke tests: its commands have several ranges, and are many for little data.
const NVME_SMOKE: &str = "1G,mssrl=64,mcl=256,msrc=7";

/// NVMe devices, each of which has other limits: the least and the most that can be, ranges that
/// add up to less than a command may copy, blocks of 4096 bytes, several paths. The last ones
/// cannot be copied on: metadata, protection information, no block at all,
/// zones.
const NVME: [&str; 10] = [
    "1G,mssrl=128,mcl=128,msrc=127",
    "1G,mssrl=1,mcl=1,msrc=0",
    "1G,mssrl=256,mcl=4096,msrc=255",
    "1G,mssrl=65535,mcl=1048576,msrc=255",
    "1G,mssrl=64,mcl=1024,msrc=7,logical_block_size=4096",
    "1G,mssrl=256,mcl=2048,msrc=127,paths=2",
    "128M,ms=8",
    "128M,ms=8,pi=1",
    "128M,mssrl=0,mcl=0,msrc=0",
    "128M,zone_size=4M",
];

/// As the words of a command line.
pub fn words(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

/// How much longer than others a kernel may take that looks for mistakes.
const DEBUG_FACTOR: u32 = 6;

/// More time for each test, and fewer random operations: it is the checks that count here.
const DEBUG_ENVIRONMENT: [(&str, &str); 2] = [("COPY_SLOW", "10"), ("COPY_OPS", "2000")];

/// The tests of NVMe in QEMU, on all of these.
pub fn nvme(context: &Context, report: &mut Report, chosen: Choice<'_>) -> Result<()> {
    chosen.check(context, report, nvme_devices()?, &["nvme"])
}

/// QEMU with all these.
pub fn nvme_devices() -> Result<Options> {
    let devices: Result<Vec<Nvme>> = NVME.iter().map(|text| text.parse()).collect();
    Ok(Options {
        timeout: Duration::from_secs(2400),
        memory: 2 << 30,
        nvme: devices?,
        ..Options::new(Guest::Qemu)
    })
}

impl Options {
    /// A kernel that looks for mistakes takes several times as long, and half of the memory for itself.
    pub fn flavoured(self, flavour: Flavour) -> Self {
        match flavour {
            Flavour::Debug | Flavour::Kcsan => Self {
                flavour,
                memory: self.memory + (1 << 30),
                timeout: self.timeout * DEBUG_FACTOR,
                ..self
            },
            _ => Self { flavour, ..self },
        }
    }
}

/// Runs `tests/check` with some arguments and adds its results.
pub fn check(
    context: &Context,
    report: &mut Report,
    options: &Options,
    arguments: &[&str],
) -> Result<()> {
    if !context.repo.join("tests/check").is_file() {
        report.skip("tests/check", "the repository has no such tests");
        return Ok(());
    }
    tools::build(context)?;
    let kernel = crate::build::build(context, options.variant(), When::Changed)?;
    team::run(context, report, &kernel, options, arguments)
}

/// Boots a kernel and runs a script, which has to end well. What it says tells why it did not.
pub fn script(
    context: &Context,
    report: &mut Report,
    kernel: &Kernel,
    options: &Options,
    script: &str,
    name: &str,
) -> Result<Finished> {
    let job = plain_job(context, vec![String::from(script)], context.repo.clone());
    let mut lines = Vec::new();
    let mut keep = |line: &str| lines.push(String::from(line));
    let finished = boot(context, kernel, options, &job, Sink::Lines(&mut keep))?;
    finished.explain(options);
    if finished.is_success() {
        report.pass(name);
    } else {
        let why = format!("{:?}: {}", finished.outcome, lines.join("; "));
        report.fail(name, &why);
    }
    Ok(finished)
}

/// Boots a kernel and runs `tests/check` with some arguments. Returns its results; `show` gets the lines before them.
pub fn run(
    context: &Context,
    kernel: &Kernel,
    options: &Options,
    arguments: &[&str],
    show: &mut dyn FnMut(&str),
) -> Result<(Option<Sum>, Finished)> {
    let mut command = vec![String::from("tests/check"), String::from("--results")];
    command.push(String::from("/run/exchange/results"));
    if options.team.is_some() {
        command.extend(["--claim", SHARED].map(String::from));
    }
    let arguments = options.check.iter().chain(arguments);
    command.extend(arguments.map(|word| String::from(*word)));
    let mut job = plain_job(context, command, context.repo.clone());
    // The programs of the tests are among what this machine needs.
    let mut environment = vec![("REQUIRE_COPY_CLIENTS", "1")];
    if !options.nvme.is_empty() {
        // What was asked for has to be there.
        environment.push(("REQUIRE_COPY_NVME", "1"));
    }
    if options.team.is_some() {
        // The others take their part of the machine.
        environment.push(("COPY_SLOW", "2"));
    }
    if options.guest == Guest::Qemu {
        // Processors and devices are slow if they are emulated.
        environment.push(("COPY_SLOW", "4"));
    }
    if options.guest == Guest::Um && options.cpus > 1 {
        environment.extend(several::ENVIRONMENT);
    }
    if matches!(options.flavour, Flavour::Debug | Flavour::Kcsan) {
        environment.extend(DEBUG_ENVIRONMENT);
    }
    for (name, value) in environment {
        job.environment.push((name.into(), value.into()));
    }
    let mut sum = None;
    let mut read = |line: &str| match Sum::parse(line) {
        Some(found) => sum = Some(found),
        None => show(line),
    };
    let finished = boot(context, kernel, options, &job, Sink::Lines(&mut read))?;
    Ok((sum, finished))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_over_fabrics_are_found() {
        let repo = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let names = fabrics(&repo).unwrap();
        assert!(names.contains(&String::from("nvme/050")), "{names:?}");
        assert!(!names.contains(&String::from("nvme/057")), "{names:?}");
        assert!(!names.contains(&String::from("nvme/076")), "{names:?}");
    }

    #[test]
    fn the_nvme_devices_are_understood() {
        for text in NVME.iter().chain([&NVME_SMOKE]) {
            assert!(text.parse::<Nvme>().is_ok(), "{text}");
        }
    }
}
