// SPDX-License-Identifier: GPL-2.0

//! The life of one chunk, as a state machine.
//!
//! A chunk has several parts, each with a bio of its own: sources, which are read, and the
//! destination, whose bio becomes the command. Each part travels down the stack alone. At the
//! bottom the machine parks it until all parts are there. Then the destination's bio is dispatched
//! to the driver, and the sources stay parked until it has ended.
//!
//! If one part enters a stacking driver, all parts are held before any of them enters, until all of
//! them have come so far. So whatever delays one of them before that, such as throttling, does not
//! delay the driver while it has others inside.
//!
//! ```text
//!          all parts are there          all parts are parked           the command ends
//!   Hold ----------------------> Translate ----------------> Dispatch -----------------> Done
//!     |                             |                                  sources are ended
//!     | a part ends                 | a part ends, or no device
//!     v                             v has all places
//!   Over <------------------------ Over
//!     all parts that are held or parked are ended
//! ```
//!
//! The machine owns a bio from [`Machine::enter`] or [`Machine::arrive`] until it hands the bio out
//! again, to go on or to be ended. Because it takes what it hands out, no bio is ended twice;
//! because every way into `Over` or `Done` hands out all of them, no bio is forgotten.
//!
//! All parts are submitted, whatever happens to the first ones, and who submits the last one does
//! not look at the chunk afterwards. `live` counts the parts that have not ended. Who takes it to
//! zero gets the [`Sole`] right to deliver the verdict and to free the chunk; nobody else may touch
//! the chunk then.
//!
//! Pure: the bio `B`, the list of bios `L` and the status `S` are parameters, and the caller has
//! the lock. Nothing is ended or submitted here: the caller does so after it has dropped the lock.

use crate::{
    plan::Side,
    verdict::{
        Reason,
        Verdict, //
    }, //
};
use kernel::block::units::Sectors;

/// A list of bios that grows without an allocation.
pub(crate) trait BioList<B>: Default {
    /// Appends a bio.
    fn push(&mut self, bio: B);
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Hold,
    Translate,
    Dispatch,
    /// The command has ended.
    Done,
    /// A part has ended before the dispatch.
    Over,
}

/// What the bios of a chunk are sent to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Levels {
    /// Devices without a stacking driver.
    One,
    /// A stacking driver, one of them at least.
    Several,
}

/// The last user's right to deliver the verdict of a chunk and to free the chunk. The machine makes
/// one for each chunk, and nobody else can make one. Who gets none must not touch the chunk any
/// more: somebody else may free it at any moment.
#[must_use = "the last user delivers the verdict and frees the chunk"]
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Sole(());

/// What becomes of a bio that has come to a level of the stack.
#[must_use = "the bios have to go somewhere"]
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Next<L, S> {
    /// It waits for the others.
    Waits,
    /// These go on: at the top all parts, further down the bio itself, and at the bottom the
    /// destination's bio, to the driver.
    GoOn(L),
    /// These are ended with this: no device can do it, or the chunk is over.
    End(L, Verdict<S>),
}

/// What is to be done when a part has ended.
#[must_use = "the bios, and the chunk, are the caller's"]
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Ended<L, S> {
    /// Bios to be ended. If there are any, it was not the last part.
    pub(crate) others: L,
    /// What they end with; for the last user, what became of the chunk.
    pub(crate) verdict: Verdict<S>,
    /// The right of the last user.
    pub(crate) last: Option<Sole>,
}

/// A list of one bio.
fn only<B, L: BioList<B>>(bio: B) -> L {
    let mut list = L::default();
    list.push(bio);
    list
}

/// The state of one chunk.
#[derive(Debug)]
pub(crate) struct Machine<B, L, S> {
    phase: Phase,
    /// Parts that have not come to the top of the stack.
    outside: usize,
    /// Parts that have not come to the bottom.
    missing: usize,
    /// Parts that have not ended.
    live: usize,
    /// Parts that are held at the top, or sources that are parked at the bottom.
    waiting: L,
    /// The destination's bio, while it is parked.
    command: Option<B>,
    verdict: Verdict<S>,
    /// So much of the chunk, from its start, is mapped to one place at most.
    split: Option<Sectors>,
}

impl<B, L: BioList<B>, S: Copy> Machine<B, L, S> {
    /// The verdict if a driver that does not know copies has ended a bio.
    const IGNORED: Verdict<S> = Verdict::Fallback(Reason::NotSupported);

    /// A chunk with `parts` parts, none of which was submitted. The caller submits all of them.
    pub(crate) fn new(parts: usize, levels: Levels) -> Self {
        let (phase, outside) = match levels {
            Levels::One => (Phase::Translate, 0),
            Levels::Several => (Phase::Hold, parts),
        };
        Self {
            phase,
            outside,
            missing: parts,
            live: parts,
            waiting: L::default(),
            command: None,
            verdict: Verdict::Offloaded,
            split: None,
        }
    }

    /// A bio has come to the top of the stack, or to a lower level of it.
    pub(crate) fn enter(&mut self, bio: B) -> Next<L, S> {
        match self.phase {
            Phase::Hold => {
                self.waiting.push(bio);
                self.outside = self.outside.saturating_sub(1);
                if self.outside > 0 {
                    return Next::Waits;
                }
                self.phase = Phase::Translate;
                Next::GoOn(core::mem::take(&mut self.waiting))
            }
            Phase::Translate | Phase::Dispatch => Next::GoOn(only(bio)),
            Phase::Done | Phase::Over => self.refuse(bio),
        }
    }

    /// Whether a bio that comes to the bottom of the stack now is not too late.
    pub(crate) fn takes_parts(&self) -> bool {
        self.phase == Phase::Translate
    }

    /// A bio has come to the bottom of the stack. Each part comes once. `pair` says whether a
    /// device has all places, once they are known.
    pub(crate) fn arrive(
        &mut self,
        side: Side,
        bio: B,
        pair: impl FnOnce() -> Verdict<S>,
    ) -> Next<L, S> {
        if !self.takes_parts() {
            return self.refuse(bio);
        }
        match side {
            Side::Source => self.waiting.push(bio),
            Side::Destination => self.command = Some(bio),
        }
        self.missing = self.missing.saturating_sub(1);
        if self.missing > 0 {
            return Next::Waits;
        }
        match (pair(), self.command.take()) {
            (Verdict::Offloaded, Some(command)) => {
                self.phase = Phase::Dispatch;
                Next::GoOn(only(command))
            }
            (verdict, command) => {
                self.command = command;
                Next::End(self.over(verdict), self.verdict())
            }
        }
    }

    /// A bio of a part that was there before. If it is the command, which lost the path that it was
    /// dispatched to, it goes to the driver again.
    pub(crate) fn again(&mut self, side: Side, bio: B) -> Next<L, S> {
        match (self.phase, side) {
            (Phase::Dispatch, Side::Destination) => Next::GoOn(only(bio)),
            _ => self.refuse(bio),
        }
    }

    /// Ends a bio that came too late, or once too often: somebody split a bio that says that it
    /// must not be split.
    pub(crate) fn refuse(&mut self, bio: B) -> Next<L, S> {
        let verdict = match self.verdict() {
            Verdict::Offloaded => Self::IGNORED,
            verdict => verdict,
        };
        Next::End(only(bio), verdict)
    }

    /// A part has ended, as the submitter made it.
    pub(crate) fn ended(&mut self, side: Side, verdict: Verdict<S>) -> Ended<L, S> {
        let mut others = L::default();
        match self.phase {
            Phase::Hold | Phase::Translate => {
                others = self.over(verdict);
            }
            Phase::Dispatch if side == Side::Destination => {
                self.verdict = self.verdict.and(verdict);
                self.phase = Phase::Done;
                others = core::mem::take(&mut self.waiting);
            }
            // It ended because of another part, or failed by itself as well.
            Phase::Over => self.verdict = self.verdict.and(verdict),
            // What becomes of a source then changes nothing.
            Phase::Dispatch | Phase::Done => {}
        }
        self.live = self.live.saturating_sub(1);
        Ended {
            others,
            verdict: self.verdict(),
            last: (self.live == 0).then_some(Sole(())),
        }
    }

    /// So much of the chunk, from its start, is mapped to one place. The driver that says so ends
    /// the bio as not supported.
    pub(crate) fn split(&mut self, len: Sectors) {
        self.split = Some(self.split.map_or(len, |split| split.min(len)));
    }

    fn over(&mut self, verdict: Verdict<S>) -> L {
        self.phase = Phase::Over;
        // Without a dispatch, nothing is a success.
        self.verdict = self.verdict.and(verdict).and(Self::IGNORED);
        let mut bios = core::mem::take(&mut self.waiting);
        if let Some(command) = self.command.take() {
            bios.push(command);
        }
        bios
    }

    fn verdict(&self) -> Verdict<S> {
        match (self.verdict, self.split) {
            (Verdict::Fallback(Reason::NotSupported), Some(len)) => {
                Verdict::Fallback(Reason::Split(len))
            }
            (verdict, _) => verdict,
        }
    }
}

#[cfg(any(test, CONFIG_BLK_COPY_KUNIT_TEST))]
mod tests;
