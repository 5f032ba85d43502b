// SPDX-License-Identifier: GPL-2.0

//! What a copy has in flight, counted at its disk with what others have.

use crate::plan::share::allowed;
use kernel::block::{
    bdev::BlockDevice,
    copy::stats::InFlight,
    units::Sectors, //
};

/// The part of what is in flight to a disk that is of one copy. When this is dropped, nothing is.
///
/// The driver of the copy counts, in its turns, or once if the copy is one chunk that goes alone.
/// In between it still counts what has ended since its last turn. That holds other copies back for
/// a moment. It does not let any of them send too much.
pub(super) struct Share<'a> {
    all: &'a InFlight,
    own: Sectors,
}

impl<'a> Share<'a> {
    /// Nothing is in flight.
    pub(super) fn new(dst: &'a BlockDevice) -> Self {
        let (all, own) = (InFlight::of(dst), Sectors::ZERO);
        Self { all, own }
    }

    /// So much is in flight; the rest has ended.
    pub(super) fn settle(&mut self, own: Sectors) {
        self.all.sub(self.own.checked_sub(own).unwrap_or_default());
        self.own = self.own.min(own);
    }

    /// Counts a chunk of at most `max` that is about to be sent. Returns how long it may be; zero
    /// if none may be sent now.
    pub(super) fn take(&mut self, max: Sectors) -> Sectors {
        // At first as if it could be as long as that, so that two do not take the same room.
        let all = self.all.add(max);
        let len = allowed(all, self.own, max);
        self.own = self.own.checked_add(max).unwrap_or(self.own);
        self.give_back(max, len);
        len
    }

    /// Of `taken` only `len` was sent.
    pub(super) fn give_back(&mut self, taken: Sectors, len: Sectors) {
        let rest = taken.checked_sub(len).unwrap_or_default();
        self.settle(self.own.checked_sub(rest).unwrap_or_default());
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.settle(Sectors::ZERO);
    }
}
