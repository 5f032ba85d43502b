// SPDX-License-Identifier: GPL-2.0

//! The life of one chunk, as a state machine.
//!
//! A chunk has two halves, a bio that reads the source and a bio that writes the destination. Each
//! travels down the stack alone; at the bottom the machine holds ("parks") it until the other one
//! is there too, and then gives the destination's bio out to carry the command.
//!
//! ```text
//!              submit, park                    every half parked
//!   Translate ─────────────── Translate ──────────────────────────── Dispatch
//!       │                                                               │
//!       │ a half ends, with or without an error, or `refuse`            │ the destination ends
//!       ▼                                                               ▼
//!     Over  ─────────── the halves that are still parked are ended ── Over
//! ```
//!
//! The machine owns a parked bio from [`Chunk::park`] until it hands it out again: to be submitted
//! ([`Park::Dispatch`]) or to be ended ([`Chunk::ended`], [`Chunk::refuse`]). Because it hands out
//! with [`Option::take`], no bio is ended twice, and because every way into `Over` hands out all
//! of them, none is forgotten.
//!
//! `live` counts those who may still call the machine: each half between its submission and its
//! end, and the submitter itself. Who takes it to zero ([`Last::Yes`]) delivers the chunk's verdict
//! and frees it; nobody else may touch the chunk afterwards.
//!
//! Pure: the bio handle `B` and the error `E` are parameters, the caller has the lock. Nothing is
//! ended or submitted here, so that the caller can do it after dropping that lock.

/// Which bio of a chunk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Half {
    /// Reads the source.
    Src,
    /// Writes the destination, and carries the command.
    Dst,
}

impl Half {
    fn index(self) -> usize {
        match self {
            Half::Src => 0,
            Half::Dst => 1,
        }
    }
}

/// Number of halves.
const HALVES: usize = 2;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Translate,
    Dispatch,
    Over,
}

/// Whether the caller was the last one to use the chunk.
#[must_use = "the last one delivers the verdict and frees the chunk"]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Last {
    /// Nobody else uses the chunk any more.
    Yes,
    /// Somebody else does, and may free it at any moment.
    No,
}

/// What becomes of a bio that arrived at the bottom of the stack.
#[must_use = "the bio has to go somewhere"]
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Park<B> {
    /// It is held until the other half arrives.
    Held,
    /// It was the last one: both halves are here. The destination's bio leaves the machine and is
    /// to be submitted; the source's stays until the destination's ends.
    Dispatch(B),
    /// It is the destination's bio, on its way to the driver: let it pass.
    Pass(B),
    /// The chunk is over, or has this half already: end the bio.
    Refused(B),
}

/// The state of one chunk.
#[derive(Debug)]
pub(crate) struct Chunk<B, E> {
    phase: Phase,
    parked: [Option<B>; HALVES],
    live: usize,
    error: Option<E>,
}

impl<B, E: Copy> Chunk<B, E> {
    /// A chunk of which nothing was submitted. The caller is its submitter.
    pub(crate) const fn new() -> Self {
        Self {
            phase: Phase::Translate,
            parked: [const { None }; HALVES],
            live: 1,
            error: None,
        }
    }

    /// The submitter asks whether to submit one more half. After `true` it must do so; after
    /// `false` the chunk has failed already and no half may follow.
    pub(crate) fn submit(&mut self) -> bool {
        let go_on = self.phase == Phase::Translate;
        if go_on {
            self.live += 1;
        }
        go_on
    }

    /// The bio of `half` has arrived at the bottom of the stack.
    pub(crate) fn park(&mut self, half: Half, bio: B) -> Park<B> {
        match (self.phase, half) {
            (Phase::Translate, _) => {}
            (Phase::Dispatch, Half::Dst) => return Park::Pass(bio),
            (Phase::Dispatch | Phase::Over, _) => return Park::Refused(bio),
        }
        let [src, dst] = &mut self.parked;
        let (mine, other) = match half {
            Half::Src => (src, dst),
            Half::Dst => (dst, src),
        };
        if mine.is_some() {
            // Somebody split a bio that says that it must not be split.
            return Park::Refused(bio);
        }
        if other.is_none() {
            *mine = Some(bio);
            return Park::Held;
        }
        self.phase = Phase::Dispatch;
        match half {
            Half::Dst => Park::Dispatch(bio),
            Half::Src => {
                *mine = Some(bio);
                match other.take() {
                    Some(dst) => Park::Dispatch(dst),
                    None => Park::Held,
                }
            }
        }
    }

    /// The bio of `half` while it is parked.
    pub(crate) fn parked(&self, half: Half) -> Option<&B> {
        self.parked.get(half.index())?.as_ref()
    }

    /// The chunk must not be dispatched after all. Returns the bio that is still parked, which the
    /// caller ends with `error`, like the one that [`Park::Dispatch`] gave it.
    pub(crate) fn refuse(&mut self, error: E) -> Option<B> {
        self.error.get_or_insert(error);
        self.over()
    }

    /// The bio of `half`, as the submitter made it, has ended. `early` is the error of a chunk one
    /// half of which ended well without a command having been sent.
    ///
    /// Returns a bio that the caller ends with [`Chunk::error`], and whether it was the last user.
    pub(crate) fn ended(&mut self, half: Half, error: Option<E>, early: E) -> (Option<B>, Last) {
        let error = match (self.phase, error) {
            // A driver that knows nothing of copies ended it without doing anything.
            (Phase::Translate, None) => Some(early),
            (_, error) => error,
        };
        if self.error.is_none() {
            self.error = error;
        }
        let end = match (self.phase, half) {
            (Phase::Dispatch, Half::Src) => None,
            (Phase::Translate | Phase::Over, _) | (Phase::Dispatch, Half::Dst) => self.over(),
        };
        (end, self.release())
    }

    /// The submitter has submitted what it could and leaves.
    pub(crate) fn leave(&mut self) -> Last {
        self.release()
    }

    /// The first error, if there was one: the verdict once [`Last::Yes`] was returned.
    pub(crate) fn error(&self) -> Option<E> {
        self.error
    }

    /// No half may be parked from now on. At most one is: had both been, one would have left with
    /// [`Park::Dispatch`].
    fn over(&mut self) -> Option<B> {
        self.phase = Phase::Over;
        let [src, dst] = &mut self.parked;
        src.take().or_else(|| dst.take())
    }

    fn release(&mut self) -> Last {
        self.live = self.live.saturating_sub(1);
        if self.live == 0 {
            Last::Yes
        } else {
            Last::No
        }
    }
}

#[cfg_attr(
    CONFIG_BLK_COPY_KUNIT_TEST,
    kernel::macros::kunit_tests(blk_copy_protocol)
)]
#[cfg(any(test, CONFIG_BLK_COPY_KUNIT_TEST))]
mod tests {
    use super::*;

    const EARLY: u8 = 99;

    /// Bios are numbers: 1 is the source's, 2 the destination's.
    fn submitted() -> Chunk<u8, u8> {
        let mut chunk = Chunk::new();
        assert!(chunk.submit());
        assert!(chunk.submit());
        assert_eq!(chunk.leave(), Last::No);
        chunk
    }

    #[test]
    fn both_orders_dispatch_the_destination() {
        for order in [
            [(Half::Src, 1), (Half::Dst, 2)],
            [(Half::Dst, 2), (Half::Src, 1)],
        ] {
            let mut chunk = submitted();
            let [first, second] = order;
            assert_eq!(chunk.park(first.0, first.1), Park::Held);
            assert_eq!(chunk.park(second.0, second.1), Park::Dispatch(2));
            assert_eq!(chunk.parked(Half::Src), Some(&1));
            assert_eq!(chunk.park(Half::Dst, 2), Park::Pass(2));
            assert_eq!(chunk.ended(Half::Dst, None, EARLY), (Some(1), Last::No));
            assert_eq!(chunk.ended(Half::Src, None, EARLY), (None, Last::Yes));
            assert_eq!(chunk.error(), None);
        }
    }

    #[test]
    fn an_early_error_ends_the_parked_half() {
        let mut chunk = submitted();
        assert_eq!(chunk.park(Half::Src, 1), Park::Held);
        assert_eq!(chunk.ended(Half::Dst, Some(5), EARLY), (Some(1), Last::No));
        assert_eq!(chunk.ended(Half::Src, Some(7), EARLY), (None, Last::Yes));
        assert_eq!(chunk.error(), Some(5));
    }

    #[test]
    fn nothing_follows_a_failed_half() {
        let mut chunk: Chunk<u8, u8> = Chunk::new();
        assert!(chunk.submit());
        assert_eq!(chunk.ended(Half::Src, Some(5), EARLY), (None, Last::No));
        assert!(!chunk.submit());
        assert_eq!(chunk.leave(), Last::Yes);
        assert_eq!(chunk.error(), Some(5));
    }

    #[test]
    fn a_half_that_arrives_late_is_refused() {
        let mut chunk = submitted();
        assert_eq!(chunk.ended(Half::Src, Some(5), EARLY), (None, Last::No));
        assert_eq!(chunk.park(Half::Dst, 2), Park::Refused(2));
        assert_eq!(chunk.ended(Half::Dst, Some(5), EARLY), (None, Last::Yes));
    }

    #[test]
    fn success_without_a_command_is_no_success() {
        let mut chunk = submitted();
        assert_eq!(chunk.park(Half::Dst, 2), Park::Held);
        assert_eq!(chunk.ended(Half::Src, None, EARLY), (Some(2), Last::No));
        assert_eq!(chunk.ended(Half::Dst, None, EARLY), (None, Last::Yes));
        assert_eq!(chunk.error(), Some(EARLY));
    }

    #[test]
    fn a_split_half_is_refused() {
        let mut chunk = submitted();
        assert_eq!(chunk.park(Half::Src, 1), Park::Held);
        assert_eq!(chunk.park(Half::Src, 3), Park::Refused(3));
    }

    #[test]
    fn refusing_hands_out_the_source() {
        let mut chunk = submitted();
        assert_eq!(chunk.park(Half::Dst, 2), Park::Held);
        assert_eq!(chunk.park(Half::Src, 1), Park::Dispatch(2));
        assert_eq!(chunk.refuse(4), Some(1));
        assert_eq!(chunk.ended(Half::Src, Some(4), EARLY), (None, Last::No));
        assert_eq!(chunk.ended(Half::Dst, Some(4), EARLY), (None, Last::Yes));
        assert_eq!(chunk.error(), Some(4));
    }
}
