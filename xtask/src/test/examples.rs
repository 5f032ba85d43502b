// SPDX-License-Identifier: GPL-2.0
//! The examples of the help texts and of the README: each is run, and has to succeed.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use anyhow::Result;
use clap::CommandFactory;

use super::report::Report;
use crate::build;
use crate::build::Context;
use crate::build::Guest;
use crate::build::When;
use crate::cli::Cli;
use crate::guest::boot;
use crate::guest::plain_job;
use crate::guest::Options;
use crate::guest::Sink;
use crate::host::command::logged;
use crate::host::command::output;
use crate::tools;
use crate::ui::Step;

/// What is not run here, because another suite is that example, or runs it.
const ELSEWHERE: [&str; 2] = ["./x test", "git am"];

/// The devices of the examples of `blkcopy`, and a list of ranges: 66 GiB that take no room until they are written.
const NVME: &str = "66G,mssrl=256,mcl=2048,msrc=127";
const VOLUMES: &str = "\
udevadm() { :; }
dmsetup create --noudevsync origin --table '0 131072 linear /dev/nvme1n1 2048'
dmsetup create --noudevsync copy --table '0 131072 linear /dev/nvme1n1 2099200'
dmsetup mknodes
mkdir -p /dev/vg
ln -s /dev/mapper/origin /dev/vg/origin
ln -s /dev/mapper/copy /dev/vg/copy
head -c 1M /dev/urandom >/dev/vg/origin
cd /tmp
printf '0 64K\n1M 64K\n' >live-blocks.txt
set -ex
";

/// Runs the suite.
pub fn run(context: &Context, report: &mut Report) -> Result<()> {
    for example in of_the_tool(context)? {
        shell(context, report, &example);
    }
    of_blkcopy(context, report)
}

/// The examples of `./x --help` and its subcommands, and those of the README.
fn of_the_tool(context: &Context) -> Result<BTreeSet<String>> {
    let readme = fs::read_to_string(context.repo.join("README.md")).context("no README.md")?;
    let mut all = BTreeSet::new();
    for text in help().into_iter().chain([fenced(&readme)]) {
        all.extend(lines(&text, &["./x ", "less "]));
    }
    let folder = context.cache.logs().join("examples");
    fs::create_dir_all(&folder)?;
    all.extend(
        spans(&readme)
            .iter()
            .map(|span| with_places(span, &folder.to_string_lossy())),
    );
    all.retain(|line| !ELSEWHERE.iter().any(|start| line.starts_with(start)));
    Ok(all)
}

/// What stands behind the options in each help text.
fn help() -> Vec<String> {
    let command = Cli::command();
    let with_all = command.get_subcommands().chain([&command]);
    let texts = with_all.filter_map(|command| command.get_after_help());
    texts.map(|text| text.to_string()).collect()
}

/// What stands in fenced blocks of a page.
fn fenced(page: &str) -> String {
    let blocks = page.split("\n```\n").skip(1).step_by(2);
    blocks.collect::<Vec<_>>().join("\n")
}

/// What stands in the text of a page as a command of the tool: `` `./x demo` ``.
fn spans(page: &str) -> Vec<String> {
    let text: Vec<_> = page.split("\n```\n").step_by(2).collect();
    let text = text.join("\n");
    let spans = text.split('`').skip(1).step_by(2);
    let spans = spans.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" "));
    spans.filter(|span| span.starts_with("./x ")).collect()
}

/// An example with a place in this folder for what the reader has to choose.
fn with_places(example: &str, folder: &str) -> String {
    let words = example.split(' ').map(|word| match word {
        "FILE" | "DIR" => format!("{folder}/{}", word.to_lowercase()),
        word => String::from(word),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// What stands behind the heading of a help text's examples: lines of its usage look like them.
fn behind_examples(help: &str) -> &str {
    help.split_once("\nExamples:\n")
        .map_or("", |(_, examples)| examples)
}

/// The lines that are commands, without the remarks behind them.
fn lines(text: &str, starts: &[&str]) -> Vec<String> {
    let lines = text.lines().map(|line| {
        let line = line.trim().trim_start_matches("$ ");
        line.split("  #").next().unwrap_or_default().trim_end()
    });
    lines
        .filter(|line| starts.iter().any(|start| line.starts_with(start)))
        .map(String::from)
        .collect()
}

/// Runs an example as its reader would.
fn shell(context: &Context, report: &mut Report, example: &str) {
    let log = context.cache.logs().join("example.log");
    let mut step = Step::new(example.to_owned());
    let mut command = Command::new("sh");
    command.args(["-c", example]).current_dir(&context.repo);
    let result = logged(&mut command, &log, "", step.lines());
    step.done_quietly();
    match result {
        Ok(()) => report.pass(example),
        Err(error) => report.fail(example, &format!("{error:#}")),
    }
}

/// The examples of `blkcopy --help`, in a guest that has the devices that they name.
fn of_blkcopy(context: &Context, report: &mut Report) -> Result<()> {
    tools::build(context)?;
    let program = context.cache.target().join("release/blkcopy");
    let help = output(Command::new(program).arg("--help"))?;
    let examples = lines(behind_examples(&help), &["blkcopy "]);
    let name = format!("{} examples of blkcopy --help", examples.len());
    let mut options = Options {
        timeout: Duration::from_secs(600),
        // One to be written to as it is, and one with volumes. They are alike, as either may be found first.
        nvme: vec![NVME.parse()?, NVME.parse()?],
        modules: vec![String::from("dm-mod")],
        ..Options::new(Guest::Qemu)
    };
    options.load_nvme();
    let kernel = build::build(context, options.variant(), When::Changed)?;
    // A terminal would be asked whether it may write.
    let commands = examples.join("\n");
    let job = plain_job(
        context,
        vec![format!("{VOLUMES}{commands}")],
        context.repo.clone(),
    );
    let mut said = Vec::new();
    let mut keep = |line: &str| said.push(String::from(line));
    let finished = boot(context, &kernel, &options, &job, Sink::Lines(&mut keep))?;
    if finished.is_success() && !examples.is_empty() {
        report.pass(&name);
    } else {
        report.fail(&name, &said.join("\n"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::error::ErrorKind;
    use clap::Parser;
    use std::path::Path;

    #[test]
    fn examples_are_found() {
        let page = "Text\n```\n./x demo      # boots\n$ ./x bench\n```\nText `./x run`\n```\n./x a b\n```\n";
        let found = lines(&fenced(page), &["./x "]);
        assert_eq!(found, ["./x demo", "./x bench", "./x a b"]);
        assert_eq!(spans(page), ["./x run"]);
        let page = "Say `a`, `./x demo\n--fabrics`, or `./x bench --svg FILE`.\n";
        let found = spans(page);
        assert_eq!(found, ["./x demo --fabrics", "./x bench --svg FILE"]);
        assert_eq!(with_places(&found[1], "/tmp"), "./x bench --svg /tmp/file");
        assert!(help().len() > 5);
        let page = "Usage: a SRC DST\n       a COMMAND\n\nExamples:\n  a b c\n  a d > e\n";
        assert_eq!(lines(behind_examples(page), &["a "]), ["a b c", "a d > e"]);
        assert_eq!(behind_examples("Usage: a"), "");
    }

    #[test]
    fn the_documents_know_the_command_line() {
        let repo = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let pages = ["README.md", "CONTRIBUTING.md", "tests/README.md"];
        let pages = pages.map(|page| fs::read_to_string(repo.join(page)).unwrap());
        let mut count = 0;
        let fenced = pages.iter().map(|page| fenced(page));
        let fenced = fenced
            .chain(help())
            .flat_map(|text| lines(&text, &["./x "]));
        // That of the tests names options alone, too.
        let spans = pages[..2].iter().flat_map(|page| spans(page));
        for line in fenced.chain(spans) {
            let words = shell_words::split(&line).unwrap();
            match Cli::try_parse_from(words) {
                Err(error) if error.kind() != ErrorKind::DisplayHelp => panic!("{line}: {error}"),
                _ => count += 1,
            }
        }
        assert!(count > 10, "{count}");
    }
}
