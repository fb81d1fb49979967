//! Entries that left the index, or copies of those in it, one after the other.

use crate::boundary::{OutStruct, borrow_mut, guard, sized, take_back};
use crate::error::{Failure, ci_error};
use crate::text::ci_str;
use cache_index::{Dead, OriginPath, PurgedEntries, ReclaimedEntries, Tenant, VariantKey};
use std::ffi::c_int;

/// An iterator over entries. They belong to it alone: no lock is held, and the index may be used
/// and freed meanwhile. One thread at a time may use it.
pub struct ci_entries {
    source: Source,
    current: Option<Current>,
}

enum Source {
    Purged(PurgedEntries<u64>),
    Reclaimed(ReclaimedEntries<u64>),
    Variants(std::vec::IntoIter<VariantKey<'static>>),
    Paths(std::vec::IntoIter<OriginPath<'static>>),
    #[cfg(feature = "durable")]
    Values(std::vec::IntoIter<u64>),
}

/// The texts that the last `ci_entry` points to.
#[derive(Default)]
struct Current {
    tenant: Option<Tenant>,
    path: Option<OriginPath<'static>>,
    variant: Option<VariantKey<'static>>,
    value: u64,
}

/// An entry. Set `size` to `sizeof(struct ci_entry)`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ci_entry {
    /// `sizeof(struct ci_entry)`.
    pub size: usize,
    /// The value; 0 for entries of `ci_variants` and `ci_paths`.
    pub value: u64,
    /// The tenant; only for entries of `ci_reclaim`, else empty.
    pub tenant: ci_str,
    /// The picture; only for entries of `ci_reclaim` and `ci_paths`, else empty.
    pub path: ci_str,
    /// The variant; empty for entries of `ci_paths` and `ci_durable_values`.
    pub variant: ci_str,
}

sized!(ci_entry);

impl ci_entries {
    pub(crate) fn purged(entries: PurgedEntries<u64>) -> Self {
        Self { source: Source::Purged(entries), current: None }
    }

    pub(crate) fn reclaimed(entries: ReclaimedEntries<u64>) -> Self {
        Self { source: Source::Reclaimed(entries), current: None }
    }

    pub(crate) fn variants(keys: Vec<VariantKey<'static>>) -> Self {
        Self { source: Source::Variants(keys.into_iter()), current: None }
    }

    pub(crate) fn paths(paths: Vec<OriginPath<'static>>) -> Self {
        Self { source: Source::Paths(paths.into_iter()), current: None }
    }

    #[cfg(feature = "durable")]
    pub(crate) fn values(values: Vec<u64>) -> Self {
        Self { source: Source::Values(values.into_iter()), current: None }
    }

    fn len(&self) -> usize {
        match &self.source {
            Source::Purged(entries) => entries.len(),
            Source::Reclaimed(entries) => entries.len(),
            Source::Variants(keys) => keys.len(),
            Source::Paths(paths) => paths.len(),
            #[cfg(feature = "durable")]
            Source::Values(values) => values.len(),
        }
    }

    fn advance(&mut self) -> Option<&Current> {
        self.current = match &mut self.source {
            Source::Purged(entries) => entries.next().map(|(variant, value)| Current {
                variant: Some(variant),
                value,
                ..Current::default()
            }),
            Source::Reclaimed(entries) => entries.next().map(Current::dead),
            Source::Variants(keys) => {
                keys.next().map(|key| Current { variant: Some(key), ..Current::default() })
            }
            Source::Paths(paths) => {
                paths.next().map(|path| Current { path: Some(path), ..Current::default() })
            }
            #[cfg(feature = "durable")]
            Source::Values(values) => {
                values.next().map(|value| Current { value, ..Current::default() })
            }
        };
        self.current.as_ref()
    }
}

impl Current {
    fn dead(dead: Dead<u64>) -> Self {
        let Dead { tenant, path, variant, value, .. } = dead;
        Self { tenant: Some(tenant), path: Some(path), variant: Some(variant), value }
    }

    fn to_c(&self) -> ci_entry {
        let text = |text: Option<&str>| text.map_or(ci_str::EMPTY, ci_str::of);
        ci_entry {
            size: 0,
            value: self.value,
            tenant: text(self.tenant.as_ref().map(Tenant::name)),
            path: text(self.path.as_ref().map(OriginPath::as_str)),
            variant: text(self.variant.as_ref().map(VariantKey::as_str)),
        }
    }
}

/// Goes to the next entry and writes it to `*out`. Its texts are valid until the next call with
/// these entries, or until they are freed. Entries are in no particular order.
///
/// Undefined: to use one iterator from two threads at the same time.
///
/// Returns 1 and an entry, or 0 at the end, where `*out` is left as it is; CI_ERR_NULL,
/// CI_ERR_SIZE: nothing is skipped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_entries_next(
    entries: *mut ci_entries,
    out: *mut ci_entry,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or entries that nobody else uses, and NULL or places that can
    // be written to.
    unsafe {
        guard(error, || {
            let entries = borrow_mut(entries, "entries")?;
            let out = OutStruct::required(out, "out")?;
            let Some(current) = entries.advance() else { return Ok(0) };
            out.write(current.to_c());
            Ok::<_, Failure>(1)
        })
    }
}

/// Returns the number of entries that `ci_entries_next` has still to return. 0 for NULL.
///
/// Undefined: to use one iterator from two threads at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_entries_left(entries: *const ci_entries) -> usize {
    // SAFETY: the caller passes NULL or valid entries.
    unsafe { entries.as_ref() }.map_or(0, ci_entries::len)
}

/// Frees entries, whether all of them were read or not. NULL is allowed. The index is not locked.
///
/// Undefined: to free entries twice.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_entries_free(entries: *mut ci_entries) {
    // SAFETY: the caller passes NULL or entries that are not used any more.
    unsafe { take_back(entries) }
}
