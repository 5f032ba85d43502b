// SPDX-License-Identifier: GPL-2.0

//! Copy commands of null_blk.
//!
//! A memory-backed device copies between its own pages, one source range after the other. Like a
//! disk it checks both places of a range for bad blocks first, and copies nothing of that range if
//! there are any.

use kernel::{
    bindings,
    block::{
        bio::Status,
        copy::Command,
        limits::QueueLimitsUpdate,
        units::{
            Sector,
            Sectors, //
        }, //
    },
    prelude::*, //
};

/// Source ranges of one command. As many as NVMe has at most.
const RANGES: u16 = 256;

/// Sectors copied under the lock of the device at a time.
const RUN: u32 = 128;

/// Sets the limits of a device that copies at most `max_bytes` at a time; 0: that does not copy.
///
/// # Safety
///
/// `lim` is valid and the caller's.
#[export]
pub unsafe extern "C" fn null_config_copy(lim: *mut bindings::queue_limits, max_bytes: c_ulong) {
    // SAFETY: Required of the caller.
    let mut update = unsafe { QueueLimitsUpdate::from_raw(lim) };
    update.set_hw_copy(
        Sectors::from_bytes_floor(u64::try_from(max_bytes).unwrap_or(u64::MAX)),
        RANGES,
        1,
    );
}

/// Executes a copy command.
///
/// # Safety
///
/// `cmd` belongs to a request of the operation `REQ_OP_COPY_DST` that the driver has started and
/// not ended.
#[export]
pub unsafe extern "C" fn null_handle_copy(cmd: *mut bindings::nullb_cmd) -> bindings::blk_status_t {
    // SAFETY: Required of the caller: the command lies behind its request.
    let rq = unsafe { bindings::blk_mq_rq_from_pdu(cmd.cast()) };
    // INVARIANT: The command of `Disk` is started.
    // SAFETY: Required of the caller.
    let (command, disk) = unsafe { (Command::from_raw(rq), Disk(cmd)) };
    Status::into_raw(execute(&command, &disk).err())
}

fn execute(command: &Command<'_>, disk: &Disk) -> Result<(), Status> {
    let mut dst = command.dst();
    let mut left = command.len();
    for (src, len) in command.sources() {
        // The ranges of a command are as long as its destination, or the block layer is broken.
        left = left.checked_sub(len).ok_or(Status::IOERR)?;
        disk.copy(dst, src, len)?;
        dst = dst.checked_add(len).ok_or(Status::IOERR)?;
    }
    if left.is_zero() {
        Ok(())
    } else {
        Err(Status::IOERR)
    }
}

/// The device that executes a command.
///
/// # Invariants
///
/// The command is started.
struct Disk(*mut bindings::nullb_cmd);

impl Disk {
    fn copy(&self, dst: Sector, src: Sector, len: Sectors) -> Result<(), Status> {
        let (mut dst, mut src) = (dst.get(), src.get());
        let mut left = u32::try_from(len.get()).map_err(|_| Status::IOERR)?;
        // SAFETY: By the type invariant.
        result(unsafe { bindings::null_copy_begin(self.0, dst, src, left) })?;
        while left > 0 {
            let run = left.min(RUN);
            // SAFETY: By the type invariant; both ranges were checked against the size of the disk
            // by the block layer.
            result(unsafe { bindings::null_copy_blocks(self.0, dst, src, run) })?;
            dst += u64::from(run);
            src += u64::from(run);
            left -= run;
        }
        Ok(())
    }
}

fn result(status: bindings::blk_status_t) -> Result<(), Status> {
    Status::from_raw(status).map_or(Ok(()), Err)
}
