//! `Pictures`: the ids under which the server caches, and the open leases.
//!
//! Invariants:
//! - An id is given to one claim and never again, not even after a restart.
//! - At most one answer of the origin is cached under an id: that of the fetch which took the lease
//!   of the id. So an answer that an invalidation overtook cannot replace a newer one.

use cache_index::{
    CacheIndex, Claim, ClaimLease, Hard, Lookup, OriginPath, PathPrefix, Soft, Tenant, VariantKey,
};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Ids of each microsecond since 1970. So a later start begins with an id that an earlier run has
/// not reached.
const IDS_EACH_MICROSECOND: u64 = 1 << 12;

/// The index of one site.
#[derive(Debug)]
pub(crate) struct Pictures {
    index: CacheIndex<u64>,
    tenant: Tenant,
    next_id: AtomicU64,
    /// The leases of ids that were not fetched yet.
    leases: Mutex<HashMap<u64, Open>>,
    lease_time: Duration,
}

#[derive(Debug)]
struct Open {
    lease: ClaimLease<u64>,
    since: Instant,
}

/// A fetch of the server.
#[derive(Debug)]
pub(crate) struct Fetch {
    names: Option<(OriginPath<'static>, VariantKey<'static>)>,
    id: u64,
    lease: Option<ClaimLease<u64>>,
    /// Whether the index had the id as live when the fetch began: the server has lost the answer.
    lost: bool,
}

/// The names in a target: up to the question mark, and the rest.
fn names(target: &str) -> Option<(OriginPath<'_>, VariantKey<'_>)> {
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let query = if query.is_empty() { "?" } else { query };
    Some((OriginPath::opaque(path).ok()?, VariantKey::opaque(query).ok()?))
}

impl Pictures {
    pub(crate) fn new(lease_time: Duration, first_id: Option<u64>) -> Self {
        let index = CacheIndex::default();
        let first_id = first_id.unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::try_from(now.as_micros()).unwrap_or_default().saturating_mul(IDS_EACH_MICROSECOND)
        });
        Self {
            tenant: index.tenant("site"),
            index,
            next_id: AtomicU64::new(first_id),
            leases: Mutex::default(),
            lease_time,
        }
    }

    fn new_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns the id under which the server may have the answer, or caches it.
    pub(crate) fn id(&self, target: &str) -> u64 {
        let id = self.new_id();
        let Some((path, variant)) = names(target) else { return id };
        let lease = match self.index.claim(&self.tenant, &path, &variant, id) {
            Claim::Live(id) | Claim::Pending(id) => return id,
            Claim::Stale { value, refresh: None } => return value,
            // The first request fetches again, and the others are served meanwhile.
            Claim::Stale { refresh: Some(lease), .. } | Claim::Claimed(lease) => lease,
        };
        self.leases.lock().insert(id, Open { lease, since: Instant::now() });
        id
    }

    /// Begins to fetch what the server does not have under `id`.
    pub(crate) fn fetch(&self, target: &str, id: u64) -> Fetch {
        let names = names(target).map(|(path, key)| (path.into_owned(), key.into_owned()));
        let lease = self.leases.lock().remove(&id).map(|open| open.lease);
        let lost = names.as_ref().is_some_and(|(path, variant)| {
            self.index.lookup(&self.tenant, path, variant) == Lookup::Live(id)
        });
        Fetch { names, id, lease, lost }
    }

    /// Returns whether the server may cache the answer.
    pub(crate) fn fetched(&self, fetch: Fetch) -> bool {
        let Fetch { names, id, lease, lost } = fetch;
        if let Some(lease) = lease {
            return lease.commit().is_stored();
        }
        // A second answer under one id could be an older one. If the server has lost the first, the
        // next request gets a new id; else another fetch of the id is under way.
        if let Some((path, variant)) = names.filter(|_| lost) {
            let _ = self.index.remove(&self.tenant, &path, &variant, &id);
        }
        false
    }

    /// Invalidates a picture, a prefix that ends in a star, or everything (`/*`).
    pub(crate) fn purge(&self, target: &str, soft: bool) -> Result<String, String> {
        if let Some(at) = target.find('?') {
            return Err(format!(
                "unexpected query at byte {at}: this invalidates the whole picture"
            ));
        }
        let generation = if target == "/*" {
            let flush = &self.index;
            if soft { flush.flush_all(Soft) } else { flush.flush_all(Hard) }.generation()
        } else if let Some(prefix) = target.strip_suffix('*') {
            let prefix = PathPrefix::opaque(prefix).map_err(|error| error.to_string())?;
            let purged = if soft {
                self.index.purge_prefix(&self.tenant, &prefix, Soft)
            } else {
                self.index.purge_prefix(&self.tenant, &prefix, Hard)
            };
            purged.generation()
        } else {
            return self.purge_path(target, soft);
        };
        Ok(format!("generation {generation}\n"))
    }

    fn purge_path(&self, path: &str, soft: bool) -> Result<String, String> {
        let path = OriginPath::opaque(path).map_err(|error| error.to_string())?;
        let (variants, fills) = if soft {
            let softened = self.index.purge(&self.tenant, &path, Soft);
            (softened.len(), softened.overtaken_fills())
        } else {
            let purged = self.index.purge(&self.tenant, &path, Hard);
            (purged.len(), purged.overtaken_fills())
        };
        Ok(format!("{variants} variants, {fills} fills\n"))
    }

    /// Drops the leases of clients that went away before the server fetched.
    pub(crate) fn give_up_old_leases(&self) {
        let mut old = Vec::new();
        let mut leases = self.leases.lock();
        let ids = leases.iter().filter(|(_, open)| open.since.elapsed() >= self.lease_time);
        let ids: Vec<_> = ids.map(|(id, _)| *id).collect();
        old.extend(ids.iter().filter_map(|id| leases.remove(id)));
        // Leases are dropped outside of the lock.
        drop(leases);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "/a.jpg?w=200";

    fn pictures() -> Pictures {
        Pictures::new(Duration::ZERO, None)
    }

    #[test]
    fn concurrent_misses_share_an_id_and_one_of_them_is_cached() {
        let pictures = pictures();
        let id = pictures.id(A);
        assert_eq!(pictures.id(A), id);
        let (first, second) = (pictures.fetch(A, id), pictures.fetch(A, id));
        assert!(!pictures.fetched(second), "it has no lease");
        assert!(pictures.fetched(first));
        assert_eq!(pictures.id(A), id);
    }

    #[test]
    fn overtaken_answer_is_not_cached_and_its_id_is_not_given_again() {
        let pictures = pictures();
        let old = pictures.id(A);
        let fetch = pictures.fetch(A, old);
        assert_eq!(pictures.purge("/a.jpg", false).unwrap(), "0 variants, 1 fills\n");
        let new = pictures.id(A);
        assert_ne!(new, old);
        assert!(!pictures.fetched(fetch));
        let fetch = pictures.fetch(A, new);
        assert!(pictures.fetched(fetch));
        assert_eq!(pictures.id(A), new);
        for entry in ["/a*", "/*"] {
            let before = pictures.id(A);
            pictures.purge(entry, false).unwrap();
            assert_ne!(pictures.id(A), before, "{entry}");
        }
    }

    #[test]
    fn answer_that_the_server_has_lost_is_fetched_under_a_new_id() {
        let pictures = pictures();
        let id = pictures.id(A);
        let fetch = pictures.fetch(A, id);
        assert!(pictures.fetched(fetch));
        let again = pictures.fetch(A, id);
        assert!(!pictures.fetched(again));
        assert_ne!(pictures.id(A), id);
    }

    #[test]
    fn lease_that_nobody_fetches_is_given_up() {
        let pictures = pictures();
        let id = pictures.id(A);
        pictures.give_up_old_leases();
        assert_eq!(pictures.index.stats().open_leases, 0);
        assert_ne!(pictures.id(A), id);
        let late = pictures.fetch(A, id);
        assert!(!pictures.fetched(late));
    }

    #[test]
    fn later_start_has_larger_ids() {
        let first = pictures().id(A);
        // Ids begin with the microsecond of the start: until the clock shows a later one.
        let now = || std::time::UNIX_EPOCH.elapsed().unwrap().as_micros();
        let start = now();
        while now() == start {
            std::hint::spin_loop();
        }
        assert!(pictures().id(A) > first);
    }

    #[test]
    fn mistakes_are_named_and_change_nothing() {
        let pictures = pictures();
        let error = pictures.purge("/a.jpg?w=1", false).unwrap_err();
        assert_eq!(error, "unexpected query at byte 6: this invalidates the whole picture");
        assert_eq!(pictures.index.stats().purges, 0);
    }
}
