// SPDX-License-Identifier: GPL-2.0

//! The life of one batch, as a state machine.
//!
//! A batch has several parts, a bio each: sources, which are read, and commands, which write to the
//! destination. All commands read from the same sources. Each part travels down the stack alone. At
//! the bottom the machine holds ("parks") the sources, until all commands have ended; a command
//! waits there for the sources, and goes on to the driver once all of them are there.
//!
//! Where one of them enters a stacking driver, all are held before any of them does, until all have
//! got there. So whatever holds one of them back so far, throttling, say, does not hold up the
//! driver with others inside.
//!
//! ```text
//!     Enter ---------------------------> Translate, or Over: as below
//!             all are there
//!
//!               a source arrives                       the last one arrives
//!   Translate -------------------> Translate ------------------------------------> Ready
//!       |                                      commands that waited go to the driver |
//!       |                                                                            |
//!       | a source ends, or all commands do                      all commands ended  |
//!       v                                                                            v
//!     Over   <---------------- parked sources, and commands that waited, are ended - Over
//! ```
//!
//! The machine owns a bio from [`Batch::enter`], [`Batch::source`] or [`Batch::command`] until it
//! hands it out again: to go on ([`Arrival::Ready`]) or to be ended ([`Batch::source_ended`],
//! [`Batch::commands_ended`]). Because it takes what it hands out, no bio is ended twice, and
//! because every way into `Over` hands out all of them, none is forgotten.
//!
//! `live` counts the sources that have not ended, and all commands as one. All parts are submitted,
//! whatever happens to the first ones; who submits the last one does not look back. Who takes
//! `live` to zero gets the [`Sole`] right to deliver the verdicts and to free the batch; nobody
//! else may touch it afterwards.
//!
//! Once it is ready, commands need the machine no more until the last of them ends. So they look at
//! a flag, and count down, without the lock: [`context`](super::context).
//!
//! Pure: the bio handle `B`, the list of them `L` and the error `E` are parameters, the caller has
//! the lock. Nothing is ended or submitted here, so that the caller can do it after dropping that
//! lock.

/// Sources that one batch may have.
pub(crate) const MAX_SOURCES: usize = 64 * WORDS;

const WORDS: usize = 8;

/// A list of bios that grows without an allocation.
pub(crate) trait BioList<B>: Default {
    /// Appends a bio.
    fn push(&mut self, bio: B);
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Enter,
    Translate,
    Ready,
    Over,
}

/// The last user's right to deliver the verdicts of its batch and to free it, which is spent by
/// doing so. The machine makes one for each batch, and nobody else can make any. Who gets none must
/// not touch the batch any more: somebody else may free it at any moment.
#[must_use = "the last user delivers the verdicts and frees the batch"]
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Sole(());

/// What becomes of a bio that arrived at the top or at the bottom of the stack.
#[must_use = "the bio has to go somewhere"]
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Arrival<B, R> {
    /// It is held: at the top until all parts are there, at the bottom a command until the sources
    /// are there, a source until the commands have ended.
    Held,
    /// At the top, all parts are there: these are to go on, of which it is one. At the bottom, all
    /// sources are. For a command: it is to go to the driver. For the last source: these commands
    /// have waited for it, and are to go to the driver; it is held itself.
    Ready(R),
    /// The batch is over, or has this source already: end the bio.
    Refused(B),
}

/// Which sources were seen.
#[derive(Debug)]
struct Seen([u64; WORDS]);

impl Seen {
    /// Whether `source` can be one and was not seen before.
    fn insert(&mut self, source: usize) -> bool {
        let bit = 1_u64 << (source % 64);
        match self.0.get_mut(source / 64) {
            Some(word) if *word & bit == 0 => {
                *word |= bit;
                true
            }
            _ => false,
        }
    }
}

/// The state of one batch.
#[derive(Debug)]
pub(crate) struct Batch<L, E> {
    phase: Phase,
    /// Parts that have not come to the top of the stack.
    outside: usize,
    /// Sources that have not arrived.
    missing: usize,
    seen: Seen,
    sources: L,
    /// Commands that wait for them, or all parts that wait at the top.
    waiting: L,
    live: usize,
    error: Option<E>,
    /// Whether it is that of a source.
    source_failed: bool,
}

impl<L: Default, E: Copy> Batch<L, E> {
    /// A batch of so many sources, of which nothing was submitted. The caller submits each of them,
    /// and the commands; `entering` says how many parts that are, if they have to enter a stack.
    pub(crate) fn new(sources: usize, entering: usize) -> Self {
        let phase = match entering {
            0 => Phase::Translate,
            _ => Phase::Enter,
        };
        Self {
            phase,
            outside: entering,
            missing: sources,
            seen: Seen([0; WORDS]),
            sources: L::default(),
            waiting: L::default(),
            live: sources + 1,
            error: None,
            source_failed: false,
        }
    }

    /// The bio of a part has come to the top of the stack.
    pub(crate) fn enter<B>(&mut self, bio: B) -> Arrival<B, L>
    where
        L: BioList<B>,
    {
        if self.phase != Phase::Enter {
            return Arrival::Refused(bio);
        }
        self.waiting.push(bio);
        self.outside = self.outside.saturating_sub(1);
        if self.outside > 0 {
            return Arrival::Held;
        }
        self.phase = Phase::Translate;
        Arrival::Ready(core::mem::take(&mut self.waiting))
    }

    /// The bio of a source has arrived at the bottom of the stack.
    pub(crate) fn source<B>(&mut self, source: usize, bio: B) -> Arrival<B, L>
    where
        L: BioList<B>,
    {
        // If it was seen, somebody split a bio that says that it must not be split.
        if self.phase != Phase::Translate || !self.seen.insert(source) {
            return Arrival::Refused(bio);
        }
        self.sources.push(bio);
        self.missing = self.missing.saturating_sub(1);
        if self.missing > 0 {
            return Arrival::Held;
        }
        self.phase = Phase::Ready;
        Arrival::Ready(core::mem::take(&mut self.waiting))
    }

    /// The bio of a command has arrived there, for the first time.
    pub(crate) fn command<B>(&mut self, bio: B) -> Arrival<B, B>
    where
        L: BioList<B>,
    {
        match self.phase {
            Phase::Translate => {
                self.waiting.push(bio);
                Arrival::Held
            }
            Phase::Ready => Arrival::Ready(bio),
            Phase::Enter | Phase::Over => Arrival::Refused(bio),
        }
    }

    /// A source, as the submitter made it, has ended. `early` is the error of a batch one source of
    /// which ended well before the commands did.
    pub(crate) fn source_ended(&mut self, error: Option<E>, early: E) -> Ended<L> {
        match self.phase {
            Phase::Enter | Phase::Translate => {
                self.source_failed = true;
                // Somebody who knows nothing of copies may have ended it without doing anything.
                self.over(Some(error.unwrap_or(early)))
            }
            Phase::Ready | Phase::Over => self.leave(L::default(), L::default()),
        }
    }

    /// All commands, as the submitter made them, have ended, the last one with `error`.
    pub(crate) fn commands_ended(&mut self, error: Option<E>) -> Ended<L> {
        match self.phase {
            Phase::Enter | Phase::Translate => self.over(error),
            Phase::Ready => self.over(None),
            Phase::Over => self.leave(L::default(), L::default()),
        }
    }

    fn over(&mut self, error: Option<E>) -> Ended<L> {
        self.phase = Phase::Over;
        self.error = error;
        let (waiting, sources) = (
            core::mem::take(&mut self.waiting),
            core::mem::take(&mut self.sources),
        );
        self.leave(waiting, sources)
    }

    fn leave(&mut self, waiting: L, sources: L) -> Ended<L> {
        self.live = self.live.saturating_sub(1);
        Ended {
            waiting,
            sources,
            last: (self.live == 0).then_some(Sole(())),
        }
    }

    /// Why the batch was over before it was ready. What arrives then ends with this.
    pub(crate) fn error(&self) -> Option<E> {
        self.error
    }

    /// Why no command was done: a source had failed before.
    pub(crate) fn source_error(&self) -> Option<E> {
        self.error.filter(|_| self.source_failed)
    }
}

/// What is to be done when a part has ended. If there are any bios, it was not the last one.
#[must_use = "the bios, and the batch, are the caller's"]
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Ended<L> {
    /// Commands that have waited, or parts at the top, to be ended with [`Batch::error`].
    pub(crate) waiting: L,
    /// Sources to be ended.
    pub(crate) sources: L,
    /// The right of the last user.
    pub(crate) last: Option<Sole>,
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

    type List = [Option<u8>; 4];
    type Small = Batch<List, u8>;

    const EARLY: u8 = 99;
    const NOBODY: List = [None; 4];
    const COMMAND: u8 = 100;

    fn ended(waiting: List, sources: List) -> Ended<List> {
        Ended {
            waiting,
            sources,
            last: None,
        }
    }

    fn last() -> Ended<List> {
        Ended {
            last: Some(Sole(())),
            ..ended(NOBODY, NOBODY)
        }
    }

    fn only(bio: u8) -> List {
        [Some(bio), None, None, None]
    }

    #[test]
    fn a_command_goes_when_all_sources_are_there() {
        let mut batch = Small::new(2, 0);
        assert_eq!(batch.source(1, 1), Arrival::Held);
        assert_eq!(batch.source(0, 0), Arrival::Ready(NOBODY));
        assert_eq!(batch.command(COMMAND), Arrival::Ready(COMMAND));
        let sources = [Some(1), Some(0), None, None];
        assert_eq!(batch.commands_ended(None), ended(NOBODY, sources));
        assert_eq!(batch.source_ended(None, EARLY), ended(NOBODY, NOBODY));
        assert_eq!(batch.source_ended(None, EARLY), last());
        assert_eq!(batch.error(), None);
    }

    #[test]
    fn commands_wait_for_the_last_source() {
        let mut batch = Small::new(1, 0);
        for command in [COMMAND, COMMAND + 1] {
            assert_eq!(batch.command(command), Arrival::Held);
        }
        let waiting = [Some(COMMAND), Some(COMMAND + 1), None, None];
        assert_eq!(batch.source(0, 0), Arrival::Ready(waiting));
        assert_eq!(batch.command(COMMAND + 2), Arrival::Ready(COMMAND + 2));
    }

    #[test]
    fn a_source_that_fails_ends_what_waits() {
        let mut batch = Small::new(2, 0);
        assert_eq!(batch.source(0, 0), Arrival::Held);
        assert_eq!(batch.command(COMMAND), Arrival::Held);
        let parked = ended(only(COMMAND), only(0));
        assert_eq!(batch.source_ended(Some(5), EARLY), parked);
        assert_eq!(batch.command(COMMAND + 1), Arrival::Refused(COMMAND + 1));
        assert_eq!(batch.error(), Some(5));
        assert_eq!(batch.commands_ended(Some(5)), ended(NOBODY, NOBODY));
        assert_eq!(batch.source_ended(Some(7), EARLY), last());
        assert_eq!((batch.error(), batch.source_error()), (Some(5), Some(5)));
    }

    #[test]
    fn commands_that_fail_end_the_sources() {
        let mut batch = Small::new(2, 0);
        assert_eq!(batch.source(0, 0), Arrival::Held);
        assert_eq!(batch.commands_ended(Some(5)), ended(NOBODY, only(0)));
        assert_eq!(batch.source(1, 1), Arrival::Refused(1));
        assert_eq!(batch.error(), Some(5));
        assert_eq!(batch.source_ended(Some(5), EARLY), ended(NOBODY, NOBODY));
        assert_eq!(batch.source_ended(Some(5), EARLY), last());
        assert_eq!(batch.source_error(), None);
    }

    #[test]
    fn a_source_that_ends_well_without_a_command_is_no_success() {
        let mut batch = Small::new(1, 0);
        assert_eq!(batch.command(COMMAND), Arrival::Held);
        let parked = ended(only(COMMAND), NOBODY);
        assert_eq!(batch.source_ended(None, EARLY), parked);
        assert_eq!(batch.error(), Some(EARLY));
        assert_eq!(batch.commands_ended(Some(EARLY)), last());
    }

    #[test]
    fn all_enter_or_none() {
        let mut batch = Small::new(1, 2);
        assert_eq!(batch.enter(0), Arrival::Held);
        let all = [Some(0), Some(COMMAND), None, None];
        assert_eq!(batch.enter(COMMAND), Arrival::Ready(all));
        assert_eq!(batch.enter(1), Arrival::Refused(1));
        assert_eq!(batch.command(COMMAND), Arrival::Held);
        assert_eq!(batch.source(0, 0), Arrival::Ready(only(COMMAND)));
    }

    #[test]
    fn what_fails_before_it_enters_ends_the_others() {
        let mut batch = Small::new(1, 2);
        assert_eq!(batch.enter(0), Arrival::Held);
        assert_eq!(batch.commands_ended(Some(5)), ended(only(0), NOBODY));
        assert_eq!(batch.source_ended(Some(5), EARLY), last());
        let mut batch = Small::new(1, 2);
        assert_eq!(batch.source_ended(Some(5), EARLY), ended(NOBODY, NOBODY));
        assert_eq!(batch.enter(COMMAND), Arrival::Refused(COMMAND));
        assert_eq!(batch.commands_ended(Some(5)), last());
        assert_eq!(batch.source_error(), Some(5));
    }

    #[test]
    fn a_split_source_is_refused() {
        let mut batch = Small::new(2, 0);
        assert_eq!(batch.source(1, 1), Arrival::Held);
        assert_eq!(batch.source(1, 3), Arrival::Refused(3));
        assert_eq!(batch.source(MAX_SOURCES, 4), Arrival::Refused(4));
    }
}
