// SPDX-License-Identifier: GPL-2.0

//! Whether one command can copy from where the sources came to lie to where the destination did.
//!
//! Pure: plain values, no FFI, no locks. Compiled on the host too.

use crate::{
    plan::Range,
    verdict::{
        Reason,
        Verdict, //
    }, //
};
use kernel::block::units::Sectors;

/// Where a bio came to lie at the bottom of the stack. `D` is the domain of the device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Place<D> {
    /// On the whole disk.
    pub(crate) range: Range,
    /// [`None`] where nothing can be copied.
    pub(crate) domain: Option<D>,
}

/// Whether one command can copy `len` sectors from all of `sources` to `to`. A place is [`None`] if
/// it is not known. `overlap` is the status of a source that the destination overlaps: two mappings
/// that meet at the bottom only.
///
/// This looks at one chunk. What two mappings of one disk that overlap by more than a chunk do to
/// each other is not seen here.
pub(crate) fn pair<D: Eq, S>(
    sources: impl Iterator<Item = Option<Place<D>>>,
    to: Option<Place<D>>,
    len: Sectors,
    overlap: S,
) -> Verdict<S> {
    let not_supported = Verdict::Fallback(Reason::NotSupported);
    let Some(to) = to else { return not_supported };
    let mut sum = Sectors::ZERO;
    for source in sources {
        let Some(from) = source else {
            return not_supported;
        };
        // The queues may be different ones: paths to one device.
        if to.domain.is_none() || from.domain != to.domain {
            return Verdict::Fallback(Reason::Domain);
        }
        if from.range.overlaps(to.range) {
            return Verdict::Failed(overlap);
        }
        sum = sum.checked_add(from.range.len()).unwrap_or_default();
    }
    if sum != len || to.range.len() != len {
        // Somebody cut one of them.
        return not_supported;
    }
    Verdict::Offloaded
}

#[cfg_attr(CONFIG_BLK_COPY_KUNIT_TEST, kernel::macros::kunit_tests(blk_copy_pair))]
#[cfg(any(test, CONFIG_BLK_COPY_KUNIT_TEST))]
mod tests {
    use super::*;
    use kernel::block::units::Sector;

    const LEN: Sectors = Sectors::new(8);
    const OVERLAP: u8 = 1;

    fn place(domain: u8, start: u64, len: u64) -> Option<Place<u8>> {
        let range = Range::new(Sector::new(start), Sectors::new(len))?;
        let domain = (domain != 0).then_some(domain);
        Some(Place { range, domain })
    }

    fn verdict(sources: &[Option<Place<u8>>], to: Option<Place<u8>>) -> Verdict<u8> {
        pair(sources.iter().copied(), to, LEN, OVERLAP)
    }

    #[test]
    fn one_device_copies() {
        let sources = [place(1, 0, 3), place(1, 100, 5)];
        assert_eq!(verdict(&sources, place(1, 50, 8)), Verdict::Offloaded);
    }

    #[test]
    fn two_devices_do_not() {
        let domain = Verdict::Fallback(Reason::Domain);
        let sources = [place(1, 0, 3), place(2, 100, 5)];
        assert_eq!(verdict(&sources, place(1, 50, 8)), domain);
        assert_eq!(verdict(&[place(1, 0, 8)], place(2, 50, 8)), domain);
        assert_eq!(verdict(&[place(0, 0, 8)], place(0, 50, 8)), domain);
    }

    #[test]
    fn overlap_is_an_error() {
        let overlap = Verdict::Failed(OVERLAP);
        assert_eq!(verdict(&[place(1, 0, 8)], place(1, 4, 8)), overlap);
    }

    #[test]
    fn what_was_cut_is_not_copied() {
        let cut = Verdict::Fallback(Reason::NotSupported);
        assert_eq!(verdict(&[place(1, 0, 4)], place(1, 50, 8)), cut);
        assert_eq!(verdict(&[place(1, 0, 8)], place(1, 50, 4)), cut);
        assert_eq!(verdict(&[None], place(1, 50, 8)), cut);
        assert_eq!(verdict(&[place(1, 0, 8)], None), cut);
    }
}
