// SPDX-License-Identifier: GPL-2.0

//! See `rust/kernel/block.rs`.

pub mod bdev;
pub mod bio;
pub mod copy;
pub mod layer;
pub mod limits;

#[path = "../../../../rust/kernel/block/units.rs"]
pub mod units;
