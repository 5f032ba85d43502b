// SPDX-License-Identifier: GPL-2.0

//! Calls the copy engine as kernel code does, for tests and as an example.
//!
//! Writing a line to `blk_copy_test/copy` in debugfs runs a copy and waits for its end, and reading
//! that file tells how the last one ended:
//!
//! ```text
//! # echo "offload /dev/nullb0 /dev/nullb0 0+8,64+8 1024+16" > /sys/kernel/debug/blk_copy_test/copy
//! # cat /sys/kernel/debug/blk_copy_test/copy
//! copied=16 error=0
//! ```
//!
//! The first word is `offload`, `onload` or `auto`, for `blkdev_copy_offload()`,
//! `blkdev_copy_onload()` or `blkdev_copy()`; with `,async` the copy is made in the background,
//! with `,pool` it has a reserve of its own, with `,stream=N` it goes to that write stream of the
//! destination, and with `,readonly` the destination is not opened for writing, as one that is
//! read-only cannot be. With `,cancel=USECS` it is made in the background,
//! and cancelled so long after its begin; then what is read says as well how many microseconds
//! later it ended. The lists are ranges of sectors, as `start+length`, or `-` for none. Writing
//! fails only if the line makes no sense; an error of the copy is in what is read.
//!
//! It builds with the kernel, or for one that was built before:
//!
//! ```text
//! $ make -C KERNEL M=$PWD/block/copy/test CONFIG_BLK_COPY_TEST=m modules
//! ```

use kernel::{
    block::{
        bdev::{
            Access,
            OpenDevice, //
        },
        bio::WriteHint,
        copy::{
            self,
            CopyRange,
            How,
            Outcome,
            Pool,
            Started,
            Way, //
        },
        units::{
            Sector,
            Sectors, //
        }, //
    },
    debugfs::{
        Dir,
        File, //
    },
    fmt,
    module::this_module,
    new_mutex,
    prelude::*,
    str::CString,
    sync::{
        Arc,
        Completion,
        Mutex, //
    },
    time::{
        delay::fsleep,
        Delta,
        Instant,
        Monotonic, //
    },
    uaccess::UserSliceReader, //
};

module! {
    type: CopyTest,
    name: "blk_copy_test",
    authors: ["The copy offload project"],
    description: "Test of copy offload",
    license: "GPL",
}

/// How a copy ended.
#[derive(Clone, Copy)]
struct Report {
    outcome: Outcome,
    /// How long after it was cancelled.
    late: Option<Delta>,
}

impl From<Outcome> for Report {
    fn from(outcome: Outcome) -> Self {
        let late = None;
        Self { outcome, late }
    }
}

/// How the last copy ended.
type Last = Mutex<Option<Report>>;

#[pin_data]
struct CopyTest {
    _dir: Dir,
    #[pin]
    _copy: File<Last>,
}

impl kernel::InPlaceModule for CopyTest {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let dir = Dir::new(c"blk_copy_test");
        try_pin_init!(Self {
            _copy <- dir.read_write_callback_file(c"copy", new_mutex!(None), &show, &store),
            _dir: dir,
        })
    }
}

fn show(last: &Last, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match &*last.lock() {
        Some(Report { outcome, late }) => {
            let error = outcome.result.map_or_else(Error::to_errno, |()| 0);
            write!(f, "copied={} error={}", outcome.copied.get(), error)?;
            match late {
                Some(late) => writeln!(f, " late={}", late.as_micros_ceil()),
                None => writeln!(f),
            }
        }
        None => writeln!(f, "nothing was copied so far"),
    }
}

fn store(last: &Last, reader: &mut UserSliceReader) -> Result {
    let mut line = KVec::from_elem(0, reader.len(), GFP_KERNEL)?;
    reader.read_slice(&mut line)?;
    let line = core::str::from_utf8(&line).map_err(|_| EINVAL)?;
    let report = run(line)?;
    *last.lock() = Some(report);
    Ok(())
}

/// Runs a line: how, two devices, two lists of ranges.
fn run(line: &str) -> Result<Report> {
    let mut words = line.split_ascii_whitespace();
    let mut word = || words.next().ok_or(EINVAL);
    let mut how = word()?.split(',');
    let way = match how.next() {
        Some("offload") => Way::Offload,
        Some("onload") => Way::Onload,
        Some("auto") => Way::Any,
        _ => return Err(EINVAL),
    };
    let (mut background, mut cancel) = (false, None);
    let (mut pool, mut access, mut hint) = (None, Access::ReadWrite, WriteHint::default());
    for option in how {
        match option.split_once('=').unwrap_or((option, "")) {
            ("async", "") => background = true,
            ("readonly", "") => access = Access::Read,
            ("pool", "") => pool = Some(Arc::new(Pool::new()?, GFP_KERNEL)?),
            ("stream", stream) => hint = WriteHint::new(0, stream.parse().map_err(|_| EINVAL)?),
            ("cancel", after) => {
                let after: u32 = after.parse().map_err(|_| EINVAL)?;
                cancel = Some(Delta::from_micros(after.into()));
            }
            _ => return Err(EINVAL),
        }
    }
    let src = open(word()?, Access::Read)?;
    let dst = open(word()?, access)?;
    let (from, to) = (ranges(word()?)?, ranges(word()?)?);
    let how = way.placed(hint);
    if background || cancel.is_some() {
        return start_and_wait(how, (src, from), (dst, to), pool, cancel);
    }
    let (src, dst) = ((src.bdev(), &*from), (dst.bdev(), &*to));
    Ok(copy::copy(how, src, dst, pool.as_deref()).into())
}

/// Where the end of a copy in the background is told.
#[pin_data]
struct Ended {
    #[pin]
    outcome: Mutex<Option<(Outcome, Instant<Monotonic>)>>,
    #[pin]
    ended: Completion,
}

fn start_and_wait(
    how: How,
    src: (OpenDevice, KVec<CopyRange>),
    dst: (OpenDevice, KVec<CopyRange>),
    pool: Option<Arc<Pool>>,
    cancel: Option<Delta>,
) -> Result<Report> {
    let ended = Arc::pin_init(
        pin_init!(Ended {
            outcome <- new_mutex!(None),
            ended <- Completion::new(),
        }),
        GFP_KERNEL,
    )?;
    let told = ended.clone();
    let begun = copy::start(
        this_module::<CopyTest>(),
        how,
        src,
        dst,
        pool,
        move |outcome| {
            *told.outcome.lock() = Some((outcome, Instant::now()));
            told.ended.complete_all();
        },
    );
    let started = match begun {
        Ok(started) => started,
        Err(error) => {
            let (copied, result) = (Sectors::ZERO, Err(error));
            return Ok(Outcome { copied, result }.into());
        }
    };
    let cancelled = cancel.map(|after| cancel_after(&started, after));
    ended.ended.wait_for_completion();
    let (outcome, end) = (*ended.outcome.lock()).ok_or(EIO)?;
    let late = cancelled.map(|cancelled| end - cancelled);
    Ok(Report { outcome, late })
}

/// Cancels a copy `after` so long, and returns when that was.
fn cancel_after(started: &Started, after: Delta) -> Instant<Monotonic> {
    if !after.is_zero() {
        fsleep(after);
    }
    let now = Instant::now();
    started.cancel();
    now
}

fn open(path: &str, access: Access) -> Result<OpenDevice> {
    OpenDevice::open(&CString::try_from_fmt(fmt!("{path}"))?, access)
}

/// `start+length,start+length,…`, or `-` for none.
fn ranges(list: &str) -> Result<KVec<CopyRange>> {
    let mut ranges = KVec::new();
    for range in list.split(',').filter(|range| *range != "-") {
        let (start, len) = range.split_once('+').ok_or(EINVAL)?;
        let number = |text: &str| text.parse::<u64>().map_err(|_| EINVAL);
        let range = CopyRange::new(Sector::new(number(start)?), Sectors::new(number(len)?));
        ranges.push(range, GFP_KERNEL)?;
    }
    Ok(ranges)
}
