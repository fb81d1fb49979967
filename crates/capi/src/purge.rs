//! Purges, flushes, reclaim, and lists.

use crate::backing::Known;
use crate::boundary::{Out, OutStruct, array, borrow, guard, hand_over, hand_over_made, sized};
use crate::entries::ci_entries;
use crate::error::{Failure, ci_error};
use crate::index::{ci_index, ci_tenant};
use crate::lookup::{CI_LIVE, CI_STALE};
use crate::rules::ci_rules;
use crate::text::ci_str;
use cache_index::canonical::{PathError, PathErrorKind};
use cache_index::{Freshness, Generation, Hard, OriginPath, OverTime, Selection, Soft, VariantKey};
use std::ffi::c_int;
use std::time::Duration;

/// Entries become dead: they are never served again.
pub const CI_HARD: c_int = 0;

/// Entries become stale: they may be served while they are refreshed.
pub const CI_SOFT: c_int = 1;

/// The index is in memory alone: it is empty after a restart.
pub const CI_IN_MEMORY: c_int = 0;

/// The invalidation survives a killed process and a power loss.
pub const CI_DURABLE: c_int = 1;

/// The operating system has the invalidation. It survives a killed process.
pub const CI_WRITTEN: c_int = 2;

/// The invalidation holds in memory, but the log has failed. A crash is followed by a cold start,
/// where everything is dead, or undoes the invalidation if the disk fails altogether or the index
/// was closed before. The next snapshot makes the invalidation durable: you need not repeat it.
pub const CI_NOT_DURABLE: c_int = 3;

/// The receipt of a purge or a flush. Set `size` to `sizeof(struct ci_purged)`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ci_purged {
    /// `sizeof(struct ci_purged)`.
    pub size: usize,
    /// The number of this invalidation. All that began before it is dead (hard) or stale (soft).
    pub generation: u64,
    /// Variants that were removed (hard) or became stale (soft). 0 for a prefix and for a flush,
    /// which do not visit entries.
    pub variants: usize,
    /// Soft: variants that were stale already.
    pub stale_before: usize,
    /// Open fills of the path that will be refused (hard) or stored as stale (soft). 0 for a prefix
    /// and for a flush, which reach open fills as well but do not count them.
    pub overtaken_fills: usize,
    /// 1 if there was no room for one more prefix rule, so that the whole tenant of the oldest rule
    /// was invalidated: more than requested, never less.
    pub widened: c_int,
    /// CI_IN_MEMORY. CI_DURABLE, CI_WRITTEN or CI_NOT_DURABLE for an index of `ci_durable_open`.
    pub durability: c_int,
}

sized!(ci_purged);

impl ci_purged {
    fn of(generation: Generation, known: &Known) -> Self {
        Self {
            size: 0,
            generation: generation.get(),
            variants: 0,
            stale_before: 0,
            overtaken_fills: 0,
            widened: 0,
            durability: known.durability,
        }
    }
}

pub(crate) fn is_hard(mode: c_int) -> Result<bool, Failure> {
    match mode {
        CI_HARD => Ok(true),
        CI_SOFT => Ok(false),
        other => {
            Err(Failure::argument(format_args!("mode is {other}: expected CI_HARD or CI_SOFT")))
        }
    }
}

/// The parts that all purges of a path have in common.
struct Purge<'a> {
    index: &'a ci_index,
    tenant: &'a cache_index::Tenant,
    path: OriginPath<'a>,
    hard: bool,
    out: OutStruct<ci_purged>,
    entries: *mut *mut ci_entries,
}

impl Purge<'_> {
    /// # Safety
    /// Pointers are NULL or valid, and `path` can be read.
    unsafe fn new(
        index: *const ci_index,
        tenant: *const ci_tenant,
        path: ci_str,
        mode: c_int,
        out: *mut ci_purged,
        entries: *mut *mut ci_entries,
    ) -> Result<Self, Failure> {
        // SAFETY: as promised.
        unsafe {
            let (index, out) = (borrow(index, "index")?, OutStruct::new(out, "out")?);
            let tenant = index.own(borrow(tenant, "tenant")?)?;
            let (path, hard) = (path.path("path")?, is_hard(mode)?);
            Ok(Self { index, tenant, path, hard, out, entries })
        }
    }

    fn run(self, selection: Selection<'_>) -> Result<c_int, Failure> {
        let Self { index, tenant, path, hard, out, entries } = self;
        let index = index.index.alone()?;
        let (mut receipt, known);
        let mut gone = std::ptr::null_mut();
        if hard {
            let purged;
            (purged, known) = index.purge_selected(tenant, &path, selection, Hard);
            receipt = ci_purged::of(purged.generation(), &known);
            receipt.variants = purged.len();
            receipt.overtaken_fills = purged.overtaken_fills();
            if !entries.is_null() {
                gone = Box::into_raw(Box::new(ci_entries::purged(purged.into_iter())));
            }
        } else {
            let softened;
            (softened, known) = index.purge_selected(tenant, &path, selection, Soft);
            receipt = ci_purged::of(softened.generation(), &known);
            receipt.variants = softened.len();
            receipt.stale_before = softened.stale_before();
            receipt.overtaken_fills = softened.overtaken_fills();
        }
        out.write(receipt);
        if !entries.is_null() {
            // SAFETY: `new` was promised that a pointer that is not NULL can be written to.
            unsafe { entries.write(gone) }
        }
        known.end()
    }
}

/// Invalidates all variants of a picture. `mode` is CI_HARD or CI_SOFT.
///
/// Leases of the path that were taken before can no longer commit (hard) or are stored as stale
/// (soft), whether the path had variants or not. Other paths are not affected.
///
/// `out` may be NULL. Hard: `*entries` are the variants that went, with their values, so that you
/// can delete the objects. Soft: `*entries` is set to NULL. `entries` may be NULL if your values
/// need nothing: the values of a hard purge are then lost to you, also with `queue_dead`, because
/// `ci_reclaim` does not return them.
///
/// Variants that a flush or a prefix purge had killed before are neither in `*entries` nor counted.
/// They come from `ci_reclaim`.
///
/// Owner: `*entries` is yours, also with CI_NOT_DURABLE; free it with `ci_entries_free`.
///
/// Any thread may call this at any time. It locks one shard. An index of `ci_durable_open` then
/// logs the purge, with no lock held, and waits for the log.
///
/// Returns CI_OK; CI_NOT_DURABLE, only for an index of `ci_durable_open`: the purge holds, but is
/// not in the log, and `error` has the reason. CI_ERR_NULL, CI_ERR_SIZE, CI_ERR_TENANT,
/// CI_ERR_TEXT, CI_ERR_ARGUMENT: nothing is invalidated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_purge(
    index: *const ci_index,
    tenant: *const ci_tenant,
    path: ci_str,
    mode: c_int,
    out: *mut ci_purged,
    entries: *mut *mut ci_entries,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or valid handles, a text that can be read, and NULL or places
    // that can be written to.
    unsafe {
        guard(error, || {
            let purge = Purge::new(index, tenant, path, mode, out, entries)?;
            purge.run(Selection::All)
        })
    }
}

/// Invalidates `count` variants of a picture. A text that begins with `?` selects the variants with
/// more marks as well: `?w=600` selects `?w=600#webp` and `?w=600@https`, which grouping makes, see
/// `ci_request_target`. A text that has a mark itself selects only variants with the same mark.
///
/// Apart from that, a text must be spelled as the variant was stored, byte for byte. It is not made
/// canonical: `?width=600` does not select `?w=600`. The call then returns CI_OK, and
/// `ci_purged.variants` is 0. `ci_variant_entry` makes the canonical text.
///
/// Otherwise as `ci_purge`: all leases of the path that were taken before are affected, because a
/// fill does not say before its commit which variant it brings.
///
/// Returns as `ci_purge`; `ci_error.element` is the wrong variant. CI_ERR_ARGUMENT also if `count`
/// is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_purge_variants(
    index: *const ci_index,
    tenant: *const ci_tenant,
    path: ci_str,
    variants: *const ci_str,
    count: usize,
    mode: c_int,
    out: *mut ci_purged,
    entries: *mut *mut ci_entries,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or valid handles, texts that can be read, and NULL or places
    // that can be written to.
    unsafe {
        guard(error, || {
            let purge = Purge::new(index, tenant, path, mode, out, entries)?;
            let keys = keys(variants, count)?;
            purge.run(Selection::Keys(&keys))
        })
    }
}

/// Invalidates the variants of a picture that include all operations of at least one of `count`
/// texts: `?w=200` selects `?h=100&w=200`. `rules` read the texts. Otherwise as
/// `ci_purge_variants`.
///
/// Returns as `ci_purge`; `ci_error.element` is the wrong text. CI_ERR_ARGUMENT also if `count` is
/// 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_purge_operations(
    index: *const ci_index,
    tenant: *const ci_tenant,
    path: ci_str,
    rules: *const ci_rules,
    operations: *const ci_str,
    count: usize,
    mode: c_int,
    out: *mut ci_purged,
    entries: *mut *mut ci_entries,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or valid handles, texts that can be read, and NULL or places
    // that can be written to.
    unsafe {
        guard(error, || {
            let purge = Purge::new(index, tenant, path, mode, out, entries)?;
            let rules = borrow(rules, "rules")?;
            let texts = array(some(operations, count)?, count, "operations")?.iter().enumerate();
            let selected = texts.map(|(at, text)| {
                let operations = text.bytes("text").and_then(|text| {
                    rules.0.operations(text).map_err(|error| not_operations(&error))
                });
                operations.map_err(|failure| failure.of("operations", at))
            });
            let selected = selected.collect::<Result<Vec<_>, _>>()?;
            purge.run(Selection::Operations(&selected))
        })
    }
}

/// The error of a text that names no operation, in the words of the header.
#[cold]
pub(crate) fn not_operations(error: &PathError) -> Failure {
    if error.kind() != PathErrorKind::Empty {
        return Failure::path(error);
    }
    let at = error.byte_offset();
    let message = format_args!("no operation at byte {at}: expected at least one");
    Failure::text(&error.kind().to_string(), at, message)
}

/// Reads the keys of the variants to purge.
///
/// # Safety
/// A pointer that is not NULL points to `count` texts that can be read while the keys live.
pub(crate) unsafe fn keys<'a>(
    variants: *const ci_str,
    count: usize,
) -> Result<Vec<VariantKey<'a>>, Failure> {
    // SAFETY: as promised.
    let texts = unsafe { array(some(variants, count)?, count, "variants")? };
    let key = |(at, text): (usize, &ci_str)| {
        // SAFETY: as promised.
        unsafe { text.key("text") }.map_err(|failure| failure.of("variants", at))
    };
    texts.iter().enumerate().map(key).collect()
}

/// A purge of no variants is a mistake: it would still overtake all open fills.
fn some<T>(pointer: *const T, count: usize) -> Result<*const T, Failure> {
    if count == 0 { Err(Failure::argument("count is 0: expected at least 1")) } else { Ok(pointer) }
}

/// Invalidates every picture whose path begins with `prefix`, byte for byte: `a/b` covers
/// `a/b.jpg`, `a/b/` does not. Leases of such paths that were taken before can no longer commit
/// (hard) or are stored as stale (soft). The values that died come from `ci_reclaim`.
///
/// An empty prefix is refused with CI_ERR_TEXT, so that a text that was never set does not
/// invalidate a tenant. Call `ci_flush` to invalidate all pictures of a tenant.
///
/// `out` may be NULL. Any thread may call this at any time. It locks no shard.
///
/// Returns CI_OK; CI_NOT_DURABLE as `ci_purge`; CI_ERR_NULL, CI_ERR_SIZE, CI_ERR_TENANT,
/// CI_ERR_TEXT, CI_ERR_ARGUMENT: nothing is invalidated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_purge_prefix(
    index: *const ci_index,
    tenant: *const ci_tenant,
    prefix: ci_str,
    mode: c_int,
    out: *mut ci_purged,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or valid handles, a text that can be read, and NULL or places
    // that can be written to.
    unsafe {
        guard(error, || {
            let (index, out) = (borrow(index, "index")?, OutStruct::new(out, "out")?);
            let tenant = index.own(borrow(tenant, "tenant")?)?;
            let (prefix, hard) = (prefix.prefix("prefix")?, is_hard(mode)?);
            let (purged, known) = if hard {
                index.index.alone()?.purge_prefix(tenant, &prefix, Hard)
            } else {
                index.index.alone()?.purge_prefix(tenant, &prefix, Soft)
            };
            let mut receipt = ci_purged::of(purged.generation(), &known);
            receipt.widened = c_int::from(purged.widened().is_some());
            out.write(receipt);
            known.end()
        })
    }
}

/// Invalidates all that belongs to `tenant`, or everything if `tenant` is NULL. Leases that were
/// taken before can no longer commit (hard) or are stored as stale (soft). The values that died
/// come from `ci_reclaim`.
///
/// A handle that `ci_tenant_get` could not write is NULL as well: check the code of that call, or
/// this one invalidates the pictures of all customers.
///
/// `out` may be NULL. Any thread may call this at any time. It visits no entry and locks no shard.
///
/// Returns CI_OK; CI_NOT_DURABLE as `ci_purge`; CI_ERR_NULL, CI_ERR_SIZE, CI_ERR_TENANT,
/// CI_ERR_ARGUMENT: nothing is invalidated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_flush(
    index: *const ci_index,
    tenant: *const ci_tenant,
    mode: c_int,
    out: *mut ci_purged,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or valid handles, and NULL or places that can be written to.
    unsafe {
        guard(error, || {
            let (index, out) = (borrow(index, "index")?, OutStruct::new(out, "out")?);
            let tenant = tenant.as_ref().map(|tenant| index.own(tenant)).transpose()?;
            let (flushed, known) = match (tenant, is_hard(mode)?) {
                (Some(tenant), true) => index.index.alone()?.flush_tenant(tenant, Hard),
                (Some(tenant), false) => index.index.alone()?.flush_tenant(tenant, Soft),
                (None, true) => index.index.alone()?.flush_all(Hard),
                (None, false) => index.index.alone()?.flush_all(Soft),
            };
            out.write(ci_purged::of(flushed.generation(), &known));
            known.end()
        })
    }
}

/// Reads the arguments of a flush over time.
pub(crate) fn over_time(milliseconds: u64, until: c_int) -> Result<OverTime, Failure> {
    let serving = match until {
        CI_LIVE => Freshness::Live,
        CI_STALE => Freshness::Stale,
        other => {
            let expected = "expected CI_LIVE or CI_STALE";
            return Err(Failure::argument(format_args!("until is {other}: {expected}")));
        }
    };
    Ok(OverTime::new(Duration::from_millis(milliseconds)).serving(serving))
}

/// Invalidates all that belongs to `tenant`, or everything if `tenant` is NULL (see `ci_flush`),
/// hard, spread over a number of milliseconds, so that the source does not have to deliver
/// everything at once. An older entry dies at a moment within that time, which depends on its path.
/// Until then it is stale, or live if `until` is CI_LIVE instead of CI_STALE. Fills that begin
/// after the call are not touched.
///
/// The index reads the monotonic clock while such a flush is running. `out` may be NULL. Any thread
/// may call this at any time. It visits no entry and locks no shard.
///
/// Returns CI_OK; CI_NOT_DURABLE as `ci_purge`; CI_ERR_NULL, CI_ERR_SIZE, CI_ERR_TENANT,
/// CI_ERR_ARGUMENT: nothing is invalidated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_flush_over(
    index: *const ci_index,
    tenant: *const ci_tenant,
    milliseconds: u64,
    until: c_int,
    out: *mut ci_purged,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or valid handles, and NULL or places that can be written to.
    unsafe {
        guard(error, || {
            let (index, out) = (borrow(index, "index")?, OutStruct::new(out, "out")?);
            let tenant = tenant.as_ref().map(|tenant| index.own(tenant)).transpose()?;
            let over = over_time(milliseconds, until)?;
            let (flushed, known) = match tenant {
                Some(tenant) => index.index.alone()?.flush_tenant_over(tenant, over),
                None => index.index.alone()?.flush_all_over(over),
            };
            out.write(ci_purged::of(flushed.generation(), &known));
            known.end()
        })
    }
}

/// Flushes `tenant`, hard, and forgets it: for a customer who has left. The handle finds and stores
/// nothing any more. A later `ci_tenant_get` of the same name makes another tenant.
///
/// `out` may be NULL. Any thread may call this at any time. It visits no entry and locks no shard.
///
/// Returns CI_OK; CI_NOT_DURABLE as `ci_purge`; CI_ERR_NULL, CI_ERR_SIZE, CI_ERR_TENANT: nothing is
/// invalidated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_tenant_forget(
    index: *const ci_index,
    tenant: *const ci_tenant,
    out: *mut ci_purged,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or valid handles, and NULL or places that can be written to.
    unsafe {
        guard(error, || {
            let (index, out) = (borrow(index, "index")?, OutStruct::new(out, "out")?);
            let tenant = index.own(borrow(tenant, "tenant")?)?;
            let (forgotten, known) = index.index.alone()?.forget_tenant(tenant);
            out.write(ci_purged::of(forgotten.generation(), &known));
            known.end()
        })
    }
}

/// Takes out at most `limit` dead entries, for you to delete their objects: those that a flush or a
/// prefix purge killed. Needed if the index was created with `queue_dead`: then it returns each of
/// them once. Without `queue_dead` it returns those that the index has not dropped yet.
///
/// An index of `ci_durable_open` writes down neither what waits for this call nor what it has
/// returned. So call it until it returns 1 before `ci_durable_close`. After each start, compare
/// your objects with `ci_durable_values`: after a crash, a value may come a second time, or never.
///
/// Owner: `*entries` is yours; free it with `ci_entries_free`.
///
/// Any thread may call this at any time. It locks one shard after another.
///
/// Returns 1 if nothing dead is left, 0 if the call is to be repeated; CI_ERR_NULL, CI_ERR_ARGUMENT
/// (`limit` is 0): nothing is taken out.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_reclaim(
    index: *const ci_index,
    limit: usize,
    entries: *mut *mut ci_entries,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or a valid index, and NULL or places that can be written to.
    unsafe {
        guard(error, || {
            let (index, entries) = (borrow(index, "index")?, Out::new(entries, "entries")?);
            if limit == 0 {
                return Err(Failure::argument("limit is 0: expected at least 1"));
            }
            let reclaimed = index.index.reclaim(limit);
            let done = c_int::from(reclaimed.is_done());
            hand_over(&entries, ci_entries::reclaimed(reclaimed.into_iter()));
            Ok(done)
        })
    }
}

/// Lists the variants of a picture that may be served, without their values.
///
/// Owner: `*entries` is yours; free it with `ci_entries_free`.
///
/// Returns CI_OK; CI_ERR_NULL, CI_ERR_TENANT, CI_ERR_TEXT: nothing is created.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_variants(
    index: *const ci_index,
    tenant: *const ci_tenant,
    path: ci_str,
    entries: *mut *mut ci_entries,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or valid handles, a text that can be read, and NULL or places
    // that can be written to.
    unsafe {
        guard(error, || {
            hand_over_made(entries, || {
                let index = borrow(index, "index")?;
                let tenant = index.own(borrow(tenant, "tenant")?)?;
                Ok(ci_entries::variants(index.index.variants(tenant, &path.path("path")?)))
            })
        })
    }
}

/// Lists the pictures of a tenant whose path begins with `prefix` and of which a variant may be
/// served. An empty prefix lists all pictures of the tenant. Visits every path of the index: for
/// tools, not for requests.
///
/// Owner: `*entries` is yours; free it with `ci_entries_free`.
///
/// Returns CI_OK; CI_ERR_NULL, CI_ERR_TENANT, CI_ERR_TEXT: nothing is created.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_paths(
    index: *const ci_index,
    tenant: *const ci_tenant,
    prefix: ci_str,
    entries: *mut *mut ci_entries,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or valid handles, a text that can be read, and NULL or places
    // that can be written to.
    unsafe {
        guard(error, || {
            hand_over_made(entries, || {
                let index = borrow(index, "index")?;
                let tenant = index.own(borrow(tenant, "tenant")?)?;
                Ok(ci_entries::paths(index.index.paths(tenant, &prefix.prefix_or_all("prefix")?)))
            })
        })
    }
}
