// SPDX-License-Identifier: GPL-2.0

//! Why a bio failed.
//!
//! C header: [`include/linux/blk_types.h`](srctree/include/linux/blk_types.h)

use crate::{
    bindings,
    error::{
        to_result,
        Error, //
    },
    prelude::*, //
};
use core::num::NonZeroU8;

/// Why a bio failed: a `blk_status_t` other than `BLK_STS_OK`.
///
/// # Examples
///
/// ```
/// use kernel::block::bio::Status;
///
/// assert_eq!(Status::NOTSUPP.to_error(), EOPNOTSUPP);
/// assert_eq!(Status::from_raw(Status::into_raw(Some(Status::AGAIN))), Some(Status::AGAIN));
/// // Success is no status.
/// assert_eq!(Status::from_raw(0), None);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Status(NonZeroU8);

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $raw:ident;)*) => {$(
        $(#[$doc])*
        pub const $name: Self = match NonZeroU8::new(bindings::$raw) {
            Some(raw) => Self(raw),
            // PANIC: This is a constant. The compiler stops here, the kernel never does.
            None => panic!("a status must not be BLK_STS_OK"),
        };
    )*};
}

impl Status {
    statuses! {
        /// The operation is not supported here.
        NOTSUPP = BLK_STS_NOTSUPP;
        /// The operation would have had to wait.
        AGAIN = BLK_STS_AGAIN;
        /// The request makes no sense.
        INVAL = BLK_STS_INVAL;
        /// Any other error.
        IOERR = BLK_STS_IOERR;
        /// Memory or another resource of the kernel ran out.
        RESOURCE = BLK_STS_RESOURCE;
    }

    /// Converts a `blk_status_t`. Success becomes [`None`].
    pub fn from_raw(raw: bindings::blk_status_t) -> Option<Self> {
        NonZeroU8::new(raw).map(Self)
    }

    /// Converts to a `blk_status_t`. [`None`] becomes `BLK_STS_OK`.
    pub fn into_raw(status: Option<Self>) -> bindings::blk_status_t {
        status.map_or(0, |Status(raw)| raw.get())
    }

    /// Returns the error that user space sees for this status (`blk_status_to_errno()`).
    pub fn to_error(self) -> Error {
        // SAFETY: The function takes any status. It only looks it up in a table.
        match to_result(unsafe { bindings::blk_status_to_errno(self.0.get()) }) {
            Err(error) => error,
            // Unreachable: the table has an errno for every status but BLK_STS_OK.
            Ok(()) => EIO,
        }
    }
}
