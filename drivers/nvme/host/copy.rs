// SPDX-License-Identifier: GPL-2.0

//! The Copy command of the NVM Command Set: limits, and its construction.
//!
//! A request of the block layer becomes one command with source ranges of descriptor format 0: so
//! many blocks of the same namespace each, which are written one after the other from the starting
//! destination LBA on. Nothing of the request is changed, so that a command can be made anew after
//! it was retried.
//!
//! Figures are those of the NVM Command Set Specification 1.0, sections 3.2.2 (Copy) and 4.1.5.1
//! (Identify Namespace).

use core::mem::size_of;
use kernel::{
    bindings,
    block::{
        copy::Command,
        limits::QueueLimitsUpdate,
        units::Sectors, //
    },
    prelude::*, //
};

mod fate;
mod wire;

use fate::{
    Fate,
    Holder,
    Promptness, //
};
use wire::{
    CopyCommand,
    SourceRange, //
};

const _: () = assert!(size_of::<CopyCommand>() == size_of::<bindings::nvme_command>());
const _: () = assert!(wire::OPCODE as c_uint == bindings::nvme_opcode_nvme_cmd_copy);
const _: () = assert!(RANGES * size_of::<SourceRange>() == PAYLOAD);

/// Ranges that a command can have, and their size in bytes.
const RANGES: usize = 256;
const PAYLOAD: usize = bindings::NVME_COPY_PAYLOAD_SIZE as usize;

/// Blocks of `1 << shift` bytes.
#[derive(Clone, Copy)]
struct Lba {
    shift: u32,
}

impl Lba {
    /// The number of blocks in so many sectors; [`None`] if that is no whole number.
    fn of(self, sectors: u64) -> Option<u64> {
        let shift = self.shift.checked_sub(bindings::SECTOR_SHIFT)?;
        let blocks = sectors.checked_shr(shift)?;
        (blocks.checked_shl(shift)? == sectors).then_some(blocks)
    }

    /// So many blocks, in sectors.
    fn sectors(self, blocks: u64) -> Sectors {
        let shift = self.shift.saturating_sub(bindings::SECTOR_SHIFT);
        Sectors::new(blocks.checked_shl(shift).unwrap_or(u64::MAX))
    }
}

/// Sets what one command can copy.
///
/// # Safety
///
/// `lim` is valid and the caller's.
#[export]
pub unsafe extern "C" fn nvme_copy_limits(
    lim: *mut bindings::queue_limits,
    supported: bool,
    lba_shift: c_uint,
    mcl: u32,
    mssrl: u16,
    msrc: u8,
    max_sectors: u32,
) {
    // SAFETY: Required of the caller.
    let mut update = unsafe { QueueLimitsUpdate::from_raw(lim) };
    let lba = Lba { shift: lba_shift };
    // A device that can copy, but no blocks at all, cannot.
    if !supported || mcl == 0 || mssrl == 0 {
        update.set_hw_copy(Sectors::ZERO, 0, 0);
        return;
    }
    // What the ranges take is a transfer like any other.
    let transfer = Sectors::new(u64::from(max_sectors)).to_bytes();
    let ranges = transfer.map_or(u64::MAX, |bytes| bytes / size_of::<SourceRange>() as u64);
    let ranges = u16::try_from(ranges).unwrap_or(u16::MAX);
    let ranges = ranges.min(u16::from(msrc) + 1);
    // More than all ranges together cannot be copied either.
    let most = u64::from(mcl).min(u64::from(mssrl) * u64::from(ranges));
    update.set_hw_copy(lba.sectors(most), ranges, 1);
    update.set_copy_segment(lba.sectors(u64::from(mssrl)));
}

/// Lowers the limits to commands of `max_sectors`, if those are higher.
///
/// # Safety
///
/// `lim` is valid and the caller's.
#[export]
pub unsafe extern "C" fn nvme_copy_lower(lim: *mut bindings::queue_limits, max_sectors: u32) {
    // SAFETY: Required of the caller.
    let mut update = unsafe { QueueLimitsUpdate::from_raw(lim) };
    let max = Sectors::new(u64::from(max_sectors));
    let limits = update.get();
    let (hw, sources, destinations) = (
        limits.max_hw_copy().min(max),
        limits.max_copy_src_segments(),
        limits.max_copy_dst_segments(),
    );
    update.set_hw_copy(hw, sources, destinations);
}

/// Returns what becomes of a command with the status `status`, which is not a success.
///
/// Context: any.
#[export]
pub extern "C" fn nvme_copy_fate(status: u16, free: bool, late: bool) -> bindings::nvme_copy_fate {
    let holder = if free {
        Holder::Nobody
    } else {
        Holder::Unknown
    };
    let promptness = if late {
        Promptness::Late
    } else {
        Promptness::InTime
    };
    match Fate::of(status, holder, promptness) {
        Fate::AsOthers => bindings::nvme_copy_fate_NVME_COPY_AS_OTHERS,
        Fate::Ended => bindings::nvme_copy_fate_NVME_COPY_ENDED,
        Fate::Refused(_) => bindings::nvme_copy_fate_NVME_COPY_REFUSED,
        Fate::Lost => bindings::nvme_copy_fate_NVME_COPY_LOST,
        Fate::TimedOut => bindings::nvme_copy_fate_NVME_COPY_TIMED_OUT,
    }
}

/// Returns the most that commands should cover from now on, in sectors, as one of `sectors` ended
/// with `status`; `u32::MAX` if that says nothing about others.
///
/// Context: any.
#[export]
pub extern "C" fn nvme_copy_lesson(status: u16, sectors: c_uint, lba_shift: c_uint) -> u32 {
    let lba = Lba { shift: lba_shift };
    let len = Sectors::new(u64::from(sectors));
    let lesson = match Fate::of(status, Holder::Unknown, Promptness::InTime) {
        Fate::Refused(refusal) => refusal.lesson(len, lba.sectors(1)),
        _ => None,
    };
    lesson.map_or(u32::MAX, |max| u32::try_from(max.get()).unwrap_or(u32::MAX))
}

/// Returns the time limit of a command of so many sectors, if others have `ordinary`, in jiffies.
///
/// Context: any.
#[export]
pub extern "C" fn nvme_copy_timeout(ordinary: c_uint, sectors: c_uint) -> c_uint {
    fate::time_limit(ordinary, Sectors::new(u64::from(sectors)))
}

/// Makes the command of a request. Returns whether what is to be copied fits in it: after the
/// format of the namespace has changed it may be less than a block.
///
/// # Safety
///
/// `req` is a request of `REQ_OP_COPY_DST` that its driver is about to start; `placement` is null
/// or valid, and says where to place what is written; `cmd` is valid for writes, and need not be
/// aligned. `payload` is `len` bytes that were initialized, aligned to 64
/// bits, and the caller's.
#[export]
pub unsafe extern "C" fn nvme_fill_copy(
    req: *mut bindings::request,
    lba_shift: c_uint,
    nsid: u32,
    placement: *const u16,
    cmd: *mut bindings::nvme_command,
    payload: *mut c_void,
    len: c_uint,
) -> bool {
    let count = len as usize / size_of::<SourceRange>();
    // SAFETY: Required of the caller; a range is any bytes. Nothing of the request changes until it
    // ends.
    let (copy, ranges) = unsafe {
        let ranges = core::slice::from_raw_parts_mut(payload.cast::<SourceRange>(), count);
        (Command::from_raw(req), ranges)
    };
    let lba = Lba { shift: lba_shift };
    let Some((count, to)) = fill(&copy, lba, ranges).zip(lba.of(copy.dst().get())) else {
        return false;
    };
    let command = CopyCommand::new(nsid, to, count);
    // SAFETY: Required of the caller.
    let command = match unsafe { placement.as_ref() } {
        Some(placement) => command.placed(*placement),
        None => command,
    };
    // SAFETY: Required of the caller; the sizes are the same, and every field is a number. NVMe
    // over TCP does not align it: with header digests, commands are at multiples of 4 bytes.
    unsafe { cmd.cast::<CopyCommand>().write_unaligned(command) };
    true
}

/// Fills in the source ranges. Returns their number, less one.
fn fill(copy: &Command<'_>, lba: Lba, ranges: &mut [SourceRange]) -> Option<u8> {
    let mut count = 0;
    let mut left = copy.len();
    for (start, len) in copy.sources() {
        let blocks = lba.of(len.get())?.checked_sub(1)?;
        let range = SourceRange::new(lba.of(start.get())?, u16::try_from(blocks).ok()?);
        *ranges.get_mut(count)? = range;
        left = left.checked_sub(len)?;
        count += 1;
    }
    if !left.is_zero() || count != ranges.len() {
        return None;
    }
    u8::try_from(count.checked_sub(1)?).ok()
}
