// SPDX-License-Identifier: GPL-2.0

//! Values that are made where they will stay. See `rust/pin-init`.

/// Makes a `T` in memory that it does not leave.
pub trait PinInit<T> {
    /// # Safety
    ///
    /// `slot` is memory for a `T` that nobody uses.
    unsafe fn init(self, slot: *mut T);
}

impl<T, F: FnOnce(*mut T)> PinInit<T> for F {
    unsafe fn init(self, slot: *mut T) {
        self(slot);
    }
}

/// Makes a `T` there.
///
/// # Safety
///
/// `slot` is memory for a `T` that nobody uses. The value stays there until it is dropped.
pub unsafe fn raw_init<T>(slot: *mut T, init: impl PinInit<T>) {
    // SAFETY: Required of the caller.
    unsafe { init.init(slot) };
}

/// Says what a function makes in place.
///
/// # Safety
///
/// `make` may be called with memory for a `T` that nobody uses, and makes a `T` there.
pub unsafe fn from_fn<T>(make: impl FnOnce(*mut T)) -> impl PinInit<T> {
    make
}

/// Makes `Self` in place, field by field.
#[macro_export]
macro_rules! pin_init {
    (Self { $($fields:tt)* }) => {
        // SAFETY: Each field is written once, and none is left out: the engine, which this macro is
        // for, compiles with the kernel's `pin_init!`, which checks that.
        unsafe {
            $crate::init::from_fn(move |slot: *mut Self| {
                $crate::pin_init!(@fields slot, $($fields)*)
            })
        }
    };
    (@fields $slot:ident,) => {
        ()
    };
    (@fields $slot:ident, $field:ident <- $init:expr, $($rest:tt)*) => {{
        $crate::raw_init(core::ptr::addr_of_mut!((*$slot).$field), $init);
        $crate::pin_init!(@fields $slot, $($rest)*)
    }};
    (@fields $slot:ident, $field:ident, $($rest:tt)*) => {{
        core::ptr::addr_of_mut!((*$slot).$field).write($field);
        $crate::pin_init!(@fields $slot, $($rest)*)
    }};
}
