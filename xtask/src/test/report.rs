// SPDX-License-Identifier: GPL-2.0
//! Results of tests: shown as they come, and counted.

use std::fmt;
use std::ops::AddAssign;
use std::time::Instant;

use crate::ui;

/// How many tests had which result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
}

impl AddAssign for Sum {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

impl Sum {
    /// Reads what `Display` writes.
    pub fn parse(line: &str) -> Option<Self> {
        let mut parts = line.trim().split(", ");
        let mut number = |name: &str| {
            parts
                .next()?
                .strip_suffix(name)?
                .strip_suffix(' ')?
                .parse::<u64>()
                .ok()
        };
        let sum = Self {
            passed: number("passed")?,
            failed: number("failed")?,
            skipped: number("skipped")?,
        };
        parts.next().is_none().then_some(sum)
    }
}

/// The results of one suite.
pub struct Report {
    suite: String,
    sum: Sum,
    /// What failed, and why.
    failures: Vec<String>,
    start: Instant,
}

impl Report {
    pub fn new(suite: &str) -> Self {
        Self {
            suite: String::from(suite),
            sum: Sum::default(),
            failures: Vec::new(),
            start: Instant::now(),
        }
    }

    pub fn pass(&mut self, name: &str) {
        self.sum.passed += 1;
        println!("ok    {} {name}", self.suite);
    }

    pub fn fail(&mut self, name: &str, why: &str) {
        self.sum.failed += 1;
        let mut text = format!("{} {name}", self.suite);
        for line in why.lines() {
            text.push_str("\n      ");
            text.push_str(line);
        }
        println!("FAIL  {text}");
        self.failures.push(text);
    }

    pub fn skip(&mut self, name: &str, why: &str) {
        self.sum.skipped += 1;
        println!("skip  {} {name}: {why}", self.suite);
    }

    /// Passes or fails by a list of complaints.
    pub fn judge(&mut self, name: &str, complaints: &[String]) {
        if complaints.is_empty() {
            self.pass(name);
        } else {
            self.fail(name, &complaints.join("\n"));
        }
    }

    /// Adds the results of tests that another program ran, and showed.
    pub fn add(&mut self, name: &str, sum: Sum) {
        self.add_with(name, sum, &[]);
    }

    /// The same, with what that program said about each that failed.
    pub fn add_with(&mut self, name: &str, sum: Sum, failures: &[String]) {
        self.sum += sum;
        let verdict = if sum.failed == 0 { "ok  " } else { "FAIL" };
        let text = format!("{} {name}: {sum}", self.suite);
        println!("{verdict}  {text}");
        let named = failures
            .iter()
            .map(|failure| format!("{} {failure}", self.suite));
        self.failures.extend(named);
        if sum.failed > 0 && failures.is_empty() {
            self.failures.push(text);
        }
    }

    /// Ends the suite: the sum, and what failed.
    pub fn finish(self) -> (Sum, Vec<String>) {
        let time = ui::elapsed(self.start.elapsed());
        ui::note(&format!("{}: {} ({time})", self.suite, self.sum));
        (self.sum, self.failures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_written_and_read() {
        let sum = Sum {
            passed: 12,
            failed: 0,
            skipped: 3,
        };
        assert_eq!(sum.to_string(), "12 passed, 0 failed, 3 skipped");
        assert_eq!(Sum::parse("12 passed, 0 failed, 3 skipped"), Some(sum));
        assert_eq!(Sum::parse("12 passed, 0 failed"), None);
        assert_eq!(Sum::parse("x passed, 0 failed, 3 skipped"), None);
    }

    #[test]
    fn a_report_counts() {
        let mut report = Report::new("test");
        report.pass("a");
        report.judge("b", &[String::from("why")]);
        report.skip("c", "no device");
        let five = Sum {
            passed: 4,
            failed: 1,
            skipped: 0,
        };
        report.add("d", five);
        report.add_with("e", five, &[String::from("block/035 differs")]);
        let (sum, failures) = report.finish();
        assert_eq!(sum.to_string(), "9 passed, 3 failed, 1 skipped");
        assert_eq!(
            failures,
            [
                "test b\n      why",
                "test d: 4 passed, 1 failed, 0 skipped",
                "test block/035 differs",
            ]
        );
    }
}
