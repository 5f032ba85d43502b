// SPDX-License-Identifier: GPL-2.0

//! What becomes of a Copy command that did not succeed, and what it teaches about the device.
//!
//! Pure: plain values, no FFI, no locks. Compiled on the host too.
//!
//! # Why a Copy is not simply sent again
//!
//! A write that is sent again writes the same data. A Copy reads its source when the controller
//! gets round to it. If one controller still has the command when it is sent to another one, or
//! once more over a new connection, the copy ends as soon as the second one has ended. From then on
//! the caller may change the source, and write to the destination. When the first controller
//! executes its command at last, the destination changes behind the caller's back: it gets data
//! that the source has got since, or loses what was written to it. A snapshot would get new data of
//! its origin.
//!
//! So a Copy is sent again only if no controller has it any more, which is known in three cases:
//!
//! - A controller has *answered* it. Then it is done with it, whatever the status says, and the
//!   status says whether another try makes sense.
//! - It was *never sent*, because the controller was not ready.
//! - The controller was *stopped*: its transport has cleared `CC.EN`, and has seen `CSTS.RDY`
//!   become 0. A controller level reset ends all commands before that. Only PCI Express can say so.
//!   Behind a fabric the registers are a target's to emulate, and neither the end of a connection
//!   nor a new association ends what a target executes: the one of Linux lets commands that it has
//!   begun go on. It is also not known when it gets to see that a connection has ended, nor what is
//!   still on its way to it.
//!
//! In all other cases the command is *lost*: the copy ends with an error of the path, and nobody
//! may assume that the destination will not change any more. Which status such a command has does
//! not come from a controller: Host Pathing Error and Command Aborted By Host are the host's own. A
//! target that hands on commands may answer with them as well, and then it is the one that does not
//! know.
//!
//! A command that was *late*, which means that the time limit of its request ran out, is not sent
//! again either, even if the controller was stopped because of it: it would most likely be late
//! again, and every time that costs a reset.

use kernel::block::units::Sectors;

/// Bits of a status that are the status code and its type.
const CODE: u16 = 0x7ff;

/// Generic command status: Invalid Command Opcode.
const INVALID_OPCODE: u16 = 0x001;
/// Generic command status: Invalid Field in Command.
const INVALID_FIELD: u16 = 0x002;
/// Generic command status: Command Abort Requested.
const ABORT_REQUESTED: u16 = 0x007;
/// Generic command status: Command Aborted due to SQ Deletion.
const QUEUE_DELETED: u16 = 0x008;
/// Command specific status: Command Size Limit Exceeded.
const SIZE_LIMIT: u16 = 0x183;
/// Command specific status: Incompatible Namespace or Format.
const INCOMPATIBLE: u16 = 0x185;
/// Command specific status: Fast Copy Not Possible.
const NOT_FAST: u16 = 0x186;
/// Command specific status: Namespace Not Reachable.
const UNREACHABLE: u16 = 0x188;
/// Command specific status: Insufficient Resources.
const RESOURCES: u16 = 0x189;
/// Path related status: Host Pathing Error.
const HOST_PATH: u16 = 0x370;
/// Path related status: Command Aborted By Host.
const HOST_ABORTED: u16 = 0x371;

/// Who has a command that no controller has answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Holder {
    /// Nobody: it was never sent, or the controller was stopped.
    Nobody,
    /// A controller, perhaps.
    Unknown,
}

/// Whether the time limit of a request ran out before it ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Promptness {
    InTime,
    Late,
}

/// Why a device does not make a copy, although nothing is broken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refusal {
    /// It cannot copy, whatever it says.
    Always,
    /// It cannot copy so much at once.
    TooLarge,
    /// It cannot copy this, now.
    Here,
}

/// What becomes of a Copy command that ended with an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    /// The same as of any other command with this status.
    AsOthers,
    /// It ends with what the status says, and is not sent again.
    Ended,
    /// Another way is taken. That is no error.
    Refused(Refusal),
    /// It ends with an error of the path.
    Lost,
    /// It ends because it took too long.
    TimedOut,
}

impl Fate {
    /// Returns what becomes of a command with the status `status`, which is not a success.
    pub(crate) fn of(status: u16, holder: Holder, promptness: Promptness) -> Self {
        let late = promptness == Promptness::Late;
        match status & CODE {
            INVALID_OPCODE | INVALID_FIELD => Self::Refused(Refusal::Always),
            SIZE_LIMIT => Self::Refused(Refusal::TooLarge),
            INCOMPATIBLE | NOT_FAST | UNREACHABLE | RESOURCES => Self::Refused(Refusal::Here),
            HOST_PATH | HOST_ABORTED | ABORT_REQUESTED | QUEUE_DELETED if late => Self::TimedOut,
            HOST_PATH | HOST_ABORTED if holder == Holder::Unknown => Self::Lost,
            _ if late => Self::Ended,
            _ => Self::AsOthers,
        }
    }
}

impl Refusal {
    /// Returns the most that a command should cover from now on, since one of `len` was refused;
    /// [`None`] if that says nothing about other commands. Zero: none makes sense.
    ///
    /// A limit is found by halving. Whichever limit of the device is lower than it says, that of
    /// the command, of a range, or of the number of ranges: half of the blocks needs half of it.
    pub(crate) fn lesson(self, len: Sectors, block: Sectors) -> Option<Sectors> {
        match self {
            Self::Always => Some(Sectors::ZERO),
            Self::TooLarge => Some(Sectors::new(len.get() / 2).round_down(block)),
            Self::Here => None,
        }
    }
}

/// A Copy of this much gets one more time limit of an ordinary command: 512 KiB, which is a read
/// and a write of common lengths. A controller that is dead is found by the ordinary commands.
const TIME_UNIT: Sectors = Sectors::new(1024);

/// Returns the time limit of a Copy of `len`, if that of an ordinary command is `ordinary`, in
/// whatever unit of time. It does not grow beyond `i32::MAX`, because times of the kernel wrap.
pub(crate) fn time_limit(ordinary: u32, len: Sectors) -> u32 {
    let units = 1 + len.get() / TIME_UNIT.get();
    let most = u64::from(i32::MAX.unsigned_abs()).max(u64::from(ordinary));
    let limit = u64::from(ordinary).saturating_mul(units).min(most);
    u32::try_from(limit).unwrap_or(ordinary)
}

#[cfg_attr(
    CONFIG_BLK_COPY_KUNIT_TEST,
    kernel::macros::kunit_tests(nvme_copy_fate)
)]
#[cfg(any(test, CONFIG_BLK_COPY_KUNIT_TEST))]
mod tests {
    use super::*;

    const HOLDERS: [Holder; 2] = [Holder::Nobody, Holder::Unknown];
    const PROMPTNESS: [Promptness; 2] = [Promptness::InTime, Promptness::Late];
    /// Do Not Retry, More, and the delays.
    const FLAGS: [u16; 4] = [0, 0x4000, 0x2000, 0x1800];

    /// Every status, in every situation.
    fn all(mut check: impl FnMut(u16, Holder, Promptness, Fate)) {
        for code in 1..=CODE {
            for flags in FLAGS {
                for holder in HOLDERS {
                    for promptness in PROMPTNESS {
                        let fate = Fate::of(code | flags, holder, promptness);
                        check(code, holder, promptness, fate);
                    }
                }
            }
        }
    }

    #[test]
    fn what_a_controller_may_have_is_not_sent_again() {
        all(|code, holder, promptness, fate| {
            let answered = code != HOST_PATH && code != HOST_ABORTED;
            if fate == Fate::AsOthers {
                assert!(answered || holder == Holder::Nobody);
                assert_eq!(promptness, Promptness::InTime);
            }
            if fate == Fate::Lost {
                assert!(!answered && holder == Holder::Unknown);
            }
        });
    }

    #[test]
    fn what_is_late_is_an_error_or_a_refusal() {
        all(|code, _, promptness, fate| {
            if promptness == Promptness::Late {
                assert!(!matches!(fate, Fate::AsOthers | Fate::Lost));
            } else {
                assert!(!matches!(fate, Fate::TimedOut | Fate::Ended));
            }
            if fate == Fate::TimedOut {
                assert!([HOST_PATH, HOST_ABORTED, ABORT_REQUESTED, QUEUE_DELETED].contains(&code));
            }
        });
    }

    #[test]
    fn refusals_do_not_depend_on_anything_else() {
        let refusals = [
            (0x001, Refusal::Always),
            (0x002, Refusal::Always),
            (0x183, Refusal::TooLarge),
            (0x185, Refusal::Here),
            (0x186, Refusal::Here),
            (0x188, Refusal::Here),
            (0x189, Refusal::Here),
        ];
        all(|code, _, _, fate| {
            let wanted = refusals.iter().find(|(refused, _)| *refused == code);
            match fate {
                Fate::Refused(refusal) => assert_eq!(Some(&(code, refusal)), wanted),
                _ => assert_eq!(wanted, None),
            }
        });
    }

    #[test]
    fn a_limit_is_found_by_halving() {
        let block = Sectors::new(8);
        let lesson = |len| Refusal::TooLarge.lesson(Sectors::new(len), block);
        assert_eq!(lesson(2048), Some(Sectors::new(1024)));
        assert_eq!(lesson(24), Some(Sectors::new(8)));
        assert_eq!(lesson(8), Some(Sectors::ZERO));
        assert_eq!(
            Refusal::Always.lesson(Sectors::new(8), block),
            Some(Sectors::ZERO)
        );
        assert_eq!(Refusal::Here.lesson(Sectors::new(8), block), None);
        // Whatever a device can do, at least half of it is found.
        for can in 1..300 {
            let mut most = 4096;
            while most > can * 8 {
                let next = lesson(most).map_or(0, Sectors::get);
                assert!(next < most && next % 8 == 0);
                most = next;
            }
            assert!(most * 2 + 16 > can * 8 || most == 0);
            assert!(most > 0);
        }
    }

    #[test]
    fn time_in_proportion() {
        let limit = |sectors| time_limit(7500, Sectors::new(sectors));
        assert_eq!(limit(1), 7500);
        assert_eq!(limit(1023), 7500);
        assert_eq!(limit(1024), 15000);
        assert_eq!(limit(65536), 487_500);
        // No more than the kernel's clock can tell apart, and never less than before.
        assert_eq!(time_limit(u32::MAX / 2, Sectors::new(1 << 23)), 0x7fff_ffff);
        assert_eq!(time_limit(u32::MAX, Sectors::new(1 << 23)), u32::MAX);
        assert_eq!(time_limit(0, Sectors::new(1 << 23)), 0);
    }
}
