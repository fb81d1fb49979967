//! Between C and Rust: pointers, sizes of structs, and panics.
//!
//! Invariants:
//! - Memory of the caller's that may be uninitialized is written and never read, apart from the
//!   `size` of a struct.
//! - Arguments are checked in full before the index is called.

use crate::error::{CI_ERR_SIZE, CI_OK, Failure, ci_error};
use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// `SIZE_MAX`.
pub(crate) const NO_POSITION: usize = usize::MAX;

/// No struct will ever be larger. Guards against a `size` that was never set.
const MAX_SIZE: usize = 4096;

/// Runs a function of the interface. Reports its failure in `error`, and catches its panic.
///
/// # Safety
/// `error` is NULL or points to a `ci_error` of which at least `size` is set.
#[inline]
pub(crate) unsafe fn guard(
    error: *mut ci_error,
    run: impl FnOnce() -> Result<c_int, Failure>,
) -> c_int {
    // SAFETY: as promised.
    if !error.is_null() && unsafe { (&raw const (*error).size).read() } < size_of::<ci_error>() {
        return CI_ERR_SIZE;
    }
    let failure = match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(code)) => return code,
        Ok(Err(failure)) => failure,
        Err(payload) => {
            // Its drop could panic, too.
            std::mem::forget(payload);
            Failure::panic()
        }
    };
    // SAFETY: as promised.
    unsafe { report(&failure, error) }
}

#[cold]
#[inline(never)]
unsafe fn report(failure: &Failure, error: *mut ci_error) -> c_int {
    if !error.is_null() {
        // SAFETY: the caller of `guard` promises it. A larger struct keeps its other fields.
        unsafe {
            let size = (&raw const (*error).size).read();
            error.write(ci_error { size, ..failure.to_c() });
        }
    }
    failure.code()
}

/// Borrows from C.
///
/// # Safety
/// A pointer that is not NULL points to a valid `T`, which nobody changes meanwhile.
#[inline]
pub(crate) unsafe fn borrow<'a, T>(pointer: *const T, what: &str) -> Result<&'a T, Failure> {
    // SAFETY: as promised.
    unsafe { pointer.as_ref() }.ok_or_else(|| Failure::null(what))
}

/// Borrows from C, exclusively.
///
/// # Safety
/// A pointer that is not NULL points to a valid `T`, which nobody else uses meanwhile.
#[inline]
pub(crate) unsafe fn borrow_mut<'a, T>(pointer: *mut T, what: &str) -> Result<&'a mut T, Failure> {
    // SAFETY: as promised.
    unsafe { pointer.as_mut() }.ok_or_else(|| Failure::null(what))
}

/// Borrows an array from C.
///
/// # Safety
/// A pointer that is not NULL points to `count` valid `T`, which nobody changes meanwhile.
pub(crate) unsafe fn array<'a, T>(
    pointer: *const T,
    count: usize,
    what: &str,
) -> Result<&'a [T], Failure> {
    if count == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() {
        return Err(Failure::null(what));
    }
    let most = usize::MAX / 2 / size_of::<T>().max(1);
    if count > most {
        let message = format!("{what} has {count} elements: expected at most {most}");
        return Err(Failure::argument(message));
    }
    // SAFETY: as promised; the size in bytes fits.
    Ok(unsafe { std::slice::from_raw_parts(pointer, count) })
}

/// A place of the caller's that a result is written to.
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// # Safety
    /// A pointer that is not NULL can be written to until this is dropped.
    #[inline]
    pub(crate) unsafe fn new(pointer: *mut T, what: &str) -> Result<Self, Failure> {
        if pointer.is_null() { Err(Failure::null(what)) } else { Ok(Self(pointer)) }
    }

    #[inline]
    pub(crate) fn write(&self, value: T) {
        // SAFETY: `new` was promised that the place can be written to, and it is not NULL.
        unsafe { self.0.write(value) }
    }
}

/// A handle that is allocated here and freed by the library's own function.
pub(crate) fn hand_over<T>(out: &Out<*mut T>, value: T) {
    out.write(Box::into_raw(Box::new(value)));
}

/// Makes a handle and hands it over.
///
/// # Safety
/// If `out` is not NULL, it can be written to.
pub(crate) unsafe fn hand_over_made<T>(
    out: *mut *mut T,
    make: impl FnOnce() -> Result<T, Failure>,
) -> Result<c_int, Failure> {
    // SAFETY: as promised.
    let out = unsafe { Out::new(out, "out") }?;
    hand_over(&out, make()?);
    Ok(CI_OK)
}

/// Takes back and drops a handle. NULL is nothing.
///
/// # Safety
/// A pointer that is not NULL comes from [`hand_over`], and is not used any more.
pub(crate) unsafe fn take_back<T>(pointer: *mut T) {
    if !pointer.is_null() {
        // SAFETY: as promised.
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(unsafe { Box::from_raw(pointer) })));
        if let Err(payload) = dropped {
            std::mem::forget(payload);
        }
    }
}

/// A struct of C's that begins with its size.
///
/// # Safety
/// `#[repr(C)]`, the first field is `size: usize`, and every bit pattern is valid.
pub(crate) unsafe trait SizedStruct: Copy {
    /// Sets the size.
    fn with_size(self, size: usize) -> Self;
}

macro_rules! sized {
    ($($name:ty),*) => {$(
        // SAFETY: all fields are integers and pointers, in the layout of C, `size` first.
        unsafe impl crate::boundary::SizedStruct for $name {
            fn with_size(self, size: usize) -> Self {
                Self { size, ..self }
            }
        }
    )*};
}

pub(crate) use sized;

/// Reads a struct of settings, which a later version of the header may have made larger. Settings
/// that this library does not know must be zero.
///
/// # Safety
/// A pointer that is not NULL points to a struct of as many bytes as its `size` says.
pub(crate) unsafe fn settings<T: SizedStruct>(
    pointer: *const T,
    what: &str,
) -> Result<Option<T>, Failure> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: as promised, at least `size` can be read; it is the first field.
    let size = unsafe { pointer.cast::<usize>().read() };
    let known = size_of::<T>();
    if size < known || size > MAX_SIZE {
        return Err(Failure::size(what, size, known));
    }
    // SAFETY: as promised, the struct has that many bytes.
    let rest = unsafe { std::slice::from_raw_parts(pointer.cast::<u8>().add(known), size - known) };
    if rest.iter().any(|byte| *byte != 0) {
        return Err(Failure::size(what, size, known));
    }
    // SAFETY: as promised; every bit pattern is valid.
    Ok(Some(unsafe { pointer.read() }))
}

/// A struct of the caller's that a result is written to, or NULL for a result that nobody wants.
pub(crate) struct OutStruct<T>(*mut T, usize);

impl<T: SizedStruct> OutStruct<T> {
    /// # Safety
    /// A pointer that is not NULL points to a struct of which `size` is set, and which can be
    /// written to until this is dropped.
    pub(crate) unsafe fn new(pointer: *mut T, what: &str) -> Result<Self, Failure> {
        if pointer.is_null() {
            return Ok(Self(pointer, 0));
        }
        // SAFETY: as promised; `size` is the first field.
        let size = unsafe { pointer.cast::<usize>().read() };
        if size < size_of::<T>() || size > MAX_SIZE {
            return Err(Failure::size(what, size, size_of::<T>()));
        }
        Ok(Self(pointer, size))
    }

    /// As `new`, but the result must be wanted.
    ///
    /// # Safety
    /// As `new`.
    pub(crate) unsafe fn required(pointer: *mut T, what: &str) -> Result<Self, Failure> {
        if pointer.is_null() {
            return Err(Failure::null(what));
        }
        // SAFETY: as promised.
        unsafe { Self::new(pointer, what) }
    }

    #[inline]
    pub(crate) fn is_wanted(&self) -> bool {
        !self.0.is_null()
    }

    pub(crate) fn write(&self, value: T) {
        if self.is_wanted() {
            // SAFETY: `new` was promised that the place can be written to.
            unsafe { self.0.write(value.with_size(self.1)) }
        }
    }
}
