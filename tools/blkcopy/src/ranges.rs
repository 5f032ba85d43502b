// SPDX-License-Identifier: GPL-2.0
//! Many sources of one copy: lists of them as text, and how commands share them.

use anyhow::{bail, Context, Result};
use copyring::Range;

use crate::size;

/// Reads a list: a range a line, as `OFFSET LENGTH` or `OFFSET+LENGTH`; `#` begins a comment. `name` is for
/// messages.
pub fn parse(text: &str, name: &str) -> Result<Vec<Range>> {
    let mut ranges = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or("").trim();
        if line.is_empty() {
            continue;
        }
        let range = one(line)
            .with_context(|| format!("{name}, line {number}: {line:?} is not OFFSET LENGTH"))?;
        if range.len == 0 {
            bail!("{name}, line {number}: an empty range");
        }
        ranges.push(range);
    }
    Ok(ranges)
}

fn one(line: &str) -> Result<Range> {
    let (offset, len) = match line.split_once('+') {
        Some(pair) => pair,
        None => line.split_once(char::is_whitespace).context("one word")?,
    };
    let number = |text: &str| match text.trim() {
        text if text.contains(char::is_whitespace) => bail!("a word too many"),
        text => size::parse(text).map_err(anyhow::Error::msg),
    };
    let (offset, len) = (number(offset)?, number(len)?);
    offset.checked_add(len).context("an overflow")?;
    Ok(Range { offset, len })
}

/// The sum of the lengths.
pub fn total(ranges: &[Range]) -> Result<u64> {
    let sum = ranges
        .iter()
        .try_fold(0_u64, |sum, range| sum.checked_add(range.len));
    sum.context("the ranges are too long")
}

/// What one command copies: these sources, to the place that lies so far behind the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    pub to: u64,
    pub len: u64,
    pub from: Vec<Range>,
}

impl Batch {
    /// Returns the part of the batch behind its first `copied` bytes.
    pub fn after(mut self, copied: u64) -> Self {
        self.to += copied;
        self.len = self.len.saturating_sub(copied);
        self.from = after(&self.from, copied);
        self
    }
}

/// Returns what is behind the first `skipped` bytes of the ranges.
pub fn after(ranges: &[Range], skipped: u64) -> Vec<Range> {
    let mut left = skipped;
    let rest = ranges.iter().map(|range| {
        let skip = left.min(range.len);
        left -= skip;
        Range {
            offset: range.offset + skip,
            len: range.len - skip,
        }
    });
    rest.filter(|range| range.len > 0).collect()
}

/// Cuts ranges into batches, in their order, of at most so many ranges and bytes each.
pub fn batches(ranges: &[Range], most_ranges: usize, most_bytes: u64) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    let mut at = 0;
    for range in ranges {
        let mut range = *range;
        while range.len > 0 {
            let fits =
                |batch: &&mut Batch| batch.from.len() < most_ranges && batch.len < most_bytes;
            let batch = match batches.last_mut().filter(fits) {
                Some(batch) => batch,
                None => {
                    batches.push(Batch {
                        to: at,
                        len: 0,
                        from: Vec::new(),
                    });
                    continue;
                }
            };
            let len = range.len.min(most_bytes - batch.len);
            let offset = range.offset;
            batch.from.push(Range { offset, len });
            batch.len += len;
            at += len;
            range.offset += len;
            range.len -= len;
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(offset: u64, len: u64) -> Range {
        Range { offset, len }
    }

    #[test]
    fn lists_are_lines() {
        let text = "# two\n4096 8192\n\n 1M+64K # here\n";
        assert_eq!(
            parse(text, "x").unwrap(),
            [range(4096, 8192), range(1 << 20, 65536)]
        );
        for bad in ["4096", "a b", "1 2 3", "4096 0", "18446744073709551615+2"] {
            let said = format!("{:#}", parse(bad, "x").unwrap_err());
            assert!(said.starts_with("x, line 1"), "{said}");
        }
    }

    #[test]
    fn batches_are_full() {
        let ranges = [range(0, 100), range(200, 50), range(500, 10)];
        let all = batches(&ranges, 2, 1000);
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].len, all[1].to, all[1].len), (150, 150, 10));
        let cut = batches(&ranges, 10, 60);
        assert_eq!(cut[0].from, [range(0, 60)]);
        assert_eq!(cut[1].from, [range(60, 40), range(200, 20)]);
    }

    #[test]
    fn the_rest_of_a_batch() {
        let batch = Batch {
            to: 1000,
            len: 160,
            from: vec![range(0, 100), range(200, 50), range(500, 10)],
        };
        let after = |copied| batch.clone().after(copied);
        assert_eq!(after(0), batch);
        assert_eq!((after(30).to, after(30).len), (1030, 130));
        assert_eq!(after(30).from[..2], [range(30, 70), range(200, 50)]);
        assert_eq!(after(100).from, [range(200, 50), range(500, 10)]);
        assert_eq!(after(155).from, [range(505, 5)]);
        assert_eq!((after(160).len, after(160).from.len()), (0, 0));
    }

    proptest! {
        #[test]
        fn batches_are_the_ranges(
            list in prop::collection::vec((0_u64..1000, 1_u64..100), 0..50),
            most_ranges in 1_usize..10,
            most_bytes in 1_u64..200,
        ) {
            let ranges: Vec<_> = list.iter().map(|(offset, len)| range(*offset, *len)).collect();
            let bytes = |ranges: &[Range]| {
                ranges.iter().flat_map(|range| range.offset..range.offset + range.len).collect::<Vec<_>>()
            };
            let all = batches(&ranges, most_ranges, most_bytes);
            let mut at = 0;
            let mut joined = Vec::new();
            for batch in &all {
                prop_assert_eq!(batch.to, at);
                prop_assert_eq!(total(&batch.from).unwrap(), batch.len);
                prop_assert!(batch.from.len() <= most_ranges && batch.len <= most_bytes);
                at += batch.len;
                joined.extend(bytes(&batch.from));
            }
            prop_assert_eq!(joined, bytes(&ranges));
        }
    }
}
