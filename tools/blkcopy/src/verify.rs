// SPDX-License-Identifier: GPL-2.0
//! Reads source and destination back and compares them.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

use crate::aligned::AlignedBuf;
use crate::endpoint::BUFFER;
use crate::failure::Failure;

/// Compares `length` bytes. Returns the offset within the range of the first
/// difference, or `None` if there is none. `stop` ends it early, as an error.
pub fn first_difference(
    src: (&File, u64),
    dst: (&File, u64),
    length: u64,
    stop: &AtomicBool,
    on_bytes: &dyn Fn(u64),
) -> Result<Option<u64>> {
    let mut left = AlignedBuf::new(BUFFER as usize);
    let mut right = AlignedBuf::new(BUFFER as usize);
    let mut done = 0;
    while done < length {
        if stop.load(Ordering::Relaxed) {
            let text =
                format!("All {length} bytes were copied; the first {done} of them were verified");
            return Err(Failure::Interrupted(text).into());
        }
        let n = usize::try_from(length - done)
            .unwrap_or(usize::MAX)
            .min(left.len());
        src.0
            .read_exact_at(&mut left[..n], src.1 + done)
            .with_context(|| format!("cannot read the source back at offset {}", src.1 + done))?;
        dst.0
            .read_exact_at(&mut right[..n], dst.1 + done)
            .with_context(|| {
                format!(
                    "cannot read the destination back at offset {}",
                    dst.1 + done
                )
            })?;
        if left[..n] != right[..n] {
            let same = left[..n]
                .iter()
                .zip(&right[..n])
                .take_while(|(l, r)| l == r)
                .count();
            return Ok(Some(done + same as u64));
        }
        done += n as u64;
        on_bytes(n as u64);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::exit_code;

    fn file(bytes: &[u8]) -> File {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(bytes, 0).unwrap();
        file
    }

    #[test]
    fn names_the_first_differing_byte() {
        let mut bytes = vec![1; (2 << 20) + 100];
        let original = file(&bytes);
        let diff = |other: &File, from, length| {
            let (left, right, stop) = ((&original, from), (other, from), AtomicBool::new(false));
            first_difference(left, right, length, &stop, &|_| ()).unwrap()
        };
        assert_eq!(diff(&file(&bytes), 0, bytes.len() as u64), None);
        bytes[1_500_000] = 2;
        bytes[1_500_007] = 2;
        let changed = file(&bytes);
        assert_eq!(diff(&changed, 0, bytes.len() as u64), Some(1_500_000));
        assert_eq!(diff(&changed, 100, 2 << 20), Some(1_499_900));
        assert_eq!(diff(&changed, 0, 1_500_000), None);
    }

    #[test]
    fn a_short_file_is_an_error() {
        let (long, short) = (file(&[1; 100]), file(&[1; 50]));
        let stop = AtomicBool::new(false);
        let err = first_difference((&long, 0), (&short, 0), 100, &stop, &|_| ()).unwrap_err();
        assert!(format!("{err:#}").contains("destination"));
    }

    #[test]
    fn a_stop_tells_how_far_it_came() {
        let bytes = vec![1; 2 << 20];
        let (src, dst) = (file(&bytes), file(&bytes));
        let stop = AtomicBool::new(false);
        let ends = |_| stop.store(true, Ordering::Relaxed);
        let err = first_difference((&src, 0), (&dst, 0), 2 << 20, &stop, &ends).unwrap_err();
        assert_eq!(exit_code(&err), 130);
        assert!(err.to_string().contains("first 1048576 "), "{err}");
    }
}
