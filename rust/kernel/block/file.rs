// SPDX-License-Identifier: GPL-2.0

//! Open files of block devices, and their page cache.
//!
//! C headers: [`include/linux/fs.h`](srctree/include/linux/fs.h),
//! [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h)

use super::{
    bdev::BlockDevice,
    bio::WriteHint, //
};
use crate::{
    bindings,
    error::{
        to_result,
        Result, //
    },
    num::casts::{
        u32_as_u64,
        usize_as_u64, //
    },
    page::PAGE_SIZE,
    prelude::*,
    task,
    types::Opaque, //
};
use core::ops::Range;

mod access;

/// The most bytes that one call may read, write or copy (`MAX_RW_COUNT`).
pub const MAX_RW_COUNT: u64 = u32_as_u64(i32::MAX.unsigned_abs()) & !(usize_as_u64(PAGE_SIZE) - 1);

/// An open file whose inode is a block device's.
///
/// Offsets are bytes from the start of the device, and below 2^63.
///
/// # Invariants
///
/// `f_mapping->host` is the inode of a block device, and the file stays open while the reference
/// lives.
#[repr(transparent)]
pub struct BlockFile(Opaque<bindings::file>);

impl BlockFile {
    /// Uses a raw pointer.
    ///
    /// # Safety
    ///
    /// `file` is an open file of a block device, and the caller holds a reference to it for `'a`.
    pub unsafe fn from_raw<'a>(file: *mut bindings::file) -> &'a Self {
        // INVARIANT: Required of the caller.
        // SAFETY: `BlockFile` is transparent, the rest is required of the caller.
        unsafe { &*file.cast() }
    }

    fn raw(&self) -> *mut bindings::file {
        self.0.get()
    }

    fn mapping(&self) -> *mut bindings::address_space {
        // SAFETY: By the type invariant the file is open; the field does not change while it is.
        unsafe { (*self.raw()).f_mapping }
    }

    fn inode(&self) -> *mut bindings::inode {
        // SAFETY: A mapping that is in use has a host.
        unsafe { (*self.mapping()).host }
    }

    /// Returns the device.
    pub fn bdev(&self) -> &BlockDevice {
        // SAFETY: By the type invariant the inode is a block device's, which an open file keeps.
        unsafe { BlockDevice::from_raw(bindings::I_BDEV(self.inode())) }
    }

    /// Returns whether the file was opened with `O_DIRECT`.
    pub fn is_direct(&self) -> bool {
        // SAFETY: By the type invariant the file is open. `fcntl` may change the flags meanwhile;
        // either answer is right then.
        let flags = unsafe { core::ptr::addr_of!((*self.raw()).f_flags).read_volatile() };
        flags & bindings::O_DIRECT != 0
    }

    /// Returns the size, in bytes, of the units in which the page cache holds the device: a power
    /// of two, and at least a page. Who writes to a part of one has all of it written back.
    pub fn cache_unit(&self) -> u64 {
        // SAFETY: By the type invariant the file is open, and that keeps the inode. The field is
        // read with one access. It only changes for who uses the device alone.
        let bits = unsafe { core::ptr::addr_of!((*self.inode()).i_blkbits).read_volatile() };
        let block = 1_u64.checked_shl(u32::from(bits)).unwrap_or(0);
        block.max(usize_as_u64(PAGE_SIZE))
    }

    /// Returns where a direct write to the file should be placed: beside what is expected to stay
    /// as long. Programs say so by `F_SET_RW_HINT` of `fcntl(2)`.
    pub fn write_hint(&self) -> WriteHint {
        // SAFETY: By the type invariant the file is open, and keeps its inode, which need not be
        // that of the mapping. The field is read with one access; it may change at any time.
        let lifetime = unsafe {
            let inode = (*self.raw()).f_inode;
            core::ptr::addr_of!((*inode).i_write_hint).read_volatile()
        };
        WriteHint::of_lifetime(lifetime, self.bdev().limits().max_write_streams())
    }

    /// Writes what was written to stable storage, if the file was opened with `O_DSYNC` or
    /// `O_SYNC`.
    ///
    /// Context: task; may sleep.
    pub fn sync_written(&self, bytes: &Range<u64>) -> Result {
        // SAFETY: By the type invariant the file is open.
        if !unsafe { bindings::file_is_dsync(self.raw()) } {
            return Ok(());
        }
        let (start, last) = first_and_last(bytes)?;
        // SAFETY: By the type invariant the file is open.
        to_result(unsafe { bindings::vfs_fsync_range(self.raw(), start, last, 1) })
    }

    /// Sets the time of the last modification (`mtime`) to now.
    ///
    /// Context: task; may sleep.
    pub fn update_time(&self) -> Result {
        // SAFETY: By the type invariant the file is open.
        to_result(unsafe { bindings::file_update_time(self.raw()) })
    }

    /// Sets the time of the last access (`atime`) to now.
    ///
    /// Context: task; may sleep.
    pub fn accessed(&self) {
        // SAFETY: By the type invariant the file is open.
        unsafe { bindings::file_accessed(self.raw()) };
    }

    /// Writes dirty pages to the device, and waits for them. Before each 8 MiB this calls `go_on`,
    /// and ends early with the error that `go_on` returns.
    ///
    /// Context: task; may sleep.
    pub fn write_back(&self, bytes: &Range<u64>, go_on: impl Fn() -> Result) -> Result {
        const STEP: u64 = 8 << 20;
        let mut start = bytes.start;
        while start < bytes.end {
            go_on()?;
            let end = bytes.end.min(start.saturating_add(STEP));
            let (first, last) = first_and_last(&(start..end))?;
            // SAFETY: By the type invariant the mapping is in use.
            to_result(unsafe {
                bindings::filemap_write_and_wait_range(self.mapping(), first, last)
            })?;
            start = end;
            task::cond_resched();
        }
        Ok(())
    }

    /// Drops clean pages, so that whoever reads next reads from the device.
    ///
    /// Context: task; may sleep.
    ///
    /// # Errors
    ///
    /// `EBUSY` if a page is in use or was made dirty meanwhile.
    pub fn invalidate(&self, bytes: &Range<u64>) -> Result {
        let (start, last) = first_and_last(bytes)?;
        let page = |offset: i64| (offset >> bindings::PAGE_SHIFT) as c_ulong;
        // SAFETY: By the type invariant the mapping is in use.
        to_result(unsafe {
            bindings::invalidate_inode_pages2_range(self.mapping(), page(start), page(last))
        })
    }

    /// Drops pages that somebody made of these bytes while they were being written. If one cannot
    /// be dropped, what it shows, or what it will be written back as, is wrong: then the error is
    /// kept for the next `fsync(2)` and there is a message, as after a direct write.
    ///
    /// Context: task; may sleep.
    pub fn invalidate_written(&self, bytes: &Range<u64>) -> Result {
        let (start, _) = first_and_last(bytes)?;
        let len = usize::try_from(bytes.end - bytes.start)?;
        // SAFETY: By the type invariant the file is open.
        unsafe { bindings::file_invalidate_written(self.raw(), start, len) };
        Ok(())
    }

    /// Copies through a pipe in the kernel, as `copy_file_range()` does for files that have no
    /// better one. May copy less than was asked for.
    ///
    /// Context: task; may sleep. Takes locks of both files.
    pub fn splice_to(&self, src: u64, to: &Self, dst: u64, len: usize) -> Result<usize> {
        let mut src = i64::try_from(src)?;
        let mut dst = i64::try_from(dst)?;
        // SAFETY: By the type invariant both files are open, and the positions live across the
        // call.
        let copied =
            unsafe { bindings::splice_file_range(self.raw(), &mut src, to.raw(), &mut dst, len) };
        match usize::try_from(copied) {
            Ok(copied) => Ok(copied),
            Err(_) => Err(Error::from_errno(copied as c_int)),
        }
    }
}

/// First and last byte, as C has it.
fn first_and_last(bytes: &Range<u64>) -> Result<(i64, i64)> {
    let last = bytes.end.checked_sub(1).ok_or(EINVAL)?;
    Ok((i64::try_from(bytes.start)?, i64::try_from(last)?))
}
