// SPDX-License-Identifier: GPL-2.0

//! Rust copy offload sample.
//!
//! Copies blocks inside a null_blk device, or from one to another, as a driver does with devices of
//! its own: first it waits for the end, and then it is called at the end. It opens null_blk devices
//! only, so it cannot harm a disk.
//!
//! ```text
//! # modprobe null_blk memory_backed=1
//! # modprobe rust_copy_offload src=0 dst=0 sectors=2048
//! # dmesg | tail -n 2
//! rust_copy_offload: copied 2048 of 2048 sectors
//! rust_copy_offload: in the background: copied 2048 of 2048 sectors
//! ```

use kernel::{
    block::{
        bdev::{
            Access,
            OpenDevice, //
        },
        copy::{
            self,
            CopyRange,
            Outcome,
            Way, //
        },
        units::{
            Sector,
            Sectors, //
        }, //
    },
    module::this_module,
    prelude::*,
    str::CString, //
};

module! {
    type: RustCopyOffload,
    name: "rust_copy_offload",
    authors: ["The copy offload project"],
    description: "Rust copy offload sample",
    license: "GPL",
    params: {
        src: u32 {
            default: 0,
            description: "Number of the null_blk device that is read",
        },
        dst: u32 {
            default: 0,
            description: "Number of the null_blk device that is written",
        },
        sectors: u64 {
            default: 2048,
            description: "Sectors of 512 bytes to copy, from the start of the device on",
        },
    },
}

struct RustCopyOffload;

impl kernel::Module for RustCopyOffload {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let src = open(module_parameters::src.value(), Access::Read)?;
        let dst = open(module_parameters::dst.value(), Access::ReadWrite)?;

        // Positions and lengths have types of their own, so neither is taken for the other, and
        // sums that would overflow are errors.
        let len = Sectors::new(module_parameters::sectors.value());
        let start = Sector::new(0);
        let second = start.checked_add(len).ok_or(EINVAL)?;
        let third = second.checked_add(len).ok_or(EINVAL)?;

        // There may be any number of ranges on either side; the sums of their lengths have to be
        // the same. `Way::Any` asks the device first, and reads and writes what it cannot copy.
        // With `Way::Offload` that would be the error `EOPNOTSUPP`.
        let from = [CopyRange::new(start, len)];
        let to = [CopyRange::new(second, len)];
        let outcome = copy::copy(Way::Any, (src.bdev(), &from), (dst.bdev(), &to), None);
        report("", outcome, len);
        // An error of the device: no other way should be tried. What was copied is told as well.
        outcome.result?;

        // In the background, the copy owns what it needs until it has ended: the devices, which
        // it closes then, and the lists. It also has a reference to this module, so that cannot be
        // unloaded before the closure has returned.
        //
        // A driver that copies in order to do the I/O of others passes a `Pool` of its own, instead
        // of the last `None`: then its copies do not wait for memory that those others have.
        copy::start(
            this_module::<Self>(),
            Way::Any,
            (src, list(start, len)?),
            (dst, list(third, len)?),
            None,
            move |outcome| report("in the background: ", outcome, len),
        )?;
        Ok(Self)
    }
}

/// Says how a copy ended. Who made it, the device or the CPU, is in
/// `/sys/kernel/debug/block/nullb0/copy_stats`.
fn report(how: &str, Outcome { copied, result }: Outcome, len: Sectors) {
    // Also after an error, `copied` sectors were copied from the start on, without a gap.
    pr_info!("{how}copied {} of {} sectors\n", copied.get(), len.get());
    if let Err(error) = result {
        pr_err!("{how}{error:?}\n");
    }
}

fn open(number: u32, access: Access) -> Result<OpenDevice> {
    OpenDevice::open(&CString::try_from_fmt(fmt!("/dev/nullb{number}"))?, access)
}

fn list(start: Sector, len: Sectors) -> Result<KVec<CopyRange>> {
    let mut ranges = KVec::new();
    ranges.push(CopyRange::new(start, len), GFP_KERNEL)?;
    Ok(ranges)
}
