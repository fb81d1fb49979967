//! Calls of the C functions, for tests: texts as `&str`, results as values.

use crate::boundary::SizedStruct;
use crate::*;
use std::ffi::{CStr, c_int};
use std::ptr::{null, null_mut};

/// A handle, and the function that frees it.
pub(super) struct Owned<T>(pub(super) *mut T, pub(super) Free<T>);

type Free<T> = unsafe extern "C" fn(*mut T);

// SAFETY: each handle may move to another thread.
unsafe impl<T> Send for Owned<T> {}
// SAFETY: the tests share only handles that the header allows to share.
unsafe impl<T> Sync for Owned<T> {}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: the handle came from the library and is freed once.
        unsafe { (self.1)(self.0) }
    }
}

pub(super) fn text(text: &str) -> ci_str {
    ci_str { ptr: text.as_ptr().cast(), len: text.len() }
}

/// A struct of which only the size is set.
pub(super) fn sized_struct<T: SizedStruct>() -> T {
    // SAFETY: every bit pattern is valid, as the trait promises.
    unsafe { std::mem::zeroed::<T>() }.with_size(size_of::<T>())
}

pub(super) fn message(error: &ci_error) -> &str {
    // SAFETY: the library ends each message with a zero byte.
    unsafe { CStr::from_ptr(error.message.as_ptr()) }.to_str().unwrap()
}

pub(super) fn kind(error: &ci_error) -> &str {
    // SAFETY: the library ends each kind with a zero byte.
    unsafe { CStr::from_ptr(error.kind.as_ptr()) }.to_str().unwrap()
}

/// Calls a function that makes a handle.
pub(super) fn made<T>(
    free: Free<T>,
    make: impl FnOnce(*mut *mut T, *mut ci_error) -> c_int,
) -> Owned<T> {
    let (mut out, mut error) = (null_mut(), sized_struct::<ci_error>());
    let code = make(&raw mut out, &raw mut error);
    assert_eq!(code, CI_OK, "{}", message(&error));
    Owned(out, free)
}

pub(super) fn index(shards: usize, queue_dead: bool) -> Owned<ci_index> {
    let mut config = sized_struct::<ci_config>();
    (config.shards, config.queue_dead) = (shards, c_int::from(queue_dead));
    // SAFETY: all pointers are valid.
    made(ci_index_free, |out, error| unsafe { ci_index_new(&raw const config, out, error) })
}

pub(super) fn tenant(index: &Owned<ci_index>, name: &str) -> Owned<ci_tenant> {
    // SAFETY: all pointers are valid.
    made(ci_tenant_free, |out, error| unsafe { ci_tenant_get(index.0, text(name), out, error) })
}

pub(super) fn rules(wildcards: bool) -> Owned<ci_rules> {
    let mut config = sized_struct::<ci_rules_config>();
    config.wildcards = c_int::from(wildcards);
    // SAFETY: all pointers are valid.
    made(ci_rules_free, |out, error| unsafe { ci_rules_new(&raw const config, out, error) })
}

pub(super) fn path(name: &str) -> Owned<ci_path> {
    // SAFETY: all pointers are valid.
    made(ci_path_free, |out, error| unsafe { ci_path_new(text(name), CI_OPAQUE, out, error) })
}

pub(super) fn key(name: &str) -> Owned<ci_key> {
    // SAFETY: all pointers are valid.
    made(ci_key_free, |out, error| unsafe { ci_key_new(text(name), CI_OPAQUE, out, error) })
}

/// Reads all entries: the texts of each, and its value.
pub(super) fn read(entries: *mut ci_entries) -> Vec<(String, String, u64)> {
    if entries.is_null() {
        return Vec::new();
    }
    let owned = Owned(entries, ci_entries_free);
    let string = |text: ci_str| {
        // SAFETY: the text is valid until the next call with the entries.
        String::from_utf8(unsafe { text.bytes("text") }.unwrap().to_vec()).unwrap()
    };
    let mut found = Vec::new();
    loop {
        let mut entry = sized_struct::<ci_entry>();
        // SAFETY: the entries are valid, and nobody else uses them.
        let (left, code) = unsafe {
            (ci_entries_left(owned.0), ci_entries_next(owned.0, &raw mut entry, null_mut()))
        };
        if code == 0 {
            assert_eq!(left, 0);
            return found;
        }
        assert_eq!(code, 1);
        found.push((string(entry.path), string(entry.variant), entry.value));
    }
}

pub(super) fn stats(index: &Owned<ci_index>) -> ci_stats {
    let mut stats = sized_struct::<ci_stats>();
    // SAFETY: all pointers are valid.
    assert_eq!(unsafe { ci_stats_get(index.0, &raw mut stats, null_mut()) }, CI_OK);
    stats
}

pub(super) fn no_config() -> *const ci_config {
    null()
}
