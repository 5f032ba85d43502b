// SPDX-License-Identifier: GPL-2.0
//! What a copy must answer after a fault.

use std::fmt;

use anyhow::{ensure, Result};
use nix::errno::Errno;

use super::way::Way;
use crate::copy::Outcome;

/// What has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// An allocation.
    Memory,
    /// A mempool has nothing but its reserve.
    Reserve,
    /// A bio, before a driver had it.
    Bio,
    /// A request was put back into its queue.
    Requeue,
    /// The driver did not answer.
    Timeout,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Memory => "memory",
            Fault::Reserve => "mempools",
            Fault::Bio => "bios",
            Fault::Requeue => "requests that are put back",
            Fault::Timeout => "requests that are not answered",
        })
    }
}

/// Whether this is the right answer after a fault. Drivers of `stacked` devices need memory for what they pass on, must
/// not wait for it, and let the copy be made in another way.
pub fn after(way: &Way, stacked: bool, fault: Fault, outcome: Outcome, len: u64) -> Result<()> {
    let whole = outcome == Outcome::good(len);
    let right = match fault {
        Fault::Requeue => whole,
        // Before a copy has begun, memory may be missing for what leads to it; a copy itself has a reserve.
        Fault::Memory | Fault::Reserve => {
            whole || memory(way, outcome) || stacked && no_other_way(way, outcome, len)
        }
        // What was only read ahead is read again.
        Fault::Bio => failed(way, outcome, len, Errno::EIO) || way.is_cached() && whole,
        Fault::Timeout => {
            failed(way, outcome, len, Errno::ETIMEDOUT)
                || way.is_cached() && (whole || failed(way, outcome, len, Errno::EIO))
        }
    };
    ensure!(right, "which is not right");
    Ok(())
}

/// Whether it may end so because an allocation has failed.
fn memory(way: &Way, outcome: Outcome) -> bool {
    let refused = outcome == Outcome::nothing(Errno::ENOMEM);
    match way {
        Way::File => false,
        Way::Buffered { .. } => refused || outcome.error.is_none() && outcome.copied > 0,
        Way::Uring { .. } | Way::Module(_) | Way::Clone(_) => refused,
    }
}

/// Whether it was not to be made in another way.
fn no_other_way(way: &Way, outcome: Outcome, len: u64) -> bool {
    let only = matches!(way, Way::Module(how) if how.starts_with("offload"));
    only && failed(way, outcome, len, Errno::EOPNOTSUPP)
}

/// Whether it has failed with this error, after a part or at once.
fn failed(way: &Way, outcome: Outcome, len: u64, errno: Errno) -> bool {
    let part = outcome.copied < len;
    match way {
        Way::Module(_) => part && outcome.error == Some(errno),
        // Callers hear of an error if there is nothing else to tell.
        _ if outcome.copied > 0 => part && outcome.error.is_none(),
        _ => outcome.error == Some(errno),
    }
}

/// Whether this is the right answer where a fault has this error, or none.
pub fn at_place(way: &Way, due: Option<Errno>, outcome: Outcome, len: u64) -> Result<()> {
    let right = match due {
        None => outcome == Outcome::good(len),
        Some(errno) => failed(way, outcome, len, errno),
    };
    ensure!(right, "which is not right");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right(way: &str, fault: Fault, copied: u64, error: Option<Errno>) -> bool {
        let way = way.parse().unwrap();
        after(&way, false, fault, Outcome { copied, error }, 4096).is_ok()
    }

    #[test]
    fn direct_copies_have_a_reserve() {
        assert!(right("file", Fault::Memory, 4096, None));
        assert!(!right("file", Fault::Memory, 0, Some(Errno::ENOMEM)));
        assert!(right("module:auto", Fault::Memory, 0, Some(Errno::ENOMEM)));
        assert!(!right(
            "module:auto",
            Fault::Memory,
            512,
            Some(Errno::ENOMEM)
        ));
        assert!(right("buffered", Fault::Memory, 512, None));
        assert!(!right("buffered", Fault::Memory, 0, Some(Errno::EIO)));
    }

    #[test]
    fn stacking_drivers_do_not_wait_for_memory() {
        let outcome = Outcome::nothing(Errno::EOPNOTSUPP);
        let right = |way: &str, stacked| {
            let way = way.parse().unwrap();
            after(&way, stacked, Fault::Memory, outcome, 4096).is_ok()
        };
        assert!(right("module:offload", true));
        assert!(!right("module:offload", false));
        assert!(!right("module:auto", true));
        assert!(!right("file", true));
    }

    #[test]
    fn a_failed_bio_is_told() {
        for way in ["file", "uring", "uring-offload"] {
            assert!(right(way, Fault::Bio, 0, Some(Errno::EIO)));
            assert!(right(way, Fault::Bio, 512, None));
            assert!(!right(way, Fault::Bio, 4096, None));
            assert!(!right(way, Fault::Bio, 0, None));
            assert!(!right(way, Fault::Bio, 0, Some(Errno::ENOMEM)));
        }
        assert!(right("module:offload", Fault::Bio, 512, Some(Errno::EIO)));
        assert!(!right("module:offload", Fault::Bio, 512, None));
        assert!(right("buffered", Fault::Bio, 4096, None));
    }

    #[test]
    fn what_is_tried_again_is_whole() {
        assert!(right("file", Fault::Requeue, 4096, None));
        assert!(!right("file", Fault::Requeue, 512, None));
        assert!(right("file", Fault::Timeout, 0, Some(Errno::ETIMEDOUT)));
        assert!(!right("file", Fault::Timeout, 4096, None));
    }

    #[test]
    fn a_place_has_its_error_or_none() {
        let at =
            |due, copied, error| at_place(&Way::File, due, Outcome { copied, error }, 4096).is_ok();
        assert!(at(None, 4096, None));
        assert!(!at(None, 512, None));
        assert!(at(Some(Errno::ENODATA), 512, None));
        assert!(at(Some(Errno::ENODATA), 0, Some(Errno::ENODATA)));
        assert!(!at(Some(Errno::ENODATA), 4096, None));
    }
}
