//! Invalidations that reach all nodes of a fleet.
//!
//! Each item has `#[cfg]` by itself: so the header guards it by `CI_WITH_FLEET`.

use crate::boundary::{OutStruct, borrow, guard, sized};
use crate::durable::known;
use crate::entries::ci_entries;
use crate::error::{Failure, ci_error};
use crate::fleet::member;
use crate::index::{ci_index, ci_tenant};
use crate::member::{Done, Member};
use crate::purge::{is_hard, keys, over_time};
use crate::rules::ci_rules;
use crate::text::ci_str;
use cache_index::invalidation::{InvalidationLimits, InvalidationRequest};
use cache_index::{Selection, Severity, Tenant};
use cache_index_fleet::Reach;
use cache_index_persist::Scope;
use std::ffi::c_int;

/// Applied on this node, and written to its log. It is sent to the others as soon as possible.
#[cfg(feature = "fleet")]
pub const CI_REACH_LOCAL: c_int = 0;

/// The stream has it as well: each node applies it, or shuts its gate.
#[cfg(feature = "fleet")]
pub const CI_REACH_DURABLE: c_int = 1;

/// Each node that may serve as fresh has applied it.
#[cfg(feature = "fleet")]
pub const CI_REACH_EVERYWHERE: c_int = 2;

/// The invalidation holds on this node, but has not reached the level in time. It is sent as soon
/// as possible, also after a restart: you need not repeat it. `ci_reached` has the level that it
/// reached.
#[cfg(feature = "fleet")]
pub const CI_NOT_REACHED: c_int = 4;

/// The receipt of an invalidation of a fleet. Set `size` to `sizeof(struct ci_reached)`.
#[cfg(feature = "fleet")]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ci_reached {
    /// `sizeof(struct ci_reached)`.
    pub size: usize,
    /// CI_REACH_*: the level that was reached.
    pub reach: c_int,
    /// CI_DURABLE, CI_WRITTEN or CI_NOT_DURABLE: on the disk of this node.
    pub durability: c_int,
    /// Values that were removed on this node. 0 for a prefix and for a flush, whose values come
    /// from `ci_reclaim`, and for a soft invalidation.
    pub values: usize,
}

sized!(ci_reached);

/// The parts that all invalidations of a fleet have in common.
struct Call<'a> {
    index: &'a ci_index,
    member: &'a Member,
    reach: Reach,
    out: OutStruct<ci_reached>,
    values: *mut *mut ci_entries,
}

impl<'a> Call<'a> {
    /// # Safety
    /// Pointers are NULL or valid.
    unsafe fn new(
        index: *const ci_index,
        level: c_int,
        out: *mut ci_reached,
        values: *mut *mut ci_entries,
    ) -> Result<Self, Failure> {
        // SAFETY: as promised.
        let ((index, member), out) = unsafe { (member(index)?, OutStruct::new(out, "out")?) };
        let reach = match level {
            CI_REACH_LOCAL => Reach::Local,
            CI_REACH_DURABLE => Reach::Durable,
            CI_REACH_EVERYWHERE => Reach::Everywhere,
            other => {
                let expected = "expected CI_REACH_LOCAL, CI_REACH_DURABLE or CI_REACH_EVERYWHERE";
                return Err(Failure::argument(format_args!("level is {other}: {expected}")));
            }
        };
        Ok(Self { index, member, reach, out, values })
    }

    /// # Safety
    /// A pointer that is not NULL points to a valid tenant.
    unsafe fn tenant(&self, tenant: *const ci_tenant) -> Result<&'a Tenant, Failure> {
        // SAFETY: as promised.
        self.index.own(unsafe { borrow(tenant, "tenant") }?)
    }

    fn run(self, severity: Severity, scope: Scope) -> Result<c_int, Failure> {
        let done = self.member.invalidate(severity, vec![scope], self.reach);
        self.report(done)
    }

    fn report(self, done: Done) -> Result<c_int, Failure> {
        let (known, reach) = (known(&done.local), level_of(done.reached));
        let durability = known.durability;
        self.out.write(ci_reached { size: 0, reach, durability, values: done.removed.len() });
        if !self.values.is_null() {
            let values = Box::into_raw(Box::new(ci_entries::values(done.removed)));
            // SAFETY: `new` was promised that a pointer that is not NULL can be written to.
            unsafe { self.values.write(values) }
        }
        if done.is_reached {
            return known.end();
        }
        let message = format_args!("reached {}: expected {} in time", done.reached, self.reach);
        Err(Failure::new(CI_NOT_REACHED, "NotReached", message))
    }
}

fn level_of(reach: Reach) -> c_int {
    match reach {
        Reach::Local => CI_REACH_LOCAL,
        Reach::Durable => CI_REACH_DURABLE,
        Reach::Everywhere => CI_REACH_EVERYWHERE,
    }
}

fn severity(mode: c_int) -> Result<Severity, Failure> {
    Ok(if is_hard(mode)? { Severity::Hard } else { Severity::Soft })
}

/// Invalidates all variants of a picture on all nodes. `mode` is CI_HARD or CI_SOFT, `level` one of
/// CI_REACH_*. It holds on this node at once, and is on its way to the others, whatever the level.
///
/// **Blocks the calling thread** until the level is reached, for at most `patience_ms`.
///
/// `out` may be NULL. `*values` are the values that went on this node, so that you can delete the
/// objects: `ci_entry` has the value alone. `values` may be NULL: they are then lost to you. Other
/// nodes get theirs from `ci_fleet_removed`.
///
/// Owner: `*values` is yours; free it with `ci_entries_free`.
///
/// Any thread may call this at any time. Returns CI_OK: the level is reached. CI_NOT_REACHED: it
/// holds on this node and goes on its way. CI_NOT_DURABLE: the level is reached, but the log of
/// this node has failed. `error` has the reason of both. CI_ERR_NULL, CI_ERR_SIZE, CI_ERR_TENANT,
/// CI_ERR_TEXT, CI_ERR_ARGUMENT: nothing is invalidated.
#[cfg(feature = "fleet")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_fleet_purge(
    index: *const ci_index,
    tenant: *const ci_tenant,
    path: ci_str,
    mode: c_int,
    level: c_int,
    out: *mut ci_reached,
    values: *mut *mut ci_entries,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or valid handles, a text that can be read, and NULL or places
    // that can be written to.
    unsafe {
        guard(error, || {
            let call = Call::new(index, level, out, values)?;
            let scope = Scope::of_path(call.tenant(tenant)?, &path.path("path")?, Selection::All);
            call.run(severity(mode)?, scope)
        })
    }
}

/// Invalidates `count` variants of a picture on all nodes. The texts select variants as those of
/// `ci_purge_variants` do. Otherwise as `ci_fleet_purge`.
///
/// Returns as `ci_fleet_purge`; `ci_error.element` is the wrong variant. CI_ERR_ARGUMENT also if
/// `count` is 0.
#[cfg(feature = "fleet")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_fleet_purge_variants(
    index: *const ci_index,
    tenant: *const ci_tenant,
    path: ci_str,
    variants: *const ci_str,
    count: usize,
    mode: c_int,
    level: c_int,
    out: *mut ci_reached,
    values: *mut *mut ci_entries,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or valid handles, texts that can be read, and NULL or places
    // that can be written to.
    unsafe {
        guard(error, || {
            let call = Call::new(index, level, out, values)?;
            let (tenant, path) = (call.tenant(tenant)?, path.path("path")?);
            let keys = keys(variants, count)?;
            call.run(severity(mode)?, Scope::of_path(tenant, &path, Selection::Keys(&keys)))
        })
    }
}

/// Invalidates on all nodes every picture whose path begins with `prefix`, as `ci_purge_prefix`
/// does. The values that died come from `ci_reclaim`, on each node.
///
/// Blocks, and returns, as `ci_fleet_purge`.
#[cfg(feature = "fleet")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_fleet_purge_prefix(
    index: *const ci_index,
    tenant: *const ci_tenant,
    prefix: ci_str,
    mode: c_int,
    level: c_int,
    out: *mut ci_reached,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or valid handles, a text that can be read, and NULL or places
    // that can be written to.
    unsafe {
        guard(error, || {
            let call = Call::new(index, level, out, std::ptr::null_mut())?;
            let tenant = call.tenant(tenant)?.name().to_owned();
            let prefix = prefix.prefix("prefix")?.as_str().to_owned();
            call.run(severity(mode)?, Scope::Prefix { tenant, prefix })
        })
    }
}

/// Invalidates on all nodes all that belongs to `tenant`, or everything if `tenant` is NULL, as
/// `ci_flush` does. The values that died come from `ci_reclaim`, on each node.
///
/// Blocks, and returns, as `ci_fleet_purge`.
#[cfg(feature = "fleet")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_fleet_flush(
    index: *const ci_index,
    tenant: *const ci_tenant,
    mode: c_int,
    level: c_int,
    out: *mut ci_reached,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or valid handles, and NULL or places that can be written to.
    unsafe {
        guard(error, || {
            let call = Call::new(index, level, out, std::ptr::null_mut())?;
            let scope = if tenant.is_null() {
                Scope::All
            } else {
                Scope::Tenant { tenant: call.tenant(tenant)?.name().to_owned() }
            };
            call.run(severity(mode)?, scope)
        })
    }
}

/// Invalidates on all nodes all that belongs to `tenant`, or everything if `tenant` is NULL, hard,
/// spread over a number of milliseconds, as `ci_flush_over` does. Each node measures the time
/// itself, from when it applies the flush. A node that finds the flush when it catches up flushes
/// at once.
///
/// The level is reached when the flush has begun, and not when it has ended. Blocks, and returns,
/// as `ci_fleet_purge`.
#[cfg(feature = "fleet")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_fleet_flush_over(
    index: *const ci_index,
    tenant: *const ci_tenant,
    milliseconds: u64,
    until: c_int,
    level: c_int,
    out: *mut ci_reached,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or valid handles, and NULL or places that can be written to.
    unsafe {
        guard(error, || {
            let call = Call::new(index, level, out, std::ptr::null_mut())?;
            let over = over_time(milliseconds, until)?;
            let scope = if tenant.is_null() {
                Scope::AllOver { over }
            } else {
                Scope::TenantOver { tenant: call.tenant(tenant)?.name().to_owned(), over }
            };
            call.run(Severity::Hard, scope)
        })
    }
}

/// Flushes `tenant` on all nodes, hard, and forgets it, as `ci_tenant_forget` does.
///
/// Blocks, and returns, as `ci_fleet_purge`.
#[cfg(feature = "fleet")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_fleet_tenant_forget(
    index: *const ci_index,
    tenant: *const ci_tenant,
    level: c_int,
    out: *mut ci_reached,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or valid handles, and NULL or places that can be written to.
    unsafe {
        guard(error, || {
            let call = Call::new(index, level, out, std::ptr::null_mut())?;
            let tenant = call.tenant(tenant)?.name().to_owned();
            call.run(Severity::Hard, Scope::ForgetTenant { tenant })
        })
    }
}

/// Invalidates on all nodes what a request names, in JSON, as the body of `POST /invalidate`:
/// `{"scope":"original","urls":["/sample.li/birds.jpg"],"mode":"soft"}`. The scope is `original`,
/// `urls` or `all`; `all` is the tenant. `rules` read the entries. Otherwise as `ci_fleet_purge`.
///
/// Returns as `ci_fleet_purge`; CI_ERR_TEXT: the request is wrong, and `ci_error.element` is the
/// entry, if it is one.
#[cfg(feature = "fleet")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_fleet_request(
    index: *const ci_index,
    tenant: *const ci_tenant,
    rules: *const ci_rules,
    body: ci_str,
    level: c_int,
    out: *mut ci_reached,
    values: *mut *mut ci_entries,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or valid handles, a text that can be read, and NULL or places
    // that can be written to.
    unsafe {
        guard(error, || {
            let call = Call::new(index, level, out, values)?;
            let (tenant, rules) = (call.tenant(tenant)?, borrow(rules, "rules")?);
            let (body, limits) = (body.bytes("body")?, InvalidationLimits::default());
            let request = InvalidationRequest::from_json(body, &rules.0, &limits)
                .map_err(|error| Failure::request(&error))?;
            let done = call.member.request(tenant, &request, call.reach);
            call.report(done)
        })
    }
}
