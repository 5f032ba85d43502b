// SPDX-License-Identifier: GPL-2.0

//! Memory to read into and to write from, with the bio to do it.
//!
//! C headers: [`include/linux/bio.h`](srctree/include/linux/bio.h),
//! [`include/linux/gfp.h`](srctree/include/linux/gfp.h)

use super::{
    alloc,
    bdev::BlockDevice,
    bio::Status,
    units::{
        Sector,
        Sectors, //
    }, //
};
use crate::{
    alloc::AllocError,
    bindings,
    prelude::*, //
};
use core::{
    mem::ManuallyDrop,
    ptr::{
        addr_of_mut,
        NonNull, //
    }, //
};

/// What a [`Buffer`] holds, in bytes. The largest logical block is no larger.
pub const SIZE: usize = 64 << 10;

const PAGES: usize = SIZE.div_ceil(bindings::PAGE_SIZE);

/// Which way the data goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// From a device into the buffer.
    Read,
    /// From the buffer to a device.
    Write,
}

/// Who gets a buffer back after I/O.
pub trait Owner<T: Send>: Sync {
    /// The I/O has ended; [`Buffer::status`] tells how.
    ///
    /// Context: any. Must not sleep.
    fn ended(&self, buffer: Buffer<T>);
}

#[repr(C)]
struct Raw<T> {
    bio: bindings::bio,
    vecs: [bindings::bio_vec; PAGES],
    pages: [*mut bindings::page; PAGES],
    owner: *const c_void,
    /// Whether the bio was initialized, so that it has to be given back.
    used: bool,
    next: Option<NonNull<Raw<T>>>,
    /// The user's.
    tag: T,
}

/// A buffer of [`SIZE`] bytes in single pages, with a bio of its own and a tag of its user's.
///
/// # Invariants
///
/// The pointer is an allocation of this type, which nobody else uses, and which is not in flight.
pub struct Buffer<T>(NonNull<Raw<T>>);

// SAFETY: It is memory that nobody else uses.
unsafe impl<T: Send> Send for Buffer<T> {}

impl<T: Copy + Send> Buffer<T> {
    /// Allocates one, without I/O, without a warning, and without trying for long.
    ///
    /// Context: task; may sleep.
    pub fn new(tag: T) -> Result<Self, AllocError> {
        let raw = alloc::try_noio(size_of::<Raw<T>>())?.cast::<Raw<T>>();
        // SAFETY: This is memory for one, and nobody else has it. The bio is memory that `bio_init`
        // writes before its first use.
        let buffer = unsafe {
            let slot = raw.as_ptr();
            addr_of_mut!((*slot).pages).write([core::ptr::null_mut(); PAGES]);
            addr_of_mut!((*slot).used).write(false);
            addr_of_mut!((*slot).next).write(None);
            addr_of_mut!((*slot).tag).write(tag);
            // INVARIANT: Just allocated. What was not written is not read before it is.
            Self(raw)
        };
        for index in 0..PAGES {
            let page = alloc::try_page_noio()?;
            // SAFETY: The buffer is ours.
            unsafe { (*raw.as_ptr()).pages[index] = page.as_ptr() };
        }
        Ok(buffer)
    }

    /// The tag.
    pub fn tag(&self) -> T {
        // SAFETY: By the type invariant it is ours.
        unsafe { (*self.0.as_ptr()).tag }
    }

    /// Sends the buffer to a device, with a tag. `owner` gets it back.
    ///
    /// Context: task; may sleep.
    ///
    /// # Safety
    ///
    /// - The device stays open, and `owner` where it is, until `owner` has got the buffer back.
    /// - The range lies within the device and is at most [`SIZE`] long.
    pub unsafe fn submit<O: Owner<T>>(
        self,
        direction: Direction,
        bdev: &BlockDevice,
        (start, len): (Sector, Sectors),
        tag: T,
        owner: NonNull<O>,
    ) {
        let op = match direction {
            Direction::Read => bindings::req_op_REQ_OP_READ,
            Direction::Write => bindings::req_op_REQ_OP_WRITE,
        };
        let bytes = len.to_bytes().and_then(|bytes| u32::try_from(bytes).ok());
        let mut left = bytes.unwrap_or(0).min(SIZE as u32);
        self.give_back();
        let raw = ManuallyDrop::new(self).0.as_ptr();
        // SAFETY: By the type invariant the memory is ours, until the bio is submitted; the device
        // is open. The pages cover the length.
        unsafe {
            (*raw).tag = tag;
            (*raw).owner = owner.as_ptr().cast_const().cast();
            let bio = addr_of_mut!((*raw).bio);
            let vecs = addr_of_mut!((*raw).vecs).cast();
            bindings::bio_init(
                bio,
                bdev.as_raw(),
                vecs,
                PAGES as u16,
                op | bindings::REQ_SYNC,
            );
            (*raw).used = true;
            (*bio).bi_iter.bi_sector = start.get();
            (*bio).bi_iter.bi_size = left;
            (*bio).bi_end_io = Some(end_io::<T, O>);
            (*bio).bi_vcnt = 0;
            for index in 0..PAGES {
                let bv_len = left.min(bindings::PAGE_SIZE as u32);
                if bv_len == 0 {
                    break;
                }
                (*raw).vecs[index] = bindings::bio_vec {
                    bv_page: (*raw).pages[index],
                    bv_len,
                    bv_offset: 0,
                };
                (*bio).bi_vcnt += 1;
                left -= bv_len;
            }
            bindings::submit_bio(bio);
        }
    }
}

impl<T> Buffer<T> {
    /// How the last I/O ended.
    pub fn status(&self) -> Option<Status> {
        // SAFETY: By the type invariant the buffer is ours; a bio that was used is initialized.
        unsafe {
            let raw = self.0.as_ptr();
            (*raw)
                .used
                .then(|| Status::from_raw((*raw).bio.bi_status))?
        }
    }

    /// Gives back what the last I/O took: it may keep a device, and a cgroup, from going away.
    pub fn give_back(&self) {
        // SAFETY: By the type invariant the buffer is ours, and its bio not in flight.
        unsafe {
            let raw = self.0.as_ptr();
            if core::mem::replace(&mut (*raw).used, false) {
                bindings::bio_uninit(addr_of_mut!((*raw).bio));
            }
        }
    }
}

/// Ends the bio of a buffer.
///
/// # Safety
///
/// For `bi_end_io` of the bios of [`Buffer::submit`] alone, which the block layer calls once each.
unsafe extern "C" fn end_io<T: Send, O: Owner<T>>(bio: *mut bindings::bio) {
    // SAFETY: The bio is the first field of what was submitted, and given back with this call.
    let (buffer, owner) = unsafe {
        let raw = NonNull::new_unchecked(bio.cast::<Raw<T>>());
        // INVARIANT: The I/O has ended, so nobody else uses it.
        (Buffer(raw), (*raw.as_ptr()).owner.cast::<O>())
    };
    // SAFETY: `Buffer::submit` requires that it lives until it has got the buffer back.
    unsafe { &*owner }.ended(buffer);
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        self.give_back();
        // SAFETY: By the type invariant all of it is ours.
        unsafe {
            for page in (*self.0.as_ptr()).pages {
                if let Some(page) = NonNull::new(page) {
                    alloc::free_page(page);
                }
            }
            alloc::free(self.0.cast());
        }
    }
}

/// A list of buffers, first in, first out, that grows without an allocation.
pub struct BufferList<T> {
    head: Option<NonNull<Raw<T>>>,
    tail: Option<NonNull<Raw<T>>>,
}

// SAFETY: It owns its buffers.
unsafe impl<T: Send> Send for BufferList<T> {}

impl<T> BufferList<T> {
    /// An empty list.
    pub const fn new() -> Self {
        let (head, tail) = (None, None);
        Self { head, tail }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// Appends a buffer.
    pub fn push(&mut self, buffer: Buffer<T>) {
        let raw = ManuallyDrop::new(buffer).0;
        match self.tail.replace(raw) {
            // SAFETY: What is on the list is ours.
            Some(tail) => unsafe { (*tail.as_ptr()).next = Some(raw) },
            None => self.head = Some(raw),
        }
    }

    /// Takes the first buffer off.
    pub fn pop(&mut self) -> Option<Buffer<T>> {
        let raw = self.head?;
        // SAFETY: What is on the list is ours.
        self.head = unsafe { (*raw.as_ptr()).next.take() };
        if self.head.is_none() {
            self.tail = None;
        }
        // INVARIANT: It is on no list any more.
        Some(Buffer(raw))
    }
}

impl<T> Default for BufferList<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for BufferList<T> {
    fn drop(&mut self) {
        while let Some(buffer) = self.pop() {
            drop(buffer);
        }
    }
}
