// SPDX-License-Identifier: GPL-2.0
//! Two ways to copy. Source and destination are each a file and a place in it.

use std::fs::File;
use std::os::unix::fs::FileExt;

use anyhow::{bail, Context, Result};

/// Has the kernel copy all of it, and tells in how many calls.
pub fn copy_file_range(src: (&File, u64), dst: (&File, u64), len: u64) -> Result<u64> {
    let ((src, mut from), (dst, mut to)) = (src, dst);
    let (mut left, mut calls) = (len, 0);
    while left > 0 {
        let want = usize::try_from(left).unwrap_or(usize::MAX);
        let copied = rustix::fs::copy_file_range(src, Some(&mut from), dst, Some(&mut to), want)
            .with_context(|| format!("copy_file_range failed with {left} of {len} bytes to go"))?;
        if copied == 0 {
            bail!("copy_file_range stopped with {left} of {len} bytes to go");
        }
        left -= copied as u64;
        calls += 1;
    }
    Ok(calls)
}

/// Reads and writes, as a simple program would: one after the other, through one buffer.
pub fn read_and_write(
    src: (&File, u64),
    dst: (&File, u64),
    len: u64,
    buf: &mut [u8],
) -> Result<()> {
    pieces(len, buf.len(), |offset, n| {
        let piece = &mut buf[..n];
        src.0
            .read_exact_at(piece, src.1 + offset)
            .context("cannot read the source")?;
        dst.0
            .write_all_at(piece, dst.1 + offset)
            .context("cannot write the destination")
    })
}

/// Calls a function for each piece, with its offset and length.
pub fn pieces(len: u64, piece: usize, mut f: impl FnMut(u64, usize) -> Result<()>) -> Result<()> {
    let mut offset = 0;
    while offset < len {
        let n = usize::try_from(len - offset).unwrap_or(piece).min(piece);
        f(offset, n)?;
        offset += n as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_leave_nothing_out() {
        let mut seen = Vec::new();
        pieces(10, 4, |offset, n| {
            seen.push((offset, n));
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [(0, 4), (4, 4), (8, 2)]);
    }

    #[test]
    fn both_ways_copy() {
        let file = tempfile::tempfile().unwrap();
        let data: Vec<u8> = (0..100).collect();
        file.write_all_at(&data, 0).unwrap();
        read_and_write((&file, 10), (&file, 200), 50, &mut [0; 7]).unwrap();
        let mut found = [0; 50];
        file.read_exact_at(&mut found, 200).unwrap();
        assert_eq!(found, data[10..60]);
        copy_file_range((&file, 0), (&file, 300), 50).unwrap();
        file.read_exact_at(&mut found, 300).unwrap();
        assert_eq!(found, data[..50]);
        assert!(copy_file_range((&file, 1000), (&file, 0), 50).is_err());
    }
}
