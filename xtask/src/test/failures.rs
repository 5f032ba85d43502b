// SPDX-License-Identifier: GPL-2.0
//! What `tests/check` said about each test that failed, taken from its lines.

/// The verdict that stands in the first line of a test. The last two are those of `tests/check --no-offload`.
const VERDICTS: [&str; 5] = [
    "[passed]",
    FAILED,
    "[skipped]",
    "[fails, as it must]",
    "[passes]",
];
const FAILED: &str = "[failed]";

/// Whether a line is the first one about a test.
pub fn is_head(line: &str) -> bool {
    !line.starts_with(' ') && VERDICTS.iter().any(|verdict| line.contains(verdict))
}

/// The first line of each test that failed, with those below it.
#[derive(Default)]
pub struct Failures {
    texts: Vec<String>,
    /// Whether the last line was about one of these.
    within: bool,
}

impl Failures {
    /// Reads one more line.
    pub fn line(&mut self, line: &str) {
        if is_head(line) {
            self.within = line.contains(FAILED);
            if self.within {
                self.texts.push(String::from(line));
            }
        } else if let (true, Some(last)) = (self.within, self.texts.last_mut()) {
            last.push_str("\n      ");
            last.push_str(line);
        }
    }

    pub fn into_texts(self) -> Vec<String> {
        self.texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_kept() {
        let mut failures = Failures::default();
        let output = [
            "block/035 (limits)  [passed] 1.0 s",
            "block/036 (copies)  [failed] 2.0 s",
            "tests/block/036: line 7: a complaint of the shell",
            "    +wrong",
            "block/037 (zones)  [skipped] 1.0 s",
            "    no such device",
            "block/038 (errors)  [fails, as it must] 1.0 s",
            "block/039 (errors)  [failed] 1.0 s",
            "block/040 (sizes)  [passes] 1.0 s",
            "    which proves: sizes",
        ];
        output.iter().for_each(|line| failures.line(line));
        assert_eq!(
            failures.into_texts(),
            [
                "block/036 (copies)  [failed] 2.0 s\n      \
                 tests/block/036: line 7: a complaint of the shell\n          +wrong",
                "block/039 (errors)  [failed] 1.0 s"
            ]
        );
    }
}
