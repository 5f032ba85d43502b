// SPDX-License-Identifier: GPL-2.0

//! Ways to copy.
//!
//! C header: [`include/linux/blk-copy.h`](srctree/include/linux/blk-copy.h)

use crate::{
    bindings,
    block::bio::WriteHint,
    prelude::*, //
};

/// How to copy. See [`copy`](fn@super::copy) for an example.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// Inside the device, or not at all: `blkdev_copy_offload()`.
    Offload,
    /// By reading and writing: `blkdev_copy_onload()`.
    Onload,
    /// Inside the device wherever it can, by reading and writing elsewhere: `blkdev_copy()`.
    Any,
}

impl Way {
    /// The way that C names.
    pub fn from_raw(way: bindings::blk_copy_way) -> Result<Self> {
        match way {
            bindings::blk_copy_way_BLK_COPY_OFFLOAD => Ok(Self::Offload),
            bindings::blk_copy_way_BLK_COPY_ONLOAD => Ok(Self::Onload),
            bindings::blk_copy_way_BLK_COPY_ANY => Ok(Self::Any),
            _ => Err(EINVAL),
        }
    }

    /// What C calls it.
    pub fn into_raw(self) -> bindings::blk_copy_way {
        match self {
            Self::Offload => bindings::blk_copy_way_BLK_COPY_OFFLOAD,
            Self::Onload => bindings::blk_copy_way_BLK_COPY_ONLOAD,
            Self::Any => bindings::blk_copy_way_BLK_COPY_ANY,
        }
    }

    /// Says where the device should place what is written.
    pub const fn placed(self, hint: WriteHint) -> How {
        How { way: self, hint }
    }
}

/// How to copy, and where the device should place what is written. A [`Way`] alone says nothing of
/// the place.
///
/// # Examples
///
/// ```
/// use kernel::block::{
///     bio::WriteHint,
///     copy::{How, Way}, //
/// };
///
/// assert_eq!(How::from(Way::Any), Way::Any.placed(WriteHint::default()));
/// // To the second write stream of the destination.
/// let how = Way::Offload.placed(WriteHint::new(0, 2));
/// # let _ = how;
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct How {
    pub(super) way: Way,
    pub(super) hint: WriteHint,
}

impl From<Way> for How {
    fn from(way: Way) -> Self {
        way.placed(WriteHint::default())
    }
}
