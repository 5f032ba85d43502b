// SPDX-License-Identifier: GPL-2.0

//! Commands that io_uring has for files (`IORING_OP_URING_CMD`).
//!
//! A file is given a command as an [`Issue`]. It ends the command at once, with what its function
//! returns, or takes it over ([`Issue::take`]) and ends it later. What it keeps meanwhile is in a
//! [`Taken`], of which there is one: whoever has it works on the command, and ends it.
//!
//! # Who is told to stop
//!
//! A command that was taken over can be asked to end early ([`Taken::let_stop`]): by
//! `IORING_OP_ASYNC_CANCEL`, or because its ring or its task goes away. [`Keep::stop`] is called
//! once then, with the lock of the ring held. The command ends with that lock held as well, so what
//! it keeps is there while it is asked.
//!
//! C header: [`include/linux/io_uring/cmd.h`](srctree/include/linux/io_uring/cmd.h)

use crate::{
    alloc::Flags,
    bindings,
    fs::LocalFile,
    prelude::*,
    types::NotThreadSafe,
    workqueue::{
        HasWork,
        RawWorkItem,
        Work,
        WorkItem,
        WorkItemPointer, //
    }, //
};
use core::{
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::Deref,
    ptr::{
        addr_of,
        addr_of_mut,
        NonNull, //
    }, //
};

/// What a command keeps from when it was taken over until it has ended.
pub trait Keep: Send + Sync + 'static {
    /// The command should end soon. It is ended as always, by whoever has it.
    ///
    /// Context: task, with the lock of the ring held. Must not sleep.
    fn stop(&self);
}

/// The fields of a submission queue entry that a command may use. They have the names that they
/// have in C; where several share their place, that of what a command uses it for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[allow(missing_docs)]
pub struct Fields {
    pub ioprio: u16,
    pub addr: u64,
    pub len: u32,
    pub rw_flags: u32,
    pub buf_index: u16,
    pub splice_fd_in: i32,
    pub addr3: u64,
    pub pad2: u64,
}

/// A command as a file is given it.
///
/// # Invariants
///
/// The command is being issued, with these flags, by the current task, and was not taken over.
pub struct Issue<'a> {
    cmd: NonNull<bindings::io_uring_cmd>,
    flags: c_uint,
    _lifetime: PhantomData<&'a ()>,
    _task: NotThreadSafe,
}

impl<'a> Issue<'a> {
    /// Uses what `->uring_cmd` was called with. Returns [`None`] if that was to ask a command that
    /// was taken over to end early: this has asked it then.
    ///
    /// # Safety
    ///
    /// `->uring_cmd` was called with these two, and that call lasts for `'a`. The caller makes one
    /// of these for a call. All commands of this file that are taken over keep a `T`.
    pub unsafe fn from_raw<T: Keep>(
        cmd: NonNull<bindings::io_uring_cmd>,
        flags: c_uint,
    ) -> Option<Self> {
        if flags & bindings::io_uring_cmd_flags_IO_URING_F_CANCEL.cast_unsigned() != 0 {
            // SAFETY: Only a command that was taken over is asked, so its room for private data was
            // written. It does not end meanwhile, because the lock of the ring is held.
            unsafe { (*private::<T>(cmd)).kept.as_ref() }.value.stop();
            return None;
        }
        // INVARIANT: Required of the caller.
        Some(Self {
            cmd,
            flags,
            _lifetime: PhantomData,
            _task: NotThreadSafe,
        })
    }

    /// Returns the number of the command.
    pub fn op(&self) -> u32 {
        // SAFETY: By the type invariant, the command is there.
        unsafe { (*self.cmd.as_ptr()).cmd_op }
    }

    /// Returns the file that is to execute the command.
    pub fn file(&self) -> &'a LocalFile {
        // SAFETY: By the type invariant, the command is there and is being issued, and io_uring
        // keeps its file so long. Its position is not used.
        unsafe { LocalFile::from_raw_file((*self.cmd.as_ptr()).file) }
    }

    /// Reads the entry, each field once: it may be memory that the program can write to.
    pub fn fields(&self) -> Fields {
        // SAFETY: By the type invariant, the command is being issued, and its entry is there so
        // long. All of these unions are plain values of their size; the last one is two words.
        unsafe {
            let sqe = (*self.cmd.as_ptr()).sqe;
            let last = addr_of!((*sqe).__bindgen_anon_6).cast::<u64>();
            Fields {
                ioprio: addr_of!((*sqe).ioprio).read_volatile(),
                addr: addr_of!((*sqe).__bindgen_anon_2.addr).read_volatile(),
                len: addr_of!((*sqe).len).read_volatile(),
                rw_flags: addr_of!((*sqe).__bindgen_anon_3.uring_cmd_flags).read_volatile(),
                buf_index: addr_of!((*sqe).__bindgen_anon_4.buf_index).read_unaligned(),
                splice_fd_in: addr_of!((*sqe).__bindgen_anon_5.splice_fd_in).read_volatile(),
                addr3: last.read_volatile(),
                pad2: last.add(1).read_volatile(),
            }
        }
    }

    /// Takes the command over, with what `init` makes in memory that `flags` allocate. The function
    /// that was called with the command returns `-EIOCBQUEUED` then. After an error, the command
    /// was not taken over.
    ///
    /// Context: task; may sleep if `flags` let it.
    pub fn take<T: Keep, E>(
        self,
        init: impl PinInit<T, E>,
        flags: Flags,
    ) -> Result<(Taken<T>, Issued<'a>)>
    where
        Error: From<E>,
    {
        let mut memory = KBox::<Kept<T>>::new_uninit(flags)?;
        let kept = memory.as_mut_ptr();
        // SAFETY: This is memory for a value that is pinned from now on, as it is not moved out of
        // the box. If this fails, there is no value.
        unsafe {
            pin_init::raw_try_init(addr_of_mut!((*kept).value), init)?;
            addr_of_mut!((*kept).cmd).write(self.cmd);
        }
        // SAFETY: Both fields were written just now.
        let kept = NonNull::from(KBox::leak(unsafe { memory.assume_init() }));
        // SAFETY: By the type invariant, the command is there, and nobody else uses its room for
        // private data, which is aligned as a pointer and large enough.
        unsafe { private(self.cmd).write(Private::<T> { kept, result: 0 }) };
        let issued = Issued {
            flags: self.flags,
            _lifetime: PhantomData,
            _task: NotThreadSafe,
        };
        // INVARIANT: The one for this command.
        Ok((Taken(kept), issued))
    }
}

/// A call in which a command was taken over.
///
/// # Invariants
///
/// The call lasts, was made with these flags, and is that of the current task.
pub struct Issued<'a> {
    flags: c_uint,
    _lifetime: PhantomData<&'a ()>,
    _task: NotThreadSafe,
}

/// What is in the room for private data of a command that was taken over.
#[repr(C)]
struct Private<T> {
    kept: NonNull<Kept<T>>,
    result: c_int,
}

struct Kept<T> {
    value: T,
    cmd: NonNull<bindings::io_uring_cmd>,
}

/// Returns the room for private data.
///
/// # Safety
///
/// The command is there.
unsafe fn private<T>(cmd: NonNull<bindings::io_uring_cmd>) -> *mut Private<T> {
    const { assert!(size_of::<Private<T>>() <= 32 && align_of::<Private<T>>() <= 8) };
    // SAFETY: Required of the caller.
    unsafe { addr_of_mut!((*cmd.as_ptr()).pdu) }.cast()
}

/// A command that was taken over: the right to work on it, and the duty to end it. Dropping it ends
/// the command with an I/O error.
///
/// It can be queued to a work queue, as a [`KBox`] can.
///
/// # Invariants
///
/// The pointer is what the command keeps, which is pinned. There is one value for a command, and
/// the command has not ended.
pub struct Taken<T: Keep>(NonNull<Kept<T>>);

// SAFETY: Any task may work on the command, and end it.
unsafe impl<T: Keep> Send for Taken<T> {}
// SAFETY: A shared reference gives access to the `T` only.
unsafe impl<T: Keep> Sync for Taken<T> {}

impl<T: Keep> Taken<T> {
    /// From now on the command can be asked to end early.
    ///
    /// Context: task, in the call in which the command was taken over; may sleep.
    pub fn let_stop(&self, issued: &Issued<'_>) {
        // SAFETY: By the type invariants, the command is there, as it has not ended, and it was
        // issued with these flags.
        unsafe { bindings::io_uring_cmd_mark_stoppable(self.cmd().as_ptr(), issued.flags) };
    }

    fn cmd(&self) -> NonNull<bindings::io_uring_cmd> {
        // SAFETY: By the type invariant, what it keeps is there.
        unsafe { self.0.as_ref() }.cmd
    }

    /// Ends the command with a result that is not negative, or with an error. What it keeps is
    /// dropped soon, by the task that has submitted it.
    ///
    /// Context: any. Does not sleep.
    pub fn end(self, result: Result<c_int>) {
        let cmd = ManuallyDrop::new(self).cmd();
        let result = result.unwrap_or_else(Error::to_errno);
        // SAFETY: By the type invariant, the command has not ended, and nobody else ends it or uses
        // its private data but for the pointer, which does not change.
        unsafe {
            addr_of_mut!((*private::<T>(cmd)).result).write(result);
            bindings::io_uring_cmd_do_in_task_lazy(cmd.as_ptr(), Some(end_in_task::<T>));
        }
    }

    /// Returns what the command keeps, which is pinned.
    pub fn as_pin(&self) -> Pin<&T> {
        // SAFETY: By the type invariant, it is pinned.
        unsafe { Pin::new_unchecked(&**self) }
    }

    /// Takes the value apart. [`Taken::from_raw`] puts it together again.
    pub fn into_raw(self) -> NonNull<T> {
        let kept = ManuallyDrop::new(self).0;
        // SAFETY: By the type invariant, what it keeps is there.
        unsafe { NonNull::new_unchecked(addr_of_mut!((*kept.as_ptr()).value)) }
    }

    /// Puts a value together again.
    ///
    /// # Safety
    ///
    /// `value` is what a `Taken` keeps that came from [`Taken::into_raw`] or is in a
    /// [`ManuallyDrop`] that is not used any more, and nobody else makes a `Taken` of it.
    pub unsafe fn from_raw(value: NonNull<T>) -> Self {
        // SAFETY: The value is in a `Kept`.
        let kept = unsafe { crate::container_of!(value.as_ptr(), Kept<T>, value) };
        // INVARIANT: It was so before.
        // SAFETY: It was a valid pointer before.
        Self(unsafe { NonNull::new_unchecked(kept) })
    }
}

impl<T: Keep> Deref for Taken<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: By the type invariant, what it keeps is there.
        &unsafe { self.0.as_ref() }.value
    }
}

impl<T: Keep> Drop for Taken<T> {
    fn drop(&mut self) {
        // INVARIANT: `self` is not used again.
        Self(self.0).end(Err(EIO));
    }
}

/// Ends a command, with the lock of its ring held.
///
/// # Safety
///
/// For [`Taken::end`] alone.
unsafe extern "C" fn end_in_task<T: Keep>(
    req: bindings::io_tw_req,
    _token: bindings::io_tw_token_t,
) {
    // SAFETY: `Taken::end` has put the result and what is kept there; it was called once, so nobody
    // else has the box. Who asks the command to stop holds the lock that is held here, and the
    // command is not found any more when that is dropped.
    unsafe {
        let cmd = NonNull::new_unchecked(bindings::io_uring_cmd_from_tw(req));
        let Private { kept, result } = private::<T>(cmd).read();
        drop(KBox::from_raw(kept.as_ptr()));
        bindings::io_uring_cmd_done_in_task(cmd.as_ptr(), result);
    }
}

// SAFETY: `run` gets what `__enqueue` has taken apart.
unsafe impl<T, const ID: u64> WorkItemPointer<ID> for Taken<T>
where
    T: Keep + WorkItem<ID, Pointer = Self> + HasWork<T, ID>,
{
    unsafe extern "C" fn run(work: *mut bindings::work_struct) {
        // SAFETY: `__enqueue` has queued the work of a value that it took apart.
        let taken = unsafe {
            let value = T::work_container_of(work.cast::<Work<T, ID>>());
            Self::from_raw(NonNull::new_unchecked(value))
        };
        T::run(taken)
    }
}

// SAFETY: The work is in what the command keeps, which stays until it has ended.
unsafe impl<T, const ID: u64> RawWorkItem<ID> for Taken<T>
where
    T: Keep + WorkItem<ID, Pointer = Self> + HasWork<T, ID>,
{
    type EnqueueOutput = ();

    unsafe fn __enqueue<F>(self, queue_work_on: F)
    where
        F: FnOnce(*mut bindings::work_struct) -> bool,
    {
        // SAFETY: The value is there, and there is one `Taken`, so the work is not queued.
        unsafe {
            let work = T::raw_get_work(self.into_raw().as_ptr());
            queue_work_on(Work::raw_get(work));
        }
    }
}
