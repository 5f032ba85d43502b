// SPDX-License-Identifier: GPL-2.0

//! Memory that can be read into and written from, with a bio of its own.
//!
//! A [`Buffer`] is a number of pages and a bio. Whoever has one can do I/O without an allocation
//! that may fail: [`Buffer::submit`] gives the buffer to the block layer, and an [`Owner`] gets it
//! back when the I/O has ended. So the same buffer can be read into from one device and written
//! from to another one. A user attaches a tag to each buffer, which says what it is for.
//!
//! [`BufferList`] is a queue of buffers that needs no allocation either.
//!
//! C header: [`include/linux/bio.h`](srctree/include/linux/bio.h)

use super::{
    bdev::BlockDevice,
    bio::{
        Bio,
        Status,
        WriteHint, //
    },
    units::{
        Sector,
        Sectors, //
    }, //
};
use crate::{
    alloc::AllocError,
    bindings,
    num::casts::usize_into_u32,
    page::{
        Page,
        PAGE_SIZE, //
    },
    prelude::*,
    types::Opaque, //
};
use core::{
    cell::Cell,
    ptr::NonNull, //
};

mod charge;
mod part;
mod pool;

pub use charge::Charge;
pub use part::part_of;
pub use pool::{
    BufferPool,
    Share, //
};

/// What a [`Buffer`] holds, in bytes. No logical block is larger.
pub const SIZE: usize = 64 << 10;

const PAGES: usize = SIZE.div_ceil(PAGE_SIZE);

/// Which way the data goes. See [`Buffer`] for an example.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// From a device into the buffer.
    Read,
    /// From the buffer to a device.
    Write,
}

/// Who gets a buffer back after I/O. See [`Buffer`] for an example.
pub trait Owner<T: Send>: Sync {
    /// The I/O has ended. [`Buffer::status`] tells how.
    ///
    /// Context: any. Must not sleep.
    fn ended(&self, buffer: Buffer<T>);
}

/// What a buffer consists of. The bio comes first, so that its address is that of the whole.
///
/// # Invariants
///
/// While somebody has a reference, the bio is not in flight. It is initialized if `used` says so.
#[repr(C)]
struct Inner<T> {
    bio: Opaque<bindings::bio>,
    /// Where the bio keeps what it knows of the pages.
    vecs: Opaque<[bindings::bio_vec; PAGES]>,
    pages: [Option<Page>; PAGES],
    /// Whom the buffer goes back to after I/O.
    owner: *const c_void,
    /// Whether the bio is initialized, so that it has to be given back.
    used: Cell<bool>,
    charge: Charge,
    /// What follows on a list.
    next: Option<Buffer<T>>,
    /// The user's.
    tag: T,
}

impl<T> Inner<T> {
    /// Returns how the last I/O failed.
    fn status(&self) -> Option<Status> {
        if !self.used.get() {
            return None;
        }
        // SAFETY: By the type invariant, the bio is initialized and not in flight.
        Status::from_raw(unsafe { (*self.bio.get()).bi_status })
    }

    /// Gives back what the last I/O took.
    fn give_back(&self) {
        if self.used.replace(false) {
            // INVARIANT: `used` says that the bio is not initialized any more.
            // SAFETY: By the type invariant, the bio was initialized and is not in flight.
            unsafe { bindings::bio_uninit(self.bio.get()) };
        }
    }
}

impl<T> Drop for Inner<T> {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// A buffer of [`SIZE`] bytes in single pages, with a bio of its own and a tag of its user.
///
/// # Examples
///
/// A list that buffers come back to, whose tags say how they were used last:
///
/// ```
/// use core::ptr::NonNull;
/// use kernel::{
///     block::{
///         bdev::BlockDevice,
///         bio::WriteHint,
///         buffer::{Buffer, BufferList, Charge, Direction, Owner},
///         units::{Sector, Sectors}, //
///     },
///     new_spinlock_irq,
///     sync::SpinLockIrq, //
/// };
///
/// #[pin_data]
/// struct Back {
///     #[pin]
///     buffers: SpinLockIrq<BufferList<Direction>>,
/// }
///
/// impl Owner<Direction> for Back {
///     fn ended(&self, buffer: Buffer<Direction>) {
///         self.buffers.lock().push(buffer);
///     }
/// }
///
/// /// Reads one page.
/// ///
/// /// # Safety
/// ///
/// /// The device stays open, and `back` where it is, until the buffer is in its list.
/// unsafe fn read(bdev: &BlockDevice, start: Sector, back: &Back) -> Result {
///     let tag = Direction::Read;
///     let buffer = Buffer::new(tag, Charge::Caller)?;
///     let range = (start, Sectors::new(8));
///     let hint = WriteHint::default();
///     // SAFETY: The caller guarantees that device and owner stay. The length is less than `SIZE`.
///     unsafe {
///         buffer.submit(Direction::Read, (bdev, hint), range, tag, NonNull::from(back));
///     }
///     Ok(())
/// }
///
/// let back = KBox::pin_init(
///     pin_init!(Back { buffers <- new_spinlock_irq!(BufferList::new(), "back") }),
///     GFP_KERNEL,
/// )?;
/// back.ended(Buffer::new(Direction::Write, Charge::Caller)?);
/// let buffer = back.buffers.lock().pop().ok_or(EINVAL)?;
/// assert_eq!(buffer.tag(), Direction::Write);
/// // There was no I/O.
/// assert_eq!(buffer.status(), None);
/// # Ok::<(), Error>(())
/// ```
pub struct Buffer<T>(KBox<Inner<T>>);

// SAFETY: By the invariants of `Inner`, the bio is not in flight, so nobody else uses the memory.
// The rest of it is a `T`, pages, and a pointer that only the end of I/O uses, and all of these may
// go to another thread.
unsafe impl<T: Send> Send for Buffer<T> {}

impl<T: Copy + Send> Buffer<T> {
    /// Allocates a buffer. The allocator starts no I/O, does not try for long, and prints no
    /// message.
    ///
    /// Context: task; may sleep.
    pub fn new(tag: T, charge: Charge) -> Result<Self, AllocError> {
        let mut pages = [const { None }; PAGES];
        for page in &mut pages {
            *page = Some(Page::alloc_page(charge.flags())?);
        }
        Ok(Self(KBox::try_init(
            // INVARIANT: The bio is not initialized, as `used` says.
            try_init!(Inner {
                bio: Opaque::uninit(),
                vecs: Opaque::uninit(),
                pages,
                owner: core::ptr::null(),
                used: Cell::new(false),
                charge,
                next: None,
                tag,
            }? AllocError),
            charge.flags(),
        )?))
    }

    /// Returns the tag.
    pub fn tag(&self) -> T {
        self.0.tag
    }

    /// Returns who pays for it.
    pub fn charge(&self) -> Charge {
        self.0.charge
    }

    /// Sends the buffer to a device, with a new tag. `owner` gets it back, perhaps before this
    /// returns. The hint says where what is written should be placed.
    ///
    /// Context: task; may sleep.
    ///
    /// # Safety
    ///
    /// - The device stays open, and `owner` where it is, until `owner` has got the buffer back.
    /// - The range lies within the device and is at most [`SIZE`] long.
    pub unsafe fn submit<O: Owner<T>>(
        mut self,
        direction: Direction,
        (bdev, hint): (&BlockDevice, WriteHint),
        (start, len): (Sector, Sectors),
        tag: T,
        owner: NonNull<O>,
    ) {
        let op = match direction {
            Direction::Read => bindings::req_op_REQ_OP_READ,
            // Somebody waits, as for a direct write: writeback throttling is not for that.
            Direction::Write => bindings::req_op_REQ_OP_WRITE | bindings::REQ_IDLE,
        };
        self.give_back();
        self.0.tag = tag;
        self.0.owner = owner.as_ptr().cast_const().cast();
        // INVARIANT: The bio is initialized below.
        self.0.used.set(true);
        let vecs = self.0.vecs.get().cast();
        let pages = self
            .0
            .pages
            .each_ref()
            .map(|page| page.as_ref().map(Page::as_ptr));
        let bio = KBox::into_raw(self.0).cast::<bindings::bio>();
        // SAFETY: The bio is the first field of the box, which nobody else uses until the bio is
        // submitted; that is the last access here. The box stays where it is until `end_io` takes
        // it over, and so do the vector, which has room for all pages, and the pages. The caller
        // guarantees that the device is open.
        unsafe {
            bindings::bio_init(
                bio,
                bdev.as_raw(),
                vecs,
                PAGES as u16,
                op | bindings::REQ_SYNC,
            );
            (*bio).bi_iter.bi_sector = start.get();
            (*bio).bi_end_io = Some(end_io::<T, O>);
            (*bio.cast::<Bio>()).set_write_hint(hint);
            for (page, len) in Iterator::zip(pages.into_iter().flatten(), pieces(len)) {
                bindings::__bio_add_page(bio, page, len, 0);
            }
            bindings::submit_bio(bio);
        }
    }
}

/// Returns how much of each page I/O of that length uses.
fn pieces(len: Sectors) -> impl Iterator<Item = u32> {
    const PAGE: u32 = usize_into_u32::<PAGE_SIZE>();

    let bytes = len.to_bytes().and_then(|bytes| u32::try_from(bytes).ok());
    let mut left = bytes.unwrap_or(0);
    core::iter::from_fn(move || {
        let piece = left.min(PAGE);
        left -= piece;
        Some(piece).filter(|piece| *piece > 0)
    })
}

impl<T> Buffer<T> {
    /// Returns how the last I/O failed, or [`None`] if it did not fail or there was none since
    /// [`Buffer::give_back`].
    pub fn status(&self) -> Option<Status> {
        self.0.status()
    }

    /// Gives back what the last I/O took. That may keep a device, or a cgroup, from going away.
    ///
    /// Context: any. Does not sleep.
    pub fn give_back(&self) {
        self.0.give_back();
    }
}

/// Ends the bio of a buffer.
///
/// # Safety
///
/// Only for `bi_end_io` of the bios of [`Buffer::submit`], which the block layer calls once for
/// each.
unsafe extern "C" fn end_io<T: Send, O: Owner<T>>(bio: *mut bindings::bio) {
    // INVARIANT: The I/O has ended, and the bio is initialized, as `used` says. SAFETY: The bio is
    // the first field of the box that `submit` gave away. The block layer gives it back with this
    // call.
    let buffer = Buffer(unsafe { KBox::from_raw(bio.cast::<Inner<T>>()) });
    // SAFETY: `submit` requires that the owner stays where it is until it has got the buffer back.
    let owner = unsafe { &*buffer.0.owner.cast::<O>() };
    owner.ended(buffer);
}

/// A list of buffers, first in, first out, that grows without an allocation. See [`Buffer`] for an
/// example.
pub struct BufferList<T> {
    /// What is taken off next, in order.
    front: Option<Buffer<T>>,
    /// What was appended since, in reverse order.
    back: Option<Buffer<T>>,
}

impl<T> BufferList<T> {
    /// Makes an empty list.
    pub const fn new() -> Self {
        Self {
            front: None,
            back: None,
        }
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.front.is_none() && self.back.is_none()
    }

    /// Appends a buffer.
    pub fn push(&mut self, mut buffer: Buffer<T>) {
        buffer.0.next = self.back.take();
        self.back = Some(buffer);
    }

    /// Takes the first buffer off.
    pub fn pop(&mut self) -> Option<Buffer<T>> {
        if self.front.is_none() {
            // Each buffer is turned over once, so this takes constant time in the mean.
            while let Some(mut buffer) = take_first(&mut self.back) {
                buffer.0.next = self.front.take();
                self.front = Some(buffer);
            }
        }
        take_first(&mut self.front)
    }
}

/// Takes the first buffer off a chain.
fn take_first<T>(chain: &mut Option<Buffer<T>>) -> Option<Buffer<T>> {
    let mut buffer = chain.take()?;
    *chain = buffer.0.next.take();
    Some(buffer)
}

impl<T> Default for BufferList<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for BufferList<T> {
    fn drop(&mut self) {
        // One after the other: if the first one dropped the next, long lists would overrun the
        // stack.
        while let Some(buffer) = self.pop() {
            drop(buffer);
        }
    }
}
