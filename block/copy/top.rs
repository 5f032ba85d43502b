// SPDX-License-Identifier: GPL-2.0

//! The top of the stack: where the bios of a chunk are held until all of them have got so far, and
//! then enter it.
//!
//! What a stacking driver has passed on waits at the bottom for the others, and the driver counts
//! it: it cannot change its mapping before that has ended. So nothing may be passed on while
//! throttling, which does not look at `REQ_NOWAIT`, still holds back another one.

use super::{
    bottom::{
        self,
        refuse,
        release, //
    },
    context::{
        locate,
        state,
        Located, //
    },
    protocol::Arrival, //
};
use kernel::{
    block::bio::{
        OwnedBio,
        Status, //
    },
    sync::atomic::{
        Acquire,
        Release, //
    }, //
};

/// A bio of a copy has passed the checks of one level of the stack. Returns the bio that is to be
/// issued now, or nothing while other parts are still on their way.
///
/// Context: task; does not sleep, unless bios that have waited for this one are issued as well.
pub(crate) fn intercept(bio: OwnedBio) -> Option<OwnedBio> {
    let Some(at) = locate(&bio) else {
        // Not one of ours. There is no context to pair it by.
        bio.end(Some(Status::NOTSUPP));
        return None;
    };
    // SAFETY: The caller gave us the bio, and with it the context. The field is only accessed
    // atomically.
    if unsafe { &(*at.context.as_ptr()).entered }.load(Acquire) {
        go_on(bio, at)
    } else {
        enter(bio, at)
    }
}

/// Down to the next level, or to the others at the bottom.
fn go_on(bio: OwnedBio, at: Located) -> Option<OwnedBio> {
    if bio.bdev().has_submit_bio() {
        // A stacking driver: it passes the bio, or a clone, on to where we look again.
        return Some(bio);
    }
    bottom::arrive(bio, at)
}

/// A part is held, or all of them go on; one of them is returned.
fn enter(bio: OwnedBio, at: Located) -> Option<OwnedBio> {
    let context = at.context;
    // SAFETY: The caller gave us the bio, which from here on is ours or the machine's.
    let mut state = unsafe { state(context) }.lock();
    let all = match state.enter(bio) {
        Arrival::Held => return None,
        Arrival::Ready(all) => all,
        Arrival::Refused(bio) => {
            drop(state);
            refuse(bio, at);
            return None;
        }
    };
    // SAFETY: The field is only accessed atomically, and the lock is held.
    unsafe { &(*context.as_ptr()).entered }.store(true, Release);
    drop(state);
    release(all, go_on)
}
