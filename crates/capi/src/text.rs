//! Texts of C: a pointer and a length.

use crate::error::Failure;
use cache_index::{Config, NameError, NameErrorKind, OriginPath, PathPrefix, VariantKey};
use std::ffi::c_char;

/// A text: `len` bytes from `ptr` on, not zero-terminated. `ptr` may be NULL if `len` is 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ci_str {
    /// The first byte.
    pub ptr: *const c_char,
    /// The number of bytes.
    pub len: usize,
}

impl ci_str {
    pub(crate) const EMPTY: Self = Self { ptr: std::ptr::null(), len: 0 };

    /// A view of text that the library keeps.
    pub(crate) fn of(text: &str) -> Self {
        Self { ptr: text.as_ptr().cast(), len: text.len() }
    }

    /// # Safety
    /// If `ptr` is not NULL, `len` bytes can be read from it, and nobody changes them meanwhile.
    #[inline]
    pub(crate) unsafe fn bytes<'a>(self) -> Result<&'a [u8], Failure> {
        if self.ptr.is_null() {
            return if self.len == 0 { Ok(&[]) } else { Err(Failure::null("text")) };
        }
        if self.len > Config::MAX_PATH_LEN {
            return Err(too_long(self.len));
        }
        // SAFETY: as promised; the length fits.
        Ok(unsafe { std::slice::from_raw_parts(self.ptr.cast(), self.len) })
    }

    /// # Safety
    /// As `bytes`.
    #[inline]
    pub(crate) unsafe fn text<'a>(self) -> Result<&'a str, Failure> {
        // SAFETY: as promised.
        let bytes = unsafe { self.bytes() }?;
        if bytes.is_ascii() {
            // SAFETY: ASCII is UTF-8. The check of std's own takes several times as long.
            return Ok(unsafe { std::str::from_utf8_unchecked(bytes) });
        }
        checked(bytes)
    }

    /// # Safety
    /// As `bytes`.
    #[inline]
    pub(crate) unsafe fn path<'a>(self) -> Result<OriginPath<'a>, Failure> {
        // SAFETY: as promised.
        OriginPath::opaque(unsafe { self.text() }?).map_err(|error| name_failure(&error))
    }

    /// # Safety
    /// As `bytes`.
    #[inline]
    pub(crate) unsafe fn key<'a>(self) -> Result<VariantKey<'a>, Failure> {
        // SAFETY: as promised.
        VariantKey::opaque(unsafe { self.text() }?).map_err(|error| name_failure(&error))
    }

    /// # Safety
    /// As `bytes`.
    pub(crate) unsafe fn prefix<'a>(self) -> Result<PathPrefix<'a>, Failure> {
        // SAFETY: as promised.
        PathPrefix::opaque(unsafe { self.text() }?).map_err(|error| name_failure(&error))
    }
}

#[cold]
#[inline(never)]
fn checked(bytes: &[u8]) -> Result<&str, Failure> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        Failure::text("NotUtf8", at, format_args!("invalid byte at byte {at}: expected UTF-8"))
    })
}

#[cold]
#[inline(never)]
fn too_long(len: usize) -> Failure {
    let limit = Config::MAX_PATH_LEN;
    let message = format_args!("text has {len} bytes: expected at most {limit} bytes");
    Failure::text("TooLong", limit, message)
}

#[cold]
#[inline(never)]
pub(crate) fn name_failure(error: &NameError) -> Failure {
    let (kind, at) = match error.kind() {
        NameErrorKind::Empty => ("Empty", 0),
        NameErrorKind::TooLong { limit, .. } => ("TooLong", limit),
        _ => ("Name", 0),
    };
    Failure::text(kind, at, error)
}
