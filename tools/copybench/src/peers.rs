// SPDX-License-Identifier: GPL-2.0
//! What users would copy with instead. Each copies from one place to another, and returns how long that took.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail, ensure, Context, Result};
use blkcopy::aligned::AlignedBuf;
use blkcopy::size::human;
use evidence::disk::Disk;
use evidence::{copy, system};
use io_uring::{opcode, types, IoUring};
use rustix::pipe::{fcntl_setpipe_size, pipe, splice, SpliceFlags};

/// A place on a disk, in bytes.
pub type Place<'a> = (&'a Disk, u64);

/// So many requests under way, each of so many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub depth: u64,
    pub piece: u64,
}

impl Shape {
    pub const fn new(depth: u64, piece: u64) -> Self {
        Self { depth, piece }
    }

    /// `32 × 64 KiB`
    pub fn text(self) -> String {
        format!("{} × {}", self.depth, human(self.piece))
    }
}

/// The best of some shapes for a way to copy, each tried once.
pub fn best(shapes: &[Shape], copy: impl Fn(Shape) -> Result<Duration>) -> Result<Shape> {
    let mut found: Option<(Duration, Shape)> = None;
    for shape in shapes {
        let time = copy(*shape)?;
        if found.is_none_or(|(least, _)| time < least) {
            found = Some((time, *shape));
        }
    }
    found
        .map(|(_, shape)| shape)
        .context("nothing to choose from")
}

/// Reads and writes through io_uring by one task: buffers and files are registered, and each buffer is written as
/// soon as it was read, so there are always so many requests under way.
pub fn ring(src: Place<'_>, dst: Place<'_>, len: u64, shape: Shape) -> Result<Duration> {
    let piece = usize::try_from(shape.piece)?;
    ensure!(
        len % shape.piece == 0,
        "the last piece would be a short one"
    );
    let (from, to) = (src.0.open(false)?, dst.0.open(true)?);
    let slots = shape.depth.min(len / shape.piece);
    let mut buffers: Vec<AlignedBuf> = (0..slots).map(|_| AlignedBuf::new(piece)).collect();
    let vectors: Vec<libc::iovec> = buffers
        .iter_mut()
        .map(|buffer| libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: piece,
        })
        .collect();
    let mut ring: IoUring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .build(u32::try_from(slots)?)?;
    // SAFETY: The buffers live until the ring is gone, and only the kernel uses them meanwhile.
    unsafe { ring.submitter().register_buffers(&vectors)? };
    ring.submitter()
        .register_files(&[from.as_raw_fd(), to.as_raw_fd()])?;
    // The entry of a slot: what it reads or writes, at this offset.
    let entry = |slot: usize, reads: bool, offset: u64| {
        let vector = vectors[slot];
        let (buffer, len) = (vector.iov_base.cast::<u8>(), shape.piece as u32);
        let entry = if reads {
            opcode::ReadFixed::new(types::Fixed(0), buffer, len, slot as u16)
                .offset(src.1 + offset)
                .build()
        } else {
            opcode::WriteFixed::new(types::Fixed(1), buffer, len, slot as u16)
                .offset(dst.1 + offset)
                .build()
        };
        entry.user_data((slot as u64) << 1 | u64::from(reads))
    };
    let mut offsets = vec![0; vectors.len()];
    let (mut next, mut written, mut under_way) = (0, 0, 0u64);
    let started = Instant::now();
    let mut queue: Vec<(usize, bool)> = (0..vectors.len()).map(|slot| (slot, true)).collect();
    while written < len {
        for (slot, reads) in queue.drain(..) {
            if reads {
                if next == len {
                    continue;
                }
                offsets[slot] = next;
                next += shape.piece;
            }
            // SAFETY: The buffer is registered, and no other entry that is under way names it.
            unsafe { ring.submission().push(&entry(slot, reads, offsets[slot])) }
                .context("the ring is full")?;
            under_way += 1;
        }
        // A half of them at a time, as a program does that wants to be efficient.
        match ring.submit_and_wait(usize::try_from((under_way / 2).max(1))?) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => Err(error)?,
            _ => {}
        }
        for done in ring.completion() {
            if i64::from(done.result()) != shape.piece as i64 {
                bail!("a request through io_uring ended with {}", done.result());
            }
            under_way -= 1;
            let (slot, read) = ((done.user_data() >> 1) as usize, done.user_data() & 1 == 1);
            if !read {
                written += shape.piece;
            }
            queue.push((slot, !read));
        }
    }
    Ok(started.elapsed())
}

/// Has several threads read and write, each its share.
pub fn threads(src: Place<'_>, dst: Place<'_>, len: u64, shape: Shape) -> Result<Duration> {
    let share = len / shape.depth;
    ensure!(share * shape.depth == len, "the shares are not equal");
    let (from, to) = (src.0.open(false)?, dst.0.open(true)?);
    let (from, to) = (&from, &to);
    let one = move |number: u64| -> Result<()> {
        let mut buffer = AlignedBuf::new(usize::try_from(shape.piece)?);
        let at = number * share;
        copy::read_and_write((from, src.1 + at), (to, dst.1 + at), share, &mut buffer)
    };
    let started = Instant::now();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..shape.depth)
            .map(|number| scope.spawn(move || one(number)))
            .collect();
        threads.into_iter().try_for_each(|thread| {
            let result = thread.join();
            result.map_err(|_| anyhow!("a thread panicked"))?
        })
    })?;
    Ok(started.elapsed())
}

/// `dd` of whole devices, past the page cache.
pub fn dd(src: &Path, dst: &Path, piece: u64) -> Result<Duration> {
    let words = dd_words(src, dst, piece);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let started = Instant::now();
    system::command("dd", &words)?;
    Ok(started.elapsed())
}

fn dd_words(src: &Path, dst: &Path, piece: u64) -> Vec<String> {
    vec![
        format!("if={}", src.display()),
        format!("of={}", dst.display()),
        format!("bs={}K", piece >> 10),
        "iflag=direct".into(),
        "oflag=direct".into(),
        "conv=notrunc".into(),
    ]
}

/// As a user types it.
pub fn dd_command(src: &Path, dst: &Path, piece: u64) -> String {
    format!("dd {}", dd_words(src, dst, piece).join(" "))
}

/// `cp` of whole devices through the page cache, until it is durable.
pub fn cp(src: &Path, dst: &Path) -> Result<Duration> {
    buffered(dst, || {
        let (src, dst) = (src.to_string_lossy(), dst.to_string_lossy());
        system::command("cp", &[&src, &dst])
    })
}

/// `copy_file_range` of whole devices through the page cache, until it is durable.
pub fn copy_file_range(src: &Path, dst: &Path, len: u64) -> Result<Duration> {
    let from = File::open(src).context("cannot open the source")?;
    let to = File::options().write(true).open(dst)?;
    buffered(dst, || {
        copy::copy_file_range((&from, 0), (&to, 0), len).map(drop)
    })
}

/// `splice` of whole devices, through a pipe and the page cache, until it is durable.
pub fn spliced(src: &Path, dst: &Path, len: u64) -> Result<Duration> {
    const PIPE: usize = 1 << 20;
    let from = File::open(src).context("cannot open the source")?;
    let to = File::options().write(true).open(dst)?;
    let (reader, writer) = pipe()?;
    fcntl_setpipe_size(&writer, PIPE)?;
    buffered(dst, || {
        let mut left = len;
        while left > 0 {
            let want = usize::try_from(left)?.min(PIPE);
            let mut held = splice(&from, None, &writer, None, want, SpliceFlags::MOVE)?;
            ensure!(held > 0, "the source ended with {left} bytes to go");
            left -= held as u64;
            while held > 0 {
                held -= splice(&reader, None, &to, None, held, SpliceFlags::MOVE)?;
            }
        }
        Ok(())
    })
}

/// Copies by something that leaves data in the page cache of a device, and writes that back. Nothing of either
/// device is cached before, if nobody else has them open.
fn buffered(dst: &Path, copy: impl FnOnce() -> Result<()>) -> Result<Duration> {
    // What is written when the last one closes the device is written by `fsync`.
    let held = File::options().write(true).open(dst)?;
    let started = Instant::now();
    copy()?;
    held.sync_all().context("cannot sync")?;
    Ok(started.elapsed())
}

/// Memory that is copied page by page, as null_blk does when it has found the pages.
pub struct Memory {
    src: AlignedBuf,
    dst: AlignedBuf,
}

impl Memory {
    /// So much of it, twice.
    pub fn new(len: u64) -> Result<Self> {
        let len = usize::try_from(len)?;
        let (mut src, mut dst) = (AlignedBuf::new(len), AlignedBuf::new(len));
        // Every page is there, and has data.
        src.fill(0x5a);
        dst.fill(0xa5);
        Ok(Self { src, dst })
    }

    /// Copies all of it.
    pub fn copy(&mut self) -> Duration {
        let started = Instant::now();
        for (to, from) in self.dst.chunks_mut(4096).zip(self.src.chunks(4096)) {
            to.copy_from_slice(std::hint::black_box(from));
        }
        std::hint::black_box(&mut self.dst);
        started.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fastest_is_chosen() {
        let shapes = [
            Shape::new(1, 4096),
            Shape::new(8, 65536),
            Shape::new(2, 512),
        ];
        let time = |shape: Shape| Ok(Duration::from_millis(100 / shape.depth));
        assert_eq!(best(&shapes, time).unwrap(), shapes[1]);
        assert!(best(&[], time).is_err());
        assert!(best(&shapes, |_| bail!("no")).is_err());
        assert_eq!(shapes[1].text(), "8 × 64 KiB");
    }

    #[test]
    fn commands_are_shown_as_they_are_run() {
        let text = dd_command(Path::new("/dev/a"), Path::new("/dev/b"), 1 << 20);
        assert_eq!(
            text,
            "dd if=/dev/a of=/dev/b bs=1024K iflag=direct oflag=direct conv=notrunc"
        );
    }

    #[test]
    fn memory_is_copied() {
        let mut memory = Memory::new(3 * 4096).unwrap();
        memory.copy();
        assert_eq!(memory.src[..], memory.dst[..]);
    }

    #[test]
    fn splice_copies() {
        let dir = tempfile::tempdir().unwrap();
        let [src, dst] = ["src", "dst"].map(|name| dir.path().join(name));
        let data: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
        std::fs::write(&src, &data).unwrap();
        std::fs::write(&dst, "").unwrap();
        spliced(&src, &dst, data.len() as u64).unwrap();
        assert_eq!(std::fs::read(&dst).unwrap(), data);
    }
}
