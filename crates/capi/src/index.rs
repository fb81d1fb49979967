//! The index and its tenants.

use crate::backing::Backing;
use crate::boundary::{borrow, guard, hand_over_made, settings, sized, take_back};
use crate::error::{CI_ERR_TENANT, Failure, ci_error};
use crate::text::ci_str;
use cache_index::{CacheIndex, Config, ConfigBuilder, DeadValues, Tenant, WhenFull};
use std::ffi::c_int;
use std::sync::atomic::{AtomicU64, Ordering};

/// The major version of this header. Programs must be compiled again if it changes.
pub const CI_VERSION_MAJOR: u32 = 0;

/// The minor version of this header.
pub const CI_VERSION_MINOR: u32 = 1;

/// The patch version of this header.
pub const CI_VERSION_PATCH: u32 = 0;

/// An index. Any thread may use it at any time; only its last use must be before `ci_index_free`.
pub struct ci_index {
    /// Distinct for each index of the process, also after it was freed.
    pub(crate) id: u64,
    pub(crate) index: Backing,
}

/// The handle of a tenant, which is one customer. Paths of two tenants are always distinct. Any
/// number of threads may use one handle.
pub struct ci_tenant {
    index: u64,
    pub(crate) tenant: Tenant,
}

impl ci_index {
    pub(crate) fn new(index: Backing) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        Self { id: NEXT_ID.fetch_add(1, Ordering::Relaxed), index }
    }

    /// Returns the tenant, if it is of this index.
    #[inline]
    pub(crate) fn own<'a>(&self, tenant: &'a ci_tenant) -> Result<&'a Tenant, Failure> {
        if tenant.index == self.id { Ok(&tenant.tenant) } else { Err(foreign_tenant()) }
    }
}

#[cold]
#[inline(never)]
fn foreign_tenant() -> Failure {
    Failure::new(CI_ERR_TENANT, "Tenant", "tenant of another index: expected one of this index")
}

/// The settings of an index. Set `size` to `sizeof(struct ci_config)` and the rest to zero, which
/// stands for the defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ci_config {
    /// `sizeof(struct ci_config)`.
    pub size: usize,
    /// Shards, each with a lock of its own: a power of two up to 65536; 256 by default.
    pub shards: usize,
    /// Variants of one path; 16384 by default.
    pub max_variants: usize,
    /// Paths; no limit by default. Paths with dead entries alone count.
    pub max_paths: usize,
    /// Entries of all paths together; no limit by default. Dead entries of a flush or a prefix
    /// purge count until they are taken out: at the limit, the first commits after a flush may be
    /// refused, and each takes out some. `ci_reclaim` takes out all.
    pub max_entries: usize,
    /// Bytes of a path; 24576 by default, at most 16777215.
    pub max_path_len: usize,
    /// Bytes of a variant key; 24576 by default, at most 16777215.
    pub max_key_len: usize,
    /// Prefix purges that not every older entry was checked against yet; 4096 by default. One more
    /// invalidates the whole tenant of the oldest.
    pub max_prefix_rules: usize,
    /// 0: a variant beyond `max_variants` is refused. 1: the oldest variant of the path makes room.
    pub evict_oldest: c_int,
    /// 0: the index drops values that a flush or a prefix purge killed, bit by bit as it is used.
    /// Until then `ci_reclaim` returns them; you may call it, but it does not return all of them.
    /// 1: they wait for `ci_reclaim`, which you must then call.
    pub queue_dead: c_int,
}

sized!(ci_config);

/// Reads a flag of C's.
pub(crate) fn flag(value: c_int, name: &str) -> Result<bool, Failure> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(Failure::argument(format_args!("{name} is {other}: expected 0 or 1"))),
    }
}

/// Reads the settings of an index, or returns the defaults.
///
/// # Safety
/// A pointer that is not NULL points to a struct of as many bytes as its `size` says.
pub(crate) unsafe fn config_or_default(config: *const ci_config) -> Result<Config, Failure> {
    // SAFETY: as promised.
    let settings = unsafe { settings(config, "config") }?;
    settings.as_ref().map_or_else(|| Ok(Config::default()), self::config)
}

fn config(settings: &ci_config) -> Result<Config, Failure> {
    type Set = fn(ConfigBuilder, usize) -> ConfigBuilder;
    let given: [(usize, Set); 6] = [
        (settings.shards, ConfigBuilder::shards),
        (settings.max_paths, ConfigBuilder::max_paths),
        (settings.max_entries, ConfigBuilder::max_entries),
        (settings.max_path_len, ConfigBuilder::max_path_len),
        (settings.max_key_len, ConfigBuilder::max_key_len),
        (settings.max_prefix_rules, ConfigBuilder::max_prefix_rules),
    ];
    let mut builder = Config::builder();
    for (value, set) in given {
        builder = if value == 0 { builder } else { set(builder, value) };
    }
    let max_variants = if settings.max_variants == 0 { 16_384 } else { settings.max_variants };
    let evicts = flag(settings.evict_oldest, "evict_oldest")?;
    let when_full = if evicts { WhenFull::EvictOldest } else { WhenFull::Refuse };
    builder = builder.max_variants(max_variants, when_full);
    if flag(settings.queue_dead, "queue_dead")? {
        builder = builder.dead_values(DeadValues::Queue);
    }
    builder.build().map_err(|error| Failure::argument(&error))
}

/// Returns the version of the library that is linked: major << 16 | minor << 8 | patch. Compare it
/// with the header's if the library is a shared one.
#[unsafe(no_mangle)]
pub extern "C" fn ci_version() -> u32 {
    CI_VERSION_MAJOR << 16 | CI_VERSION_MINOR << 8 | CI_VERSION_PATCH
}

/// Creates an empty index. `config` may be NULL, for the defaults.
///
/// Owner: you; free `*out` with `ci_index_free`.
///
/// Returns CI_OK; CI_ERR_NULL, CI_ERR_SIZE, CI_ERR_ARGUMENT: nothing is created.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_index_new(
    config: *const ci_config,
    out: *mut *mut ci_index,
    error: *mut ci_error,
) -> c_int {
    let make = || {
        // SAFETY: the caller passes NULL or a valid struct.
        let config = unsafe { config_or_default(config) }?;
        Ok(ci_index::new(Backing::Memory(CacheIndex::new(config))))
    };
    // SAFETY: `out` and `error` are NULL or can be written to.
    unsafe { guard(error, || hand_over_made(out, make)) }
}

/// Frees an index, with all its entries, and hands no value back. NULL is allowed. Leases and
/// iterators of the index may be freed later; handles of tenants, too, but they can't be used any
/// more. An index of `ci_durable_open` stays on the disk; this ends its threads, and writes what
/// waits for the log.
///
/// Undefined: to free an index twice, or while another thread uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_index_free(index: *mut ci_index) {
    // SAFETY: the caller passes NULL or an index that is not used any more.
    unsafe { take_back(index) }
}

/// Returns the handle of the tenant called `name`, and creates the tenant on first use. Ask for
/// tenants that exist, not for any text that a request brings: the index keeps each of them.
///
/// A name is any text of 0 to 16777215 bytes, compared byte for byte. The empty name is a tenant
/// like any other: check names that must not be empty before the call.
///
/// Owner: you; free `*out` with `ci_tenant_free`. Keep it with the customer's configuration instead
/// of asking for it with each request.
///
/// Returns CI_OK; CI_ERR_NULL, CI_ERR_TEXT: nothing is created.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_tenant_get(
    index: *const ci_index,
    name: ci_str,
    out: *mut *mut ci_tenant,
    error: *mut ci_error,
) -> c_int {
    let make = || {
        // SAFETY: the caller passes NULL or a valid index, and a text that can be read.
        let (index, name) = unsafe { (borrow(index, "index")?, name.text("name")?) };
        Ok(ci_tenant { index: index.id, tenant: index.index.tenant(name) })
    };
    // SAFETY: `out` and `error` are NULL or can be written to.
    unsafe { guard(error, || hand_over_made(out, make)) }
}

/// Frees a handle. The tenant and its entries stay. NULL is allowed.
///
/// Undefined: to free a handle twice, or while another thread uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_tenant_free(tenant: *mut ci_tenant) {
    // SAFETY: the caller passes NULL or a handle that is not used any more.
    unsafe { take_back(tenant) }
}
