// SPDX-License-Identifier: GPL-2.0

//! Bios. See `rust/kernel/block/bio.rs` and `rust/kernel/block/copy/bio.rs`.
//!
//! What is in a bio stands in a cell of loom: only the owner of a bio changes it, and nobody looks at
//! it then. To use a bio is to use the memory that it is in.

use super::{
    bdev::BlockDevice,
    copy::{CopyOp, Part},
    layer,
    units::{Sector, Sectors},
};
use crate::{
    error::{code, Error},
    memory,
    sync::might_sleep,
};
use core::{mem::ManuallyDrop, ops::Deref, ptr::NonNull};
use loom::cell::UnsafeCell;
use std::thread::panicking;

mod clone;

/// Why a bio failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Status(Error);

impl Status {
    pub const NOTSUPP: Self = Self(code::EOPNOTSUPP);
    pub const AGAIN: Self = Self(code::EAGAIN);
    pub const INVAL: Self = Self(code::EINVAL);
    pub const IOERR: Self = Self(code::EIO);
    pub const MEDIUM: Self = Self(code::ENODATA);

    pub fn to_error(self) -> Error {
        self.0
    }
}

/// Where a device should place what is written. No model looks at it.
#[derive(Clone, Copy, Debug, Default)]
pub struct WriteHint(());

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Initialized,
    Submitted,
    Ended,
    Uninitialized,
}

type EndIo = unsafe extern "C" fn(*mut RawBio);

#[derive(Debug)]
struct Fields {
    stage: Stage,
    bdev: &'static BlockDevice,
    op: CopyOp,
    start: Sector,
    len: Sectors,
    /// `REQ_NOWAIT`.
    nowait: bool,
    part: NonNull<Part>,
    status: Option<Status>,
    end_io: EndIo,
    is_clone: bool,
}

/// A `struct bio`, as C has it.
#[derive(Debug)]
pub struct RawBio(UnsafeCell<Fields>);

/// A bio.
#[derive(Debug)]
#[repr(transparent)]
pub struct Bio(RawBio);

impl Bio {
    fn read<R>(&self, f: impl FnOnce(&Fields) -> R) -> R {
        memory::touch(self);
        self.0 .0.with(|fields| {
            // SAFETY: Loom has checked that nobody writes it.
            f(unsafe { &*fields })
        })
    }

    /// Only the owner calls this.
    fn write<R>(&self, f: impl FnOnce(&mut Fields) -> R) -> R {
        memory::touch(self);
        self.0 .0.with_mut(|fields| {
            // SAFETY: Loom has checked that nobody else uses it.
            f(unsafe { &mut *fields })
        })
    }

    /// The bio goes from one stage to the next.
    fn go(&self, from: Stage, to: Stage) {
        self.write(|fields| {
            assert_eq!(fields.stage, from, "a bio must not become {to:?} now");
            fields.stage = to;
        });
    }

    /// # Safety
    ///
    /// `slot` is memory for a bio that nobody uses. The device stays until the bio has ended.
    pub unsafe fn init_copy(
        slot: NonNull<Bio>,
        bdev: &BlockDevice,
        op: CopyOp,
        (start, len): (Sector, Sectors),
        part: NonNull<Part>,
        end_io: EndIo,
    ) {
        let fields = Fields {
            stage: Stage::Initialized,
            // SAFETY: Required of the caller.
            bdev: unsafe { NonNull::from(bdev).as_ref() },
            op,
            start,
            len,
            nowait: true,
            part,
            status: None,
            end_io,
            is_clone: false,
        };
        memory::add_bio(slot.as_ptr());
        // SAFETY: Required of the caller.
        unsafe { slot.write(Self(RawBio(UnsafeCell::new(fields)))) };
    }

    /// # Safety
    ///
    /// The bio was initialized, and nobody uses it any more.
    pub unsafe fn uninit(slot: NonNull<Bio>) {
        // SAFETY: Required of the caller.
        unsafe { slot.as_ref() }.go(Stage::Ended, Stage::Uninitialized);
        memory::remove_bio(slot.as_ptr());
    }

    pub fn set_write_hint(&mut self, _hint: WriteHint) {
        self.read(|fields| assert_eq!(fields.stage, Stage::Initialized));
    }

    pub fn bdev(&self) -> &BlockDevice {
        self.read(|fields| fields.bdev)
    }

    pub fn start(&self) -> Sector {
        self.read(|fields| fields.start)
    }

    pub fn len(&self) -> Sectors {
        self.read(|fields| fields.len)
    }

    pub fn status(&self) -> Option<Status> {
        self.read(|fields| {
            assert_eq!(fields.stage, Stage::Ended, "it has no status yet");
            fields.status
        })
    }

    pub fn copy_op(&self) -> Option<CopyOp> {
        Some(self.read(|fields| fields.op))
    }

    pub fn copy_part(&self) -> Option<NonNull<Part>> {
        Some(self.read(|fields| fields.part))
    }

    /// Returns whether a stacking driver made it.
    pub fn is_clone(&self) -> bool {
        self.read(|fields| fields.is_clone)
    }

    /// Returns whether whoever would have to delay the bio has to fail it instead.
    pub fn nowait(&self) -> bool {
        self.read(|fields| fields.nowait)
    }
}

/// The obligation to end a bio, or to pass it on, exactly once.
#[derive(Debug)]
pub struct OwnedBio(NonNull<Bio>);

// SAFETY: Any thread may end a bio or pass it on.
unsafe impl Send for OwnedBio {}

impl OwnedBio {
    fn into_raw(self) -> NonNull<Bio> {
        ManuallyDrop::new(self).0
    }

    /// Ends the bio.
    pub fn end(self, status: Option<Status>) {
        might_sleep();
        self.go(Stage::Submitted, Stage::Ended);
        self.write(|fields| fields.status = status);
        layer::get().ended(&self);
        let end_io = self.read(|fields| fields.end_io);
        // SAFETY: The bio has ended now.
        unsafe { end_io(self.into_raw().as_ptr().cast()) };
    }

    /// Moves the bio to another device.
    ///
    /// # Safety
    ///
    /// The device stays until the bio has ended.
    pub unsafe fn set_device(&mut self, device: NonNull<BlockDevice>) {
        // SAFETY: Required of the caller.
        self.write(|fields| fields.bdev = unsafe { device.as_ref() });
    }

    /// Moves the bio from a path to the device that has the paths.
    pub fn leave_path(&mut self) {
        if let Some(head) = self.bdev().path_to() {
            // SAFETY: All devices of the model stay.
            unsafe { self.set_device(head) };
        }
    }

    /// Lets the bio wait from now on.
    pub fn allow_wait(&mut self) {
        self.write(|fields| fields.nowait = false);
    }

    /// Submits a bio again that was checked, accounted and throttled before.
    pub fn resubmit(self) {
        might_sleep();
        layer::get().resubmit(self);
    }
}

impl Deref for OwnedBio {
    type Target = Bio;

    fn deref(&self) -> &Bio {
        // SAFETY: Who owns a bio may use it. What is in it is in a cell.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for OwnedBio {
    fn drop(&mut self) {
        // The kernel would end it with an error. No code relies on that.
        assert!(panicking(), "a bio was dropped");
    }
}

/// A list of bios.
#[derive(Debug, Default)]
pub struct BioList(std::collections::VecDeque<OwnedBio>);

impl BioList {
    pub fn push(&mut self, bio: OwnedBio) {
        self.0.push_back(bio);
    }

    pub fn pop(&mut self) -> Option<OwnedBio> {
        self.0.pop_front()
    }

    /// Ends all of them.
    pub fn end(mut self, status: Option<Status>) {
        while let Some(bio) = self.pop() {
            bio.end(status);
        }
    }
}

/// Submits a bio.
///
/// # Safety
///
/// The bio was initialized, and has not been submitted since.
pub unsafe fn submit(bio: NonNull<Bio>) {
    might_sleep();
    let bio = OwnedBio(bio);
    bio.go(Stage::Initialized, Stage::Submitted);
    layer::get().submit(bio);
}
