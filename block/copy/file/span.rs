// SPDX-License-Identifier: GPL-2.0

//! Which bytes a call copies, and how far the next step of it goes. Plain values in, plain values
//! out.

use core::ops::Range;

/// `len` bytes that are copied from one place to another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Span {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) len: u64,
}

impl Span {
    /// Returns whether the ranges meet on a disk, where the devices begin at these bytes. [`None`]
    /// if an end overflows.
    pub(crate) fn overlaps(&self, (src_start, dst_start): (u64, u64)) -> Option<bool> {
        let from = src_start.checked_add(self.from)?;
        let to = dst_start.checked_add(self.to)?;
        let (from_end, to_end) = (from.checked_add(self.len)?, to.checked_add(self.len)?);
        Some(from < to_end && to < from_end)
    }

    /// Returns what one call copies between `O_DIRECT` files of these sizes, at most about `most`
    /// bytes. [`None`] if it is not on boundaries of `block`, a power of two.
    pub(crate) fn for_direct(
        self,
        block: u64,
        (src_size, dst_size): (u64, u64),
        most: u64,
    ) -> Option<Self> {
        let (src_end, dst_end) = (
            self.from.checked_add(self.len)?,
            self.to.checked_add(self.len)?,
        );
        let rest = block.checked_sub(1)?;
        let mut len = self.len;
        if len >= most || src_end == src_size || dst_end == dst_size {
            // The VFS has cut it there, or would have. Neither need be a boundary of a block.
            len = len.min(most) & !rest;
        }
        let aligned = (self.from | self.to | len) & rest == 0;
        (aligned && len > 0).then_some(Self { len, ..self })
    }

    /// Returns the lengths of the head, which goes through the page cache up to the first whole
    /// page of the destination, and of the body behind it, which is whole pages that the device can
    /// copy. `page` is a multiple of `block`, and both are powers of two. [`None`] if no part can
    /// be on boundaries of both.
    pub(crate) fn for_device(&self, block: u64, page: u64) -> Option<(u64, u64)> {
        let in_page = page.checked_sub(1)?;
        let head = self.to.wrapping_neg() & in_page;
        let body = self.len.checked_sub(head)? & !in_page;
        let from = self.from.checked_add(head)?;
        let aligned = from & block.checked_sub(1)? == 0;
        (aligned && body > 0).then_some((head, body))
    }

    /// Returns the first `len` bytes.
    pub(crate) fn first(self, len: u64) -> Self {
        let len = len.min(self.len);
        Self { len, ..self }
    }

    /// Returns what is behind the first `len` bytes.
    pub(crate) fn behind(self, len: u64) -> Self {
        let len = len.min(self.len);
        Self {
            from: self.from.saturating_add(len),
            to: self.to.saturating_add(len),
            len: self.len - len,
        }
    }

    pub(crate) fn source(&self) -> Range<u64> {
        self.from..self.from.saturating_add(self.len)
    }

    pub(crate) fn destination(&self) -> Range<u64> {
        self.to..self.to.saturating_add(self.len)
    }
}

/// The number of bytes that go through the page cache where pages cannot be dropped, or where the
/// device does not copy. If one block is more, that is the number.
pub(crate) const DETOUR: u64 = 1 << 20;

/// The detours around what a device refuses become so long if it refuses again behind them. To ask
/// it so often costs little beside the detours.
const LONG_DETOUR: u64 = 4 << 20;

/// How far the steps of a copy go.
///
/// What a device can copy is not known before it was asked, and what it has copied behind a place
/// that it refuses is copied twice. So where it may refuse, the first step is short, and steps that
/// go well grow. So do the detours around what it refuses, until it copies again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Pace {
    reach: u64,
    detour: u64,
}

impl Pace {
    /// All of it at once.
    pub(crate) const FAST: Self = Self {
        reach: u64::MAX,
        detour: u64::MAX,
    };

    /// The device may refuse.
    pub(crate) const CAREFUL: Self = Self {
        reach: DETOUR,
        detour: DETOUR,
    };

    /// Returns the most that the next step goes.
    pub(crate) fn reach(&self) -> u64 {
        self.reach
    }

    /// A step of `len` bytes was made, in one way or the other.
    pub(crate) fn went(&mut self, len: u64) {
        self.reach = len.saturating_mul(2);
    }

    /// The device has copied.
    pub(crate) fn was_offloaded(&mut self) {
        self.detour = self.detour.min(DETOUR);
    }

    /// The device refuses what comes next. Returns how much of it should go through the page cache.
    pub(crate) fn was_refused(&mut self) -> u64 {
        let detour = self.detour;
        self.detour = detour.max(LONG_DETOUR.min(detour.saturating_mul(2)));
        self.reach = DETOUR;
        detour
    }
}

#[cfg(any(test, CONFIG_BLK_COPY_KUNIT_TEST))]
#[cfg_attr(CONFIG_BLK_COPY_KUNIT_TEST, kernel::macros::kunit_tests(blk_copy_span))]
mod tests {
    use super::*;

    const BLOCK: u64 = 64 << 10;
    const SIZE: u64 = 8 << 30;
    const MOST: u64 = 0x7fff_f000;

    /// What a call copies of a device and behind it, with blocks of 64 KiB.
    fn direct(from: u64, to: u64, len: u64) -> Option<u64> {
        let span = Span { from, to, len };
        span.for_direct(BLOCK, (SIZE, SIZE + 4096), MOST)
            .map(|span| span.len)
    }

    #[test]
    fn a_long_call_is_cut_to_a_block() {
        let most = MOST & !(BLOCK - 1);
        assert!(most < MOST);
        // The VFS cuts a call of a 32-bit program to this.
        assert_eq!(direct(0, SIZE / 2, MOST), Some(most));
        assert_eq!(direct(0, SIZE / 2, 3 << 30), Some(most));
        assert_eq!(direct(0, SIZE / 2, most), Some(most));
    }

    #[test]
    fn only_the_end_of_a_device_need_not_be_a_boundary() {
        assert_eq!(direct(0, BLOCK, BLOCK + 512), None);
        assert_eq!(direct(512, BLOCK, BLOCK), None);
        assert_eq!(direct(0, 512, BLOCK), None);
        let to = SIZE - BLOCK;
        assert_eq!(direct(0, to, BLOCK + 4096), Some(BLOCK));
        assert_eq!(direct(0, SIZE, 4096), None);
    }

    /// Head and body of a copy with blocks of 512 bytes.
    fn device(from: u64, to: u64, len: u64) -> Option<(u64, u64)> {
        Span { from, to, len }.for_device(512, 4096)
    }

    #[test]
    fn the_device_copies_whole_pages() {
        assert_eq!(device(0, 4096, 8192), Some((0, 8192)));
        // The source need not be on a boundary of a page, but of a block.
        assert_eq!(device(512, 4096, 8192), Some((0, 8192)));
        assert_eq!(device(256, 4096, 8192), None);
        // A head, and a tail.
        assert_eq!(device(1, 8193, 8192), Some((4095, 4096)));
        assert_eq!(device(1023, 4095, 4097 + 100), Some((1, 4096)));
        // Not one whole page.
        assert_eq!(device(0, 1, 8190), None);
        assert_eq!(device(0, 4096, 4095), None);
        assert_eq!(device(0, 1, 4094), None);
        assert_eq!(device(u64::MAX, 1, u64::MAX), None);
    }

    #[test]
    fn steps_and_detours_grow() {
        let mut pace = Pace::CAREFUL;
        assert_eq!(pace.reach(), DETOUR);
        pace.went(pace.reach());
        assert_eq!(pace.reach(), 2 * DETOUR);
        assert_eq!(pace.was_refused(), DETOUR);
        assert_eq!(pace.was_refused(), 2 * DETOUR);
        assert_eq!(pace.was_refused(), LONG_DETOUR);
        assert_eq!(pace.was_refused(), LONG_DETOUR);
        assert_eq!(pace.reach(), DETOUR);
        pace.was_offloaded();
        assert_eq!(pace.was_refused(), DETOUR);
        // Pages that cannot be dropped make a step short.
        pace.went(4096);
        assert_eq!(pace.reach(), 8192);
        let mut fast = Pace::FAST;
        assert_eq!((fast.reach(), fast.was_refused()), (u64::MAX, u64::MAX));
        assert_eq!(fast.was_refused(), u64::MAX);
    }
}
