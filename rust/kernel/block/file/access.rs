// SPDX-License-Identifier: GPL-2.0

//! References to files of block devices, what they may be used for, and what their page cache has.
//!
//! C headers: [`include/linux/file.h`](srctree/include/linux/file.h),
//! [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    first_and_last,
    BlockFile, //
};
use crate::{
    bindings,
    block::bdev::{
        Access,
        BlockDevice, //
    },
    error::{
        to_result,
        Result, //
    },
    fs::LocalFile,
    prelude::*,
    sync::aref::{
        ARef,
        AlwaysRefCounted, //
    }, //
};
use core::{
    ops::Range,
    ptr::NonNull, //
};

// SAFETY: Any task may use and close a file. Nothing here uses the position of a file.
unsafe impl Send for BlockFile {}
// SAFETY: As above; what a shared reference reaches is constant or is read with one access.
unsafe impl Sync for BlockFile {}

// SAFETY: A file is counted in `f_count`.
unsafe impl AlwaysRefCounted for BlockFile {
    fn inc_ref(&self) {
        // SAFETY: By the type invariant, the file is open.
        unsafe { bindings::get_file(self.raw()) };
    }

    unsafe fn dec_ref(file: NonNull<Self>) {
        // SAFETY: The caller gives up a reference.
        unsafe { bindings::fput(file.cast().as_ptr()) };
    }
}

impl AsRef<BlockDevice> for ARef<BlockFile> {
    fn as_ref(&self) -> &BlockDevice {
        self.bdev()
    }
}

impl BlockFile {
    /// Takes a reference to the file of a descriptor of the current task.
    ///
    /// Context: task; does not sleep.
    ///
    /// # Errors
    ///
    /// - `EBADF`: there is no such descriptor, or it is one of `O_PATH`.
    /// - `EINVAL`: the file is not that of a block device.
    pub fn of_descriptor(fd: u32) -> Result<ARef<Self>> {
        // SAFETY: The function takes any number.
        let file = NonNull::new(unsafe { bindings::fget(fd) }).ok_or(EBADF)?;
        // SAFETY: The reference keeps the file open.
        if !unsafe { is_of_block_device(file.as_ptr()) } {
            // SAFETY: The reference was taken above.
            unsafe { bindings::fput(file.as_ptr()) };
            return Err(EINVAL);
        }
        // INVARIANT: It is the file of a block device, and the reference keeps it open.
        // SAFETY: The reference that was taken above is given away; `BlockFile` is transparent.
        Ok(unsafe { ARef::from_raw(file.cast()) })
    }

    /// Returns the file as that of a block device, or [`None`] if it is not one.
    pub fn new(file: &LocalFile) -> Option<&Self> {
        let file = file.as_ptr();
        // SAFETY: The reference keeps the file open.
        let found = unsafe { is_of_block_device(file) };
        // INVARIANT: Just checked.
        // SAFETY: The reference keeps the file open.
        found.then(|| unsafe { Self::from_raw(file) })
    }

    /// Returns whether the file was opened to be read.
    pub fn is_readable(&self) -> bool {
        // SAFETY: By the type invariant, the file is open.
        unsafe { bindings::file_is_readable(self.raw()) }
    }

    /// Returns whether the file was opened to be written.
    pub fn is_writable(&self) -> bool {
        // SAFETY: By the type invariant, the file is open.
        unsafe { bindings::file_is_writable(self.raw()) }
    }

    /// Returns whether the device is in use for swap.
    pub fn is_swap(&self) -> bool {
        // SAFETY: By the type invariant, the file is open.
        unsafe { bindings::file_is_swap(self.raw()) }
    }

    /// Returns whether what is written has to be on stable storage (`O_DSYNC`, `O_SYNC`).
    pub fn is_sync(&self) -> bool {
        // SAFETY: By the type invariant, the file is open.
        unsafe { bindings::file_is_dsync(self.raw()) }
    }

    /// Asks security modules whether the current task may read these bytes, or write them.
    ///
    /// Context: task; may sleep.
    pub fn may(&self, access: Access, bytes: &Range<u64>) -> Result {
        let direction = match access {
            Access::Read => bindings::READ,
            Access::ReadWrite => bindings::WRITE,
        };
        let (start, _) = first_and_last(bytes)?;
        let len = usize::try_from(bytes.end - bytes.start)?;
        // SAFETY: By the type invariant, the file is open, and the position lives across the call.
        to_result(unsafe {
            bindings::rw_verify_area(direction.cast_signed(), self.raw(), &start, len)
        })
    }

    /// Returns whether pages of these bytes have to be written back, or are being written back.
    ///
    /// Context: any. Does not sleep.
    pub fn needs_write_back(&self, bytes: &Range<u64>) -> bool {
        first_and_last(bytes).is_ok_and(|(start, last)| {
            // SAFETY: By the type invariant, the mapping is in use.
            unsafe { bindings::filemap_range_needs_writeback(self.mapping(), start, last) }
        })
    }

    /// Returns whether the page cache has pages of these bytes.
    ///
    /// Context: any. Does not sleep.
    pub fn has_pages(&self, bytes: &Range<u64>) -> bool {
        first_and_last(bytes).is_ok_and(|(start, last)| {
            // SAFETY: By the type invariant, the mapping is in use.
            unsafe { bindings::filemap_range_has_page(self.mapping(), start, last) }
        })
    }
}

/// Returns whether a file is that of a block device.
///
/// # Safety
///
/// The file is open.
unsafe fn is_of_block_device(file: *mut bindings::file) -> bool {
    // SAFETY: Required of the caller. The mapping of an open file has a host.
    let mode = unsafe { (*(*(*file).f_mapping).host).i_mode };
    u32::from(mode) & bindings::S_IFMT == bindings::S_IFBLK
}
