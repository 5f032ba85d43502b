// SPDX-License-Identifier: GPL-2.0
//! Progress on standard error: a bar on a terminal, a line now and then
//! elsewhere, nothing where nothing is wanted.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::size::human;

/// How often a line is written where there is no terminal.
const EVERY: Duration = Duration::from_secs(10);

const TEMPLATE: &str =
    "{msg} [{bar:30}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} ETA {eta}";

/// Shows how far one pass over the data got.
pub struct Progress {
    bar: ProgressBar,
    plain: Option<Mutex<Instant>>,
    what: &'static str,
    started: Instant,
}

impl Progress {
    pub fn new(what: &'static str, total: u64, quiet: bool) -> Self {
        let bar = if quiet {
            ProgressBar::hidden()
        } else {
            ProgressBar::new(total)
        };
        bar.set_length(total);
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(what);
        let started = Instant::now();
        // indicatif hides a bar by itself where there is no terminal.
        let plain = (!quiet && bar.is_hidden()).then(|| Mutex::new(started));
        Self {
            bar,
            plain,
            what,
            started,
        }
    }

    pub fn add(&self, bytes: u64) {
        self.bar.inc(bytes);
        let Some(last) = &self.plain else { return };
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= EVERY {
            *last = Instant::now();
            tell(&self.line());
        }
    }

    fn line(&self) -> String {
        let (done, total) = (self.bar.position(), self.bar.length().unwrap_or(0));
        let rate = rate(done, self.started.elapsed());
        let left = total.saturating_sub(done).checked_div(rate).unwrap_or(0);
        format!(
            "{}: {} of {}, {}/s, {left} s left",
            self.what,
            human(done),
            human(total),
            human(rate)
        )
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Writes a line to standard error. Drops the line if that fails: there is no other place to say why.
pub fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Bytes in a second; 0 if no time has passed.
pub fn rate(bytes: u64, time: Duration) -> u64 {
    let nanos = time.as_nanos();
    let rate = (u128::from(bytes) * 1_000_000_000)
        .checked_div(nanos)
        .unwrap_or(0);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        assert_eq!(rate(1 << 30, Duration::from_millis(500)), 2 << 30);
        assert_eq!(rate(5, Duration::ZERO), 0);
        assert_eq!(rate(u64::MAX, Duration::from_nanos(1)), u64::MAX);
    }

    #[test]
    fn a_line_for_logs() {
        let progress = Progress::new("copying", 4 << 20, true);
        progress.add(1 << 20);
        assert!(progress.line().starts_with("copying: 1 MiB of 4 MiB, "));
    }
}
