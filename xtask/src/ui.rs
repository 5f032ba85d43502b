// SPDX-License-Identifier: GPL-2.0
//! What the user sees: one line per step, a bar or a spinner on a terminal, plain lines elsewhere.
//!
//! Everything goes to standard error; standard output belongs to the guest's command and to results.

use std::io::IsTerminal;
use std::time::Duration;
use std::time::Instant;

use indicatif::ProgressBar;
use indicatif::ProgressStyle;

/// How often a long step says that it lives when there is no terminal.
const PLAIN_INTERVAL: Duration = Duration::from_secs(15);

/// A step that takes time.
pub struct Step {
    label: String,
    start: Instant,
    bar: Option<ProgressBar>,
    last_line: Instant,
    shown: bool,
}

impl Step {
    /// Starts a step of unknown length.
    pub fn new(label: impl Into<String>) -> Self {
        Self::with_length(label, None)
    }

    /// Starts a step; with a length it is shown as a bar.
    pub fn with_length(label: impl Into<String>, length: Option<u64>) -> Self {
        let label = label.into();
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = length.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
            bar.set_style(style(length.is_some()));
            bar.set_message(label.clone());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        let start = Instant::now();
        Self {
            label,
            start,
            bar,
            last_line: start,
            shown: false,
        }
    }

    /// Tells how far the step is and what it is doing.
    pub fn update(&mut self, position: u64, detail: &str) {
        if let Some(bar) = &self.bar {
            // An estimate that was too low must not show a full bar for minutes.
            if bar.length().is_some_and(|length| position >= length) {
                bar.set_length(position + position / 20 + 1);
            }
            bar.set_position(position);
            bar.set_message(format!("{}: {detail}", self.label));
        } else if self.last_line.elapsed() >= PLAIN_INTERVAL {
            self.last_line = Instant::now();
            self.shown = true;
            eprintln!(
                "   {} ... {} ({detail})",
                self.label,
                elapsed(self.start.elapsed())
            );
        }
    }

    /// Counts the lines that a program writes, and shows each: what [`logged`](crate::host::command::logged) hands on.
    pub fn lines(&mut self) -> impl FnMut(&str) + '_ {
        let mut count = 0;
        move |line| {
            count += 1;
            self.update(count, line.trim());
        }
    }

    /// Ends the step well. A step that was over at once and has nothing to tell leaves no line.
    pub fn done(self, result: &str) {
        self.clear();
        let time = self.start.elapsed();
        let separator = if result.is_empty() { "" } else { ": " };
        eprintln!("   {}{separator}{result} ({})", self.label, elapsed(time));
    }

    /// Ends the step without a line, unless it took long enough for someone to wonder.
    pub fn done_quietly(self) {
        if self.shown || self.start.elapsed() > Duration::from_secs(5) {
            self.done("");
        } else {
            self.clear();
        }
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.clear();
    }
}

fn style(bar: bool) -> ProgressStyle {
    let template = if bar {
        "   [{bar:30}] {percent:>3}% {elapsed} {wide_msg}"
    } else {
        "   {spinner} {elapsed} {wide_msg}"
    };
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

/// Says something that the user should know.
pub fn note(text: &str) {
    eprintln!("   {text}");
}

/// Heads a group of steps.
pub fn heading(text: &str) {
    eprintln!("== {text}");
}

/// Shows an error with its causes.
pub fn report(error: &anyhow::Error) {
    eprintln!("x: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("   because: {cause}");
    }
}

/// A duration in the shortest form that is still exact enough.
pub fn elapsed(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 10 {
        format!("{:.1} s", time.as_secs_f64())
    } else if seconds < 60 {
        format!("{seconds} s")
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

/// A number of bytes in binary units.
pub fn bytes(count: u64) -> String {
    indicatif::BinaryBytes(count).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(elapsed(Duration::from_millis(1234)), "1.2 s");
        assert_eq!(elapsed(Duration::from_secs(59)), "59 s");
        assert_eq!(elapsed(Duration::from_secs(605)), "10 min 05 s");
    }

    #[test]
    fn a_step_counts_past_its_estimate() {
        let mut step = Step::with_length("test", Some(2));
        step.update(7, "more");
        step.done("fine");
    }
}
