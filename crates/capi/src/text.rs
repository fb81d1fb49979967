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
    pub(crate) unsafe fn bytes<'a>(self, what: &'static str) -> Result<&'a [u8], Failure> {
        if self.ptr.is_null() {
            return if self.len == 0 { Ok(&[]) } else { Err(Failure::null(what)) };
        }
        if self.len > Config::MAX_PATH_LEN {
            return Err(too_long(what, self.len));
        }
        // SAFETY: as promised; the length fits.
        Ok(unsafe { std::slice::from_raw_parts(self.ptr.cast(), self.len) })
    }

    /// # Safety
    /// As `bytes`.
    #[inline]
    pub(crate) unsafe fn text<'a>(self, what: &'static str) -> Result<&'a str, Failure> {
        // SAFETY: as promised.
        let bytes = unsafe { self.bytes(what) }?;
        if is_ascii(bytes) {
            // SAFETY: ASCII is UTF-8. The check for UTF-8 takes several times as long.
            return Ok(unsafe { std::str::from_utf8_unchecked(bytes) });
        }
        checked(what, bytes)
    }

    /// # Safety
    /// As `bytes`.
    #[inline]
    pub(crate) unsafe fn path<'a>(self, what: &'static str) -> Result<OriginPath<'a>, Failure> {
        // SAFETY: as promised.
        OriginPath::opaque(unsafe { self.text(what) }?).map_err(|error| name_failure(what, &error))
    }

    /// # Safety
    /// As `bytes`.
    #[inline]
    pub(crate) unsafe fn key<'a>(self, what: &'static str) -> Result<VariantKey<'a>, Failure> {
        // SAFETY: as promised.
        VariantKey::opaque(unsafe { self.text(what) }?).map_err(|error| name_failure(what, &error))
    }

    /// # Safety
    /// As `bytes`.
    pub(crate) unsafe fn prefix<'a>(self, what: &'static str) -> Result<PathPrefix<'a>, Failure> {
        // SAFETY: as promised.
        PathPrefix::opaque(unsafe { self.text(what) }?).map_err(|error| name_failure(what, &error))
    }

    /// As `prefix`, but may be empty, which is a prefix of all paths. Only for functions that
    /// change nothing: an empty text is easily passed by mistake.
    ///
    /// # Safety
    /// As `bytes`.
    pub(crate) unsafe fn prefix_or_all<'a>(
        self,
        what: &'static str,
    ) -> Result<PathPrefix<'a>, Failure> {
        if self.len == 0 {
            return PathPrefix::from_canonical("").map_err(|error| Failure::path(&error));
        }
        // SAFETY: as promised.
        unsafe { self.prefix(what) }
    }
}

/// As `is_ascii` of std, which takes twice as many instructions for names.
#[inline]
fn is_ascii(bytes: &[u8]) -> bool {
    const HIGH_BITS: u128 = u128::MAX / 255 * 128;
    let Some(last) = bytes.last_chunk::<16>() else {
        return bytes.iter().fold(0, |seen, byte| seen | byte) < 128;
    };
    // The last 16 bytes may overlap with the chunk before them.
    let mut seen = u128::from_ne_bytes(*last);
    for chunk in bytes.chunks_exact(16) {
        seen |= u128::from_ne_bytes(chunk.try_into().unwrap_or([0; 16]));
    }
    seen & HIGH_BITS == 0
}

#[cold]
#[inline(never)]
fn checked<'a>(what: &str, bytes: &'a [u8]) -> Result<&'a str, Failure> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let message = format_args!("{what}: invalid byte at byte {at}: expected UTF-8");
        Failure::text("NotUtf8", at, message)
    })
}

#[cold]
#[inline(never)]
fn too_long(what: &str, len: usize) -> Failure {
    let limit = Config::MAX_PATH_LEN;
    let message = format_args!("{what} has {len} bytes: expected at most {limit} bytes");
    Failure::text("TooLong", limit, message)
}

#[cold]
#[inline(never)]
fn name_failure(what: &str, error: &NameError) -> Failure {
    let limit = Config::MAX_PATH_LEN;
    match error.kind() {
        NameErrorKind::Empty => {
            let message = format_args!("{what} is empty: expected 1 to {limit} bytes");
            Failure::text("Empty", 0, message)
        }
        NameErrorKind::TooLong { len, .. } => too_long(what, len),
        _ => Failure::text("Name", 0, format_args!("{what}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_is_told_from_any_other_byte_at_any_place() {
        for len in 0..70 {
            let mut bytes = vec![b'~'; len];
            assert!(is_ascii(&bytes));
            for at in 0..len {
                for byte in [0x7f, 0x80, 0xff] {
                    bytes[at] = byte;
                    assert_eq!(is_ascii(&bytes), byte < 0x80, "{byte:x} at {at} of {len}");
                }
                bytes[at] = 0;
            }
        }
    }
}
