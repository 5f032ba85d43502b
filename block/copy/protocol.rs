// SPDX-License-Identifier: GPL-2.0

//! The life of one chunk, as a state machine.
//!
//! A chunk has several parts, a bio each: those that read the source and those that write the
//! destination. Each travels down the stack alone; at the bottom the machine holds ("parks") it
//! until all are there, and then gives one of them out, the first that writes, to carry the
//! command.
//!
//! ```text
//!                 park                         every part parked
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
//! `live` counts the parts that have not ended. All of them are submitted, whatever happens to the
//! first ones; who submits the last one does not look back. Who takes `live` to zero gets the
//! [`Sole`] right to deliver the chunk's verdict and to free it; nobody else may touch the chunk
//! afterwards.
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

/// A bio, as far as the machine looks at it.
pub(crate) trait Handle {
    /// Tells bios that are in flight from each other.
    type Id: Copy + core::fmt::Debug + Eq;

    /// Which bio it is. A clone is another one.
    fn id(&self) -> Self::Id;
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Translate,
    Dispatch,
    Over,
}

/// The last user's right to deliver the verdict of its chunk and to free it, which is spent by
/// doing so. The machine makes one for each chunk, and nobody else can make any. Who gets none must
/// not touch the chunk any more: somebody else may free it at any moment.
#[must_use = "the last user delivers the verdict and frees the chunk"]
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Sole(());

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
    /// The chunk is over, or has this part already, or sent it to the driver: end the bio.
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
pub(crate) struct Chunk<B: Handle, L, E> {
    phase: Phase,
    /// Parts that have not arrived.
    missing: usize,
    seen: Seen,
    carrier: Option<B>,
    /// The one carrier that was paired. Another clone of it may have come to lie elsewhere.
    dispatched: Option<B::Id>,
    others: L,
    live: usize,
    error: Option<E>,
}

impl<B: Handle, L: BioList<B>, E: Copy> Chunk<B, L, E> {
    /// A chunk of so many parts, of which nothing was submitted. The caller submits each of them.
    pub(crate) fn new(parts: usize) -> Self {
        Self {
            phase: Phase::Translate,
            missing: parts,
            seen: Seen([0; WORDS]),
            carrier: None,
            dispatched: None,
            others: L::default(),
            live: parts,
            error: None,
        }
    }

    /// Whether this is the carrier, on its way to the driver.
    pub(crate) fn passes(&self, bio: &B) -> bool {
        self.dispatched == Some(bio.id())
    }

    /// The bio of `part` has arrived at the bottom of the stack.
    pub(crate) fn park(&mut self, part: usize, bio: B) -> Park<B> {
        match self.phase {
            Phase::Translate => {}
            Phase::Dispatch if self.passes(&bio) => return Park::Pass(bio),
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
                self.dispatched = Some(carrier.id());
                Park::Dispatch(carrier)
            }
            // Not so: it is one of the parts.
            None => Park::Held,
        }
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
    /// Returns the bios that the caller ends with [`Chunk::error`], or the right of the last user.
    /// If there are any bios, it was not the last one.
    #[must_use = "the bios, and the chunk, are the caller's"]
    pub(crate) fn ended(&mut self, part: usize, error: Option<E>, early: E) -> (L, Option<Sole>) {
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
        self.live = self.live.saturating_sub(1);
        (end, (self.live == 0).then_some(Sole(())))
    }

    /// The first error, if there was one: the verdict once there is a [`Sole`] user.
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

#[cfg(any(test, CONFIG_BLK_COPY_KUNIT_TEST))]
impl Handle for u8 {
    type Id = u8;

    fn id(&self) -> u8 {
        *self
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

    const LAST: Option<Sole> = Some(Sole(()));

    type Small = Chunk<u8, [Option<u8>; 4], u8>;

    fn only(bio: u8) -> [Option<u8>; 4] {
        [Some(bio), None, None, None]
    }

    /// Bios have the numbers of their parts; 0 is the carrier.
    fn submitted(parts: usize) -> Small {
        Chunk::new(parts)
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
            assert_eq!(chunk.park(third, third as u8), Park::Dispatch(0));
            assert_eq!(chunk.park(CARRIER, 0), Park::Pass(0));
            let (end, last) = chunk.ended(CARRIER, None, EARLY);
            assert_eq!(end.iter().flatten().count(), 2);
            assert_eq!(last, None);
            assert_eq!(chunk.ended(1, None, EARLY), (NOBODY, None));
            assert_eq!(chunk.ended(2, None, EARLY), (NOBODY, LAST));
            assert_eq!(chunk.error(), None);
        }
    }

    #[test]
    fn an_early_error_ends_what_is_parked() {
        let mut chunk = submitted(2);
        assert_eq!(chunk.park(1, 1), Park::Held);
        assert_eq!(chunk.ended(CARRIER, Some(5), EARLY), (only(1), None));
        assert_eq!(chunk.ended(1, Some(7), EARLY), (NOBODY, LAST));
        assert_eq!(chunk.error(), Some(5));
    }

    #[test]
    fn a_part_that_arrives_late_is_refused() {
        let mut chunk = submitted(2);
        assert_eq!(chunk.ended(1, Some(5), EARLY), (NOBODY, None));
        assert_eq!(chunk.park(CARRIER, 0), Park::Refused(0));
        assert_eq!(chunk.ended(CARRIER, Some(5), EARLY), (NOBODY, LAST));
    }

    #[test]
    fn success_without_a_command_is_no_success() {
        let mut chunk = submitted(2);
        assert_eq!(chunk.park(CARRIER, 0), Park::Held);
        assert_eq!(chunk.ended(1, None, EARLY), (only(0), None));
        assert_eq!(chunk.ended(CARRIER, None, EARLY), (NOBODY, LAST));
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
    fn another_clone_of_the_carrier_does_not_pass() {
        let mut chunk = submitted(2);
        assert_eq!(chunk.park(CARRIER, 0), Park::Held);
        assert_eq!(chunk.park(1, 1), Park::Dispatch(0));
        assert_eq!(chunk.park(CARRIER, 2), Park::Refused(2));
        assert_eq!(chunk.park(CARRIER, 0), Park::Pass(0));
    }

    #[test]
    fn refusing_hands_out_the_others() {
        let mut chunk = submitted(2);
        assert_eq!(chunk.park(CARRIER, 0), Park::Held);
        assert_eq!(chunk.park(1, 1), Park::Dispatch(0));
        assert_eq!(chunk.refuse(4), only(1));
        assert_eq!(chunk.ended(1, Some(4), EARLY), (NOBODY, None));
        assert_eq!(chunk.ended(CARRIER, Some(4), EARLY), (NOBODY, LAST));
        assert_eq!(chunk.error(), Some(4));
    }
}
