// SPDX-License-Identifier: GPL-2.0

//! Copies in the background.

use super::{
    call,
    params,
    CopyRange,
    How,
    Outcome,
    Params,
    Pool, //
};
use crate::{
    bindings,
    block::bdev::BlockDevice,
    error::to_result,
    prelude::*,
    sync::Arc,
    types::Opaque, //
};

/// The params of a copy in the background.
struct Shared(Opaque<bindings::blk_copy_params>);

// SAFETY: The engine takes care of the params while a copy runs; otherwise only its memory is used.
unsafe impl Send for Shared {}
// SAFETY: As above.
unsafe impl Sync for Shared {}

/// A copy in the background, as far as its caller is concerned. When this is dropped, the copy goes
/// on.
///
/// # Examples
///
/// ```
/// use kernel::block::copy::Started;
///
/// /// Ends all copies that are not over yet.
/// fn cancel_all(copies: KVec<Started>) {
///     for copy in &copies {
///         copy.cancel();
///     }
/// }
/// ```
pub struct Started(Arc<Shared>);

impl Started {
    /// Ends the copy early. Nothing of it is sent to a device any more; when what is in flight has
    /// ended, it ends with `ECANCELED`, unless it failed before, or all of it was on its way
    /// already. If it has ended, this does nothing.
    ///
    /// Context: any. Does not sleep.
    pub fn cancel(&self) {
        // SAFETY: `self` has a reference to the memory.
        unsafe { Params::cancel(self.0 .0.get()) };
    }
}

/// What a copy in the background uses until it has ended.
struct Kept<S, D, F> {
    params: Arc<Shared>,
    _src: S,
    _dst: D,
    _from: KVec<CopyRange>,
    _to: KVec<CopyRange>,
    _pool: Option<Arc<Pool>>,
    done: F,
}

/// Begins a copy as [`copy`](fn@super::copy) makes it, and calls `done` when it has ended: once, in
/// task context, before this returns or later. A worker calls it, unless there are no ranges: then
/// this function does. If this returns an error, nothing was begun, and `done` is not called.
///
/// What this returns can cancel the copy; it need not be kept.
///
/// `module` is the one that `done` is in. It is not unloaded before `done` has returned and what it
/// has was dropped.
///
/// Context: task; may sleep.
///
/// # Examples
///
/// ```
/// use kernel::block::{
///     bdev::OpenDevice,
///     copy::{self, CopyRange, Way}, //
/// };
///
/// /// Copies in the background, and reports the end.
/// fn report_later(
///     module: &'static ThisModule,
///     (src, from): (OpenDevice, KVec<CopyRange>),
///     (dst, to): (OpenDevice, KVec<CopyRange>),
/// ) -> Result {
///     copy::start(module, Way::Any, (src, from), (dst, to), None, |outcome| {
///         pr_info!("copied {} sectors\n", outcome.copied.get());
///     })?;
///     Ok(())
/// }
/// ```
pub fn start<S, D, F>(
    module: &'static ThisModule,
    how: impl Into<How>,
    (src, from): (S, KVec<CopyRange>),
    (dst, to): (D, KVec<CopyRange>),
    pool: Option<Arc<Pool>>,
    done: F,
) -> Result<Started>
where
    S: AsRef<BlockDevice> + Send + 'static,
    D: AsRef<BlockDevice> + Send + 'static,
    F: FnOnce(Outcome) + Send + 'static,
{
    let how = how.into();
    let params = params(how.hint, (src.as_ref(), &from), (dst.as_ref(), &to))?;
    let params = Arc::new(Shared(Opaque::new(params)), GFP_KERNEL)?;
    let started = Started(params.clone());
    let raw = params.0.get();
    let reserve = pool.clone();
    let kept = Kept {
        params,
        _src: src,
        _dst: dst,
        _from: from,
        _to: to,
        _pool: pool,
        done,
    };
    let kept = KBox::into_raw(KBox::new(kept, GFP_KERNEL)?);
    // SAFETY: The params, the devices, the ranges and the pool are in the box, and `ended` drops it
    // when the copy has ended. Nothing in it is touched here once that may have happened.
    let status = unsafe {
        (*raw).private = kept.cast();
        (*raw).end_io = Some(ended::<S, D, F>);
        (*raw).owner = module.as_ptr();
        call(how.way, raw, reserve.as_deref())
    };
    if status == EIOCBQUEUED.to_errno() {
        return Ok(started);
    }
    // SAFETY: Nothing was begun, or there was nothing to do, so `ended` will not take the box.
    let kept = KBox::into_inner(unsafe { KBox::from_raw(kept) });
    to_result(status)?;
    // SAFETY: There is no copy, and `started` keeps the params.
    (kept.done)(unsafe { Outcome::of(raw) });
    Ok(started)
}

/// Ends a copy in the background.
///
/// # Safety
///
/// Only for `end_io` of the copies of [`start`].
unsafe extern "C" fn ended<S, D, F: FnOnce(Outcome)>(params: *mut bindings::blk_copy_params) {
    // SAFETY: `start` has put the box there, and nobody uses it any more.
    let kept = unsafe { KBox::from_raw((*params).private.cast::<Kept<S, D, F>>()) };
    let kept = KBox::into_inner(kept);
    // SAFETY: The copy has ended, and `kept` keeps the params.
    (kept.done)(unsafe { Outcome::of(kept.params.0.get()) });
}
