// SPDX-License-Identifier: GPL-2.0

//! Copy commands of hosts: what the target reads of them, and how it answers.

use crate::{
    check::{
        Namespace,
        Reason,
        Refusal, //
    },
    counters::Ending,
    wire::{
        CopyCommand,
        SourceRange,
        COMMAND_SIZE,
        RANGE_SIZE, //
    }, //
};
use core::{
    mem::{
        size_of,
        ManuallyDrop, //
    },
    ptr::NonNull, //
};
use kernel::{
    bindings,
    block::bdev::BlockDevice,
    error::Error,
    prelude::*,
    time::Delta, //
};

const _: () = assert!(COMMAND_SIZE == size_of::<bindings::nvme_command>());

/// Do Not Retry.
const DNR: u16 = status(bindings::NVME_STATUS_DNR);

/// Overlapping I/O Range: a command specific status of the NVM Command Set.
const OVERLAP: u16 = 0x187;

/// Insufficient Resources: a command specific status of the NVM Command Set. The host is to copy in
/// another way.
const RESOURCES: u16 = 0x189;

/// A status, which C has as a wider number.
const fn status(value: u32) -> u16 {
    let [low, high, ..] = value.to_le_bytes();
    u16::from_le_bytes([low, high])
}

/// Why a command has failed.
#[derive(Clone, Copy)]
pub(crate) enum Failure {
    /// It was not executed, because of what it says.
    Refused(Refusal),
    /// It was not executed, because of the data that came along: a status which was made already.
    Data(u16),
    /// It was not executed, because its queue goes away. It may be sent again on another one.
    QueueGone,
    /// It was not executed, because its namespace is being disabled. The host hears the same of
    /// commands that come later.
    NamespaceGone,
    /// It was not executed, because its turn did not come in time.
    Late,
    /// It ended with an error of what the namespace lies on. So many sectors were copied.
    Failed(Error),
}

impl Failure {
    /// What it counts as.
    pub(crate) fn ending(self) -> Ending {
        match self {
            Self::Refused(refusal) => Ending::Refused(refusal.reason),
            Self::Data(_) => Ending::Data,
            Self::QueueGone | Self::NamespaceGone => Ending::CutOff,
            Self::Late => Ending::Late,
            Self::Failed(_) => Ending::Failed,
        }
    }
}

/// A Copy command that has to be answered, once. One that is dropped is answered with an error.
///
/// Until then its queue, its namespace and what that lies on stay.
///
/// # Invariants
///
/// This is a command that the target has begun to execute, and has not completed. Its namespace
/// can copy. It belongs to this value.
pub(crate) struct Request(NonNull<bindings::nvmet_req>);

// SAFETY: Any context may execute and complete a command.
unsafe impl Send for Request {}

impl Request {
    /// Takes over a command.
    ///
    /// Context: any.
    ///
    /// # Safety
    ///
    /// `req` is a Copy command that is to be executed, of a namespace that can copy. Nobody else
    /// completes it.
    pub(crate) unsafe fn begin(req: NonNull<bindings::nvmet_req>) -> Self {
        // INVARIANT: Required of the caller.
        Self(req)
    }

    /// Whether the command came with as much data as it says.
    pub(crate) fn is_whole(&self) -> bool {
        // SAFETY: By the type invariant, the command is there.
        unsafe { (*self.raw()).transfer_len == self.command().data_len() }
    }

    /// Answers a command that came with more or less data than it says, with the status and the
    /// place that the target has for that.
    ///
    /// Context: any.
    pub(crate) fn refuse_length(self) {
        let request = ManuallyDrop::new(self);
        let len = request.command().data_len();
        // SAFETY: By the type invariant, the command is there. It is completed if this is false.
        if unsafe { bindings::nvmet_check_transfer_len(request.raw(), len) } {
            drop(ManuallyDrop::into_inner(request));
        }
    }

    fn raw(&self) -> *mut bindings::nvmet_req {
        self.0.as_ptr()
    }

    /// The command.
    pub(crate) fn command(&self) -> CopyCommand {
        // SAFETY: By the type invariant, the command is there; it is numbers, and has this size.
        let entry = unsafe { (*self.raw()).cmd.cast::<[u8; COMMAND_SIZE]>().read() };
        CopyCommand::parse(&entry)
    }

    /// Reads a source range. The data may be changed by the host at any time, so whatever is
    /// checked is read once.
    pub(crate) fn source(&self, number: usize) -> Result<SourceRange, Failure> {
        let mut entry = [0; RANGE_SIZE];
        let Ok(at) = bindings::off_t::try_from(number.saturating_mul(RANGE_SIZE)) else {
            return Err(Failure::Failed(EIO));
        };
        // SAFETY: By the type invariant, the command is there; the buffer is so large.
        match unsafe {
            bindings::nvmet_copy_from_sgl(self.raw(), at, entry.as_mut_ptr().cast(), RANGE_SIZE)
        } {
            0 => Ok(SourceRange::parse(&entry)),
            status => Err(Failure::Data(status)),
        }
    }

    fn ns(&self) -> *mut bindings::nvmet_ns {
        // SAFETY: By the type invariant, the command is there, and has a namespace.
        unsafe { (*self.raw()).ns }
    }

    /// What the namespace is at this moment. It may be resized.
    pub(crate) fn namespace(&self) -> Option<Namespace> {
        // SAFETY: By the type invariant, the namespace is there.
        unsafe { namespace(self.ns()) }
    }

    /// The disk that the namespace lies on, if it does not lie on a file.
    pub(crate) fn bdev(&self) -> Option<&BlockDevice> {
        // SAFETY: By the type invariant, the namespace is there.
        let bdev = unsafe { (*self.ns()).bdev };
        // SAFETY: The namespace keeps it open.
        (!bdev.is_null()).then(|| unsafe { BlockDevice::from_raw(bdev) })
    }

    /// The file that the namespace lies on, or null.
    pub(crate) fn file(&self) -> *mut bindings::file {
        // SAFETY: By the type invariant, the namespace is there.
        unsafe { (*self.ns()).file }
    }

    /// Whether the command need not be executed any more: its connection has ended, or its
    /// namespace is being disabled.
    pub(crate) fn cut_off(&self) -> Option<Failure> {
        // SAFETY: By the type invariant, the command is there, and so are both.
        let is_dying = |count| unsafe { bindings::percpu_ref_is_dying(count) };
        // SAFETY: As above.
        let (sq, ns) = unsafe {
            (
                &raw mut (*(*self.raw()).sq).ref_,
                &raw mut (*self.ns()).ref_,
            )
        };
        if is_dying(sq) {
            Some(Failure::QueueGone)
        } else {
            is_dying(ns).then_some(Failure::NamespaceGone)
        }
    }

    /// Answers. After an error the host is told the number of the first range that was not copied.
    ///
    /// Context: any.
    pub(crate) fn complete(self, result: Result<(), (Failure, u32)>) {
        let status = result.map_or_else(|failure| self.fail(failure), |()| 0);
        let request = ManuallyDrop::new(self);
        // SAFETY: By the type invariant, it has not been completed, and `self` is gone.
        unsafe { bindings::nvmet_req_complete(request.raw(), status) };
    }

    /// Notes where the mistake is. Returns the status.
    fn fail(&self, (failure, missing): (Failure, u32)) -> u16 {
        // SAFETY: By the type invariant, the command is there, and it is ours.
        let req = unsafe { &mut *self.raw() };
        // SAFETY: Every command has an entry for its answer.
        unsafe { (*req.cqe).result.u32_ = missing.to_le() };
        match failure {
            Failure::Data(status) => status,
            Failure::QueueGone => status(bindings::NVME_SC_ABORT_QUEUE),
            Failure::NamespaceGone => status(bindings::NVME_SC_INTERNAL_PATH_ERROR),
            Failure::Late => RESOURCES,
            Failure::Refused(refusal) => {
                req.error_loc = refusal.field.offset();
                req.error_slba = refusal.lba;
                status_of(refusal.reason) | DNR
            }
            // SAFETY: The command is there.
            Failure::Failed(error) => unsafe {
                bindings::errno_to_nvme_status(self.raw(), error.to_errno())
            },
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        // INVARIANT: `self` is gone.
        let request = Self(self.0);
        request.complete(Err((Failure::Failed(EIO), 0)));
    }
}

fn status_of(reason: Reason) -> u16 {
    match reason {
        Reason::InvalidField => status(bindings::NVME_SC_INVALID_FIELD),
        Reason::TooLarge => status(bindings::NVME_SC_CMD_SIZE_LIM_EXCEEDED),
        Reason::OutOfRange => status(bindings::NVME_SC_LBA_RANGE),
        Reason::Overlap => OVERLAP,
    }
}

/// What a namespace is at this moment.
///
/// # Safety
///
/// `ns` is enabled, or about to be.
pub(crate) unsafe fn namespace(ns: *const bindings::nvmet_ns) -> Option<Namespace> {
    // SAFETY: Required of the caller.
    let (size, shift) = unsafe { (&raw const (*ns).size, (*ns).blksize_shift) };
    // SAFETY: As above. It may be resized just now.
    Namespace::new(u64::try_from(unsafe { size.read_volatile() }).ok()?, shift)
}

/// Commands that wait, in the order in which they came.
///
/// # Invariants
///
/// Both are null, or the first and the last one of a list of commands, which are linked by `next`.
/// The list owns them.
pub(crate) struct RequestList {
    first: *mut bindings::nvmet_req,
    last: *mut bindings::nvmet_req,
}

// SAFETY: A list is requests.
unsafe impl Send for RequestList {}

impl RequestList {
    /// None.
    pub(crate) const fn new() -> Self {
        // INVARIANT: Both are null.
        Self {
            first: core::ptr::null_mut(),
            last: core::ptr::null_mut(),
        }
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// Adds one at the end.
    pub(crate) fn push(&mut self, request: Request) {
        let req = ManuallyDrop::new(request).raw();
        // INVARIANT: It is the last one now.
        // SAFETY: The request is there, and so is the last one, if there is one.
        unsafe {
            (*req).__bindgen_anon_1.c.next = core::ptr::null_mut();
            (*req).__bindgen_anon_1.c.since = bindings::ktime_get();
            match self.first.is_null() {
                true => self.first = req,
                false => (*self.last).__bindgen_anon_1.c.next = req,
            }
        }
        self.last = req;
    }

    /// Takes the first one. Returns as well how long it has waited.
    pub(crate) fn pop(&mut self) -> Option<(Request, Delta)> {
        let req = NonNull::new(self.first)?;
        // SAFETY: By the type invariant, it is there, and linked to the next one.
        let link = unsafe { (*req.as_ptr()).__bindgen_anon_1.c };
        // SAFETY: The clock may be read in any context.
        let waited = Delta::from_nanos(unsafe { bindings::ktime_get() } - link.since);
        self.first = link.next;
        if self.first.is_null() {
            self.last = core::ptr::null_mut();
        }
        // INVARIANT: `push` has had it, and it is not in the list any more.
        Some((Request(req), waited))
    }
}

impl Drop for RequestList {
    fn drop(&mut self) {
        while let Some((request, _)) = self.pop() {
            drop(request);
        }
    }
}
