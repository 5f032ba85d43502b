// SPDX-License-Identifier: GPL-2.0

//! See `rust/kernel/prelude.rs`.

pub use crate::error::{code::*, Error};
pub use crate::init::PinInit;
pub use crate::pin_init;
pub use core::ffi::c_void;
pub use kernel_macros::pin_data;
