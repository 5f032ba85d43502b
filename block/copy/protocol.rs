// SPDX-License-Identifier: GPL-2.0

//! The life of one chunk, as a state machine.
//!
//! A chunk has several parts, a bio each: those that read the source and those that write the
//! destination. Each travels down the stack alone; at the bottom the machine holds ("parks") it
//! until all are there, and then gives one of them out, the first that writes, to carry the
//! command.
//!
//! ```text
//!              submit, park                    every part parked
//!   Translate --------------> Translate -------------------------> Dispatch
//!       |                                                             |
//!       | a part ends, with or without an error, or `refuse`          | the carrier ends
//!       v                                                             v
//!     Over  <--------- the parts that are still parked are ended --- Over
//! ```
//!
//! The machine owns a parked bio from [`Chunk::park`] until it hands it out again: to be submitted
//! ([`Park::Dispatch`]) or to be ended ([`Chunk::ended`], [`Chunk::refuse`]). Because it takes what
//! it hands out, no bio is ended twice, and because every way into `Over` hands out all of them,
//! none is forgotten.
//!
//! `live` counts those who may still call the machine: each part between its submission and its
//! end, and the submitter itself. Who takes it to zero ([`Last::Yes`]) delivers the chunk's verdict
//! and frees it; nobody else may touch the chunk afterwards.
//!
//! Pure: the bio handle `B`, the list of them `L` and the error `E` are parameters, the caller has
//! the lock. Nothing is ended or submitted here, so that the caller can do it after dropping that
//! lock.

/// The part that carries the command: the first one that writes.
pub(crate) const CARRIER: usize = 0;

/// Parts that one chunk may have.
pub(crate) const MAX_PARTS: usize = 64 * WORDS;

const WORDS: usize = 8;

/// A list of bios that grows without an allocation.
pub(crate) trait BioList<B>: Default {
    /// Appends a bio.
    fn push(&mut self, bio: B);
}

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
    /// It is held until the other parts arrive.
    Held,
    /// It was the last one: all are here. The carrier leaves the machine and is to be submitted;
    /// the others stay until it ends.
    Dispatch(B),
    /// It is the carrier, on its way to the driver: let it pass.
    Pass(B),
    /// The chunk is over, or has this part already: end the bio.
    Refused(B),
}

/// Which parts were seen.
#[derive(Debug)]
struct Seen([u64; WORDS]);

impl Seen {
    /// Whether `part` can be one and was not seen before.
    fn insert(&mut self, part: usize) -> bool {
        let bit = 1_u64 << (part % 64);
        match self.0.get_mut(part / 64) {
            Some(word) if *word & bit == 0 => {
                *word |= bit;
                true
            }
            _ => false,
        }
    }
}

/// The state of one chunk.
#[derive(Debug)]
pub(crate) struct Chunk<B, L, E> {
    phase: Phase,
    /// Parts that have not arrived.
    missing: usize,
    seen: Seen,
    carrier: Option<B>,
    others: L,
    live: usize,
    error: Option<E>,
}

impl<B, L: BioList<B>, E: Copy> Chunk<B, L, E> {
    /// A chunk of so many parts, of which nothing was submitted. The caller is its submitter.
    pub(crate) fn new(parts: usize) -> Self {
        Self {
            phase: Phase::Translate,
            missing: parts,
            seen: Seen([0; WORDS]),
            carrier: None,
            others: L::default(),
            live: 1,
            error: None,
        }
    }

    /// The submitter asks whether to submit one more part. After `true` it must do so; after
    /// `false` the chunk has failed already and no part may follow.
    pub(crate) fn submit(&mut self) -> bool {
        let go_on = self.phase == Phase::Translate;
        if go_on {
            self.live += 1;
        }
        go_on
    }

    /// The bio of `part` has arrived at the bottom of the stack.
    pub(crate) fn park(&mut self, part: usize, bio: B) -> Park<B> {
        match self.phase {
            Phase::Translate => {}
            Phase::Dispatch if part == CARRIER => return Park::Pass(bio),
            Phase::Dispatch | Phase::Over => return Park::Refused(bio),
        }
        if !self.seen.insert(part) {
            // Somebody split a bio that says that it must not be split.
            return Park::Refused(bio);
        }
        if part == CARRIER {
            self.carrier = Some(bio);
        } else {
            self.others.push(bio);
        }
        self.missing = self.missing.saturating_sub(1);
        if self.missing > 0 {
            return Park::Held;
        }
        match self.carrier.take() {
            Some(carrier) => {
                self.phase = Phase::Dispatch;
                Park::Dispatch(carrier)
            }
            // Not so: it is one of the parts.
            None => Park::Held,
        }
    }

    /// Whether the command is with the driver, so that what it reads does not change.
    pub(crate) fn is_dispatched(&self) -> bool {
        self.phase == Phase::Dispatch
    }

    /// The chunk must not be dispatched after all. Returns the bios that are still parked, which
    /// the caller ends with `error`, like the one that [`Park::Dispatch`] gave it.
    pub(crate) fn refuse(&mut self, error: E) -> L {
        self.error.get_or_insert(error);
        self.phase = Phase::Over;
        core::mem::take(&mut self.others)
    }

    /// The bio of `part`, as the submitter made it, has ended. `early` is the error of a chunk one
    /// part of which ended well without a command having been sent.
    ///
    /// Returns the bios that the caller ends with [`Chunk::error`], and whether it was the last
    /// user. If there are any, it was not.
    pub(crate) fn ended(&mut self, part: usize, error: Option<E>, early: E) -> (L, Last) {
        let error = match (self.phase, error) {
            // A driver that knows nothing of copies ended it without doing anything.
            (Phase::Translate, None) => Some(early),
            (_, error) => error,
        };
        if self.error.is_none() {
            self.error = error;
        }
        let mut end = L::default();
        if self.phase == Phase::Translate || part == CARRIER {
            self.phase = Phase::Over;
            end = core::mem::take(&mut self.others);
            if let Some(carrier) = self.carrier.take() {
                end.push(carrier);
            }
        }
        (end, self.leave())
    }

    /// A user leaves: the submitter when it has submitted what it could.
    pub(crate) fn leave(&mut self) -> Last {
        self.live = self.live.saturating_sub(1);
        if self.live == 0 {
            Last::Yes
        } else {
            Last::No
        }
    }

    /// The first error, if there was one: the verdict once [`Last::Yes`] was returned.
    pub(crate) fn error(&self) -> Option<E> {
        self.error
    }
}

#[cfg(any(test, CONFIG_BLK_COPY_KUNIT_TEST))]
impl BioList<u8> for [Option<u8>; 4] {
    fn push(&mut self, bio: u8) {
        if let Some(free) = self.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(bio);
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
    const NOBODY: [Option<u8>; 4] = [None; 4];

    type Small = Chunk<u8, [Option<u8>; 4], u8>;

    fn only(bio: u8) -> [Option<u8>; 4] {
        [Some(bio), None, None, None]
    }

    /// Bios have the numbers of their parts; 0 is the carrier.
    fn submitted(parts: usize) -> Small {
        let mut chunk = Chunk::new(parts);
        for _ in 0..parts {
            assert!(chunk.submit());
        }
        assert_eq!(chunk.leave(), Last::No);
        chunk
    }

    #[test]
    fn any_order_dispatches_the_carrier() {
        for order in [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ] {
            let mut chunk = submitted(3);
            let [first, second, third] = order;
            assert_eq!(chunk.park(first, first as u8), Park::Held);
            assert_eq!(chunk.park(second, second as u8), Park::Held);
            assert!(!chunk.is_dispatched());
            assert_eq!(chunk.park(third, third as u8), Park::Dispatch(0));
            assert!(chunk.is_dispatched());
            assert_eq!(chunk.park(CARRIER, 0), Park::Pass(0));
            let (end, last) = chunk.ended(CARRIER, None, EARLY);
            assert_eq!(end.iter().flatten().count(), 2);
            assert_eq!(last, Last::No);
            assert_eq!(chunk.ended(1, None, EARLY), (NOBODY, Last::No));
            assert_eq!(chunk.ended(2, None, EARLY), (NOBODY, Last::Yes));
            assert_eq!(chunk.error(), None);
        }
    }

    #[test]
    fn an_early_error_ends_what_is_parked() {
        let mut chunk = submitted(2);
        assert_eq!(chunk.park(1, 1), Park::Held);
        assert_eq!(chunk.ended(CARRIER, Some(5), EARLY), (only(1), Last::No));
        assert_eq!(chunk.ended(1, Some(7), EARLY), (NOBODY, Last::Yes));
        assert_eq!(chunk.error(), Some(5));
    }

    #[test]
    fn nothing_follows_a_failed_part() {
        let mut chunk: Small = Chunk::new(2);
        assert!(chunk.submit());
        assert_eq!(chunk.ended(1, Some(5), EARLY), (NOBODY, Last::No));
        assert!(!chunk.submit());
        assert_eq!(chunk.leave(), Last::Yes);
        assert_eq!(chunk.error(), Some(5));
    }

    #[test]
    fn a_part_that_arrives_late_is_refused() {
        let mut chunk = submitted(2);
        assert_eq!(chunk.ended(1, Some(5), EARLY), (NOBODY, Last::No));
        assert_eq!(chunk.park(CARRIER, 0), Park::Refused(0));
        assert_eq!(chunk.ended(CARRIER, Some(5), EARLY), (NOBODY, Last::Yes));
    }

    #[test]
    fn success_without_a_command_is_no_success() {
        let mut chunk = submitted(2);
        assert_eq!(chunk.park(CARRIER, 0), Park::Held);
        assert_eq!(chunk.ended(1, None, EARLY), (only(0), Last::No));
        assert_eq!(chunk.ended(CARRIER, None, EARLY), (NOBODY, Last::Yes));
        assert_eq!(chunk.error(), Some(EARLY));
    }

    #[test]
    fn a_split_part_is_refused() {
        let mut chunk = submitted(2);
        assert_eq!(chunk.park(1, 1), Park::Held);
        assert_eq!(chunk.park(1, 3), Park::Refused(3));
        assert_eq!(chunk.park(MAX_PARTS, 4), Park::Refused(4));
    }

    #[test]
    fn refusing_hands_out_the_others() {
        let mut chunk = submitted(2);
        assert_eq!(chunk.park(CARRIER, 0), Park::Held);
        assert_eq!(chunk.park(1, 1), Park::Dispatch(0));
        assert_eq!(chunk.refuse(4), only(1));
        assert_eq!(chunk.ended(1, Some(4), EARLY), (NOBODY, Last::No));
        assert_eq!(chunk.ended(CARRIER, Some(4), EARLY), (NOBODY, Last::Yes));
        assert_eq!(chunk.error(), Some(4));
    }
}
