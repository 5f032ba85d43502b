// SPDX-License-Identifier: GPL-2.0

//! Copy commands of hosts.
//!
//! A namespace that lies on a disk is copied by the block layer: offloaded where the disk can do
//! that, read and written here otherwise. In both cases the data does not cross the network. One
//! that lies on a file is copied by the file system.
//!
//! - [`wire`] is what a command looks like, [`check`] says what is executed, and what is refused
//!   for which reason.
//! - [`request`] reads a command and answers it.
//! - [`queue`] lets so many of them be under way.
//! - [`command`] is one that is, [`file`](mod@file) copies within files.
//! - [`counters`] says how they ended.
//!
//! A command is answered when all that it took was given back. The answer drops its references to
//! the queue and to the namespace, so whoever disconnects a host, or disables a namespace, waits
//! for the commands that are under way. Those that wait are answered without being executed then.

use core::ptr::NonNull;
use kernel::{
    bindings,
    block::{
        bdev::BlockDevice,
        copy::Pool, //
    },
    error::from_result,
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    sync::Arc,
    types::ForeignOwnable, //
};

mod check;
mod command;
mod counters;
mod file;
mod queue;
mod request;
mod wire;

use counters::Ending;
use queue::{
    Backing,
    CopyQueue, //
};
use request::Request;

/// Prepares a namespace to copy, if it can: if it is of the NVM Command Set, has no metadata, and
/// lies on a disk or a regular file. Does nothing otherwise, and so it is as if the target did not
/// know copies.
///
/// Context: task; may sleep.
///
/// # Safety
///
/// `ns` is about to be enabled, and what it lies on is open. `module` is the target.
#[export]
pub unsafe extern "C" fn nvmet_copy_ns_enable(
    ns: *mut bindings::nvmet_ns,
    module: *mut bindings::module,
) -> c_int {
    from_result(|| {
        // SAFETY: Required of the caller.
        let Some(backing) = (unsafe { backing(ns) })? else {
            return Ok(0);
        };
        // SAFETY: Required of the caller.
        let module = unsafe { ThisModule::from_ptr(module) };
        let queue = CopyQueue::new(backing, module)?;
        // SAFETY: Required of the caller.
        unsafe { (*ns).copy = queue.into_foreign().cast() };
        Ok(0)
    })
}

/// What a namespace lies on, if it can copy.
///
/// # Safety
///
/// As for [`nvmet_copy_ns_enable`].
unsafe fn backing(ns: *const bindings::nvmet_ns) -> Result<Option<Backing>> {
    // SAFETY: Required of the caller.
    let (csi, metadata, file) = unsafe { ((*ns).csi, (*ns).metadata_size, (*ns).file) };
    // SAFETY: As above.
    let usable = unsafe { request::namespace(ns) }.is_some();
    if !usable || metadata != 0 || u32::from(csi) != bindings::NVME_CSI_NVM {
        return Ok(None);
    }
    if file.is_null() {
        return Ok(Some(Backing::Disk(Pool::new()?)));
    }
    // SAFETY: The file is open.
    let inode = unsafe { (*(*file).f_mapping).host };
    // SAFETY: An open file has an inode.
    let copies = match u32::from(unsafe { (*inode).i_mode }) & bindings::S_IFMT {
        bindings::S_IFREG => true,
        // SAFETY: This is the inode of a block device, which is open. Copies would have to be in
        // the order of its zones.
        bindings::S_IFBLK => unsafe {
            !BlockDevice::from_raw(bindings::I_BDEV(inode))
                .limits()
                .is_zoned()
        },
        _ => false,
    };
    Ok(copies.then_some(Backing::File))
}

/// Ends what [`nvmet_copy_ns_enable`] has begun.
///
/// Context: task; may sleep.
///
/// # Safety
///
/// `ns` is not enabled any more, and all of its commands were answered.
#[export]
pub unsafe extern "C" fn nvmet_copy_ns_disable(ns: *mut bindings::nvmet_ns) {
    // SAFETY: Required of the caller.
    let copy = unsafe { core::mem::replace(&mut (*ns).copy, core::ptr::null_mut()) };
    // SAFETY: It is null, or came from `into_foreign`.
    drop(unsafe { Arc::<CopyQueue>::try_from_foreign(copy.cast()) });
}

/// Tells a host what one command may copy.
///
/// # Safety
///
/// `ns` is enabled; `id` is valid and the caller's.
#[export]
pub unsafe extern "C" fn nvmet_copy_identify_ns(
    ns: *mut bindings::nvmet_ns,
    id: *mut bindings::nvme_id_ns,
) {
    // SAFETY: Required of the caller.
    let (namespace, id, copies) =
        unsafe { (request::namespace(ns), &mut *id, !(*ns).copy.is_null()) };
    if let Some(namespace) = namespace.filter(|_| copies) {
        let limits = namespace.limits();
        id.mssrl = limits.mssrl.to_le();
        id.mcl = limits.mcl.to_le();
        id.msrc = limits.msrc;
    }
}

/// Executes a Copy command.
///
/// Context: any.
///
/// # Safety
///
/// `req` is a Copy command that is to be executed, of a namespace that can copy.
#[export]
pub unsafe extern "C" fn nvmet_execute_copy(req: *mut bindings::nvmet_req) {
    let Some(req) = NonNull::new(req) else {
        return;
    };
    // SAFETY: Required of the caller. The request keeps the namespace, and that the queue.
    let (queue, request) = unsafe {
        let queue = Arc::<CopyQueue>::borrow((*(*req.as_ptr()).ns).copy.cast());
        (queue, Request::begin(req))
    };
    if request.is_whole() {
        CopyQueue::add(queue, request);
    } else {
        queue.refused(Ending::Data);
        request.refuse_length();
    }
}

/// Shows how the commands of a namespace ended, and how many of them there are.
///
/// Context: task; may sleep.
///
/// # Safety
///
/// `m` is a file whose private data is a namespace that is enabled and can copy.
#[export]
pub unsafe extern "C" fn nvmet_ns_copy_show(
    m: *mut bindings::seq_file,
    _unused: *mut c_void,
) -> c_int {
    // SAFETY: Required of the caller; debugfs removes the file before the namespace is disabled.
    let (m, queue) = unsafe {
        let ns: *mut bindings::nvmet_ns = (*m).private.cast();
        let queue = Arc::<CopyQueue>::borrow((*ns).copy.cast());
        (SeqFile::from_raw(m), queue)
    };
    for (name, count) in queue.counters().all() {
        seq_print!(m, "{name} {count}\n");
    }
    0
}
