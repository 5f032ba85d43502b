// SPDX-License-Identifier: GPL-2.0

//! How a chunk begins, and how it ends.

use super::{
    end::{
        self,
        verdict_of, //
    },
    memory::tail,
    protocol::{
        Levels,
        Sole, //
    },
    raw::{
        Context,
        ContextRef,
        Memory,
        Owner,
        Part,
        State,
        Wait, //
    }, //
};
use crate::{
    plan::{
        Range,
        Side, //
    },
    trace,
    verdict::Verdict, //
};
use core::{
    iter::once,
    pin::Pin,
    ptr::{
        addr_of_mut,
        drop_in_place,
        NonNull, //
    }, //
};
use kernel::{
    block::{
        bdev::BlockDevice,
        bio::{
            self,
            Bio,
            RawBio,
            Status,
            WriteHint, //
        },
        copy::CopyOp,
        units::Sectors, //
    },
    new_spinlock_irq,
    sync::SetOnce, //
};

/// Sends one chunk on its way. `owner` hears of its end exactly once, perhaps before this returns.
///
/// Context: task; may sleep.
///
/// # Safety
///
/// - `memory` is for as many sources as `sources` has. Together they are as long as `dst`.
/// - Both devices stay open, and `owner` and the reserve of the memory stay where they are, until
///   `owner` has heard of the end.
/// - The chunk is no longer than the limits of the devices allow.
pub(crate) unsafe fn submit<O: Owner + 'static>(
    (src_bdev, dst_bdev): (&BlockDevice, &BlockDevice),
    sources: impl Iterator<Item = Range> + Clone,
    (dst, hint): (Range, WriteHint),
    memory: Memory<'_>,
    wait: Wait,
    (owner, slot): (Pin<&O>, usize),
) {
    let stacked = src_bdev.has_submit_bio() || dst_bdev.has_submit_bio();
    let levels = if stacked {
        Levels::Several
    } else {
        Levels::One
    };
    let (context, parts, reserve) = memory.into_raw();
    let raw = context.as_ptr();
    let owner: NonNull<dyn Owner> = NonNull::from(owner.get_ref());
    if let Some(from) = sources.clone().next() {
        trace::submit(src_bdev, from, dst_bdev, dst);
    }
    // SAFETY: This is memory for a context that nobody else uses. All fields are written before
    // anything refers to them, and the memory does not move.
    unsafe {
        let lock = new_spinlock_irq!(State::new(parts, levels), "blk_copy_context");
        pin_init::raw_init(addr_of_mut!((*raw).state), lock);
        addr_of_mut!((*raw).parts).write(parts);
        addr_of_mut!((*raw).reserve).write(reserve);
        addr_of_mut!((*raw).levels).write(levels);
        addr_of_mut!((*raw).wait).write(wait);
        addr_of_mut!((*raw).slot).write(slot);
        addr_of_mut!((*raw).dst).write(dst);
        addr_of_mut!((*raw).dst_dev).write(dst_bdev.dev());
        addr_of_mut!((*raw).owner).write(owner);
    }
    let first = tail::<Context, Part>(context).as_ptr();
    let mut offset = Sectors::ZERO;
    let sources = sources.map(|range| (CopyOp::Src, src_bdev, range));
    let all = Iterator::chain(once((CopyOp::Dst, dst_bdev, dst)), sources);
    for (index, (op, bdev, range)) in (0..parts).zip(all) {
        // SAFETY: There is memory for so many parts. The rest is required of the caller.
        unsafe { init_part(first.add(index), context, offset, (op, bdev, range), hint) };
        if op == CopyOp::Src {
            offset = offset.checked_add(range.len()).unwrap_or(offset);
        }
    }
    // This submits the sources first. It submits all parts, also if one of them has failed already:
    // the others find that out when they arrive.
    for index in Iterator::chain(1..parts, once(0)) {
        // SAFETY: The bio was initialized above and is submitted once. The chunk lives until the
        // last of them was submitted and has ended.
        unsafe {
            bio::submit(NonNull::new_unchecked(addr_of_mut!(
                (*first.add(index)).bio
            )))
        };
    }
}

/// Prepares a part. The hint is for the destination.
///
/// # Safety
///
/// `part` is memory for a part of the context, which nobody uses yet, and which does not move. The
/// device stays open until the bio has ended; the range is no longer than the device's limits
/// allow.
unsafe fn init_part(
    part: *mut Part,
    context: NonNull<Context>,
    offset: Sectors,
    (op, bdev, range): (CopyOp, &BlockDevice, Range),
    hint: WriteHint,
) {
    let side = match op {
        CopyOp::Src => Side::Source,
        CopyOp::Dst => Side::Destination,
    };
    // SAFETY: Required of the caller; `part_end_io` expects a `Part`.
    unsafe {
        addr_of_mut!((*part).context).write(context);
        addr_of_mut!((*part).side).write(side);
        addr_of_mut!((*part).offset).write(offset);
        addr_of_mut!((*part).arrived).write(SetOnce::new());
        let bio = NonNull::new_unchecked(addr_of_mut!((*part).bio));
        let own = NonNull::new_unchecked(part).cast();
        let range = (range.start(), range.len());
        Bio::init_copy(bio, bdev, op, range, own, part_end_io);
        if op == CopyOp::Dst {
            (*part).bio.set_write_hint(hint);
        }
    }
}

/// Ends the bio of a part.
///
/// # Safety
///
/// For `bi_end_io` of these bios alone, which the block layer calls once each.
unsafe extern "C" fn part_end_io(bio: *mut RawBio) {
    // The bio is the first field of its part; clones have an end of their own.
    let part = bio.cast::<Part>();
    // SAFETY: The end of this part was not told to the state machine, so the chunk lives, and the
    // bio has ended. `ended` does not use the chunk any more once it has told the state machine. If
    // that has made the token, the chunk is ours.
    unsafe {
        let (context, verdict) = ((*part).context, verdict_of((*part).bio.status()));
        Bio::uninit(NonNull::new_unchecked(bio.cast()));
        let (sole, verdict) = end::ended(ContextRef::new(context), (*part).side, verdict);
        if let Some(sole) = sole {
            finish(context, sole, verdict);
        }
    }
}

/// Frees a chunk and tells its owner.
///
/// Context: any. Does not sleep.
///
/// # Safety
///
/// The state machine of this chunk has made `sole`.
unsafe fn finish(context: NonNull<Context>, _sole: Sole, verdict: Verdict<Status>) {
    let raw = context.as_ptr();
    // SAFETY: Nobody else uses the chunk: all bios were submitted and have ended. Everybody's last
    // access was to drop the lock, which this task has taken after that. `submit` requires that the
    // owner exists until it has heard of the end.
    unsafe {
        trace::chunk_done((*raw).dst_dev, (*raw).dst, verdict);
        drop_in_place(addr_of_mut!((*raw).state));
        let (owner, slot) = ((*raw).owner, (*raw).slot);
        drop(Memory::from_raw(context, (*raw).parts, (*raw).reserve));
        owner.as_ref().chunk_ended(slot, verdict);
    }
}
