// SPDX-License-Identifier: GPL-2.0

//! What the fields of a submission queue entry ask for.

use crate::{
    plan::Ranges,
    request::List, //
};
use core::{
    ops::Range,
    slice, //
};
use kernel::{
    block::{
        copy::CopyRange,
        units::Sectors, //
    },
    io_uring::Fields,
    prelude::*,
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};

/// The most that one copy may be, as with `read(2)` and `write(2)`.
const MOST: u64 = 0x7fff_f000;

/// The most sources.
const MAX_RANGES: usize = 4096;

/// A source in memory of the program: where it begins, and how long it is.
const RANGE: usize = 2 * size_of::<u64>();

/// What the fields ask for, in bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Wanted {
    pub(super) to: Range<u64>,
    /// Of the source; [`None`] for the file of the destination.
    pub(super) descriptor: Option<u32>,
    from: From,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum From {
    /// One source, from here on.
    Place(u64),
    /// So many sources, which are listed here.
    List(usize, usize),
}

impl Wanted {
    /// Sorts out the fields.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: they make no sense.
    /// - `EBADF`: the descriptor is negative, but not -1.
    pub(super) fn new(fields: &Fields) -> Result<Self> {
        let zeros = [
            u32::from(fields.ioprio),
            fields.rw_flags,
            u32::from(fields.buf_index),
        ];
        if zeros != [0; 3] {
            return Err(EINVAL);
        }
        let count = usize::try_from(fields.len)?;
        if count > MAX_RANGES || fields.addr3 == 0 || fields.addr3 > MOST {
            return Err(EINVAL);
        }
        let end = fields.addr.checked_add(fields.addr3).ok_or(EINVAL)?;
        let from = match count {
            0 => From::Place(fields.pad2),
            count => From::List(usize::try_from(fields.pad2).map_err(|_| EFAULT)?, count),
        };
        let descriptor = match fields.splice_fd_in {
            -1 => None,
            fd => Some(u32::try_from(fd).map_err(|_| EBADF)?),
        };
        Ok(Self {
            to: fields.addr..end,
            descriptor,
            from,
        })
    }

    /// The length.
    fn len(&self) -> u64 {
        self.to.end - self.to.start
    }
}

/// The sources of a copy.
pub(super) enum Sources {
    One(CopyRange),
    Many(KVec<CopyRange>),
}

impl Sources {
    /// Reads the list, if there is one, each word of it once.
    ///
    /// Context: task of the program; may sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: a range is not on boundaries of sectors, or they have another sum.
    /// - `EFAULT`: they cannot be read.
    /// - `ENOMEM`.
    pub(super) fn read(wanted: &Wanted) -> Result<Self> {
        let (start, count) = match wanted.from {
            From::Place(start) => {
                let range = CopyRange::from_bytes(start, wanted.len()).ok_or(EINVAL)?;
                return Ok(Self::One(range));
            }
            From::List(start, count) => (start, count),
        };
        let len = count.checked_mul(RANGE).ok_or(EINVAL)?;
        let mut raw = KVec::from_elem(0, len, GFP_KERNEL_ACCOUNT)?;
        let mut reader = UserSlice::new(UserPtr::from_addr(start), len).reader();
        reader.read_slice(&mut raw)?;
        let mut ranges = KVec::with_capacity(count, GFP_KERNEL_ACCOUNT)?;
        for (start, len) in pairs(&raw) {
            let range = CopyRange::from_bytes(start, len).ok_or(EINVAL)?;
            ranges.push(range, GFP_KERNEL_ACCOUNT)?;
        }
        match List::new(&ranges).total().and_then(Sectors::to_bytes) {
            Some(sum) if sum == wanted.len() => Ok(Self::Many(ranges)),
            _ => Err(EINVAL),
        }
    }

    /// The ranges.
    pub(super) fn ranges(&self) -> &[CopyRange] {
        match self {
            Self::One(range) => slice::from_ref(range),
            Self::Many(ranges) => ranges,
        }
    }

    /// The ranges, in bytes. One that overflows is left out.
    pub(super) fn bytes(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.ranges().iter().filter_map(|range| range.to_bytes())
    }
}

/// Pairs of numbers as they are in memory.
fn pairs(raw: &[u8]) -> impl Iterator<Item = (u64, u64)> + '_ {
    raw.chunks_exact(RANGE).filter_map(|pair| {
        let (start, len) = pair.split_first_chunk()?;
        Some((
            u64::from_ne_bytes(*start),
            u64::from_ne_bytes(*len.first_chunk()?),
        ))
    })
}

#[cfg_attr(
    CONFIG_BLK_COPY_KUNIT_TEST,
    kernel::macros::kunit_tests(blk_copy_uring)
)]
#[cfg(CONFIG_BLK_COPY_KUNIT_TEST)]
mod tests {
    use super::*;

    const FIELDS: Fields = Fields {
        ioprio: 0,
        addr: 1 << 20,
        len: 0,
        rw_flags: 0,
        buf_index: 0,
        splice_fd_in: -1,
        addr3: 4096,
        pad2: 8192,
    };

    fn wanted(change: impl FnOnce(&mut Fields)) -> Result<Wanted> {
        let mut fields = FIELDS;
        change(&mut fields);
        Wanted::new(&fields)
    }

    #[test]
    fn one_source() {
        let expected = Wanted {
            to: 1 << 20..(1 << 20) + 4096,
            descriptor: None,
            from: From::Place(8192),
        };
        assert_eq!(wanted(|_| ()), Ok(expected.clone()));
        let other = Wanted {
            descriptor: Some(0),
            ..expected
        };
        assert_eq!(wanted(|fields| fields.splice_fd_in = 0), Ok(other));
    }

    #[test]
    fn a_list() {
        let list = wanted(|fields| (fields.len, fields.pad2) = (4096, 0x1000));
        assert_eq!(list.map(|list| list.from), Ok(From::List(0x1000, 4096)));
        assert_eq!(wanted(|fields| fields.len = 4097), Err(EINVAL));
    }

    #[test]
    fn fields_that_make_no_sense() {
        assert_eq!(wanted(|fields| fields.ioprio = 1), Err(EINVAL));
        assert_eq!(wanted(|fields| fields.rw_flags = 1), Err(EINVAL));
        assert_eq!(wanted(|fields| fields.buf_index = 1), Err(EINVAL));
        assert_eq!(wanted(|fields| fields.addr3 = 0), Err(EINVAL));
        assert!(wanted(|fields| fields.addr3 = MOST).is_ok());
        assert_eq!(wanted(|fields| fields.addr3 = MOST + 512), Err(EINVAL));
        assert_eq!(wanted(|fields| fields.addr = u64::MAX), Err(EINVAL));
        assert_eq!(wanted(|fields| fields.splice_fd_in = -2), Err(EBADF));
    }

    #[test]
    fn ranges_are_whole_sectors() {
        assert!(CopyRange::from_bytes(512, 1024).is_some());
        assert!(CopyRange::from_bytes(511, 1024).is_none());
        assert!(CopyRange::from_bytes(512, 1023).is_none());
        let raw = [1u64, 2, 3, 4].map(u64::to_ne_bytes);
        let mut found = pairs(raw.as_flattened());
        assert_eq!(found.next(), Some((1, 2)));
        assert_eq!(found.next(), Some((3, 4)));
        assert_eq!(found.next(), None);
    }
}
