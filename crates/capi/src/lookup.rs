//! Lookups.

use crate::boundary::{Out, array, borrow, guard};
use crate::error::{CI_OK, Failure, ci_error};
use crate::index::{ci_index, ci_tenant};
use crate::prepared::{ci_key, ci_path};
use crate::text::ci_str;
use cache_index::{Lookup, OriginPath, VariantKey};
use std::ffi::c_int;

/// No value may be served.
pub const CI_MISS: c_int = 0;

/// The value may be served.
pub const CI_LIVE: c_int = 1;

/// The value may be served while it is refreshed. Refreshing it is a fill, and takes a lease.
pub const CI_STALE: c_int = 2;

/// A picture and one of its variants, for `ci_lookup_many`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ci_name {
    /// The picture.
    pub path: ci_str,
    /// The variant.
    pub variant: ci_str,
}

/// An answer of `ci_lookup_many`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ci_found {
    /// The value; 0 for a miss.
    pub value: u64,
    /// CI_MISS, CI_LIVE or CI_STALE.
    pub state: c_int,
}

#[inline]
pub(crate) fn state_of(lookup: Lookup<u64>) -> ci_found {
    let (value, state) = match lookup {
        Lookup::Live(value) => (value, CI_LIVE),
        Lookup::Stale(value) => (value, CI_STALE),
        Lookup::Miss => (0, CI_MISS),
    };
    ci_found { value, state }
}

#[inline]
fn answer(lookup: Lookup<u64>, value: &Out<u64>) -> c_int {
    let found = state_of(lookup);
    value.write(found.value);
    found.state
}

/// Looks for a variant. Writes its value to `*value`, or 0 for a miss. Does not allocate.
///
/// Any thread may call this at any time. It locks one shard, shared.
///
/// Returns CI_MISS, CI_LIVE or CI_STALE; CI_ERR_NULL, CI_ERR_TENANT, CI_ERR_TEXT: `*value` is left
/// as it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_lookup(
    index: *const ci_index,
    tenant: *const ci_tenant,
    path: ci_str,
    variant: ci_str,
    value: *mut u64,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or valid handles, texts that can be read, and NULL or places
    // that can be written to.
    unsafe {
        guard(error, || {
            let (index, value) = (borrow(index, "index")?, Out::new(value, "value")?);
            let tenant = index.own(borrow(tenant, "tenant")?)?;
            let (path, key) = (path.path("path")?, variant.key("variant")?);
            Ok(answer(index.index.lookup(tenant, &path, &key), &value))
        })
    }
}

/// Looks for a variant by names that were checked before, as `ci_lookup` does.
///
/// Returns CI_MISS, CI_LIVE or CI_STALE; CI_ERR_NULL, CI_ERR_TENANT: `*value` is left as it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_lookup_prepared(
    index: *const ci_index,
    tenant: *const ci_tenant,
    path: *const ci_path,
    key: *const ci_key,
    value: *mut u64,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or valid handles, and NULL or places that can be written to.
    unsafe {
        guard(error, || {
            let (index, value) = (borrow(index, "index")?, Out::new(value, "value")?);
            let tenant = index.own(borrow(tenant, "tenant")?)?;
            let (path, key) = (borrow(path, "path")?, borrow(key, "key")?);
            Ok(answer(index.index.lookup(tenant, &path.0, &key.0), &value))
        })
    }
}

/// Looks for `count` variants of one tenant, each as `ci_lookup` does, and writes the answers to
/// `out[0]` to `out[count - 1]`. Takes less time than single lookups, the more so the less of the
/// index is in the processor's caches. Allocates.
///
/// Each lookup happens at a moment of its own, all of them before the call returns.
///
/// Returns CI_OK; CI_ERR_NULL, CI_ERR_TENANT, CI_ERR_TEXT (with `ci_error.element`),
/// CI_ERR_ARGUMENT: nothing is written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_lookup_many(
    index: *const ci_index,
    tenant: *const ci_tenant,
    names: *const ci_name,
    count: usize,
    out: *mut ci_found,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or valid handles, `count` names that can be read, and room for
    // as many answers.
    unsafe {
        guard(error, || {
            let index = borrow(index, "index")?;
            let tenant = index.own(borrow(tenant, "tenant")?)?;
            let names = array(names, count, "names")?;
            if out.is_null() && count > 0 {
                return Err(Failure::null("out"));
            }
            let names = names.iter().enumerate().map(|(at, name)| {
                let checked = || Ok((name.path.path("path")?, name.variant.key("variant")?));
                checked().map_err(|failure: Failure| failure.of("names", at))
            });
            let names = names.collect::<Result<Vec<_>, _>>()?;
            let keys: Vec<(&OriginPath<'_>, &VariantKey<'_>)> =
                names.iter().map(|(path, key)| (path, key)).collect();
            for (at, found) in index.index.lookup_many(tenant, &keys).into_iter().enumerate() {
                out.add(at).write(state_of(found));
            }
            Ok(CI_OK)
        })
    }
}
