//! Canonical names, written into memory of the caller's.

use crate::boundary::{OutStruct, borrow, guard, sized};
use crate::error::{CI_ERR_BUFFER, CI_OK, Failure, ci_error};
use crate::rules::ci_rules;
use crate::text::ci_str;
use cache_index::canonical::{Rules, Target};
use std::borrow::Cow;
use std::ffi::{c_char, c_int};

/// One picture.
pub const CI_TARGET_PATH: c_int = 0;

/// All pictures whose path begins with this text, which is not empty: pass it to
/// `ci_purge_prefix`.
pub const CI_TARGET_PREFIX: c_int = 1;

/// All pictures of the tenant, as for the entry `*`. The path is empty: call `ci_flush` with the
/// tenant.
pub const CI_TARGET_ALL: c_int = 2;

/// Canonical names. Set `size` to `sizeof(struct ci_names)`. The texts point into the text that was
/// passed or into the buffer, and are valid as long as both are.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ci_names {
    /// `sizeof(struct ci_names)`.
    pub size: usize,
    /// The picture, or the prefix of pictures; empty for CI_TARGET_ALL.
    pub path: ci_str,
    /// The variant; empty if the text names whole pictures.
    pub variant: ci_str,
    /// The bytes of buffer that were used. After CI_ERR_BUFFER, the bytes that are needed.
    pub needed: usize,
    /// CI_TARGET_PATH, CI_TARGET_PREFIX or CI_TARGET_ALL.
    pub target: c_int,
    /// Zero.
    pub reserved: c_int,
}

sized!(ci_names);

/// Names as canonicalization returns them.
struct Read<'a> {
    path: Cow<'a, str>,
    variant: Cow<'a, str>,
    target: c_int,
}

impl<'a> Read<'a> {
    fn of(target: Target<'a>, variant: Cow<'a, str>) -> Self {
        match target {
            Target::Path(path) => Self { path: path.into_cow(), variant, target: CI_TARGET_PATH },
            Target::Prefix(prefix) => {
                let path = prefix.into_cow();
                let target = if path.is_empty() { CI_TARGET_ALL } else { CI_TARGET_PREFIX };
                Self { path, variant, target }
            }
        }
    }
}

/// The arguments of a function that reads names.
struct Call {
    rules: *const ci_rules,
    text: ci_str,
    buffer: *mut c_char,
    room: usize,
    out: *mut ci_names,
}

impl Call {
    /// # Safety
    /// Pointers are NULL or valid, the text can be read, and `room` bytes can be written to
    /// `buffer`.
    unsafe fn run<'a>(
        &self,
        read: impl FnOnce(&'a Rules, &'a [u8]) -> Result<Read<'a>, Failure>,
    ) -> Result<c_int, Failure> {
        // SAFETY: as promised.
        let (rules, text, out) = unsafe {
            let out = OutStruct::required(self.out, "out")?;
            (borrow(self.rules, "rules")?, self.text.bytes("text")?, out)
        };
        let read = read(&rules.0, text)?;
        let needed = [&read.path, &read.variant].into_iter().map(rewritten).sum();
        let room = if self.buffer.is_null() { 0 } else { self.room };
        let mut names = ci_names {
            size: 0,
            path: ci_str::EMPTY,
            variant: ci_str::EMPTY,
            needed,
            target: read.target,
            reserved: 0,
        };
        if needed > room {
            out.write(names);
            return Err(too_small(room, needed));
        }
        let mut free = self.buffer;
        names.path = place(&read.path, &mut free);
        names.variant = place(&read.variant, &mut free);
        out.write(names);
        Ok(CI_OK)
    }
}

/// The failure of an entry that names a variant, and a prefix of pictures: its path ends in a star.
#[cold]
fn many_pictures(entry: &[u8]) -> Failure {
    let path = entry.split(|byte| *byte == b'?').next().unwrap_or_default();
    let at = path.len().saturating_sub(1);
    let message = format_args!("unexpected wildcard at byte {at}: expected one picture");
    Failure::text("WildcardWithOperations", at, message)
}

/// The bytes of a name that had to be rewritten.
#[expect(clippy::ptr_arg, reason = "whether it is owned counts")]
fn rewritten(name: &Cow<'_, str>) -> usize {
    if matches!(name, Cow::Owned(_)) { name.len() } else { 0 }
}

#[cold]
fn too_small(room: usize, needed: usize) -> Failure {
    let message = format_args!("buffer has {room} bytes: expected at least {needed}");
    Failure::new(CI_ERR_BUFFER, "Buffer", message)
}

/// Returns the text where it is, or copies it to the free part of the buffer, which has the room.
#[expect(clippy::ptr_arg, reason = "whether it is owned counts")]
fn place(name: &Cow<'_, str>, free: &mut *mut c_char) -> ci_str {
    if matches!(name, Cow::Owned(_)) {
        let ptr = *free;
        // SAFETY: `run` has checked that the buffer has room for all rewritten names. It is the
        // caller's, so that it cannot overlap with a text that was allocated here.
        unsafe {
            ptr.copy_from_nonoverlapping(name.as_ptr().cast(), name.len());
            *free = ptr.add(name.len());
        }
        ci_str { ptr, len: name.len() }
    } else {
        ci_str::of(name)
    }
}

/// Reads the target of a request, as in the first line of an HTTP request:
/// `/sample.li/a.jpg?w=600`. The names in `*out` are canonical: all spellings of one picture have
/// the same path, and all spellings of one list of operations the same variant. `?` is the variant
/// without operations. The path is the URL of the source, with the `prefix` of the rules if there
/// is one; for a URL without a scheme, choose one. docs/cloudimage.md of the project has the rules.
///
/// With `ci_rules_config.grouping`, more spellings have the same path. The variant ends with a
/// mark, `@` and a text, for the part of the spelling that the path lost: `https://sample.li/a.jpg`
/// with `?w=600` has the variant `?w=600@https`. You may add a mark `#` and a text after that, for
/// one of several answers that you store for a variant: `?w=600@https#webp`. A purge of `?w=600` by
/// `ci_purge_variants` takes the variants with marks as well.
///
/// Rewritten names are written to `buffer`, which has `room` bytes and may be NULL if
/// `room` is 0. As many bytes as the text has, and 64 more, are nearly always enough.
///
/// Any thread may call this at any time.
///
/// Returns CI_OK; CI_ERR_NULL, CI_ERR_SIZE, CI_ERR_TEXT: `*out` is left as it is; CI_ERR_BUFFER:
/// `out->needed` and `out->target` are set, and the texts of `*out` are empty.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_request_target(
    rules: *const ci_rules,
    text: ci_str,
    buffer: *mut c_char,
    room: usize,
    out: *mut ci_names,
    error: *mut ci_error,
) -> c_int {
    let call = Call { rules, text, buffer, room, out };
    // SAFETY: the caller passes NULL or valid pointers, a text that can be read, and a buffer that
    // can be written to.
    unsafe {
        guard(error, || {
            call.run(|rules, text| {
                let names = rules.request_target(text)?;
                let (path, variant) = (names.origin.into_cow(), names.variant.into_cow());
                Ok(Read { path, variant, target: CI_TARGET_PATH })
            })
        })
    }
}

/// Reads a whole delivery URL as it stands in a page:
/// `https://doc.cloudimg.io/sample.li/a.jpg?w=600`, or the target of a request. The host must be
/// one of the rules: set `token`, `custom_host` or `delivery_hosts`. Otherwise as
/// `ci_request_target`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_delivery_url(
    rules: *const ci_rules,
    text: ci_str,
    buffer: *mut c_char,
    room: usize,
    out: *mut ci_names,
    error: *mut ci_error,
) -> c_int {
    let call = Call { rules, text, buffer, room, out };
    // SAFETY: the caller passes NULL or valid pointers, a text that can be read, and a buffer that
    // can be written to.
    unsafe {
        guard(error, || {
            call.run(|rules, text| {
                let names = rules.delivery(text)?;
                let (path, variant) = (names.origin.into_cow(), names.variant.into_cow());
                Ok(Read { path, variant, target: CI_TARGET_PATH })
            })
        })
    }
}

/// Reads an entry of an invalidation request that names a whole picture, or all pictures with a
/// prefix if the rules allow wildcards and the entry ends in a star, or all pictures of the tenant
/// if it is the star alone. Look at `out->target`, and call `ci_purge`, `ci_purge_prefix` or
/// `ci_flush`. A query is an error: nobody shall believe that one variant was invalidated.
/// Otherwise as `ci_request_target`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_invalidation_entry(
    rules: *const ci_rules,
    text: ci_str,
    buffer: *mut c_char,
    room: usize,
    out: *mut ci_names,
    error: *mut ci_error,
) -> c_int {
    let call = Call { rules, text, buffer, room, out };
    // SAFETY: the caller passes NULL or valid pointers, a text that can be read, and a buffer that
    // can be written to.
    unsafe {
        guard(error, || {
            call.run(|rules, text| Ok(Read::of(rules.invalidation(text)?, Cow::Borrowed(""))))
        })
    }
}

/// Reads an entry of an invalidation request that names one variant: `sample.li/a.jpg?w=600`. Pass
/// `out->variant` to `ci_purge_variants`. The variant has no marks, whatever the rules say of
/// grouping, so that the purge takes the variants with marks as well. Otherwise as
/// `ci_request_target`.
///
/// An entry with a star is an error, also if the rules allow wildcards: no function purges one
/// variant of many pictures, and the pictures shall not be invalidated whole by mistake.
/// `out->target` is always CI_TARGET_PATH.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_variant_entry(
    rules: *const ci_rules,
    text: ci_str,
    buffer: *mut c_char,
    room: usize,
    out: *mut ci_names,
    error: *mut ci_error,
) -> c_int {
    let call = Call { rules, text, buffer, room, out };
    // SAFETY: the caller passes NULL or valid pointers, a text that can be read, and a buffer that
    // can be written to.
    unsafe {
        guard(error, || {
            call.run(|rules, text| {
                let entry = rules.variant_entry(text)?;
                if matches!(entry.target, Target::Prefix(_)) {
                    return Err(many_pictures(text));
                }
                Ok(Read::of(entry.target, entry.variant.into_cow()))
            })
        })
    }
}
