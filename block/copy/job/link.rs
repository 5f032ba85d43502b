// SPDX-License-Identifier: GPL-2.0

//! How a copy sends chunks and buffers to its devices.

use super::{
    buffers::{
        Buffer,
        BufferPool,
        Use,
        SHARE, //
    },
    tracker::Tracker, //
};
use crate::{
    chunk::{
        self,
        Memory,
        Owner,
        Reserve,
        Wait, //
    },
    plan::{
        Chunk,
        CommandLimits,
        Plan,
        Range, //
    },
    request::{
        List,
        Request, //
    }, //
};
use core::{
    pin::Pin,
    ptr::NonNull, //
};
use kernel::{
    alloc::flags::{
        GFP_NOIO,
        GFP_NOWAIT, //
    },
    block::{
        bio::{
            Status,
            WriteHint, //
        },
        buffer::{
            self,
            Direction, //
        },
        units::Sectors, //
    },
    prelude::*, //
};

/// What copies take memory from.
#[pin_data]
pub(crate) struct Stock {
    chunks: Reserve,
    #[pin]
    pub(super) buffers: BufferPool,
}

impl Stock {
    /// Reserves memory for `chunks` chunks, and for one buffer.
    pub(super) fn new(chunks: u16) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            chunks: Reserve::new(chunks)?,
            buffers <- BufferPool::new(SHARE, None),
        }? Error)
    }

    /// Sends a copy that is one chunk, if there is memory for it. `owner` hears of its end then,
    /// perhaps before this returns. If this returns false, nothing was sent.
    ///
    /// Context: task; may sleep if the command may wait.
    ///
    /// # Safety
    ///
    /// If this returns true: until `owner` has heard of the end, it stays where it is, the devices
    /// of the request stay open, and so does the stock.
    pub(crate) unsafe fn send_alone<O: Owner + 'static>(
        &self,
        request: &Request<'_>,
        owner: Pin<&O>,
        wait: Wait,
    ) -> bool {
        let plan = Plan::new(request.src, request.dst);
        let send = || {
            let chunk = plan.peek_in(request, &request.command_limits())?;
            let whole = chunk.len == request.total && chunk.refused.is_none();
            let dst = plan.destinations(&chunk).next().filter(|_| whole)?;
            let sources = plan.sources(&chunk);
            let memory = Memory::new(&self.chunks, sources.clone().count(), GFP_NOWAIT).ok()?;
            let (devices, dst) = ((request.src_bdev, request.dst_bdev), (dst, request.hint));
            // SAFETY: The memory was made for this chunk, of which the limits allow one
            // destination, and no more than the devices do. The rest is required of the caller.
            unsafe { chunk::submit(devices, sources, dst, memory, wait, (owner, 0)) };
            Some(())
        };
        send().is_some()
    }
}

/// What became of the next chunk of a plan.
pub(super) enum NextChunk {
    /// There is no chunk, or no room for it.
    Nothing,
    /// It was sent, and is so long.
    Sent(Sectors),
    /// No device would copy it, so it was not sent.
    Refused,
}

/// The way of a copy to its devices and back.
///
/// # Invariants
///
/// The tracker is used by this copy alone. It and the stock exist, and the devices of the request
/// stay open, until nothing is in flight that was sent through here.
pub(super) struct Link<'a> {
    request: Request<'a>,
    pub(super) stock: &'a Stock,
    tracker: Pin<&'a Tracker>,
}

impl<'a> Link<'a> {
    /// # Safety
    ///
    /// - The tracker is used by this copy alone.
    /// - The tracker stays where it is, the devices of the request stay open, and the stock exists,
    ///   until nothing is in flight that was sent through here.
    pub(super) unsafe fn new(
        request: Request<'a>,
        stock: &'a Stock,
        tracker: Pin<&'a Tracker>,
    ) -> Self {
        // INVARIANT: Required of the caller.
        Self {
            request,
            stock,
            tracker,
        }
    }

    pub(super) fn tracker(&self) -> Pin<&'a Tracker> {
        self.tracker
    }

    pub(super) fn request(&self) -> &Request<'a> {
        &self.request
    }

    /// Sends the next chunk of a plan: the best one that the limits allow or, if there is no memory
    /// for its sources, one of a single source.
    ///
    /// Context: task; may sleep. Does not fail for lack of memory.
    pub(super) fn send_next(&self, plan: &Plan<List<'a>>, limits: &CommandLimits) -> NextChunk {
        let Some(chunk) = self.peek(plan, limits) else {
            return NextChunk::Nothing;
        };
        if chunk.refused.is_some() {
            return NextChunk::Refused;
        }
        let send = || {
            let sources = plan.sources(&chunk).count();
            let (chunk, memory) = match Memory::new(&self.stock.chunks, sources, GFP_NOIO) {
                Ok(memory) => (chunk, memory),
                Err(_) => {
                    let chunk = self.peek(plan, &limits.one_source())?;
                    (chunk, Memory::new(&self.stock.chunks, 1, GFP_NOIO).ok()?)
                }
            };
            let (_, dst) = plan.first_ranges(&chunk)?;
            let slot = self
                .tracker
                .progress(|progress| progress.begin(chunk.len))?;
            let devices = (self.request.src_bdev, self.request.dst_bdev);
            let (dst, owner) = ((dst, self.request.hint), (self.tracker, slot));
            let sources = plan.sources(&chunk);
            // SAFETY: The memory was made for this chunk, of which the limits allow one
            // destination, and no more than the devices do. The rest holds by the type invariant.
            unsafe { chunk::submit(devices, sources, dst, memory, Wait::Allowed, owner) };
            Some(chunk.len)
        };
        send().map_or(NextChunk::Nothing, NextChunk::Sent)
    }

    /// The next chunk of a plan on the devices of the request.
    pub(super) fn peek(&self, plan: &Plan<List<'a>>, limits: &CommandLimits) -> Option<Chunk> {
        plan.peek_in(&self.request, limits)
    }

    /// Reads into a buffer, or writes from it; the tracker gets it back. `range` is one of the
    /// request's, or a part of it, and is no longer than a buffer.
    ///
    /// Context: task; may sleep.
    pub(super) fn transfer(&self, buffer: Buffer, of: Use, range: Range) {
        let device = match of.direction {
            Direction::Read => (self.request.src_bdev, WriteHint::default()),
            Direction::Write => (self.request.dst_bdev, self.request.hint),
        };
        let range = (range.start(), range.len());
        let owner = NonNull::from(self.tracker.get_ref());
        // SAFETY: The ranges of a request lie within its devices. The rest holds by the type
        // invariant.
        unsafe { buffer.submit(of.direction, device, range, Some(of), owner) };
    }
}

impl buffer::Owner<Option<Use>> for Tracker {
    fn ended(&self, buffer: Buffer) {
        let failed = buffer.tag().zip(buffer.status());
        let failed = failed.map(|(of, status)| (of.offset, error_of_io(status)));
        self.buffer_ended(buffer, failed);
    }
}

/// The error of a read or a write. There is no other way than these two.
pub(super) fn error_of_io(status: Status) -> Error {
    match status {
        Status::NOTSUPP => EIO,
        status => status.to_error(),
    }
}
