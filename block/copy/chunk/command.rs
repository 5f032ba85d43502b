// SPDX-License-Identifier: GPL-2.0

//! What the driver sees of a chunk: one command, with the ranges that it reads.

use super::raw::{
    locate,
    Place, //
};
use crate::plan::{
    Cursor,
    Range,
    Side, //
};
use kernel::block::bio::Bio;

/// Where the sources of a command came to lie, in the order in which they are written. [`None`] if
/// the bio is not the command of a chunk. Only what was dispatched comes to a driver, and then all
/// places are known.
fn places(command: &Bio) -> Option<impl Iterator<Item = Option<Place>> + Clone + '_> {
    let (part, context) = locate(command)?;
    (part.side == Side::Destination).then(|| context.places())
}

/// The ranges that a command reads, on the whole disk.
fn sources(command: &Bio) -> impl Iterator<Item = Range> + '_ {
    let places = places(command).into_iter().flatten();
    places.map_while(|place| Some(place?.range))
}

/// The number of ranges that a command reads, none longer than the device's limit for one; 0 if the
/// bio is not a command.
///
/// Context: any. Does not sleep.
pub(crate) fn source_count(command: &Bio) -> usize {
    let max = command.bdev().limits().max_copy_segment();
    let count = |range: Range| range.segments(max);
    sources(command).map(count).sum()
}

/// The next of these ranges, from where `at` is, which goes past it. [`None`] behind the last one.
///
/// Context: any. Does not sleep.
pub(crate) fn next_source(command: &Bio, at: &mut Cursor) -> Option<Range> {
    let max = command.bdev().limits().max_copy_segment();
    let (part, context) = locate(command)?;
    if part.side != Side::Destination {
        return None;
    }
    let rest = at.rest(&context)?;
    let range = rest.segment(max, 0)?;
    *at = at.after(rest, range.len());
    Some(range)
}

/// Whether a disk may be written there in any order. What is not sure is not.
fn is_writable_anywhere(command: &Bio) -> bool {
    let rest = command.bdev().rest_of_zone(command.start());
    rest.is_none_or(|rest| command.len() <= rest && !command.bdev().is_sequential(command.start()))
}

/// Whether the limits allow a command, which may have been planned before they changed. The caller
/// holds a reference to the queue, so they do not change before the request is made.
///
/// Context: task; does not sleep.
pub(crate) fn fits(command: &Bio) -> bool {
    let limits = command.bdev().limits();
    let (block, max) = (limits.logical_block(), limits.max_copy_segment());
    let most = usize::from(limits.max_copy_src_segments());
    let mut segments = 0_usize;
    let mut fits = |place: Option<Place>| {
        place.is_some_and(|Place { range, .. }| {
            segments = segments.saturating_add(range.segments(max));
            segments <= most && range.is_aligned(block)
        })
    };
    command.len() <= limits.max_copy()
        && is_writable_anywhere(command)
        && places(command).is_some_and(|mut places| places.all(&mut fits))
}
