// SPDX-License-Identifier: GPL-2.0

//! Memory as the kernel has it, reached through plain pointers and freed by hand, but watched by
//! loom.
//!
//! Nothing is really freed before the run of the model ends, so that an access to freed memory finds
//! what was there. Each piece of memory has a cell of loom instead, which stands for its life: each
//! access reads it, and to free the memory writes it. So an access that is not ordered before the
//! end of the memory is a race, and one that is ordered after it panics. Memory that is never freed
//! is a leak.
//!
//! Only what goes through this crate is seen: locks, [`SetOnce`](crate::sync::SetOnce), bios and
//! pools. To find other uses, memory is filled with nonsense before and after its life.

use core::{alloc::Layout, mem::ManuallyDrop, ptr::NonNull};
use loom::{alloc::Track, cell::UnsafeCell};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
};

/// Memory that nobody has written yet, and memory that was freed.
const NEW: u8 = 0xa5;
const FREED: u8 = 0x6b;

/// Where memory comes from, and goes back to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// The slab allocator.
    Kmalloc,
    /// The pool at this address.
    Pool(usize),
    /// The block layer, for a clone.
    Clone,
    /// Whoever copies.
    Model,
}

struct Piece {
    layout: Layout,
    origin: Origin,
    /// Read by every access, and written by the end of the memory.
    life: UnsafeCell<()>,
    /// [`None`] once the memory was freed. It is left to loom to drop this, so that what is not freed
    /// is a leak.
    track: RefCell<Option<ManuallyDrop<Track<()>>>>,
    /// Initialized bios in this memory.
    bios: Cell<usize>,
}

thread_local! {
    // Loom runs all threads of a model on one thread of the host.
    static PIECES: RefCell<BTreeMap<usize, Rc<Piece>>> = const { RefCell::new(BTreeMap::new()) };
}

thread_local! {
    static SCARCE: Cell<bool> = const { Cell::new(false) };
}

/// Whether there is no memory but the reserves.
pub fn is_scarce() -> bool {
    SCARCE.get()
}

/// A run of the model begins, in which there is plenty of memory or none but the reserves. What is
/// left of the last run goes.
pub fn begin(scarce: bool) {
    SCARCE.set(scarce);
    let pieces = PIECES.take();
    for (start, piece) in pieces {
        // SAFETY: The memory was allocated with this layout. The last run is over.
        unsafe { std::alloc::dealloc(start as *mut u8, piece.layout) };
    }
}

/// Allocates memory.
pub fn alloc(layout: Layout, origin: Origin) -> NonNull<u8> {
    assert_ne!(layout.size(), 0, "no memory of no size");
    // SAFETY: The size is not zero.
    let start = NonNull::new(unsafe { std::alloc::alloc(layout) }).expect("there is memory");
    // SAFETY: It is as long as this.
    unsafe { start.write_bytes(NEW, layout.size()) };
    let piece = Piece {
        layout,
        origin,
        life: UnsafeCell::new(()),
        track: RefCell::new(Some(ManuallyDrop::new(Track::new(())))),
        bios: Cell::new(0),
    };
    PIECES.with_borrow_mut(|pieces| pieces.insert(start.addr().get(), Rc::new(piece)));
    start
}

/// Frees memory, for everybody.
pub fn free(start: NonNull<u8>, layout: Layout, origin: Origin) {
    let piece = find(start.as_ptr().cast_const());
    assert_eq!(piece.origin, origin, "freed where it did not come from");
    assert_eq!(piece.layout, layout, "freed with another layout");
    let track = piece.track.take().expect("freed twice");
    assert_eq!(piece.bios.get(), 0, "freed with a bio in it");
    piece
        .life
        .with_mut(|_| drop(ManuallyDrop::into_inner(track)));
    // SAFETY: Nobody uses it any more, and it is as long as this.
    unsafe { start.write_bytes(FREED, layout.size()) };
}

/// What is at this place is used.
pub fn touch<T: ?Sized>(at: *const T) {
    live(at).life.with(|_| ());
}

/// What is at this place is used, and nothing else in the same memory is.
pub fn claim<T: ?Sized>(at: *const T) {
    live(at).life.with_mut(|_| ());
}

/// A bio was initialized there.
pub(crate) fn add_bio<T>(at: *const T) {
    let bios = &live(at).bios;
    bios.set(bios.get() + 1);
}

/// A bio there is none any more.
pub(crate) fn remove_bio<T>(at: *const T) {
    let bios = &live(at).bios;
    bios.set(bios.get().checked_sub(1).expect("a bio was initialized"));
}

fn live<T: ?Sized>(at: *const T) -> Rc<Piece> {
    let piece = find(at);
    assert!(piece.track.borrow().is_some(), "used after it was freed");
    piece
}

fn find<T: ?Sized>(at: *const T) -> Rc<Piece> {
    let at = at.cast::<u8>().addr();
    PIECES.with_borrow(|pieces| {
        let before = pieces.range(..=at).next_back();
        let within = before.filter(|(start, piece)| at - **start < piece.layout.size());
        Rc::clone(within.expect("used outside of all memory").1)
    })
}
