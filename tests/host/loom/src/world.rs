// SPDX-License-Identifier: GPL-2.0

//! What has happened in a run of the model, and what must not happen.

use crate::{
    place::{chunk_of, part_of, Place, BELOW, CHUNK},
    plan::Range,
    scenario::{Chunk, Device, Paths, Scenario, Thread, Way},
    seen::{Event, Seen, Told},
    stack::Devices,
    verdict::{Counter, Reason, Verdict},
};
use kernel::{
    block::{
        bdev::BlockDevice,
        bio::{Bio, Status},
        units::{Sector, Sectors},
    },
    error::Error,
};
use loom::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Release},
};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Mutex,
};

/// What has happened to a part of a chunk.
#[derive(Default)]
struct Part {
    submitted: Cell<bool>,
    came: Cell<bool>,
    entered: Cell<bool>,
    ended: Cell<bool>,
}

/// What has happened to a chunk.
struct State {
    parts: Vec<Part>,
    sent: Cell<bool>,
    dispatched: Cell<bool>,
    path_was_away: Cell<bool>,
    failed_over: Cell<bool>,
    executed: Cell<bool>,
    failed: RefCell<Vec<Told>>,
    done: Cell<Option<Verdict<Status>>>,
    told: Cell<Option<Verdict<Status>>>,
}

/// A run of the model.
pub(crate) struct World {
    pub(crate) scenario: &'static Scenario,
    pub(crate) devices: &'static Devices,
    seen: &'static Mutex<Seen>,
    chunks: Vec<State>,
    /// Threads look at this to decide, so loom has to know it.
    lost_path: AtomicBool,
}

loom::thread_local! {
    /// The part that this thread has ended last.
    static LAST: Cell<usize> = Cell::new(usize::MAX);
}

thread_local! {
    // Loom runs all threads of a model on one thread of the host.
    static WORLD: RefCell<Option<Rc<World>>> = const { RefCell::new(None) };
}

/// A run of the model begins.
pub(crate) fn begin(world: World) {
    WORLD.set(Some(Rc::new(world)));
}

/// The run of the model that this is in.
pub(crate) fn world() -> Rc<World> {
    WORLD.with_borrow(|world| Rc::clone(world.as_ref().expect("the model runs")))
}

fn once(cell: &Cell<bool>, what: &str) {
    assert!(!cell.replace(true), "{what} twice");
}

impl World {
    pub(crate) fn new(
        scenario: &'static Scenario,
        devices: &'static Devices,
        seen: &'static Mutex<Seen>,
    ) -> Self {
        let state = |chunk: &Chunk| State {
            parts: chunk.parts.iter().map(|_| Part::default()).collect(),
            sent: Cell::default(),
            dispatched: Cell::default(),
            path_was_away: Cell::default(),
            failed_over: Cell::default(),
            executed: Cell::default(),
            failed: RefCell::default(),
            done: Cell::default(),
            told: Cell::default(),
        };
        Self {
            scenario,
            devices,
            seen,
            chunks: scenario.chunks.iter().map(state).collect(),
            lost_path: AtomicBool::new(false),
        }
    }

    pub(crate) fn saw(&self, event: Event) {
        self.seen.lock().unwrap().events.insert(event);
    }

    fn chunk(&self, index: usize) -> &State {
        self.chunks.get(index).expect("there is no such chunk")
    }

    fn way(&self, (chunk, part): (usize, usize)) -> Way {
        self.scenario.chunks[chunk].parts[part].0
    }

    /// Where the bios of a chunk are submitted to.
    pub(crate) fn tops(&self, index: usize) -> (&BlockDevice, &BlockDevice) {
        let chunk = &self.scenario.chunks[index];
        let ways = chunk.parts.iter().map(|(way, _)| *way);
        let strays = |way: &Way| *way == Way::Strays;
        let source = ways.clone().skip(1).find(strays).unwrap_or(Way::Arrives);
        let destination = ways.take(1).find(strays).unwrap_or(Way::Arrives);
        (
            self.devices.top(chunk.src_stack, source),
            self.devices.top(chunk.dst_stack, destination),
        )
    }

    /// A chunk is being submitted.
    pub(crate) fn sent(&self, index: usize) {
        once(&self.chunk(index).sent, "sent");
        let in_flight = self.chunks.iter().filter(|chunk| {
            let done = chunk.done.get().is_some();
            chunk.sent.get() && !done
        });
        self.saw(Event::InFlight(in_flight.count()));
    }

    /// A bio was submitted. Returns what becomes of it.
    pub(crate) fn submitted(&self, bio: &Bio) -> (Way, Thread) {
        let (chunk, part) = part_of(bio);
        once(&self.chunk(chunk).parts[part].submitted, "submitted");
        self.scenario.chunks[chunk].parts[part]
    }

    /// A bio has come to a level of the stack.
    pub(crate) fn came(&self, bio: &Bio) {
        if !bio.is_clone() {
            let (chunk, part) = part_of(bio);
            self.chunk(chunk).parts[part].came.set(true);
        }
    }

    /// A bio enters a stacking driver. Returns what becomes of it there if it is the first one.
    pub(crate) fn entered(&self, bio: &Bio) -> Option<(Way, Thread)> {
        let (chunk, part) = part_of(bio);
        let parts = &self.chunk(chunk).parts;
        let all = parts.iter().all(|part| part.came.get());
        assert!(all, "a bio has entered before all have come");
        let again = parts[part].entered.replace(true);
        (!again).then(|| (self.way((chunk, part)), self.scenario.inside))
    }

    /// Where the destination lies that belongs to a source.
    pub(crate) fn destination_below(&self, source: &Bio) -> Sector {
        let index = chunk_of(source);
        let place = Place::of(&self.scenario.chunks[index], index);
        Place::below(place.destination().start())
    }

    /// What the command of a chunk reads.
    pub(crate) fn sources_below(&self, index: usize) -> Vec<Range> {
        let chunk = &self.scenario.chunks[index];
        let moved = |range: Range| {
            if chunk.src_stack.has_clones() {
                range.moved(Sectors::new(BELOW)).expect("there is room")
            } else {
                range
            }
        };
        let sources = Place::of(chunk, index).sources();
        sources.into_iter().map(moved).collect()
    }

    /// The length of a chunk.
    pub(crate) fn total(&self, index: usize) -> Sectors {
        let place = Place::of(&self.scenario.chunks[index], index);
        place.destination().len()
    }

    /// The first path goes away.
    pub(crate) fn lose_path(&self) {
        self.lost_path.store(true, Release);
    }

    /// Whether it has gone away.
    pub(crate) fn has_lost_path(&self) -> bool {
        let may = self.scenario.paths == Paths::GoWhileParked
            || self.scenario.device.0 == Device::FailsOver;
        may && self.lost_path.load(Acquire)
    }

    /// Whether there is no path now for a bio that has come to choose one.
    pub(crate) fn is_path_away_for(&self, bio: &Bio) -> bool {
        let chunk = self.chunk(chunk_of(bio));
        self.scenario.paths == Paths::AwayForTheCommand
            && chunk.dispatched.get()
            && !chunk.path_was_away.replace(true)
    }

    /// The command goes to the driver.
    pub(crate) fn dispatched(&self, command: &Bio, from: Range, to: Range) {
        let chunk = chunk_of(command);
        once(&self.chunk(chunk).dispatched, "dispatched");
        let first = self.sources_below(chunk).first().copied();
        assert_eq!(Some(from), first, "dispatched with another source");
        let there = (to.start(), to.len());
        assert_eq!(there, (command.start(), command.len()), "to another place");
        self.saw(Event::Dispatched);
    }

    /// The device has a command. Returns the chunk.
    pub(crate) fn has_command(&self, command: &Bio) -> usize {
        let chunk = chunk_of(command);
        assert!(self.chunk(chunk).dispatched.get(), "a command too early");
        chunk
    }

    /// Whether the command has to take another path.
    pub(crate) fn fails_over(&self, chunk: usize) -> bool {
        !self.chunk(chunk).failed_over.replace(true)
    }

    /// The device has executed the command.
    pub(crate) fn executed(&self, chunk: usize) {
        once(&self.chunk(chunk).executed, "executed");
    }

    /// A layer fails a bio.
    pub(crate) fn failed(&self, bio: &Bio, status: Status) {
        let failed = &self.chunk(chunk_of(bio)).failed;
        failed
            .borrow_mut()
            .push(Told::from(Verdict::Failed(status)));
    }

    /// A bio that the engine made has ended.
    pub(crate) fn ended(&self, bio: &Bio) {
        let (chunk, part) = part_of(bio);
        let state = self.chunk(chunk);
        once(&state.parts[part].ended, "ended");
        assert!(state.parts[part].submitted.get(), "ended too early");
        assert_eq!(state.done.get(), None, "ended after the verdict");
        LAST.with(|last| last.set(part));
    }

    /// A chunk has its verdict.
    pub(crate) fn chunk_done(&self, to: Range, verdict: Verdict<Status>) {
        let index = (to.start().get() / CHUNK) as usize;
        let chunk = self.chunk(index);
        let all = chunk.parts.iter().all(|part| part.ended.get());
        assert!(all, "a verdict before all bios have ended");
        assert_eq!(chunk.done.replace(Some(verdict)), None, "done twice");
        self.saw(Event::LastIsPart(LAST.with(|last| last.get())));
    }

    /// The owner of a chunk was told of its end.
    pub(crate) fn told(&self, index: usize, verdict: Verdict<Status>) {
        let chunk = self.chunk(index);
        assert_eq!(chunk.done.get(), Some(verdict), "told something else");
        assert_eq!(chunk.told.replace(Some(verdict)), None, "told twice");
        let told = Told::from(verdict);
        let executed = chunk.executed.get();
        // The second of two clones fails the destination, whatever became of the first.
        let doubles = self.way((index, 0)) == Way::Doubles;
        match told {
            Told::Copied => assert!(executed, "a success that was none"),
            _ => assert!(!executed || doubles, "a success that became {told:?}"),
        }
        let failed = chunk.failed.borrow();
        let kept = failed.is_empty() || failed.contains(&told);
        assert!(kept, "{failed:?} became {told:?}");
        self.saw(Event::Verdict(index, told));
    }

    /// Where a chunk is to be split.
    pub(crate) fn split_of(&self, index: usize) -> Option<Sectors> {
        match self.chunk(index).told.get() {
            Some(Verdict::Fallback(Reason::Split(len))) => Some(len),
            _ => None,
        }
    }

    /// The copy has ended. It has taken these chunks, and had this gap.
    pub(crate) fn finished(&self, taken: Vec<Counter>, gap: Option<(Sectors, Error)>) {
        let sent = self.chunks.iter().filter(|chunk| chunk.sent.get());
        let told: Vec<_> = sent
            .map(|chunk| chunk.told.get().expect("the copy waits for all chunks"))
            .collect();
        let counters: Vec<_> = told.iter().map(Verdict::counter).collect();
        assert_eq!(taken, counters, "chunks that became others");
        let mut offset = Sectors::ZERO;
        let mut first = None;
        for (index, verdict) in told.into_iter().enumerate() {
            if let Verdict::Failed(status) = verdict {
                first = first.or(Some((offset, status.to_error())));
            }
            let len = self.total(index);
            offset = offset.checked_add(len).expect("there is room");
        }
        assert_eq!(gap, first, "not the first gap");
    }
}
