// SPDX-License-Identifier: GPL-2.0
//! Medians, and ratios of times that were taken in turns.

use serde::Serialize;

/// What a ratio should be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtMost(limit) => format!("at most {limit:?}"),
            Self::AtLeast(limit) => format!("at least {limit:?}"),
        }
    }
}

/// The ratio of two ways, one value for each round.
#[derive(Clone, Debug, Serialize)]
pub struct Ratio {
    /// A sentence with `{}` for the number.
    #[serde(skip)]
    sentence: String,
    pub name: String,
    pub median: f64,
    pub min: f64,
    pub max: f64,
    pub target: Option<Target>,
    /// Whether the median meets the target.
    pub met: Option<bool>,
    pub rounds: Vec<f64>,
}

impl Ratio {
    /// Divides round by round, because both of a round saw the same machine.
    pub fn new(
        name: impl Into<String>,
        sentence: String,
        (above, below): (&[f64], &[f64]),
        target: Option<Target>,
    ) -> Self {
        let rounds: Vec<f64> = above
            .iter()
            .zip(below)
            .map(|(above, below)| above / below)
            .collect();
        let median = median(&rounds);
        let (min, max) = spread(&rounds);
        let met = target.map(|target| target.is_met(median));
        Self {
            sentence,
            name: name.into(),
            median,
            min,
            max,
            target,
            met,
            rounds,
        }
    }

    /// `4 KiB takes 2.44 x as long as 1 MiB (2.31 … 2.60); target: at most 2.0, missed`
    pub fn text(&self) -> String {
        let number = format!("{:.2} x", self.median);
        let mut text = self.sentence.replace("{}", &number);
        text += &format!(" ({:.2} … {:.2})", self.min, self.max);
        if let Some((target, met)) = self.target.zip(self.met) {
            let verdict = if met { "met" } else { "MISSED" };
            text += &format!("; target: {}, {verdict}", target.text());
        }
        text
    }
}

/// The middle one, or the mean of the two in the middle.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
    let lower = sorted
        .get((sorted.len().max(1) - 1) / 2)
        .copied()
        .unwrap_or(0.0);
    (lower + upper) / 2.0
}

/// The least and the largest.
pub fn spread(values: &[f64]) -> (f64, f64) {
    let min = values.iter().copied().min_by(f64::total_cmp);
    let max = values.iter().copied().max_by(f64::total_cmp);
    (min.unwrap_or(0.0), max.unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[5.0]), 5.0);
        assert_eq!(median(&[]), 0.0);
        assert_eq!(spread(&[3.0, 1.0, 2.0]), (1.0, 3.0));
        assert_eq!(spread(&[]), (0.0, 0.0));
    }

    #[test]
    fn rounds_are_compared_with_themselves() {
        // The machine got slower by a factor of ten in the middle, and the ratio does not care.
        let (above, below) = ([2.0, 20.0, 21.0], [1.0, 10.0, 10.0]);
        let ratio = Ratio::new(
            "r",
            "a takes {} as long as b".into(),
            (&above, &below),
            None,
        );
        assert_eq!((ratio.median, ratio.min, ratio.max), (2.0, 2.0, 2.1));
        assert_eq!(ratio.text(), "a takes 2.00 x as long as b (2.00 … 2.10)");
    }

    #[test]
    fn targets() {
        for (target, met, text) in [
            (Target::AtMost(1.9), false, "target: at most 1.9, MISSED"),
            (Target::AtMost(2.0), true, "target: at most 2.0, met"),
            (Target::AtLeast(4.0), false, "target: at least 4.0, MISSED"),
            (Target::AtLeast(2.0), true, "target: at least 2.0, met"),
        ] {
            let ratio = Ratio::new("r", "{}".into(), (&[2.0], &[1.0]), Some(target));
            assert_eq!(ratio.met, Some(met));
            assert!(ratio.text().ends_with(text), "{}", ratio.text());
        }
    }
}
