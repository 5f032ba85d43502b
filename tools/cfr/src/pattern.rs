// SPDX-License-Identifier: GPL-2.0
//! The data the tests write: a function of a seed and of a position, so that nothing has to be remembered.
//!
//! Each aligned group of eight bytes differs from all others of the same seed, so a block that was copied from
//! the wrong place, or not at all, never looks right.

use anyhow::{bail, Result};
use clap::Args;

/// What a range holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    Zero,
    Seed(u64),
}

/// The command line's way to name a pattern.
#[derive(Args, Clone, Debug)]
pub struct PatternArgs {
    /// Pattern number
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Zeroes instead of a pattern
    #[arg(long, conflicts_with = "seed")]
    zero: bool,
}

impl PatternArgs {
    pub fn pattern(&self) -> Pattern {
        if self.zero {
            Pattern::Zero
        } else {
            Pattern::Seed(self.seed)
        }
    }
}

/// One step of splitmix64, which mixes every input bit into every output bit.
pub fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn word(seed: u64, index: u64) -> [u8; 8] {
    mix(index ^ seed.rotate_left(40)).to_le_bytes()
}

impl Pattern {
    /// Writes into `buf` the bytes of this pattern from position `pos` on.
    pub fn fill(self, pos: u64, buf: &mut [u8]) {
        let seed = match self {
            Pattern::Zero => return buf.fill(0),
            Pattern::Seed(seed) => seed,
        };
        let skip = usize::try_from(pos % 8).unwrap_or(0);
        let head = buf.len().min((8 - skip) % 8);
        let (first, rest) = buf.split_at_mut(head);
        first.copy_from_slice(&word(seed, pos / 8)[skip..][..head]);
        for (index, group) in (pos.div_ceil(8)..).zip(rest.chunks_mut(8)) {
            group.copy_from_slice(&word(seed, index)[..group.len()]);
        }
    }
}

/// Where `got` first differs from `want`.
pub fn first_difference(got: &[u8], want: &[u8]) -> Option<usize> {
    if got == want {
        return None;
    }
    Some(
        got.iter()
            .zip(want)
            .position(|(a, b)| a != b)
            .unwrap_or_else(|| got.len().min(want.len())),
    )
}

/// Says what is wrong at the first byte that differs; `base` is the position of `got[0]`.
pub fn compare(base: u64, got: &[u8], want: &[u8]) -> Result<()> {
    let Some(at) = first_difference(got, want) else {
        return Ok(());
    };
    let end = got.len().min(at + 8);
    let kind = if got[at..].iter().take(512).all(|byte| *byte == 0) {
        " (zeroes)"
    } else {
        ""
    };
    bail!(
        "mismatch at {}: want {:02x?}, got {:02x?}{kind}",
        base + at as u64,
        &want[at..end.min(want.len())],
        &got[at..end]
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_same_however_it_is_cut() {
        let mut whole = [0; 100];
        Pattern::Seed(7).fill(1000, &mut whole);
        for start in 0..100 {
            for end in start..100 {
                let mut part = vec![0; end - start];
                Pattern::Seed(7).fill(1000 + start as u64, &mut part);
                assert_eq!(part, whole[start..end]);
            }
        }
    }

    #[test]
    fn differs_by_seed_and_place() {
        let mut seen = std::collections::HashSet::new();
        for seed in 0..8 {
            for block in 0..64 {
                let mut buf = [0; 512];
                Pattern::Seed(seed).fill(block * 512, &mut buf);
                assert!(seen.insert(buf.to_vec()));
            }
        }
    }

    #[test]
    fn names_the_first_wrong_byte() {
        let want = [1_u8; 600];
        let mut got = want;
        assert!(compare(0, &got, &want).is_ok());
        got[37] = 2;
        let text = compare(4096, &got, &want).unwrap_err().to_string();
        assert!(text.starts_with("mismatch at 4133: want [01"), "{text}");
        got[37..].fill(0);
        let text = compare(0, &got, &want).unwrap_err().to_string();
        assert!(text.ends_with("(zeroes)"), "{text}");
    }
}
