// SPDX-License-Identifier: GPL-2.0

//! Errors. See `rust/kernel/error.rs`.

/// An error number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Error(i32);

impl Error {
    /// Returns the negative number.
    pub fn to_errno(self) -> i32 {
        self.0
    }
}

/// The error numbers that somebody needs.
pub mod code {
    use super::Error;

    pub const EIO: Error = Error(-5);
    pub const EAGAIN: Error = Error(-11);
    pub const EINVAL: Error = Error(-22);
    pub const ENODATA: Error = Error(-61);
    pub const EOPNOTSUPP: Error = Error(-95);
}
