// SPDX-License-Identifier: GPL-2.0
//! Filling a disk and taking checksums of it, in one small buffer: in a guest
//! every page that is touched first is expensive.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result};
use blkcopy::aligned::AlignedBuf;
use evidence::copy;
use evidence::disk::open_direct;
use sha2::{Digest, Sha256};

/// One read or write.
pub const STEP: usize = 1 << 20;

/// The buffer that all of the demo's own reading and writing goes through.
pub struct Content {
    buf: AlignedBuf,
}

impl Content {
    pub fn new() -> Self {
        Self {
            buf: AlignedBuf::new(STEP),
        }
    }

    /// Writes random data that differ from place to place.
    pub fn fill_random(&mut self, path: &Path, start: u64, len: u64, seed: u64) -> Result<()> {
        let mut random = fastrand::Rng::with_seed(seed);
        self.write(path, start, len, |buf| random.fill(buf))
    }

    /// Writes one value everywhere, so that what is found later was copied.
    pub fn fill_value(&mut self, path: &Path, start: u64, len: u64, value: u8) -> Result<()> {
        self.buf.fill(value);
        self.write(path, start, len, |_| ())
    }

    fn write(
        &mut self,
        path: &Path,
        start: u64,
        len: u64,
        mut prepare: impl FnMut(&mut [u8]),
    ) -> Result<()> {
        let file = open_direct(path, true)?;
        copy::pieces(len, STEP, |offset, n| {
            prepare(&mut self.buf[..n]);
            file.write_all_at(&self.buf[..n], start + offset)
                .with_context(|| format!("cannot write {}", path.display()))
        })
    }

    /// The checksum of what is on the device.
    pub fn sha256(&mut self, path: &Path, start: u64, len: u64) -> Result<String> {
        let file = open_direct(path, false)?;
        let mut hash = Sha256::new();
        copy::pieces(len, STEP, |offset, n| {
            file.read_exact_at(&mut self.buf[..n], start + offset)
                .with_context(|| format!("cannot read {} back", path.display()))?;
            hash.update(&self.buf[..n]);
            Ok(())
        })?;
        Ok(hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect())
    }

    /// Copies by reading and writing, as any program would.
    pub fn read_and_write(&mut self, src: (&File, u64), dst: (&File, u64), len: u64) -> Result<()> {
        copy::read_and_write(src, dst, len, &mut self.buf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fill_copy_and_checksum() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let Ok(src) = open_direct(file.path(), false) else {
            eprintln!("skipped: no O_DIRECT in the folder for temporary files");
            return;
        };
        let mut content = Content::new();
        let len = 3 << 20;
        content.fill_random(file.path(), 0, len, 1).unwrap();
        content.fill_value(file.path(), len, len, 7).unwrap();
        let random = content.sha256(file.path(), 0, len).unwrap();
        let sevens = content.sha256(file.path(), len, len).unwrap();
        let expected = Sha256::digest(vec![7; 3 << 20]);
        let expected: String = expected.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(sevens, expected);
        assert_ne!(random, sevens);
        let dst = open_direct(file.path(), true).unwrap();
        content.read_and_write((&src, 0), (&dst, len), len).unwrap();
        assert_eq!(content.sha256(file.path(), len, len).unwrap(), random);
    }
}
