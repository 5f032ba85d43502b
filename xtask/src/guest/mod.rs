// SPDX-License-Identifier: GPL-2.0
//! Boots a kernel on the host's own root file system, runs one command in it, and returns its status.
//!
//! The guest sees the host's files read-only with a writable layer in memory over them, needs no
//! image, no root and no KVM, and always ends: by itself, by its crash, or by the time limit.

mod exchange;
mod kvm;
mod log;
mod options;
mod process;
mod qemu;
mod um;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::PoisonError;

use anyhow::bail;
use anyhow::Context as _;
use anyhow::Result;

pub use exchange::folder;
pub use exchange::results;
pub use kvm::describe as describe_kvm;
pub use kvm::name as machine_name;
pub use log::message;
pub use options::duration;
pub use options::size;
pub use options::Job;
pub use options::Nvme;
pub use options::Options;
pub use options::Team;
pub use options::SHARED;
pub use process::Sink;

use crate::build::Context;
use crate::build::Guest;
use crate::build::Kernel;
use crate::cache::Cache;
use crate::host::command::tail;
use crate::tools;
use crate::ui;
use exchange::Exchange;
use process::Ended;

/// What `timeout` returns, too.
const TIMED_OUT: u8 = 124;

/// The kernel crashed or complained. Not 125: that tells `git bisect run` to skip the commit.
const CRASHED: u8 = 123;

/// How a guest ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The job ran to its end.
    Exit(u8),
    /// The time limit was over.
    TimedOut,
    /// The guest ended before the job did.
    Crashed,
}

/// A guest that is over.
#[derive(Debug)]
pub struct Finished {
    pub outcome: Outcome,
    /// The kernel's log.
    pub log: PathBuf,
    /// Lines of the log that no healthy kernel writes.
    pub problems: Vec<String>,
}

impl Finished {
    /// Whether the job succeeded and the kernel had nothing to complain of.
    pub fn is_success(&self) -> bool {
        self.outcome == Outcome::Exit(0) && self.problems.is_empty()
    }

    /// Tells the user what went wrong outside the job, if anything.
    pub fn explain(&self, options: &Options) {
        let log = self.log.display();
        if options.guest == Guest::Um {
            let text = std::fs::read(&self.log).unwrap_or_default();
            if let Some(text) = um::explain(&String::from_utf8_lossy(&text), options.memory) {
                ui::note(&text);
            }
        }
        match self.outcome {
            Outcome::TimedOut => ui::note(&format!(
                "the guest did not end within {} and was stopped. Its log {log} ends so:\n{}",
                ui::elapsed(options.timeout),
                tail(&self.log, 15)
            )),
            Outcome::Crashed => ui::note(&format!(
                "the guest ended before its command did. Its log {log} ends so:\n{}",
                tail(&self.log, 40)
            )),
            Outcome::Exit(_) if !self.problems.is_empty() => ui::note(&format!(
                "the kernel complained, so this counts as a failure:\n   | {}\n   The log is {log}",
                self.problems.join("\n   | ")
            )),
            Outcome::Exit(_) => {}
        }
    }

    /// The status for our caller.
    pub fn status(&self) -> u8 {
        match self.outcome {
            Outcome::TimedOut => TIMED_OUT,
            Outcome::Crashed => CRASHED,
            Outcome::Exit(0) if !self.problems.is_empty() => CRASHED,
            Outcome::Exit(status) => status,
        }
    }
}

/// Held while a guest is started. Another one that inherited its pipes would keep them open after its end.
static STARTS: Mutex<()> = Mutex::new(());

/// Boots `kernel` and runs `job` in it.
pub fn boot(
    context: &Context,
    kernel: &Kernel,
    options: &Options,
    job: &Job,
    sink: Sink<'_>,
) -> Result<Finished> {
    let interactive = matches!(sink, Sink::Terminal);
    let exchange = Exchange::new(&context.cache, options, job, interactive)?;
    let log = log::file(&context.cache, &options.name())?;
    let starts = STARTS.lock().unwrap_or_else(PoisonError::into_inner);
    let running = match kernel.variant.guest {
        Guest::Um => um::start(kernel, options, &exchange, &log, interactive)?,
        Guest::Qemu => qemu::start(context, kernel, options, &exchange, &log, interactive)?,
        Guest::Arm => bail!("the {} kernel is only built", kernel.variant),
    };
    drop(starts);
    let ended = running.wait(options.timeout, sink)?;
    let outcome = match (ended, exchange.status()?) {
        // The status counts even if the guest then took too long to power off.
        (_, Some(status)) => Outcome::Exit(status),
        (Ended::TimedOut, None) => Outcome::TimedOut,
        (Ended::Itself, None) => Outcome::Crashed,
    };
    exchange.keep_results(&context.cache, &options.name())?;
    let problems = if options.allow_warnings {
        Vec::new()
    } else {
        log::problems(&log)?
    };
    Ok(Finished {
        outcome,
        log,
        problems,
    })
}

/// Removes what an earlier guest of this name has left.
pub fn forget(cache: &Cache, options: &Options) {
    let name = options.name();
    let _ = std::fs::remove_dir_all(exchange::results(cache, &name));
    let _ = std::fs::remove_file(log::newest(cache, &name));
}

/// A job with the environment of a fresh login, and the tools of this repository in its path.
pub fn plain_job(context: &Context, command: Vec<String>, dir: PathBuf) -> Job {
    let tools = context.cache.target().join("release");
    let path = format!(
        "{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        tools.display()
    );
    let mut environment = vec![
        (String::from("PATH"), path),
        (String::from("HOME"), String::from("/root")),
        (
            String::from("COPY_OFFLOAD_REPO"),
            context.repo.display().to_string(),
        ),
        (String::from("BLKCOPY_BIN"), tools.display().to_string()),
    ];
    for name in ["TERM", "LANG"] {
        if let Ok(value) = std::env::var(name) {
            environment.push((String::from(name), value));
        }
    }
    Job {
        command,
        dir,
        environment,
    }
}

/// The `run` and `shell` subcommands.
pub fn run(context: &Context, options: &Options, job: &Job, interactive: bool) -> Result<ExitCode> {
    if interactive && !process::has_terminal() {
        bail!("a shell needs a terminal: use `./x run -- COMMAND`");
    }
    let kernel = crate::build::build(context, options.variant(), crate::build::When::Changed)?;
    // They are in the path of the job.
    tools::build(context)?;
    let sink = if interactive {
        Sink::Terminal
    } else {
        Sink::Stream
    };
    let finished = boot(context, &kernel, options, job, sink)
        .with_context(|| format!("cannot run the {} guest", kernel.variant))?;
    finished.explain(options);
    Ok(ExitCode::from(finished.status()))
}
