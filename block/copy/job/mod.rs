// SPDX-License-Identifier: GPL-2.0

//! Copies, from their start to their end.
//!
//! A copy is cut into chunks, which are sent to the device one after the other. Where the device
//! cannot copy, and only there, the data is read and written ([`onload`]). What the device failed
//! to copy is an error, and the first error ends the copy: what lies before it goes on, what lies
//! behind it does not begin.
//!
//! [`turn`] has the policy: what a copy does next. Whoever drives the copy does not wait in the
//! middle of a turn. Between two turns a task waits ([`run`]), or nobody does ([`background`]).
//! [`tracker`] is where those who end I/O meet the driver of the copy, [`link`] the way to the
//! devices, and [`share`] counts what is in flight there. [`pool`] has the reserves of memory.

mod background;
mod buffers;
mod handle;
mod interrupt;
mod link;
mod onload;
mod pool;
mod run;
mod share;
mod tracker;
mod turn;

pub(crate) use interrupt::Interrupt;
pub(crate) use pool::{
    init,
    Pool, //
};
