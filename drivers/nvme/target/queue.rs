// SPDX-License-Identifier: GPL-2.0

//! The copies of one namespace: those that are under way, and those that wait for their turn.
//!
//! Hosts decide how many commands they send. Here it is decided how many of them are under way, and
//! with that how much memory and how many threads they take. The others wait without any, those of
//! all hosts in one line. One that has waited for too long is not executed when its turn comes, nor
//! is one whose connection has ended. So the line is never much longer than that, whatever other
//! hosts send.

use crate::{
    command,
    counters::{
        Counters,
        Ending, //
    },
    request::{
        Failure,
        Request,
        RequestList, //
    }, //
};
use kernel::{
    bindings,
    block::{
        copy::Pool,
        units::Sectors, //
    },
    impl_has_work,
    mempool::Mempool,
    new_spinlock_irq,
    new_work,
    prelude::*,
    sync::{
        Arc,
        ArcBorrow,
        SpinLockIrq, //
    },
    task,
    time::Delta,
    workqueue::{
        self,
        Work,
        WorkItem, //
    }, //
};

/// A command that has waited for so long is not begun any more. Hosts of Linux give the shortest
/// one 30 s, and lose the connection with all of its reads and writes when those are over.
const MOST_WAIT: Delta = Delta::from_secs(20);

/// What a namespace lies on.
pub(crate) enum Backing {
    /// A disk: copies take no thread. They have a reserve of their own, as all that is under way
    /// may be somebody's I/O.
    Disk(Pool),
    /// A file: each copy takes a thread.
    File,
}

impl Backing {
    /// How many commands may be under way.
    fn most(&self) -> usize {
        match self {
            Self::Disk(_) => 32,
            Self::File => 8,
        }
    }
}

struct State {
    waiting: RequestList,
    under_way: usize,
    counters: Counters,
}

/// The copies of a namespace.
#[pin_data]
pub(crate) struct CopyQueue {
    pub(crate) backing: Backing,
    /// One command makes progress whatever happens to the memory of the machine.
    pub(crate) commands: Mempool<command::Command>,
    /// That of the target.
    pub(crate) module: ThisModule,
    #[pin]
    state: SpinLockIrq<State>,
    /// Begins those that wait.
    #[pin]
    work: Work<CopyQueue>,
}

// SAFETY: All of its parts may be used and dropped by any task; the module is a number here.
unsafe impl Send for CopyQueue {}

impl_has_work! {
    impl HasWork<Self> for CopyQueue { self.work }
}

/// The work queue of the target.
pub(crate) fn workers() -> &'static workqueue::Queue {
    // SAFETY: It is there as long as a namespace is enabled, and waits for its work items before it
    // goes.
    unsafe { workqueue::Queue::from_raw(bindings::nvmet_wq) }
}

impl CopyQueue {
    /// Prepares to copy within a namespace.
    ///
    /// Context: task; may sleep.
    pub(crate) fn new(backing: Backing, module: ThisModule) -> Result<Arc<Self>> {
        let commands = Mempool::new(1)?;
        let queue = pin_init!(Self {
            backing,
            commands,
            module,
            state <- new_spinlock_irq!(State {
                waiting: RequestList::new(),
                under_way: 0,
                counters: Counters::default(),
            }, "nvmet_copy"),
            work <- new_work!("nvmet_copy"),
        });
        Arc::pin_init(queue, GFP_KERNEL)
    }

    /// Takes a command, which is executed by a worker: the caller may be in any context, and what
    /// it wants to do next does not wait for copies.
    ///
    /// Context: any.
    pub(crate) fn add(this: ArcBorrow<'_, Self>, request: Request) {
        let mut state = this.state.lock();
        state.waiting.push(request);
        // No worker takes the command while the lock is held. So nobody has answered it yet, and it
        // keeps the queue.
        this.wake();
    }

    /// Has a worker begin what waits. If it is about to do so anyway, it will look once more.
    ///
    /// The caller knows of a command that has not been answered yet: what this drops is not the
    /// last reference, whose end may sleep.
    fn wake(self: ArcBorrow<'_, Self>) {
        let _ = workers().enqueue(Arc::from(self));
    }

    /// Takes the next command, if one more may be under way. Returns as well why it is not to be
    /// executed.
    fn next(&self) -> Option<(Request, Option<Failure>)> {
        let mut state = self.state.lock();
        if state.under_way >= self.backing.most() {
            return None;
        }
        let (request, waited) = state.waiting.pop()?;
        state.under_way += 1;
        let late = (waited > MOST_WAIT).then_some(Failure::Late);
        let failure = request.cut_off().or(late);
        Some((request, failure))
    }

    /// A command is not under way any more, and so many sectors of it were copied. It has not been
    /// answered yet: that keeps the queue.
    ///
    /// Context: any.
    pub(crate) fn ended(this: ArcBorrow<'_, Self>, ending: Ending, copied: Sectors) {
        let mut state = this.state.lock();
        state.under_way -= 1;
        state.counters.count(ending, copied);
        let more = !state.waiting.is_empty();
        drop(state);
        if more {
            this.wake();
        }
    }

    /// Counts a command that was refused before it could wait.
    ///
    /// Context: any.
    pub(crate) fn refused(&self, ending: Ending) {
        self.state.lock().counters.count(ending, Sectors::ZERO);
    }

    /// How commands ended.
    ///
    /// Context: any.
    pub(crate) fn counters(&self) -> Counters {
        self.state.lock().counters
    }
}

impl WorkItem for CopyQueue {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        while let Some((request, failure)) = this.next() {
            match failure {
                None => command::begin(&this, request),
                Some(failure) => {
                    Self::ended(this.as_arc_borrow(), failure.ending(), Sectors::ZERO);
                    request.complete(Err((failure, 0)));
                }
            }
            task::cond_resched();
        }
    }
}
