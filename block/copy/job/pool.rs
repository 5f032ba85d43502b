// SPDX-License-Identifier: GPL-2.0

//! Reserves of memory, and of a worker, with which one copy at a time makes progress whatever
//! happens to the memory of the machine.
//!
//! Everything is tried first in the usual way, so a reserve limits nothing while there is memory. A
//! driver that copies in order to do its own I/O needs a pool of its own: if it shared one with
//! those whose I/O it does, they would hold what it waits for.

use super::{
    background,
    handle::{
        Handle,
        Workers, //
    },
    interrupt::Interrupt,
    link::Stock,
    run, //
};
use crate::request::Request;
use kernel::{
    block::copy::{
        Outcome,
        Params,
        Way, //
    },
    impl_has_work,
    new_work,
    prelude::*,
    sync::SetOnce,
    workqueue::{
        self,
        Work,
        WorkItem, //
    }, //
};

/// What a pool holds in reserve, in chunks and in copies: each further one is a further copy that
/// need not wait.
type Size = (u16, u16);

const COMMON: Size = (16, 4);
const PRIVATE: Size = (4, 1);

/// A reserve.
#[pin_data]
pub(crate) struct Pool {
    #[pin]
    stock: Stock,
    workers: Workers,
    /// For [`Pool::destroy`].
    #[pin]
    end: Work<Pool>,
}

impl_has_work! {
    impl HasWork<Self> for Pool { self.end }
}

impl WorkItem for Pool {
    type Pointer = Pin<KBox<Self>>;

    fn run(this: Self::Pointer) {
        drop(this);
    }
}

static COMMON_POOL: SetOnce<Pin<KBox<Pool>>> = SetOnce::new();

/// Prepares the reserve that all share. Called once at boot, in task context.
pub(crate) fn init() -> Result {
    COMMON_POOL.populate(KBox::pin_init(Pool::with_size(COMMON), GFP_KERNEL)?);
    Ok(())
}

impl Pool {
    /// The reserve that all share. There is none before [`init`].
    pub(crate) fn common() -> Result<&'static Self> {
        let pool = COMMON_POOL.as_ref().ok_or(ENODEV)?;
        Ok(&**pool)
    }

    /// Makes a reserve.
    ///
    /// Context: task; may sleep.
    pub(crate) fn new() -> Result<Pin<KBox<Self>>> {
        KBox::pin_init(Self::with_size(PRIVATE), GFP_KERNEL)
    }

    fn with_size((chunks, copies): Size) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            stock <- Stock::new(chunks),
            workers: Workers::new(copies)?,
            end <- new_work!("blk_copy_pool"),
        }? Error)
    }

    /// Frees a reserve, and waits for its workers to be done with it. One of them may be its last
    /// user, and cannot wait for itself: then it is freed a little later.
    ///
    /// Context: task; may sleep.
    pub(crate) fn destroy(self: Pin<KBox<Self>>) {
        if workqueue::in_worker() {
            workqueue::system_unbound().enqueue(self);
        }
    }

    /// Copies, and waits for the end.
    ///
    /// Context: task; may sleep. Does not fail for lack of memory.
    pub(crate) fn run(&self, request: Request<'_>, way: Way, interrupt: Interrupt) -> Outcome {
        run::run(request, way, &self.stock, interrupt)
    }

    /// What its copies take memory from.
    pub(crate) fn stock(&self) -> &Stock {
        &self.stock
    }

    /// Begins a copy. A worker will tell the caller of its end, or has done so.
    ///
    /// Context: task; may sleep. Does not fail for lack of memory.
    pub(crate) fn start(
        &'static self,
        request: Request<'static>,
        way: Way,
        params: &'static Params,
    ) -> Result {
        let pool = (&self.stock, &self.workers);
        let copy = Handle::new(request, way, pool, background::work, params)?;
        background::start(copy, way);
        Ok(())
    }
}
