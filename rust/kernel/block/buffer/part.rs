// SPDX-License-Identifier: GPL-2.0

//! How much of each buffer to use.

use super::SIZE;
use crate::{
    block::units::Sectors,
    num::casts::usize_as_u64,
    page::PAGE_SIZE, //
};

/// Returns how much of each buffer to use for I/O on a device with logical blocks of `block`, whose
/// requests take at most `request`. The block layer merges neighbours to requests. Where whole
/// buffers would leave much of a request empty, and parts of one length fill more of it, this
/// returns the length of these parts: whole pages, because many devices take no request with a gap
/// in a page.
///
/// # Examples
///
/// ```
/// use kernel::block::{
///     buffer::part_of,
///     units::Sectors, //
/// };
///
/// let part = |request| part_of(Sectors::new(request), Sectors::ONE);
/// // A request of 1 MiB takes 16 whole buffers.
/// assert_eq!(part(2048), Sectors::new(128));
/// // Parts would fill no more of it than two buffers do.
/// assert_eq!(part(260), Sectors::new(128));
/// // A smaller one takes a part of one.
/// assert_eq!(part(100), Sectors::new(100));
///
/// // One of 120 KiB takes two parts of 60 KiB. Two whole buffers would not fit.
/// # #[cfg(CONFIG_PAGE_SIZE_4KB)]
/// assert_eq!(part(240), Sectors::new(120));
/// ```
pub fn part_of(request: Sectors, block: Sectors) -> Sectors {
    let buffer = Sectors::from_bytes_floor(usize_as_u64(SIZE));
    let unit = Sectors::from_bytes_floor(usize_as_u64(PAGE_SIZE)).max(block);
    let whole = buffer.min(request).round_down(block);
    // 32-bit machines do not divide longer numbers.
    let number = |sectors: Sectors| u32::try_from(sectors.get()).unwrap_or(u32::MAX);
    let parts = number(request).div_ceil(number(buffer));
    let part = number(request).checked_div(parts).unwrap_or(0);
    let part = Sectors::new(u64::from(part)).round_down(unit);
    // What is left of a request that as many as fit do not fill.
    let left = |len: Sectors| number(request).checked_rem(number(len));
    match left(part).zip(left(whole)) {
        Some((with_parts, with_whole)) if with_parts < with_whole => part,
        _ => whole,
    }
}
