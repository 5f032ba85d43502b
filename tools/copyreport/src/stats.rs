// SPDX-License-Identifier: GPL-2.0
//! Medians, and how far single values are from them.

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

/// How uncertain the median is, as a part of it: the standard error, from the median distance to the median,
/// which one run that was disturbed does not change.
pub fn uncertainty(values: &[f64]) -> f64 {
    /// Makes the standard deviation of it, if values are spread normally.
    const DEVIATION: f64 = 1.4826;
    /// A median varies more than a mean.
    const OF_MEDIAN: f64 = 1.2533;
    let middle = median(values);
    if values.is_empty() || middle == 0.0 {
        return 0.0;
    }
    let distances: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    let deviation = DEVIATION * median(&distances);
    OF_MEDIAN * deviation / (values.len() as f64).sqrt() / middle.abs()
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
    fn one_disturbed_run_does_not_make_all_uncertain() {
        assert_eq!(uncertainty(&[1.0, 1.0, 1.0, 1.0, 9.0]), 0.0);
        assert_eq!(uncertainty(&[]), 0.0);
        let some = uncertainty(&[0.9, 1.0, 1.1]);
        assert!(
            (some - 0.1 * 1.4826 * 1.2533 / 3f64.sqrt()).abs() < 1e-12,
            "{some}"
        );
        // Of more runs it is smaller, and it does not depend on the unit.
        let more = [0.9, 1.0, 1.1].repeat(4);
        assert!((uncertainty(&more) - some / 2.0).abs() < 1e-12);
        let large: Vec<f64> = more.iter().map(|value| value * 1e6).collect();
        assert!((uncertainty(&large) - some / 2.0).abs() < 1e-12);
    }
}
