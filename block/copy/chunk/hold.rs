// SPDX-License-Identifier: GPL-2.0

//! The top of the stack. The bios of a chunk are held here until all of them have come so far, and
//! then enter the stack.
//!
//! What a stacking driver has passed on waits at the bottom for the others, and the driver counts
//! it: the driver cannot change its mapping before that has ended. So nothing may be passed on
//! while throttling, which does not look at `REQ_NOWAIT`, still holds another bio back.

use super::{
    end::settle,
    park,
    protocol::Levels,
    raw::PartBio, //
};
use kernel::block::bio::{
    OwnedBio,
    Status, //
};

/// A bio of a copy has passed the checks of one level of the stack. Returns the bio that is to be
/// issued now, or nothing while other bios of its chunk are still on their way.
///
/// Context: task; may sleep, because bios that were held are issued as well.
pub(crate) fn intercept(bio: OwnedBio) -> Option<OwnedBio> {
    let bio = match PartBio::new(bio) {
        Ok(bio) => bio,
        Err(stranger) => {
            // It belongs to no chunk.
            stranger.end(Some(Status::NOTSUPP));
            return None;
        }
    };
    if bio.context().levels == Levels::One {
        return park::arrive(bio);
    }
    settle(bio.locked(|state, bio, _| state.enter(bio)), go_on)
}

/// Lets a bio go on to the next level, or to the others at the bottom.
fn go_on(bio: OwnedBio) -> Option<OwnedBio> {
    if bio.bdev().has_submit_bio() {
        // A stacking driver passes the bio, or a clone, on to where we see it again.
        return Some(bio);
    }
    PartBio::new(bio).map_or_else(Some, park::arrive)
}
