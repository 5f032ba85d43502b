// SPDX-License-Identifier: GPL-2.0
//! Buffers that `O_DIRECT` accepts, without `unsafe`: a vector somewhat too
//! long, used from its first aligned byte on.

use std::ops::{Deref, DerefMut};

/// What every device accepts: no logical block is larger than a page here.
pub const ALIGN: usize = 4096;

/// A buffer whose first byte is aligned to [`ALIGN`].
pub struct AlignedBuf {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedBuf {
    /// Allocates `len` zeroed bytes.
    pub fn new(len: usize) -> Self {
        let bytes = vec![0; len + ALIGN];
        let start = bytes.as_ptr().addr().wrapping_neg() % ALIGN;
        Self { bytes, start, len }
    }
}

impl Deref for AlignedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len]
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_aligned_and_as_long_as_asked() {
        for len in [0, 1, 512, 4096, 1 << 20] {
            let mut buf = AlignedBuf::new(len);
            assert_eq!(buf.len(), len);
            assert_eq!(buf.as_ptr().addr() % ALIGN, 0);
            buf.fill(7);
            assert!(buf.iter().all(|&b| b == 7));
        }
    }
}
