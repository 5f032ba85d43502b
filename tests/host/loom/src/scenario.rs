// SPDX-License-Identifier: GPL-2.0

//! What is to happen to the chunks of a copy.

/// On which thread something goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Thread {
    /// On the one that it was on.
    Same,
    /// On one of its own: a worker, a timer, an interrupt.
    Own,
}

/// What becomes of a bio on its way down the stack.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// It arrives at the bottom.
    Arrives,
    /// It arrives there, on another device than the others.
    Strays,
    /// A source arrives where the destination does.
    Overlaps,
    /// It arrives there as two clones of half of it, the second on a thread of its own.
    Halves,
    /// It arrives there twice, as two clones of all of it.
    Doubles,
    /// It is ended with an error before it comes to any driver.
    Fails,
    /// A stacking driver ends it with an error.
    FailsInside,
    /// A stacking driver would have to delay it.
    Busy,
    /// A stacking driver maps so many sectors of it to one place, and the rest to another one.
    Splits(u64),
    /// Somebody who knows nothing of copies ends it without an error.
    Ignored,
}

/// What lies over the device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stack {
    /// Nothing.
    Direct,
    /// A stacking driver that passes on clones.
    Clones,
    /// A driver that chooses one of two paths to the device.
    Paths,
    /// The one over the other.
    ClonesOverPaths,
}

impl Stack {
    pub(crate) fn has_paths(self) -> bool {
        matches!(self, Stack::Paths | Stack::ClonesOverPaths)
    }

    pub(crate) fn has_clones(self) -> bool {
        matches!(self, Stack::Clones | Stack::ClonesOverPaths)
    }
}

/// What becomes of the paths.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Paths {
    /// They stay.
    Stay,
    /// The first one goes away when something is parked.
    GoWhileParked,
    /// There is none for a moment when the command comes.
    AwayForTheCommand,
}

/// What the device does with a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Device {
    Succeeds,
    Fails,
    /// It has no room for it for a moment.
    Waits,
    /// It loses the path. The command goes there by the other one.
    FailsOver,
    /// The same, but the command comes to another device.
    FailsOverElsewhere,
}

/// Who goes on with a copy when its chunks have ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Driver {
    /// The task that has begun it, which waits.
    Caller,
    /// Whichever worker takes it up.
    Worker,
}

/// The two sides of a copy.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Side {
    Source,
    Destination,
}

/// One chunk.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// Of the sources, and of the destination.
    pub src_stack: Stack,
    pub dst_stack: Stack,
    /// The destination, then the sources: what becomes of their bios, and on which thread.
    pub parts: Vec<(Way, Thread)>,
}

/// What is to happen.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The chunks of one window.
    pub chunks: Vec<Chunk>,
    /// Where stacking drivers, which have a bio for the first time, go on with it.
    pub inside: Thread,
    pub paths: Paths,
    pub device: (Device, Thread),
    pub driver: Driver,
    /// Whether there is no memory but that for one chunk.
    pub scarce: bool,
    /// The driver goes on when so many chunks are left in flight.
    pub low: usize,
    /// How often a thread may be interrupted where it could have gone on; any number of times for
    /// [`None`].
    pub preemptions: Option<usize>,
}

impl Scenario {
    /// One chunk, without a stack.
    pub fn new(parts: &[(Way, Thread)], device: (Device, Thread)) -> Self {
        Self {
            chunks: vec![Chunk {
                src_stack: Stack::Direct,
                dst_stack: Stack::Direct,
                parts: parts.to_vec(),
            }],
            inside: Thread::Same,
            paths: Paths::Stay,
            device,
            driver: Driver::Caller,
            scarce: false,
            low: 0,
            preemptions: None,
        }
    }

    /// The same chunks, through a stack.
    pub fn through(self, stack: Stack) -> Self {
        self.through_each(stack, stack)
    }

    /// The same chunks, sources and destinations each through a stack of their own.
    pub fn through_each(mut self, src_stack: Stack, dst_stack: Stack) -> Self {
        for chunk in &mut self.chunks {
            (chunk.src_stack, chunk.dst_stack) = (src_stack, dst_stack);
        }
        self
    }

    /// Runs with no more preemptions than this.
    pub fn bound(self, preemptions: usize) -> Self {
        Self {
            preemptions: Some(preemptions),
            ..self
        }
    }

    /// Panics if something is asked for that the model does not have.
    pub(crate) fn validate(&self) {
        for chunk in &self.chunks {
            for (index, (way, _)) in chunk.parts.iter().enumerate() {
                let stack = chunk.stack(index);
                let possible = match way {
                    Way::Arrives | Way::Fails | Way::Ignored => true,
                    Way::Strays => stack != Stack::ClonesOverPaths,
                    Way::Overlaps => {
                        let both = [stack, chunk.dst_stack] == [Stack::Clones; 2];
                        index > 0 && both
                    }
                    Way::Halves | Way::Doubles => stack == Stack::Clones,
                    Way::FailsInside | Way::Busy | Way::Splits(_) => stack != Stack::Direct,
                };
                assert!(possible, "{way:?} is not for {stack:?}");
            }
            if let Device::FailsOver | Device::FailsOverElsewhere = self.device.0 {
                assert_ne!(chunk.dst_stack, Stack::Direct, "who would go elsewhere?");
            }
            let paths = chunk.src_stack.has_paths() || chunk.dst_stack.has_paths();
            let goes = self.paths != Paths::Stay || self.device.0 == Device::FailsOver;
            assert!(!paths || !goes || self.chunks.len() == 1, "which chunk?");
        }
    }
}

impl Chunk {
    /// The stack that a part goes through.
    pub(crate) fn stack(&self, part: usize) -> Stack {
        match part {
            0 => self.dst_stack,
            _ => self.src_stack,
        }
    }
}
