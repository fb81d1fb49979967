//! Codes, and the struct that says more about an error.
//!
//! Invariant: an error is built only where one is returned, so that success does not pay for it.

use crate::boundary::{NO_POSITION, sized};
use cache_index::canonical::PathError;
use std::ffi::{c_char, c_int};
use std::fmt::Display;

/// The call succeeded.
pub const CI_OK: c_int = 0;

/// A pointer that must not be NULL is NULL.
pub const CI_ERR_NULL: c_int = -1;

/// A text is not UTF-8, not a name, or not what the rules expect. `ci_error` has the byte position.
pub const CI_ERR_TEXT: c_int = -2;

/// A setting, a mode or a count is not permitted: out of range, malformed, or in contradiction to
/// another one.
pub const CI_ERR_ARGUMENT: c_int = -3;

/// The `size` of a struct is not set, is less than this library knows, or is more, and a field that
/// it does not know is not zero.
pub const CI_ERR_SIZE: c_int = -4;

/// The buffer is too small. `needed` has the room that would have been enough.
pub const CI_ERR_BUFFER: c_int = -5;

/// The tenant belongs to another index.
pub const CI_ERR_TENANT: c_int = -6;

/// The lease was committed before.
pub const CI_ERR_CLOSED: c_int = -7;

/// All ids of this incarnation were given out.
pub const CI_ERR_EXHAUSTED: c_int = -8;

/// A file could not be read or written, or a thread not be started; only from functions whose name
/// begins with `ci_durable_` or `ci_fleet_`.
pub const CI_ERR_IO: c_int = -9;

/// The library has a bug, and has printed its place to standard error. The index can be used and
/// freed; the effect of the failed call is unknown.
pub const CI_ERR_PANIC: c_int = -128;

/// The bytes of `ci_error.message`, with the final zero byte.
pub const CI_MESSAGE_SIZE: usize = 256;

/// The bytes of `ci_error.kind`, with the final zero byte.
pub const CI_KIND_SIZE: usize = 32;

/// More about an error. Set `size` to `sizeof(struct ci_error)`. The library writes the rest if,
/// and only if, the call returns a negative code other than CI_ERR_SIZE for this very struct, or
/// CI_NOT_DURABLE.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ci_error {
    /// `sizeof(struct ci_error)`.
    pub size: usize,
    /// The code that the function returned.
    pub code: c_int,
    /// The byte position in the text as it was passed, or SIZE_MAX if the error has no position.
    pub at: usize,
    /// The position in the array that was passed, or SIZE_MAX if the error is not in an array.
    pub element: usize,
    /// The name of the kind, zero-terminated: "InvalidEscape".
    pub kind: [c_char; CI_KIND_SIZE],
    /// The message, zero-terminated, cut if it is too long. It names the argument or the setting
    /// that is wrong: "path: invalid byte at byte 3: expected UTF-8". An element of an array comes
    /// first: "variants[1]: text is empty: expected 1 to 16777215 bytes". An error that the rules
    /// find in the only text of a call does not name it, so that the message can be shown to the
    /// sender of the text: "unexpected query at byte 6: this entry invalidates the whole picture".
    pub message: [c_char; CI_MESSAGE_SIZE],
}

sized!(ci_error);

/// The reason why a call has no result.
#[derive(Debug)]
pub(crate) struct Failure(Box<Details>);

#[derive(Debug)]
struct Details {
    code: c_int,
    at: usize,
    element: usize,
    kind: String,
    message: String,
}

impl Failure {
    #[cold]
    #[inline(never)]
    pub(crate) fn new(code: c_int, kind: &str, message: impl Display) -> Self {
        let (kind, message) = (kind.to_owned(), message.to_string());
        Self(Box::new(Details { code, at: NO_POSITION, element: NO_POSITION, kind, message }))
    }

    #[cold]
    pub(crate) fn null(what: &str) -> Self {
        Self::new(CI_ERR_NULL, "Null", format_args!("{what} is NULL: expected a pointer"))
    }

    #[cold]
    pub(crate) fn argument(message: impl Display) -> Self {
        Self::new(CI_ERR_ARGUMENT, "Argument", message)
    }

    #[cold]
    pub(crate) fn size(what: &str, got: usize, expected: usize) -> Self {
        let message = format_args!("{what}.size is {got}: expected {expected}");
        Self::new(CI_ERR_SIZE, "Size", message)
    }

    #[cold]
    pub(crate) fn text(kind: &str, at: usize, message: impl Display) -> Self {
        let mut failure = Self::new(CI_ERR_TEXT, kind, message);
        failure.0.at = at;
        failure
    }

    #[cold]
    pub(crate) fn path(error: &PathError) -> Self {
        Self::text(&error.kind().to_string(), error.byte_offset(), error)
    }

    /// As `path`, for a text that is a setting.
    #[cold]
    pub(crate) fn setting(what: &str, error: &PathError) -> Self {
        let mut failure = Self::path(error);
        failure.0.code = CI_ERR_ARGUMENT;
        failure.0.message = format!("{what}: {error}");
        failure
    }

    /// An error in the body of a request.
    #[cfg(feature = "fleet")]
    #[cold]
    pub(crate) fn request(error: &cache_index::invalidation::InvalidationError) -> Self {
        let mut failure = Self::new(CI_ERR_TEXT, "Request", error);
        failure.0.element = error.entry_index().unwrap_or(NO_POSITION);
        if let Some(reason) = error.path_error() {
            failure.0.at = reason.byte_offset();
            failure.0.message = format!("{error}: {reason}");
        }
        failure
    }

    #[cold]
    pub(crate) fn panic() -> Self {
        Self::new(CI_ERR_PANIC, "Panic", "bug in the library; its place is on standard error")
    }

    /// The same failure, of an element of an array.
    #[cold]
    pub(crate) fn of(mut self, array: &str, element: usize) -> Self {
        self.0.element = element;
        self.0.message = format!("{array}[{element}]: {}", self.0.message);
        self
    }

    pub(crate) fn code(&self) -> c_int {
        self.0.code
    }

    pub(crate) fn to_c(&self) -> ci_error {
        let Details { code, at, element, kind, message } = &*self.0;
        let (code, at, element) = (*code, *at, *element);
        let (kind, message) = (terminated(kind), terminated(message));
        ci_error { size: size_of::<ci_error>(), code, at, element, kind, message }
    }
}

impl From<PathError> for Failure {
    #[cold]
    fn from(error: PathError) -> Self {
        Self::path(&error)
    }
}

/// Cuts the text between two characters, and ends it with a zero byte.
pub(crate) fn terminated<const SIZE: usize>(text: &str) -> [c_char; SIZE] {
    let mut bytes = [0; SIZE];
    let end = (0..SIZE).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    for (byte, from) in bytes.iter_mut().zip(text.as_bytes().iter().take(end)) {
        *byte = c_char::from_ne_bytes([*from]);
    }
    bytes
}

/// Returns the name of CI_OK or of a negative code, such as "CI_ERR_NULL"; static and
/// zero-terminated. For other numbers it is "unknown": results above 0 have a meaning for each
/// function. Any thread may call this at any time.
#[unsafe(no_mangle)]
pub extern "C" fn ci_code_name(code: c_int) -> *const c_char {
    let name = match code {
        CI_OK => c"CI_OK",
        CI_ERR_NULL => c"CI_ERR_NULL",
        CI_ERR_TEXT => c"CI_ERR_TEXT",
        CI_ERR_ARGUMENT => c"CI_ERR_ARGUMENT",
        CI_ERR_SIZE => c"CI_ERR_SIZE",
        CI_ERR_BUFFER => c"CI_ERR_BUFFER",
        CI_ERR_TENANT => c"CI_ERR_TENANT",
        CI_ERR_CLOSED => c"CI_ERR_CLOSED",
        CI_ERR_EXHAUSTED => c"CI_ERR_EXHAUSTED",
        CI_ERR_IO => c"CI_ERR_IO",
        CI_ERR_PANIC => c"CI_ERR_PANIC",
        _ => c"unknown",
    };
    name.as_ptr()
}
