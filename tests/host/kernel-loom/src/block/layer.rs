// SPDX-License-Identifier: GPL-2.0

//! What is below the engine: the model's block layer.

use super::bio::{Bio, OwnedBio};
use std::cell::Cell;

/// A block layer.
pub trait Layer {
    /// `submit_bio()`.
    fn submit(&self, bio: OwnedBio);

    /// `submit_bio_checked()`: the bio was checked, accounted and throttled before.
    fn resubmit(&self, bio: OwnedBio);

    /// `bio_endio()`: the bio has ended. The function for its end was not called yet.
    fn ended(&self, bio: &Bio);
}

thread_local! {
    static LAYER: Cell<Option<&'static dyn Layer>> = const { Cell::new(None) };
}

/// Has this thread use a block layer.
pub fn set(layer: &'static dyn Layer) {
    LAYER.set(Some(layer));
}

pub(super) fn get() -> &'static dyn Layer {
    LAYER.get().expect("there is a block layer")
}
