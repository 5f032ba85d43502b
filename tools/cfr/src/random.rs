// SPDX-License-Identifier: GPL-2.0
//! Random numbers that a seed repeats.

use crate::pattern;

/// Random numbers: the n-th depends on the seed and n only.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(pattern::mix(seed))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        pattern::mix(self.0)
    }

    /// Below `limit`; 0 if that is 0.
    pub fn index(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap_or(0)
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.index(n) == 0
    }

    /// From 1 to `limit`, each power of two as likely as the next one.
    pub fn log(&mut self, limit: usize) -> usize {
        let bits = limit.max(1).ilog2() as usize + 1;
        let low = 1 << self.index(bits);
        (low + self.index(low)).min(limit.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides() {
        let list = |seed| {
            let mut random = Random::new(seed);
            (0..50).map(|_| random.next()).collect::<Vec<_>>()
        };
        assert_eq!(list(1), list(1));
        assert_ne!(list(1), list(2));
    }

    #[test]
    fn small_is_as_likely_as_large() {
        let mut random = Random::new(7);
        let list: Vec<_> = (0..10_000).map(|_| random.log(16384)).collect();
        assert!(list.iter().all(|value| (1..=16384).contains(value)));
        assert!(list.contains(&1) && list.contains(&16384));
        let small = list.iter().filter(|value| **value < 128).count();
        assert!((4000..6000).contains(&small), "{small}");
    }
}
