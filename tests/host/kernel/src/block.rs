// SPDX-License-Identifier: GPL-2.0

//! See `rust/kernel/block.rs`.

#[path = "../../../../rust/kernel/block/units.rs"]
pub mod units;
