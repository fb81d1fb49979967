//! Names that were checked once and are used many times.

use crate::boundary::{guard, hand_over_made, take_back};
use crate::error::{Failure, ci_error};
use crate::text::ci_str;
use cache_index::{OriginPath, VariantKey};
use std::ffi::c_int;

/// A name is any text, compared byte for byte.
pub const CI_OPAQUE: c_int = 0;

/// A name must be written as Cloudimage's rules write it, see `ci_request_target`.
pub const CI_CANONICAL: c_int = 1;

/// The name of a picture, checked and copied. Any number of threads may use it, with any index.
pub struct ci_path(pub(crate) OriginPath<'static>);

/// The name of a variant, checked and copied. Any number of threads may use it, with any index.
pub struct ci_key(pub(crate) VariantKey<'static>);

fn is_canonical(form: c_int) -> Result<bool, Failure> {
    match form {
        CI_OPAQUE => Ok(false),
        CI_CANONICAL => Ok(true),
        other => {
            let expected = "expected CI_OPAQUE or CI_CANONICAL";
            Err(Failure::argument(format_args!("form is {other}: {expected}")))
        }
    }
}

/// Checks the name of a picture once. `form` is CI_OPAQUE or CI_CANONICAL. All functions that read
/// a path as text accept every opaque one, so a canonical check is for finding mistakes.
///
/// Owner: you; free `*out` with `ci_path_free`. The text is copied.
///
/// Returns CI_OK; CI_ERR_NULL, CI_ERR_ARGUMENT, CI_ERR_TEXT: nothing is created.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_path_new(
    text: ci_str,
    form: c_int,
    out: *mut *mut ci_path,
    error: *mut ci_error,
) -> c_int {
    let make = || {
        if !is_canonical(form)? {
            // SAFETY: the caller passes a text that can be read.
            return Ok(ci_path(unsafe { text.path("text") }?.into_owned()));
        }
        // SAFETY: as above.
        let path = OriginPath::from_canonical(unsafe { text.text("text") }?);
        Ok(ci_path(path.map_err(|error| Failure::path(&error))?.into_owned()))
    };
    // SAFETY: `out` and `error` are NULL or can be written to.
    unsafe { guard(error, || hand_over_made(out, make)) }
}

/// Frees a name. NULL is allowed.
///
/// Undefined: to free a name twice, or while another thread uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_path_free(path: *mut ci_path) {
    // SAFETY: the caller passes NULL or a name that is not used any more.
    unsafe { take_back(path) }
}

/// Checks the name of a variant once, as `ci_path_new` does for a picture.
///
/// Owner: you; free `*out` with `ci_key_free`. The text is copied.
///
/// Returns CI_OK; CI_ERR_NULL, CI_ERR_ARGUMENT, CI_ERR_TEXT: nothing is created.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_key_new(
    text: ci_str,
    form: c_int,
    out: *mut *mut ci_key,
    error: *mut ci_error,
) -> c_int {
    let make = || {
        if !is_canonical(form)? {
            // SAFETY: the caller passes a text that can be read.
            return Ok(ci_key(unsafe { text.key("text") }?.into_owned()));
        }
        // SAFETY: as above.
        let key = VariantKey::from_canonical(unsafe { text.text("text") }?);
        Ok(ci_key(key.map_err(|error| Failure::path(&error))?.into_owned()))
    };
    // SAFETY: `out` and `error` are NULL or can be written to.
    unsafe { guard(error, || hand_over_made(out, make)) }
}

/// Frees a name. NULL is allowed.
///
/// Undefined: to free a name twice, or while another thread uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_key_free(key: *mut ci_key) {
    // SAFETY: the caller passes NULL or a name that is not used any more.
    unsafe { take_back(key) }
}
