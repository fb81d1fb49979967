//! Replaying records of the log on an index.
//!
//! Invariant: a record is replayed as its own scope, or as a broader one. Names are compared
//! byte for byte, whether they are canonical or opaque, so every name replays as itself.

use crate::record::{Record, Scope};
use cache_index::canonical::Operations;
use cache_index::{
    CacheIndex, Hard, Mode, OriginPath, PathPrefix, Selection, Severity, Soft, VariantKey,
};

/// Invalidates the scope of a record, or a broader one. `forget` forgets the tenant of a name.
/// Returns the removed values, except those that the index queues for `reclaim`. A flush over time
/// begins now, with the elapsed time of the record.
pub(crate) fn replay<V>(
    index: &CacheIndex<V>,
    record: &Record,
    forget: impl FnOnce(&str),
) -> Vec<V> {
    match (&record.scope, record.severity) {
        (Scope::ForgetTenant { tenant }, _) => forget(tenant),
        (Scope::AllOver { over }, _) => _ = index.flush_all_over(*over),
        (Scope::TenantOver { tenant, over }, _) => {
            index.flush_tenant_over(&index.tenant(tenant), *over);
        }
        (scope, Severity::Hard) => {
            let purged = replay_as(index, scope, Hard);
            return purged.into_iter().flatten().map(|(_, value)| value).collect();
        }
        (scope, Severity::Soft) => drop(replay_as(index, scope, Soft)),
    }
    Vec::new()
}

/// Returns the outcome for one path.
fn replay_as<V, M: Mode>(index: &CacheIndex<V>, scope: &Scope, mode: M) -> Option<M::Outcome<V>> {
    match scope {
        Scope::Path { tenant, path } => {
            return replay_path(index, (tenant, path), Selection::All, mode);
        }
        Scope::Keys { tenant, path, keys } => {
            // A key that no index stores picks nothing, but then the record is not one of ours.
            let keys: Result<Vec<_>, _> = keys.iter().map(VariantKey::opaque).collect();
            let selection = keys.as_deref().map_or(Selection::All, Selection::Keys);
            return replay_path(index, (tenant, path), selection, mode);
        }
        Scope::Operations { tenant, path, operations } => {
            let operations: Result<Vec<_>, _> =
                operations.iter().map(|text| Operations::from_canonical(text)).collect();
            let selection = operations.as_deref().map_or(Selection::All, Selection::Operations);
            return replay_path(index, (tenant, path), selection, mode);
        }
        Scope::Prefix { tenant, prefix } => {
            let tenant = index.tenant(tenant);
            match PathPrefix::opaque(prefix) {
                Ok(prefix) => drop(index.purge_prefix(&tenant, &prefix, mode)),
                // The empty prefix covers the whole tenant.
                Err(_) => _ = index.flush_tenant(&tenant, mode),
            }
        }
        Scope::Tenant { tenant }
        | Scope::ForgetTenant { tenant }
        | Scope::TenantOver { tenant, .. } => {
            index.flush_tenant(&index.tenant(tenant), mode);
        }
        Scope::All | Scope::AllOver { .. } => {
            index.flush_all(mode);
        }
    }
    None
}

fn replay_path<V, M: Mode>(
    index: &CacheIndex<V>,
    (tenant, path): (&str, &str),
    selection: Selection<'_>,
    mode: M,
) -> Option<M::Outcome<V>> {
    let tenant = index.tenant(tenant);
    if let Ok(path) = OriginPath::opaque(path) {
        return Some(index.purge_selected(&tenant, &path, selection, mode));
    }
    index.flush_tenant(&tenant, mode);
    None
}
