// SPDX-License-Identifier: GPL-2.0
//! Tests that several guests run side by side: each takes the next one that nobody has taken.

use std::mem::take;
use std::sync::mpsc;
use std::thread;

use anyhow::anyhow;
use anyhow::Result;

use super::failures::is_head;
use super::failures::Failures;
use super::guest::run;
use super::report::Sum;
use crate::build::Context;
use crate::build::Guest;
use crate::build::Kernel;
use crate::guest::folder;
use crate::guest::Finished;
use crate::guest::Options;
use crate::guest::Team;

/// What a guest did.
pub struct Ran {
    /// Nothing if it did not come to its end.
    pub sum: Option<Sum>,
    pub finished: Finished,
    /// What was said about each test that failed.
    pub failures: Vec<String>,
}

/// Runs some tests in as many guests as this machine has room for, and shows what they say.
pub fn run_together(
    context: &Context,
    kernel: &Kernel,
    options: &Options,
    tests: &[&str],
) -> Result<Vec<Ran>> {
    let size = size(options, tests.len());
    let shared = folder(&context.cache)?;
    let member = |number| {
        let team = Team {
            number,
            size,
            folder: shared.path().to_path_buf(),
        };
        Options {
            team: (size > 1).then_some(team),
            ..options.clone()
        }
    };
    let (sender, lines) = mpsc::channel();
    let mut talks: Vec<Talk> = (0..size).map(|_| Talk::default()).collect();
    let ends: Vec<_> = thread::scope(|scope| {
        let guests: Vec<_> = (1..)
            .zip(0..talks.len())
            .map(|(number, index)| {
                let (options, sender) = (member(number), sender.clone());
                scope.spawn(move || {
                    let mut show = |line: &str| {
                        let _ = sender.send((index, String::from(line)));
                    };
                    run(context, kernel, &options, tests, &mut show)
                })
            })
            .collect();
        // Only the guests have one now, so the lines end with the last of these.
        drop(sender);
        for (index, line) in lines {
            if let Some(talk) = talks.get_mut(index) {
                talk.line(line);
            }
        }
        guests.into_iter().map(|guest| guest.join()).collect()
    });
    let mut all = Vec::new();
    for (end, mut talk) in ends.into_iter().zip(talks) {
        talk.show();
        let (sum, finished) = end.map_err(|_| anyhow!("a thread panicked"))??;
        finished.explain(options);
        all.push(Ran {
            sum,
            finished,
            failures: talk.failures.into_texts(),
        });
    }
    Ok(all)
}

/// So many guests at the most.
const MOST: u64 = 4;

/// How many guests: those with one processor each have a processor of this machine, a test, and memory. What they
/// have of that together is at most half of what there is.
fn size(options: &Options, tests: usize) -> u32 {
    if options.guest != Guest::Um || options.cpus > 1 {
        return 1;
    }
    let processors = thread::available_parallelism().map_or(1, |count| count.get());
    let machine = rustix::system::sysinfo();
    let memory = machine.totalram * u64::from(machine.mem_unit);
    let most = MOST
        .min(processors as u64)
        .min(tests as u64)
        .min(memory / 2 / options.memory);
    most.max(1) as u32
}

/// What a guest says. The lines about one test stay together: those about one that has passed are shown at once, the
/// others when all of them are there.
#[derive(Default)]
struct Talk {
    failures: Failures,
    pending: Vec<String>,
}

impl Talk {
    fn line(&mut self, line: String) {
        self.failures.line(&line);
        if is_head(&line) {
            self.show();
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
    }

    #[test]
    fn one_test_or_several_processors_are_for_one_guest() {
        let um = Options::new(Guest::Um);
        assert_eq!(size(&um, 1), 1);
        assert!((1..=MOST).contains(&u64::from(size(&um, 100))));
        let several = Options { cpus: 4, ..um };
        assert_eq!(size(&several, 100), 1);
        assert_eq!(size(&Options::new(Guest::Qemu), 100), 1);
    }
}
