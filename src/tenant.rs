//! Tenants: names, and the handles that stand for them.
//!
//! Invariant: a handle is good for the index that gave it, and two names never share an id; so the paths of two tenants can't
//! meet, whatever they are called.

use crate::generation::{AtomicGeneration, Generation};
use crate::hash::random_state;
use crate::mode::Severity;
use crate::prefix::Match;
use crate::sync::RwLock;
use hashbrown::HashMap;
use std::fmt;
use std::sync::Arc;

/// One customer of the cache, as a handle that [`CacheIndex::tenant`](crate::CacheIndex::tenant) gives out.
///
/// Cloning it is cheap. Keep it with the customer's configuration rather than asking for it with each request.
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

/// What the index remembers of a tenant. On lines of its own, as each look-up reads it and each lease counts its handle beside it.
#[repr(align(128))]
pub(crate) struct TenantState {
    /// The index that this tenant belongs to.
    index: u64,
    id: u32,
    name: Box<str>,
    pub(crate) horizon: Horizon,
}

/// The last hard and the last soft invalidation of one broad scope.
///
/// Invariant: written only while it is the writer's turn, see [`crate::scopes`].
#[derive(Debug, Default)]
pub(crate) struct Horizon {
    hard: AtomicGeneration,
    soft: AtomicGeneration,
}

impl Horizon {
    /// Acquires, so that who publishes an invalidation for another passes on what came before it, too.
    pub(crate) fn read(&self) -> Match {
        Match { hard: self.hard.load(), soft: self.soft.load() }
    }

    pub(crate) fn raise(&self, severity: Severity, generation: Generation) {
        match severity {
            Severity::Hard => self.hard.publish(generation),
            Severity::Soft => self.soft.publish(generation),
        }
    }
}

impl Tenant {
    /// The name under which the tenant was asked for.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id
    }

    pub(crate) fn index(&self) -> u64 {
        self.0.index
    }

    pub(crate) fn horizon(&self) -> &Horizon {
        &self.0.horizon
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
}

impl Tenants {
    pub(crate) fn new(index: u64) -> Self {
        Self { index, by_name: RwLock::new(HashMap::with_hasher(random_state())) }
    }

    pub(crate) fn get_or_add(&self, name: &str) -> Tenant {
        if let Some(tenant) = self.by_name.read().get(name) {
            return tenant.clone();
        }
        let mut by_name = self.by_name.write();
        let id = u32::try_from(by_name.len()).expect("memory ends long before 2^32 tenants");
        let new = || {
            let (name, horizon) = (name.into(), Horizon::default());
            Tenant(Arc::new(TenantState { index: self.index, id, name, horizon }))
        };
        // Another thread may have been first.
        by_name.entry(name.into()).or_insert_with(new).clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_name.read().len()
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
}
