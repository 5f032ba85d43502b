// SPDX-License-Identifier: GPL-2.0
//! May this range be copied? Plain arithmetic on plain values: nothing here
//! opens a device.

use crate::failure::Failure;
use crate::size::human;

/// A place where bytes have an address: two ends with equal `Space`s and
/// overlapping addresses are the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// A whole disk, by its device number. A partition of it is the same
    /// space, at a later address.
    Disk { major: u32, minor: u32 },
    /// A regular file.
    File { dev: u64, ino: u64 },
    /// A file that does not exist yet.
    New,
}

/// What planning must know about one side of a copy.
#[derive(Clone, Debug)]
pub struct End {
    pub name: String,
    pub space: Space,
    /// Where the end's byte 0 is in its space: a partition's start.
    pub base: u64,
    /// `None`: grows as needed.
    pub size: Option<u64>,
    /// 1, or the logical block size where the side is used with `O_DIRECT`.
    pub align: u64,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    pub src_offset: u64,
    pub dst_offset: u64,
    /// `None`: to the end of the source.
    pub length: Option<u64>,
    /// `None`: the default.
    pub chunk: Option<u64>,
}

/// What will be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    pub src_offset: u64,
    pub dst_offset: u64,
    pub length: u64,
    pub chunk: u64,
}

/// One `copy_file_range` call: long enough for the device, short enough for
/// a progress bar and an interrupt.
pub const DEFAULT_CHUNK: u64 = 32 << 20;

/// Checks a wish against both ends.
///
/// # Errors
///
/// [`Failure::Refused`], with the way out in its text.
pub fn plan(wish: Wish, src: &End, dst: &End) -> Result<Plan, Failure> {
    let length = source_length(wish, src)?;
    destination_fits(wish, length, dst)?;

    let align = src.align.max(dst.align);
    let chunk = wish.chunk.unwrap_or(DEFAULT_CHUNK.next_multiple_of(align));
    if chunk == 0 {
        return refuse("--chunk must not be 0".to_string());
    }
    for (what, value) in [
        ("--src-offset", wish.src_offset),
        ("--dst-offset", wish.dst_offset),
        ("the length", length),
        ("--chunk", chunk),
    ] {
        if value % align != 0 {
            return refuse(format!(
                "{what} is {value}, which is not a multiple of the logical block size {align}; \
                 the nearest multiples are {} and {}. Use one of them, or --buffered to go \
                 through the page cache",
                value - value % align,
                (value - value % align).saturating_add(align),
            ));
        }
    }

    if overlaps(src, wish.src_offset, dst, wish.dst_offset, length) {
        return refuse(format!(
            "source and destination overlap: {} at {} and {} at {} are the same {}, less than \
             {length} bytes apart. Choose ranges that do not touch, or a shorter --length",
            src.name,
            wish.src_offset,
            dst.name,
            wish.dst_offset,
            if matches!(src.space, Space::File { .. }) {
                "file"
            } else {
                "disk"
            },
        ));
    }
    Ok(Plan {
        src_offset: wish.src_offset,
        dst_offset: wish.dst_offset,
        length,
        chunk,
    })
}

fn refuse<T>(text: String) -> Result<T, Failure> {
    Err(Failure::Refused(text))
}

fn source_length(wish: Wish, src: &End) -> Result<u64, Failure> {
    let size = src.size.unwrap_or(0);
    let Some(rest) = size.checked_sub(wish.src_offset) else {
        return refuse(format!(
            "--src-offset {} is past the end of {}, which has {size} bytes ({})",
            wish.src_offset,
            src.name,
            human(size),
        ));
    };
    match wish.length {
        Some(length) if length > rest => refuse(format!(
            "{} has {rest} bytes from offset {} on, fewer than the {length} asked for; use \
             --length {rest} or leave --length out",
            src.name, wish.src_offset,
        )),
        Some(length) => Ok(length),
        None => Ok(rest),
    }
}

fn destination_fits(wish: Wish, length: u64, dst: &End) -> Result<(), Failure> {
    let Some(end) = wish.dst_offset.checked_add(length) else {
        return refuse(format!(
            "--dst-offset {} plus the length overflows",
            wish.dst_offset
        ));
    };
    let Some(size) = dst.size else { return Ok(()) };
    if end > size {
        let room = size.saturating_sub(wish.dst_offset);
        return refuse(format!(
            "the copy would end at {end}, past the end of {}, which has {size} bytes ({}); \
             there is room for {room} bytes at offset {}: use {}",
            dst.name,
            human(size),
            wish.dst_offset,
            if room == 0 {
                "a smaller --dst-offset".to_string()
            } else {
                format!("--length {room}")
            },
        ));
    }
    Ok(())
}

/// Whether two ranges of `length` bytes share a byte.
fn overlaps(src: &End, src_offset: u64, dst: &End, dst_offset: u64, length: u64) -> bool {
    if src.space != dst.space || src.space == Space::New {
        return false;
    }
    // Both are below the disk's size, far from overflow; saturate anyway.
    let from = src.base.saturating_add(src_offset);
    let to = dst.base.saturating_add(dst_offset);
    from.abs_diff(to) < length
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
