// SPDX-License-Identifier: GPL-2.0

//! Where a copy ends that cannot be completed.
//!
//! Pure: plain values, no FFI, no locks. Compiled on the host too.

use kernel::block::units::Sectors;

/// The first place that was not copied, and why. What lies before it goes on, so that the result
/// does not depend on the order in which things happen to end; what lies behind it does not begin
/// any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Gap<E>(Option<(Sectors, E)>);

impl<E: Copy> Gap<E> {
    /// There is none so far.
    pub(crate) const NONE: Self = Self(None);

    /// What is at `offset` was not copied.
    pub(crate) fn note(&mut self, offset: Sectors, why: E) {
        if self.allows(offset) {
            self.0 = Some((offset, why));
        }
    }

    /// Whether what is at `offset` lies before the gap.
    pub(crate) fn allows(&self, offset: Sectors) -> bool {
        self.0.is_none_or(|(gap, _)| offset < gap)
    }

    /// Whether there is none.
    pub(crate) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// How far a copy of so many sectors goes.
    pub(crate) fn end(&self, total: Sectors) -> Sectors {
        self.0.map_or(total, |(gap, _)| gap.min(total))
    }

    /// The gap, once there is nothing in flight.
    pub(crate) fn get(&self) -> Option<(Sectors, E)> {
        self.0
    }
}

#[cfg_attr(CONFIG_BLK_COPY_KUNIT_TEST, kernel::macros::kunit_tests(blk_copy_gap))]
#[cfg(any(test, CONFIG_BLK_COPY_KUNIT_TEST))]
mod tests {
    use super::*;

    #[test]
    fn the_first_gap_counts() {
        let mut gap = Gap::NONE;
        assert!(gap.is_none() && gap.allows(Sectors::new(100)));
        gap.note(Sectors::new(16), 'b');
        gap.note(Sectors::new(24), 'c');
        assert!(gap.allows(Sectors::new(8)) && !gap.allows(Sectors::new(16)));
        gap.note(Sectors::new(8), 'a');
        assert_eq!(gap.get(), Some((Sectors::new(8), 'a')));
        assert_eq!(gap.end(Sectors::new(4)), Sectors::new(4));
        assert_eq!(gap.end(Sectors::new(100)), Sectors::new(8));
    }
}
