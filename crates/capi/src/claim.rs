//! Claims: a lookup that takes the lease on a miss.

use crate::boundary::{Out, borrow, guard};
use crate::error::ci_error;
use crate::index::{ci_index, ci_tenant};
use crate::lease::ci_lease;
use crate::lookup::{CI_LIVE, CI_MISS, CI_STALE};
use crate::text::ci_str;
use cache_index::Claim;
use std::ffi::c_int;
use std::ptr::null_mut;

/// No value may be served, and another claim is open: this is the value that it claimed.
pub const CI_PENDING: c_int = 3;

/// No value may be served, and this claim is the first: read the source and commit.
pub const CI_CLAIMED: c_int = 4;

/// Looks for a variant, and takes a lease unless it is live or another claim is filling it. For
/// servers that cache an object under an id from the index: concurrent misses of one variant get
/// the same id, so that the server's own collapsing of requests sees one key.
///
/// `value` is the one that this claim would store. `*found` is set to the value to use: the stored
/// one for CI_LIVE and CI_STALE, that of the open claim for CI_PENDING, `value` itself for
/// CI_CLAIMED.
///
/// `*lease` is set to a lease for CI_CLAIMED, and for CI_STALE if this claim is the first that
/// refreshes it; else to NULL. Commit it with `ci_lease_commit_claimed`.
///
/// A pending value is void once an invalidation that covers the path has returned: the next claim
/// gets a lease of its own. An open claim may still fail, so a pending value may never be stored.
///
/// Owner: `*lease` is yours; end it with `ci_lease_free`, committed or not.
///
/// Any thread may call this at any time. It locks one shard, shared.
///
/// In a fleet, while the gate is shut: a live value is CI_STALE without a lease. With
/// CI_SHUT_REFUSE, a value that is stored or pending is CI_MISS, `*found` is 0 and `*lease` NULL:
/// go to the source, and do not store the answer.
///
/// Returns CI_LIVE, CI_STALE, CI_PENDING or CI_CLAIMED, or CI_MISS in a fleet; CI_ERR_NULL,
/// CI_ERR_TENANT, CI_ERR_TEXT: nothing is claimed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ci_claim(
    index: *const ci_index,
    tenant: *const ci_tenant,
    path: ci_str,
    variant: ci_str,
    value: u64,
    found: *mut u64,
    lease: *mut *mut ci_lease,
    error: *mut ci_error,
) -> c_int {
    // SAFETY: the caller passes NULL or valid handles, texts that can be read, and NULL or places
    // that can be written to.
    unsafe {
        guard(error, || {
            let (index, found) = (borrow(index, "index")?, Out::new(found, "found")?);
            let out = Out::new(lease, "lease")?;
            let tenant = index.own(borrow(tenant, "tenant")?)?;
            let (path, key) = (path.path("path")?, variant.key("variant")?);
            let Some(claim) = index.index.claim(tenant, &path, &key, value) else {
                found.write(0);
                out.write(null_mut());
                return Ok(CI_MISS);
            };
            let (state, value, lease) = match claim {
                Claim::Live(value) => (CI_LIVE, value, None),
                Claim::Stale { value, refresh } => (CI_STALE, value, refresh),
                Claim::Pending(value) => (CI_PENDING, value, None),
                Claim::Claimed(lease) => (CI_CLAIMED, value, Some(lease)),
            };
            found.write(value);
            match lease {
                Some(lease) => ci_lease::hand_over_claimed(lease, &out),
                None => out.write(null_mut()),
            }
            Ok(state)
        })
    }
}
