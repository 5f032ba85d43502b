// SPDX-License-Identifier: GPL-2.0
//! Several guests share a list of tests. Each guest takes the next test that no other has taken.

use std::collections::HashSet;
use std::mem::take;
use std::sync::mpsc;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::Duration;

use anyhow::anyhow;
use anyhow::Result;

use super::failures::is_head;
use super::failures::Failures;
use super::guest;
use super::report::Report;
use super::report::Sum;
use crate::build::Context;
use crate::build::Guest;
use crate::build::Kernel;
use crate::guest::folder;
use crate::guest::forget;
use crate::guest::Finished;
use crate::guest::Options;
use crate::guest::Outcome;
use crate::guest::Team;

/// Runs some tests in as many guests as this machine has room for, and adds their results.
pub fn run(
    context: &Context,
    report: &mut Report,
    kernel: &Kernel,
    options: &Options,
    tests: &[&str],
) -> Result<()> {
    let guests = run_together(context, kernel, options, tests)?;
    let all = format!("tests in {}", kernel.variant);
    let several = guests.len() > 1;
    for (number, guest) in (1..).zip(&guests) {
        let name = if several {
            format!("{all}, guest {number}")
        } else {
            all.clone()
        };
        match guest {
            Ok(ran) => judge(report, &name, ran),
            Err(error) => report.fail(&name, &format!("{error:#}")),
        }
    }
    let missing = missing(tests, &guests);
    if several && !missing.is_empty() {
        let why = format!("did not come to an end: {}", missing.join(" "));
        report.fail(&all, &why);
    }
    Ok(())
}

/// What a guest did.
struct Ran {
    /// Nothing if it did not come to its end.
    sum: Option<Sum>,
    finished: Finished,
    /// What was said about each test that failed.
    failures: Vec<String>,
    /// The tests that came to an end.
    ended: Vec<String>,
}

/// Starts the guests, and shows what they say until all of them have ended.
fn run_together(
    context: &Context,
    kernel: &Kernel,
    options: &Options,
    tests: &[&str],
) -> Result<Vec<Result<Ran>>> {
    let size = size(options, tests);
    let shared = folder(&context.cache)?;
    let member = |number| {
        let team = Team {
            number,
            size,
            folder: shared.path().to_path_buf(),
        };
        Options {
            team: Some(team),
            ..options.clone()
        }
    };
    // What larger teams have left would be taken for theirs.
    for number in size + 1..=MOST {
        forget(&context.cache, &member(number));
    }
    let (sender, lines) = mpsc::channel();
    let mut talks: Vec<Talk> = (0..size).map(|_| Talk::default()).collect();
    let ends: Vec<_> = thread::scope(|scope| {
        let guests: Vec<_> = (1..)
            .zip(0..talks.len())
            .map(|(number, index)| {
                let options = if size > 1 {
                    member(number)
                } else {
                    options.clone()
                };
                let sender = sender.clone();
                scope.spawn(move || {
                    let mut show = |line: &str| {
                        let _ = sender.send((index, String::from(line)));
                    };
                    guest::run(context, kernel, &options, tests, &mut show)
                })
            })
            .collect();
        // Only the guests have one now, so the lines end with the last of these.
        drop(sender);
        loop {
            match lines.recv_timeout(PATIENCE) {
                Ok((index, line)) => talks[index].line(line),
                Err(RecvTimeoutError::Timeout) => talks.iter_mut().for_each(Talk::show),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        guests.into_iter().map(|guest| guest.join()).collect()
    });
    let ran = ends.into_iter().zip(talks).map(|(end, mut talk)| {
        talk.show();
        let (sum, finished) = end.map_err(|_| anyhow!("a thread panicked"))??;
        finished.explain(options);
        Ok(Ran {
            sum,
            finished,
            failures: talk.failures.into_texts(),
            ended: talk.ended,
        })
    });
    Ok(ran.collect())
}

/// Adds what a guest did.
fn judge(report: &mut Report, name: &str, guest: &Ran) {
    let Ran {
        sum,
        finished,
        failures,
        ..
    } = guest;
    match sum {
        Some(sum) => report.add_with(name, *sum, failures),
        None => {
            let mut why = format!("no results; the log is {}", finished.log.display());
            for failure in failures {
                why.push('\n');
                why.push_str(failure);
            }
            report.fail(name, &why);
        }
    }
    // The tests themselves may all pass in a kernel that complains.
    let failed = sum.is_some_and(|sum| sum.failed > 0);
    if !finished.problems.is_empty() {
        report.fail(
            &format!("{name}: the kernel's log"),
            &finished.problems.join("\n"),
        );
    } else if sum.is_some() && !failed && !GOOD_ENDS.contains(&finished.outcome) {
        report.fail(
            name,
            &format!("the guest ended with {:?}", finished.outcome),
        );
    }
}

/// Those tests that no guest brought to an end.
fn missing<'a>(tests: &[&'a str], guests: &[Result<Ran>]) -> Vec<&'a str> {
    let ended: HashSet<&str> = guests
        .iter()
        .flatten()
        .flat_map(|ran| ran.ended.iter().map(String::as_str))
        .collect();
    let tests = tests.iter().copied();
    tests.filter(|test| !ended.contains(test)).collect()
}

/// How a guest ends in which no test has failed. `tests/check --claim` ends with 3 if nothing was left for it: the other
/// guests were quicker. Whether they have run all tests is for `missing` to say.
const GOOD_ENDS: [Outcome; 2] = [Outcome::Exit(0), Outcome::Exit(3)];

/// The most guests that run side by side.
const MOST: u32 = 4;

/// The lines about a test that has failed follow each other within this time.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many guests run side by side. A test waits most of the time, so a processor does for two guests, or for one that
/// has several. Together they take half of the machine's memory at most, and each runs a test at least. One guest runs
/// what is not a list of different tests.
fn size(options: &Options, tests: &[&str]) -> u32 {
    let different: HashSet<&&str> = tests.iter().filter(|test| is_test(test)).collect();
    if options.guest != Guest::Um || different.len() < tests.len() {
        return 1;
    }
    let processors = thread::available_parallelism().map_or(1, |count| count.get());
    let for_one = if options.cpus > 1 { 1 } else { 2 };
    let machine = rustix::system::sysinfo();
    let memory = machine.totalram * u64::from(machine.mem_unit);
    let most = (memory / 2 / options.memory)
        .min((processors * for_one) as u64)
        .min(tests.len() as u64);
    u32::try_from(most).unwrap_or(MOST).clamp(1, MOST)
}

/// Whether this names one test, and no group or option.
fn is_test(name: &str) -> bool {
    let number = name.split_once('/').map(|(_, number)| number);
    number.is_some_and(|number| number.len() == 3 && number.parse::<u32>().is_ok())
}

/// What a guest says. The lines about one test stay together: those about one that has passed are shown at once, the
/// others when all of them are there.
#[derive(Default)]
struct Talk {
    failures: Failures,
    ended: Vec<String>,
    pending: Vec<String>,
}

impl Talk {
    fn line(&mut self, line: String) {
        self.failures.line(&line);
        if is_head(&line) {
            self.show();
            let name = line.split_whitespace().next();
            self.ended.extend(name.map(String::from));
        }
        self.pending.push(line);
        if self.pending.first().is_none_or(|first| !tells_more(first)) {
            self.show();
        }
    }

    fn show(&mut self) {
        for line in take(&mut self.pending) {
            println!("      {line}");
        }
    }
}

/// Whether other lines about a test may follow its first one.
fn tells_more(line: &str) -> bool {
    is_head(line) && !line.contains("[passed]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_about_a_test_stay_together() {
        let mut talk = Talk::default();
        let mut pending = |line: &str| {
            talk.line(String::from(line));
            talk.pending.len()
        };
        assert_eq!(pending("block/035 (limits)  [passed] 1.0 s"), 0);
        assert_eq!(pending("block/036 (copies)  [failed] 2.0 s"), 1);
        assert_eq!(pending("    +wrong"), 2);
        assert_eq!(pending("block/037 (zones)  [skipped] 1.0 s"), 1);
        assert_eq!(pending("block/038 (errors)  [passed] 1.0 s"), 0);
        assert_eq!(talk.failures.into_texts().len(), 1);
        assert_eq!(
            talk.ended,
            ["block/035", "block/036", "block/037", "block/038"]
        );
    }

    #[test]
    fn one_test_is_for_one_guest() {
        let um = Options::new(Guest::Um);
        let two = ["block/035", "block/036"];
        assert_eq!(size(&um, &two[..1]), 1);
        assert!((1..=2).contains(&size(&um, &two)));
        assert_eq!(size(&um, &["block/035", "block/035"]), 1);
        assert_eq!(size(&um, &["block/", "nvme/"]), 1);
        assert_eq!(size(&um, &["--smoke", "block/035"]), 1);
        assert_eq!(size(&Options::new(Guest::Qemu), &two), 1);
        let several = Options { cpus: 4, ..um };
        assert!((1..=2).contains(&size(&several, &two)));
    }
}
