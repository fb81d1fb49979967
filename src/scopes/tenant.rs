//! Tenants: names, and the handles that stand for them.
//!
//! Invariants:
//! - A handle belongs to the index that returned it.
//! - Two tenants that exist at the same time have different ids. A tenant exists until its last
//!   handle is dropped.
//! - Whatever stores an id also holds a handle: a shard's tally for its records, a lease for its
//!   open fill, a prefix rule, a queued dead entry. So an id is not reused while anything of its
//!   tenant is left.
//!
//! Forgetting a tenant removes its name from the table. A later request for the name makes another
//! tenant, with another id, so that an old handle cannot reach the entries of the new tenant.
//!
//! Lock order: the names, the turn of broad invalidations, a shard; the ids last. The last handle
//! may be dropped under any of them.

use super::generation::{AtomicGeneration, Generation};
use super::horizon::{Horizon, LastInvalidations};
use crate::hash::random_state;
use crate::sync::{Mutex, RwLock};
use hashbrown::HashMap;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// One customer of the cache, as a handle that [`CacheIndex::tenant`](crate::CacheIndex::tenant)
/// gives out.
///
/// Cloning it is cheap. Keep it with the customer's configuration rather than asking for it with
/// each request.
///
/// A handle stays valid after the tenant was [forgotten](crate::CacheIndex::forget_tenant), but it
/// finds and stores nothing. It never reaches a tenant that was made later, also not one of the
/// same name.
///
/// # Examples
///
/// ```
/// use cache_index::CacheIndex;
///
/// let index = CacheIndex::<u64>::default();
/// let tenant = index.tenant("doc");
/// assert_eq!(tenant.name(), "doc");
/// assert_eq!(tenant, index.tenant("doc"));
/// assert_ne!(tenant, index.tenant("other"));
/// ```
#[derive(Clone)]
pub struct Tenant(Arc<TenantState>);

/// The state of a tenant. It has its own cache lines, because each lookup reads it and each lease
/// counts its handle beside it.
#[repr(align(128))]
pub(crate) struct TenantState {
    /// The index that this tenant belongs to.
    index: u64,
    id: u32,
    name: Box<str>,
    pub(crate) horizon: Horizon,
    /// The generation in which the tenant was forgotten. Written before the horizon is raised to
    /// it; means nothing until then.
    forgotten: AtomicGeneration,
    ids: Arc<Mutex<Ids>>,
}

/// The ids of the tenants that exist.
#[derive(Debug, Default)]
struct Ids {
    taken: BTreeSet<u32>,
    next: u32,
}

impl Ids {
    /// Takes an id that no existing tenant has. Ids wrap around after 2^32 tenants; those still
    /// taken are skipped.
    fn take(&mut self) -> u32 {
        loop {
            let id = self.next;
            self.next = id.wrapping_add(1);
            if self.taken.insert(id) {
                return id;
            }
        }
    }
}

impl Drop for TenantState {
    fn drop(&mut self) {
        self.ids.lock().taken.remove(&self.id);
    }
}

impl Tenant {
    /// The name under which the tenant was asked for.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    #[inline]
    pub(crate) fn id(&self) -> u32 {
        self.0.id
    }

    #[inline]
    pub(crate) fn index(&self) -> u64 {
        self.0.index
    }

    #[inline]
    pub(crate) fn horizon(&self) -> &Horizon {
        &self.0.horizon
    }

    /// The generation in which the tenant was forgotten, or [`Generation::START`]. Exact while it
    /// is the caller's turn.
    #[inline]
    pub(crate) fn forgotten(&self) -> Generation {
        self.0.forgotten.load_relaxed()
    }

    /// Whether the tenant was forgotten when its horizon was read.
    #[inline]
    pub(crate) fn is_forgotten_by(&self, horizon: LastInvalidations) -> bool {
        // Relaxed: the horizon's acquire makes the generation visible that was written before it. A
        // later one is not yet reached.
        let forgotten = self.0.forgotten.load_relaxed();
        forgotten > Generation::START && horizon.hard >= forgotten
    }

    /// Marks the tenant as forgotten, for good, as soon as its horizon is raised to `generation`.
    pub(crate) fn forget(&self, generation: Generation) {
        self.0.forgotten.raise_relaxed(generation);
    }
}

impl PartialEq for Tenant {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Tenant {}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tenant").field(&self.name()).finish()
    }
}

/// The tenants of one index.
#[derive(Debug)]
pub(crate) struct Tenants {
    index: u64,
    by_name: RwLock<HashMap<Box<str>, Tenant, ahash::RandomState>>,
    ids: Arc<Mutex<Ids>>,
}

impl Tenants {
    pub(crate) fn new(index: u64) -> Self {
        let by_name = RwLock::new(HashMap::with_hasher(random_state()));
        Self { index, by_name, ids: Arc::default() }
    }

    pub(crate) fn get_or_add(&self, name: &str) -> Tenant {
        if let Some(tenant) = self.by_name.read().get(name) {
            return tenant.clone();
        }
        let mut by_name = self.by_name.write();
        // Another thread may have been first.
        by_name.entry(name.into()).or_insert_with(|| self.make(name)).clone()
    }

    fn make(&self, name: &str) -> Tenant {
        Tenant(Arc::new(TenantState {
            index: self.index,
            id: self.ids.lock().take(),
            name: name.into(),
            horizon: Horizon::default(),
            forgotten: AtomicGeneration::default(),
            ids: Arc::clone(&self.ids),
        }))
    }

    /// Removes the tenant's name while `forget` runs. A request for the name gets the old tenant
    /// before the call, or a new one after it.
    pub(crate) fn forget<R>(&self, tenant: &Tenant, forget: impl FnOnce() -> R) -> R {
        let mut by_name = self.by_name.write();
        let forgotten = forget();
        // The name may belong to a later tenant by now.
        if by_name.get(tenant.name()) == Some(tenant) {
            by_name.remove(tenant.name());
            // Amortized O(1): a table that is halved was filled by as many tenants as it has
            // places.
            let places = by_name.allocation_size() / size_of::<(Box<str>, Tenant)>();
            if places > 4 && by_name.len() <= places / 8 {
                let room = by_name.len() * 2;
                by_name.shrink_to(room);
            }
        }
        forgotten
    }

    /// The tenants that have a name.
    pub(crate) fn list(&self) -> Vec<Tenant> {
        self.by_name.read().values().cloned().collect()
    }

    /// The number of tenants that have a name.
    pub(crate) fn len(&self) -> usize {
        self.by_name.read().len()
    }

    /// The number of tenants that were forgotten and of which something is left.
    pub(crate) fn forgotten(&self) -> usize {
        let by_name = self.by_name.read();
        self.ids.lock().taken.len() - by_name.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_is_one_tenant_and_two_names_are_two() {
        let tenants = Tenants::new(0);
        let (a, b) = (tenants.get_or_add("a"), tenants.get_or_add("b"));
        assert_ne!(a.id(), b.id());
        assert_eq!(tenants.get_or_add("a").id(), a.id());
        assert_eq!(tenants.len(), 2);
    }

    #[test]
    fn forgotten_name_is_another_tenant_and_an_old_handle_does_not_forget_it() {
        let tenants = Tenants::new(0);
        let old = tenants.get_or_add("a");
        tenants.forget(&old, || ());
        let new = tenants.get_or_add("a");
        assert_ne!(old, new);
        assert_ne!(old.id(), new.id());
        assert_eq!((tenants.len(), tenants.forgotten()), (1, 1));

        tenants.forget(&old, || ());
        assert_eq!(tenants.get_or_add("a"), new);
        drop(old);
        assert_eq!((tenants.len(), tenants.forgotten()), (1, 0));
    }

    #[test]
    fn ids_wrap_around_and_skip_those_that_are_taken() {
        let tenants = Tenants::new(0);
        let [first, second] = ["a", "b"].map(|name| tenants.get_or_add(name));
        let second_id = second.id();
        tenants.forget(&second, || ());
        drop(second);
        tenants.ids.lock().next = u32::MAX;
        let last = tenants.get_or_add("c");
        assert_eq!((first.id(), last.id()), (0, u32::MAX));
        assert_eq!(tenants.get_or_add("d").id(), second_id);
    }

    #[test]
    fn names_of_many_forgotten_tenants_leave_no_memory() {
        let tenants = Tenants::new(0);
        let many: Vec<_> = (0..10_000).map(|n| tenants.get_or_add(&n.to_string())).collect();
        let bytes = || tenants.by_name.read().allocation_size();
        let peak = bytes();
        for tenant in many {
            tenants.forget(&tenant, || ());
        }
        assert!(bytes() * 100 < peak, "{} of {peak}", bytes());
        assert_eq!((tenants.len(), tenants.forgotten()), (0, 0));
    }
}
