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
    start: Instant,
}

impl Report {
    pub fn new(suite: &str) -> Self {
        Self {
            suite: String::from(suite),
            sum: Sum::default(),
            start: Instant::now(),
        }
    }

    pub fn pass(&mut self, name: &str) {
        self.sum.passed += 1;
        println!("ok    {} {name}", self.suite);
    }

    pub fn fail(&mut self, name: &str, why: &str) {
        self.sum.failed += 1;
        println!("FAIL  {} {name}", self.suite);
        for line in why.lines() {
            println!("      {line}");
        }
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

    /// Adds the results of tests that another program ran.
    pub fn add(&mut self, name: &str, sum: Sum) {
        self.sum += sum;
        let verdict = if sum.failed == 0 { "ok  " } else { "FAIL" };
        println!("{verdict}  {} {name}: {sum}", self.suite);
    }

    /// Ends the suite.
    pub fn finish(self) -> Sum {
        let time = ui::elapsed(self.start.elapsed());
        ui::note(&format!("{}: {} ({time})", self.suite, self.sum));
        self.sum
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
        report.add(
            "d",
            Sum {
                passed: 5,
                failed: 0,
                skipped: 0,
            },
        );
        assert_eq!(
            report.finish(),
            Sum {
                passed: 6,
                failed: 1,
                skipped: 1
            }
        );
    }
}
