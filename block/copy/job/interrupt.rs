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

    /// What ends a copy of which nothing was copied yet. A signal that is not fatal does not. If it
    /// did, a program with a timer would never come to the end where a command takes longer than
    /// the timer: none of its calls would copy anything.
    pub(crate) fn at_start(self) -> Self {
        match self {
            Interrupt::Any => Interrupt::Fatal,
            Interrupt::Cancelled(_) | Interrupt::Fatal => self,
        }
    }
}
