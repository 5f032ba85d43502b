// SPDX-License-Identifier: GPL-2.0
//! The last operations of a randomized test: what somebody wants to see who looks for the cause of an error.

use std::collections::VecDeque;
use std::fmt::Display;

use anyhow::anyhow;

/// Some operations in words, the oldest first.
pub struct Recent {
    most: usize,
    texts: VecDeque<String>,
}

impl Recent {
    /// None so far; the last `most` are kept.
    pub fn new(most: usize) -> Self {
        let texts = VecDeque::with_capacity(most);
        Self { most, texts }
    }

    /// Adds one.
    pub fn note(&mut self, text: String) {
        if self.texts.len() == self.most {
            self.texts.pop_front();
        }
        self.texts.push_back(text);
    }

    /// The error of an operation that was `at` a place of the test, with those before it.
    pub fn explain(&self, at: impl Display, err: &anyhow::Error) -> anyhow::Error {
        let texts: Vec<_> = self.texts.iter().map(String::as_str).collect();
        anyhow!("{at}: {err:#}\nlast operations:\n  {}", texts.join("\n  "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_told() {
        let mut recent = Recent::new(2);
        for text in ["a", "b", "c"] {
            recent.note(String::from(text));
        }
        let text = recent.explain("operation 3", &anyhow!("why")).to_string();
        assert_eq!(text, "operation 3: why\nlast operations:\n  b\n  c");
    }
}
