// SPDX-License-Identifier: GPL-2.0
//! What the commands of the command line do.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use anyhow::Result;

use super::Cli;
use super::Command;
use super::FlavourArgs;
use crate::bench;
use crate::build;
use crate::build::Context;
use crate::cache::Cache;
use crate::guest;
use crate::guest::Job;
use crate::guest::Options;
use crate::host::doctor;
use crate::host::setup;
use crate::mail;
use crate::places;
use crate::test;
use crate::test::Wanted;
use crate::tools;
use crate::ui;

/// Runs what the command line says.
pub fn dispatch(cli: Cli) -> Result<ExitCode> {
    let context = Context {
        cache: Cache::open()?,
        repo: repository()?,
        linux: cli.linux,
    };
    match cli.command {
        Command::Setup { yes } => setup::run(&context.cache, yes)?,
        Command::Doctor => {
            let good = doctor::run(&context)?;
            return Ok(if good {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            });
        }
        Command::Linux => {
            let _lock = context.cache.lock()?;
            let (tree, laid) = build::prepare_tree(&context)?;
            ui::note(&format!("Linux {} from {}", tree.version, tree.origin));
            ui::note(&format!(
                "{} files are ours, {} changed",
                laid.files.len(),
                laid.changed
            ));
            println!("{}", tree.dir.display());
        }
        Command::Refresh => {
            let _lock = context.cache.lock()?;
            build::refresh(&context)?;
        }
        Command::Build { guest, flavour } => build::run(&context, guest, flavour.flavour())?,
        Command::Run {
            guest,
            timeout,
            allow_warnings,
            command,
        } => {
            let options = Options {
                timeout,
                allow_warnings,
                ..guest.options()
            };
            let job = job(&context, command)?;
            return guest::run(&context, &options, &job, false);
        }
        Command::Shell { guest } => {
            let options = guest.options();
            let job = job(&context, vec![String::from("exec bash -i")])?;
            return guest::run(&context, &options, &job, true);
        }
        Command::Demo { guest, arguments } => {
            return tools::demo(&context, guest, arguments);
        }
        Command::Test {
            seeded: Some(names),
            ..
        } => return test::run_seeded(&context, &names),
        Command::Test {
            targets,
            all,
            debug,
            kcsan,
            tree,
            rounds,
            ..
        } => {
            let wanted = Wanted {
                targets,
                all,
                flavour: FlavourArgs {
                    debug,
                    kcsan,
                    off: false,
                }
                .flavour(),
                tree: tree.as_deref(),
                rounds,
            };
            return test::run(&context, wanted);
        }
        Command::Bench(arguments) => return bench::run(&context, arguments),
        Command::Series { dir } => {
            let _lock = context.cache.lock()?;
            let (tree, _) = build::prepare_tree(&context)?;
            mail::announce(&mail::write(&context, &tree, &dir)?, &tree);
        }
        Command::Path { name } => println!("{}", places::path(&context.cache, &name)?.display()),
        Command::Clean { names } => places::clean(&context.cache, &names)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Where `x` is.
fn repository() -> Result<PathBuf> {
    let dir = std::env::var_os("COPY_OFFLOAD_REPO").map(PathBuf::from);
    let dir = dir.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".."));
    dir.canonicalize()
        .with_context(|| format!("cannot find the repository {}", dir.display()))
}

/// A command in the caller's folder with a plain environment.
fn job(context: &Context, command: Vec<String>) -> Result<Job> {
    let dir = match std::env::var_os("COPY_OFFLOAD_CWD") {
        Some(dir) => PathBuf::from(dir),
        None => std::env::current_dir().context("the current folder is gone")?,
    };
    Ok(guest::plain_job(context, command, dir))
}
