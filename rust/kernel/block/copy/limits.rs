// SPDX-License-Identifier: GPL-2.0

//! What one copy command may cover: at one queue, and from the top of a stack to its bottom.
//!
//! C headers: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h),
//! [`include/linux/blk-copy.h`](srctree/include/linux/blk-copy.h)

use crate::{
    bindings,
    block::{
        bdev::BlockDevice,
        limits::{
            QueueLimits,
            QueueLimitsUpdate, //
        },
        units::Sectors, //
    }, //
};

/// Reads one field of the limits of a queue with one access.
macro_rules! read {
    ($this:expr, $field:ident) => {
        // SAFETY: By the type invariant, the memory is valid. The access is volatile and the
        // integer aligned, so a value that is being changed is read either as it was or as it will
        // be.
        unsafe { core::ptr::addr_of!((*$this.as_raw()).$field).read_volatile() }
    };
}

/// What one queue can copy.
impl QueueLimits {
    /// Returns the most that one copy command may cover. Zero: nothing can be copied.
    pub fn max_copy(&self) -> Sectors {
        from_raw(read!(self, max_copy_sectors))
    }

    /// Returns the most that the device can do in one command, as its driver says.
    pub fn max_hw_copy(&self) -> Sectors {
        from_raw(read!(self, max_hw_copy_sectors))
    }

    /// Returns the most that the administrator allows in one command.
    pub fn max_user_copy(&self) -> Sectors {
        from_raw(read!(self, max_user_copy_sectors))
    }

    /// Returns the most in one source range of a command. Zero: no limit of its own.
    pub fn max_copy_segment(&self) -> Sectors {
        from_raw(read!(self, max_copy_segment_sectors))
    }

    /// Returns how many source ranges one command can have.
    pub fn max_copy_src_segments(&self) -> u16 {
        read!(self, max_copy_src_segments)
    }

    /// Returns how many destination ranges one command can have.
    pub fn max_copy_dst_segments(&self) -> u16 {
        read!(self, max_copy_dst_segments)
    }
}

/// What drivers and administrators set.
///
/// # Examples
///
/// ```
/// use kernel::{
///     bindings,
///     block::{
///         limits::QueueLimitsUpdate,
///         units::Sectors, //
///     }, //
/// };
///
/// let mut limits = bindings::queue_limits::default();
/// // SAFETY: `limits` is valid, and nobody else uses it while `update` lives.
/// let mut update = unsafe { QueueLimitsUpdate::from_raw(&raw mut limits) };
/// // The device copies up to 1 MiB at a time, from at most 128 places to one.
/// update.set_hw_copy(Sectors::new(2048), 128, 1);
/// assert_eq!(update.get().max_hw_copy(), Sectors::new(2048));
/// ```
impl QueueLimitsUpdate<'_> {
    /// Sets what the device can do, as its driver knows it: sectors and ranges of one command. A
    /// driver whose device limits single ranges sets that as well.
    pub fn set_hw_copy(&mut self, hw: Sectors, src_segments: u16, dst_segments: u16) {
        let raw = self.as_raw();
        raw.max_hw_copy_sectors = to_raw(hw);
        raw.max_copy_src_segments = src_segments;
        raw.max_copy_dst_segments = dst_segments;
    }

    /// Sets the most in one source range. Zero: no limit of its own. What does not fit in 32 bits
    /// is no limit either.
    pub fn set_copy_segment(&mut self, max: Sectors) {
        self.as_raw().max_copy_segment_sectors = to_raw(max);
    }

    /// Sets what follows from the wishes of the driver and of the administrator. What does not fit
    /// in 32 bits means no limit. As with other limits, this overwrites what the driver asked for:
    /// a driver that changes the block size sets its limits for copying again.
    pub fn set_copy(&mut self, hw: Sectors, max: Sectors, segment: Sectors) {
        let raw = self.as_raw();
        raw.max_hw_copy_sectors = to_raw(hw);
        raw.max_copy_sectors = to_raw(max);
        raw.max_copy_segment_sectors = to_raw(segment);
    }

    /// Sets what the administrator allows, in sectors.
    pub fn set_max_user_copy(&mut self, sectors: u32) {
        self.as_raw().max_user_copy_sectors = sectors;
    }
}

/// What one copy command may cover, from the top of a stack to its bottom.
///
/// # Examples
///
/// ```
/// use kernel::block::{
///     bdev::BlockDevice,
///     copy::limits::CopyLimits,
///     units::Sectors, //
/// };
///
/// /// Returns the most that one command can copy from `src` to `dst`.
/// fn largest_command(src: &BlockDevice, dst: &BlockDevice) -> Sectors {
///     let mut limits = CopyLimits::unlimited();
///     src.narrow_copy_limits(&mut limits);
///     dst.narrow_copy_limits(&mut limits);
///     limits.max()
/// }
/// # assert!(CopyLimits::unlimited().segment().is_zero());
/// ```
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct CopyLimits(bindings::blk_copy_limits);

impl CopyLimits {
    /// Returns no limits, which everything narrows.
    pub fn unlimited() -> Self {
        Self(bindings::blk_copy_limits {
            max_sectors: u32::MAX,
            max_hw_sectors: u32::MAX,
            max_segment_sectors: 0,
            max_src_segments: u16::MAX,
            max_dst_segments: u16::MAX,
        })
    }

    /// Uses a raw pointer.
    ///
    /// # Safety
    ///
    /// `limits` is valid, and nobody else uses it, for `'a`.
    pub unsafe fn from_raw<'a>(limits: *mut bindings::blk_copy_limits) -> &'a mut Self {
        // SAFETY: `CopyLimits` is transparent, and the caller guarantees the rest.
        unsafe { &mut *limits.cast() }
    }

    /// Returns the raw pointer.
    pub fn as_raw(&mut self) -> *mut bindings::blk_copy_limits {
        &mut self.0
    }

    /// Narrows the limits to what a queue allows by itself.
    pub fn narrow(&mut self, queue: &QueueLimits) {
        let raw = &mut self.0;
        raw.max_sectors = raw.max_sectors.min(to_raw(queue.max_copy()));
        raw.max_hw_sectors = raw.max_hw_sectors.min(to_raw(queue.max_hw_copy()));
        raw.max_src_segments = raw.max_src_segments.min(queue.max_copy_src_segments());
        raw.max_dst_segments = raw.max_dst_segments.min(queue.max_copy_dst_segments());
        let segment = to_raw(queue.max_copy_segment());
        raw.max_segment_sectors = match (raw.max_segment_sectors, segment) {
            (0, one) | (one, 0) => one,
            (one, other) => one.min(other),
        };
    }

    /// Returns the most that one copy command may cover. Zero: nothing can be copied.
    pub fn max(&self) -> Sectors {
        from_raw(self.0.max_sectors)
    }

    /// Returns the same, but leaves out what administrators set.
    pub fn max_hw(&self) -> Sectors {
        from_raw(self.0.max_hw_sectors)
    }

    /// Returns the most in one source range. Zero: no limit of its own.
    pub fn segment(&self) -> Sectors {
        from_raw(self.0.max_segment_sectors)
    }

    /// Returns how many source ranges one command can have.
    pub fn src_segments(&self) -> u16 {
        self.0.max_src_segments
    }

    /// Returns how many destination ranges one command can have.
    pub fn dst_segments(&self) -> u16 {
        self.0.max_dst_segments
    }
}

impl BlockDevice {
    /// Returns whether this device can copy, and may. That may change at any time.
    ///
    /// Context: task; may sleep.
    pub fn can_copy(&self) -> bool {
        let mut limits = CopyLimits::unlimited();
        self.narrow_copy_limits(&mut limits);
        !limits.max().is_zero()
    }

    /// Narrows limits to those of this device and of what it lies on. They may change at any time.
    ///
    /// Context: task; does not sleep.
    pub fn narrow_copy_limits(&self, limits: &mut CopyLimits) {
        limits.narrow(self.limits());
        // SAFETY: By the type invariant, the device is valid and so is its disk, whose operations
        // do not change.
        unsafe {
            let disk = (*self.as_raw()).bd_disk;
            if let Some(narrow) = (*(*disk).fops).copy_limits {
                narrow(disk, limits.as_raw());
            }
        }
    }
}

/// A limit as Rust has it.
fn from_raw(sectors: u32) -> Sectors {
    Sectors::new(u64::from(sectors))
}

/// A limit as C has it.
fn to_raw(sectors: Sectors) -> u32 {
    u32::try_from(sectors.get()).unwrap_or(u32::MAX)
}
