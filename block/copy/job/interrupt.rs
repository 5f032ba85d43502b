// SPDX-License-Identifier: GPL-2.0

//! What ends a copy before its end.

use kernel::{
    block::copy::Params,
    prelude::*,
    task, //
};

/// What ends a copy before its end.
#[derive(Clone, Copy)]
pub(crate) enum Interrupt {
    /// That its caller has cancelled it: `ECANCELED`.
    Cancelled(&'static Params),
    /// A fatal signal of the current task: `EINTR`.
    Fatal,
    /// Any signal of the current task, and freezing: `ERESTARTSYS`.
    Any,
}

impl Interrupt {
    /// The error of a copy that has to end now.
    pub(crate) fn pending(self) -> Option<Error> {
        match self {
            Interrupt::Cancelled(params) => params.is_cancelled().then_some(ECANCELED),
            Interrupt::Fatal => task::fatal_signal_pending().then_some(EINTR),
            Interrupt::Any => task::signal_pending().then_some(ERESTARTSYS),
        }
    }

    /// The same, while nothing was copied yet: a signal that is not fatal does not count then. If
    /// it did, a program with a timer would never come to the end where a command takes longer than
    /// that: each of its calls would end without having copied anything.
    pub(crate) fn pending_at_start(self) -> Option<Error> {
        match self {
            Interrupt::Any => Interrupt::Fatal.pending(),
            Interrupt::Cancelled(_) | Interrupt::Fatal => self.pending(),
        }
    }
}
