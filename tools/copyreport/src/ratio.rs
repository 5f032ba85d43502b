// SPDX-License-Identifier: GPL-2.0
//! Ratios of times that were taken in turns.

use serde::{Deserialize, Serialize};

use crate::stats::{median, spread};

/// What a ratio should be.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

impl Goal {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }

    /// `at most 1.5`
    pub fn text(self) -> String {
        match self {
            Self::AtMost(limit) => format!("at most {limit:?}"),
            Self::AtLeast(limit) => format!("at least {limit:?}"),
        }
    }
}

/// What a miss says that nobody has looked into.
const NO_REASON: &str = "no reason was found";

/// The ratio of two ways, one value for each round.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Ratio {
    pub name: String,
    /// With `{}` for the number.
    pub sentence: String,
    pub median: f64,
    pub min: f64,
    pub max: f64,
    pub goal: Option<Goal>,
    /// Whether the median meets the goal.
    pub met: Option<bool>,
    /// Why it does not, if that was found.
    pub reason: Option<String>,
    pub rounds: Vec<f64>,
}

impl Ratio {
    /// Divides round by round, because both of a round saw the same machine.
    pub fn new(
        name: impl Into<String>,
        sentence: impl Into<String>,
        (above, below): (&[f64], &[f64]),
    ) -> Self {
        let rounds = above.iter().zip(below);
        Self::of_rounds(
            name,
            sentence,
            rounds.map(|(above, below)| above / below).collect(),
        )
    }

    /// Takes what was computed for each round.
    pub fn of_rounds(
        name: impl Into<String>,
        sentence: impl Into<String>,
        rounds: Vec<f64>,
    ) -> Self {
        let (min, max) = spread(&rounds);
        Self {
            name: name.into(),
            sentence: sentence.into(),
            median: median(&rounds),
            min,
            max,
            goal: None,
            met: None,
            reason: None,
            rounds,
        }
    }

    /// Sets what it should be.
    #[must_use]
    pub fn with_goal(mut self, goal: impl Into<Option<Goal>>) -> Self {
        self.goal = goal.into();
        self.met = self.goal.map(|goal| goal.is_met(self.median));
        self
    }

    /// Says why the goal is missed, if it is.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = self.is_missed().then(|| reason.into());
        self
    }

    pub fn is_missed(&self) -> bool {
        self.met == Some(false)
    }

    /// The sentence with the number.
    pub fn statement(&self) -> String {
        self.sentence
            .replace("{}", &format!("{:.2} x", self.median))
    }

    /// `4 KiB takes 2.44 x as long as 1 MiB (2.31 … 2.60); goal: at most 2.0, MISSED`
    pub fn text(&self) -> String {
        let mut text = self.statement();
        text += &format!(" ({:.2} … {:.2})", self.min, self.max);
        if let Some((goal, met)) = self.goal.zip(self.met) {
            let verdict = if met { "met" } else { "MISSED" };
            text += &format!("; goal: {}, {verdict}", goal.text());
        }
        if let Some(why) = self.why() {
            text += &format!(": {why}");
        }
        text
    }

    /// Why the goal is missed, if it is.
    pub fn why(&self) -> Option<&str> {
        self.is_missed()
            .then(|| self.reason.as_deref().unwrap_or(NO_REASON))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_compared_with_themselves() {
        // The machine got slower by a factor of ten in the middle, and the ratio does not care.
        let (above, below) = ([2.0, 20.0, 21.0], [1.0, 10.0, 10.0]);
        let ratio = Ratio::new("r", "a takes {} as long as b", (&above, &below));
        assert_eq!((ratio.median, ratio.min, ratio.max), (2.0, 2.0, 2.1));
        assert_eq!(ratio.text(), "a takes 2.00 x as long as b (2.00 … 2.10)");
    }

    #[test]
    fn goals() {
        for (goal, met, text) in [
            (Goal::AtMost(1.9), false, "goal: at most 1.9, MISSED: heat"),
            (Goal::AtMost(2.0), true, "goal: at most 2.0, met"),
            (
                Goal::AtLeast(4.0),
                false,
                "goal: at least 4.0, MISSED: heat",
            ),
            (Goal::AtLeast(2.0), true, "goal: at least 2.0, met"),
        ] {
            let ratio = Ratio::new("r", "{}", (&[2.0], &[1.0]));
            let ratio = ratio.with_goal(goal).because("heat");
            assert_eq!((ratio.met, ratio.is_missed()), (Some(met), !met));
            assert!(ratio.text().ends_with(text), "{}", ratio.text());
        }
        let unknown = Ratio::new("r", "{}", (&[2.0], &[1.0])).with_goal(Goal::AtMost(1.0));
        assert!(unknown.text().ends_with("MISSED: no reason was found"));
        let without = Ratio::new("r", "{}", (&[2.0], &[1.0])).with_goal(None);
        assert_eq!((without.met, without.reason), (None, None));
    }
}
