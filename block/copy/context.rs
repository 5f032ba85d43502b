// SPDX-License-Identifier: GPL-2.0

//! The copy context: one batch of commands with its bios, in one allocation.
//!
//! # What is in a batch
//!
//! One command, with the ranges that it reads; or several commands that follow each other, and one
//! source for all of them. So a small command costs one bio, like any other request, and not two.
//!
//! # Who owns what
//!
//! - The context is allocated by [`Memory::for_batch`] and freed by whoever [`protocol::Batch`]
//!   names the last user. Others leave it by dropping the lock, or by [`Context::left`]; the
//!   submitter's last access is to submit the last bio.
//! - The bios inside belong to whom they were submitted to, until [`part_end_io`] is called for
//!   them. A stacking driver submits clones of them; a clone points to the same [`Part`], which is
//!   how the context is found at the bottom of the stack.
//! - A bio that arrives there is owned by the [`protocol::Batch`] until that gives it out.
//!
//! # Locking
//!
//! One spinlock, which is taken in any context, hard interrupts included, because that is where
//! devices end bios. Bios are ended and submitted after it was dropped: ending one calls
//! [`part_end_io`], which may take it.
//!
//! A command does without it, once [`Context::ready`] is set: that is stored after the places of
//! all sources (release), and they do not change any more. What only the owner of a bio writes into
//! its [`Part`] is published by whatever hands the bio on; what came of it, which the last user
//! reads, by the count of [`Context::left`], and then the lock, or by the lock.
//!
//! # Why nothing is submitted twice, and nothing hangs
//!
//! [`intercept`](super::top::intercept) runs once per bio and level, after the level was entered
//! in full: checks, throttling, accounting, tracing and injected errors see every bio exactly once.
//! All bios are in memory before the first one is submitted, so a parked bio never waits for an
//! allocation. None enters a stack before all have passed the throttling of the first level; and
//! while they travel they carry `REQ_NOWAIT`, so that a stacking driver that would make one of them
//! wait fails it instead, and the others are ended. What is parked therefore waits for the progress
//! of its siblings alone, and a command that has gone to the driver for nobody. Below a stacking
//! driver, throttling holds back a bio as it does any other that this driver has passed on.

use super::{
    batch::Batch,
    ends::{
        part_end_io,
        IGNORED, //
    },
    memory::Memory,
    offload::MAX_COMMANDS,
    plan::{
        Plan,
        Ranges, //
    },
    pool::SMALLEST,
    protocol,
    range::Range,
    shared::Shared,
    trace,
    verdict::Verdict, //
};
use core::{
    cell::UnsafeCell,
    mem::MaybeUninit,
    ptr::{
        addr_of_mut,
        NonNull, //
    }, //
};
use kernel::{
    block::{
        bdev::{
            BlockDevice,
            Dev, //
        },
        bio::{
            self,
            Bio,
            BioList,
            OwnedBio,
            Status, //
        },
        copy::{
            CopyDomain,
            CopyOp, //
        },
        units::Sectors, //
    },
    new_spinlock_irq,
    prelude::*,
    sync::{
        atomic::Atomic,
        SpinLockIrq, //
    }, //
};

/// The block layer is asked to make so many requests at once. It makes none at once if the tags of
/// a queue do not have so many in one word, which small queues (64 requests) do not.
const TOGETHER: usize = 16;

pub(super) type State = protocol::Batch<BioList, Verdict<Status>>;

impl protocol::BioList<OwnedBio> for BioList {
    fn push(&mut self, bio: OwnedBio) {
        BioList::push(self, bio);
    }
}

/// Where a bio came to lie at the bottom of the stack.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) struct Place {
    pub(super) range: Range,
    /// None where nothing can be copied.
    pub(super) domain: Option<CopyDomain>,
}

/// A bio of a context. A pointer to it is what the bio and all its clones carry.
#[repr(C)]
pub(crate) struct Part {
    pub(super) bio: Bio,
    pub(super) context: NonNull<Context>,
    pub(super) index: usize,
    /// Where it begins, counted from the start of the batch: what it reads, or what it writes.
    pub(super) offset: Sectors,
    pub(super) len: Sectors,
    /// Where it came to lie. A source's is written under the lock before the context is ready, a
    /// command's by its owner before it looks whether it is; constant after that.
    pub(super) place: UnsafeCell<Option<Place>>,
    /// Of a command: the first source, once it was paired. Written by the owner of its bio before
    /// it goes to the driver; constant after that. Nobody executes one that was not.
    pub(super) from: UnsafeCell<Option<Range>>,
    /// Of a command: the bio that has arrived, by its address; zero before. It may be a clone, and
    /// another clone of the same bio is one too many.
    pub(super) arrived: Atomic<usize>,
    /// Of a command: whether no device has both its places. Written by the owner of its bio, and
    /// read when that has ended.
    pub(super) strayed: UnsafeCell<bool>,
}

/// One batch. Its [`Part`]s follow it in memory: the commands, then the sources.
#[repr(C)]
pub(crate) struct Context {
    pub(super) state: SpinLockIrq<State>,
    pub(super) memory: Memory,
    /// Set once all parts have come to the top of the stack; at once where there is none.
    pub(super) entered: Atomic<bool>,
    /// Set once all sources are there.
    pub(super) ready: Atomic<bool>,
    /// Whether a command was not done. Read when all have ended.
    pub(super) failed: Atomic<bool>,
    /// Commands that have not ended.
    pub(super) left: Atomic<usize>,
    pub(super) commands: usize,
    /// So much of the batch is mapped to one place at most; zero: as far as is known, all of it.
    /// Under the lock.
    pub(super) split: UnsafeCell<Sectors>,
    /// What the copy calls the first command; the others follow.
    pub(super) slot: usize,
    /// What is written, as the caller sees the device. The device that a bio has in the end may be
    /// another one.
    pub(super) dst: Range,
    pub(super) dst_dev: Dev,
    /// Outlives the context: the copy waits for its batches.
    pub(super) shared: NonNull<Shared>,
    parts: [Part; 0],
}

/// Memory for the smallest context: one source, one command.
#[repr(C)]
pub(crate) struct Smallest {
    _context: MaybeUninit<Context>,
    _parts: [MaybeUninit<Part>; SMALLEST],
}

const _: () =
    assert!(matches!(Context::size(SMALLEST), Some(size) if size == size_of::<Smallest>()));

// SAFETY: It is memory, not a context.
unsafe impl Send for Smallest {}

impl Context {
    /// The memory that a context of so many parts takes; [`None`] if that overflows.
    pub(crate) const fn size(parts: usize) -> Option<usize> {
        match size_of::<Part>().checked_mul(parts) {
            Some(size) => size.checked_add(size_of::<Self>()),
            None => None,
        }
    }
}

/// The part of an index.
///
/// # Safety
///
/// The context has so many parts, in memory.
pub(super) unsafe fn part(context: NonNull<Context>, index: usize) -> NonNull<Part> {
    // SAFETY: The parts follow the context, in the same allocation.
    unsafe {
        let first = addr_of_mut!((*context.as_ptr()).parts).cast::<Part>();
        NonNull::new_unchecked(first.add(index))
    }
}

/// The state of a context.
///
/// # Safety
///
/// The caller owns a bio of the context, or a clone of one, until it drops the lock for the last
/// time.
pub(super) unsafe fn state<'a>(context: NonNull<Context>) -> &'a SpinLockIrq<State> {
    // SAFETY: Required of the caller. Only the state is borrowed, because the bios beside it are
    // written by their owners.
    unsafe { &(*context.as_ptr()).state }
}

/// Which part a bio is, or the one that it is a clone of.
#[derive(Clone, Copy)]
pub(super) struct Located {
    pub(super) part: NonNull<Part>,
    pub(super) index: usize,
    pub(super) context: NonNull<Context>,
}

/// Which part a bio is, and of which context.
///
/// The context is there while the bio is: until the bio's last owner has ended it.
pub(super) fn locate(bio: &Bio) -> Option<Located> {
    let part = bio.copy_part()?.cast::<Part>();
    // SAFETY: Only `submit` makes bios with a part, and points them at one of its context, which is
    // freed after all of its bios, and so all their clones, have ended. These fields are constant.
    let (index, context) = unsafe { ((*part.as_ptr()).index, (*part.as_ptr()).context) };
    Some(Located {
        part,
        index,
        context,
    })
}

/// Sends one batch on its way. `shared` hears of the end of its commands exactly once, perhaps
/// before this returns.
///
/// Context: task; may sleep.
///
/// # Safety
///
/// - `memory` is for `batch`, which is of this plan and has one destination.
/// - Both devices stay open, and `shared` stays where it is, until it has heard of the end.
/// - No command is longer than the limits of the devices allow.
pub(crate) unsafe fn submit<L: Ranges + Copy>(
    (src_bdev, dst_bdev): (&BlockDevice, &BlockDevice),
    plan: &Plan<L>,
    batch: &Batch,
    memory: Memory,
    shared: Pin<&Shared>,
    slot: usize,
) {
    let whole = batch.whole();
    let (Some(src), Some(dst)) = (
        plan.sources(&whole).next(),
        plan.destinations(&whole).next(),
    ) else {
        // Not so: a batch is not empty.
        let none = [Some(IGNORED); MAX_COMMANDS];
        return shared.chunks_over(slot, none.get(..batch.chunks()).unwrap_or(&none));
    };
    let context = memory.start().cast::<Context>();
    let raw = context.as_ptr();
    let (commands, parts) = (batch.chunks(), memory.parts());
    let stacked = src_bdev.has_submit_bio() || dst_bdev.has_submit_bio();
    // SAFETY: This is memory for a context that nobody else has. All fields are written before
    // anything refers to them, and the memory does not move.
    unsafe {
        addr_of_mut!((*raw).memory).write(memory);
        addr_of_mut!((*raw).entered).write(Atomic::new(!stacked));
        addr_of_mut!((*raw).ready).write(Atomic::new(false));
        addr_of_mut!((*raw).failed).write(Atomic::new(false));
        addr_of_mut!((*raw).left).write(Atomic::new(commands));
        addr_of_mut!((*raw).commands).write(commands);
        addr_of_mut!((*raw).split).write(UnsafeCell::new(Sectors::ZERO));
        addr_of_mut!((*raw).slot).write(slot);
        addr_of_mut!((*raw).dst).write(dst);
        addr_of_mut!((*raw).dst_dev).write(dst_bdev.dev());
        addr_of_mut!((*raw).shared).write(NonNull::from(shared.get_ref()));
        let lock = new_spinlock_irq!(
            State::new(parts - commands, if stacked { parts } else { 0 }),
            "blk_copy_context"
        );
        pin_init::raw_init(addr_of_mut!((*raw).state), lock);
    }
    let traced = trace::wants_chunks();
    for index in 0..commands {
        let (offset, to) = (batch.offset(index), batch.piece(index, dst));
        if traced {
            trace::submit(src_bdev, batch.piece(index, src), dst_bdev, to);
        }
        // SAFETY: There is memory for so many parts. The rest is required of the caller.
        unsafe { init_part(context, index, offset, (CopyOp::Dst, dst_bdev, to)) };
    }
    let mut offset = Sectors::ZERO;
    for (index, from) in Iterator::zip(commands.., plan.sources(&whole)) {
        // SAFETY: As above.
        unsafe { init_part(context, index, offset, (CopyOp::Src, src_bdev, from)) };
        offset = offset.checked_add(from.len()).unwrap_or(offset);
    }
    // The sources, then the commands. All of them, also if one has failed already: the others find
    // that out when they arrive.
    for index in Iterator::chain(commands..parts, 0..commands) {
        if index % TOGETHER == 0 && index < commands {
            bio::expect(TOGETHER.min(commands - index));
        }
        // SAFETY: The bio was initialized above and is submitted once. The context stays until the
        // last of them was submitted and has ended.
        unsafe {
            let slot = part(context, index).as_ptr();
            bio::submit(NonNull::new_unchecked(addr_of_mut!((*slot).bio)));
        }
    }
}

/// Prepares a part.
///
/// # Safety
///
/// The context has memory for a part of that index, which nobody knows yet, and which does not
/// move. The device stays open until the bio has ended, which is no longer than its limits allow.
unsafe fn init_part(
    context: NonNull<Context>,
    index: usize,
    offset: Sectors,
    (op, bdev, range): (CopyOp, &BlockDevice, Range),
) {
    // SAFETY: Required of the caller; `part_end_io` expects a `Part`.
    unsafe {
        let slot = part(context, index).as_ptr();
        addr_of_mut!((*slot).index).write(index);
        addr_of_mut!((*slot).context).write(context);
        addr_of_mut!((*slot).offset).write(offset);
        addr_of_mut!((*slot).len).write(range.len());
        addr_of_mut!((*slot).place).write(UnsafeCell::new(None));
        addr_of_mut!((*slot).from).write(UnsafeCell::new(None));
        addr_of_mut!((*slot).arrived).write(Atomic::new(0));
        addr_of_mut!((*slot).strayed).write(UnsafeCell::new(false));
        let bio = NonNull::new_unchecked(addr_of_mut!((*slot).bio));
        let half = NonNull::new_unchecked(slot).cast();
        if op == CopyOp::Dst && index > 0 {
            let first = &(*part(context, 0).as_ptr()).bio;
            return Bio::init_copy_like(bio, first, range.start(), half);
        }
        let place = (range.start(), range.len());
        Bio::init_copy(bio, bdev, op, place, half, part_end_io);
    }
}
