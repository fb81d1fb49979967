//! Flushes that are spread over time, which end at a restart.
//!
//! Invariant: an entry that died before a crash is dead after it. No clock says how long the
//! process was down, or how far a flush had come. So a flush over time that was running has ended
//! when the next process starts: its record is replayed as a flush at once, and a snapshot has none
//! of its older entries.

use crate::codec::Codec;
use crate::invalidator::Invalidator;
use crate::outcome::Acknowledged;
use crate::persistent::Persistent;
use crate::record::Scope;
use cache_index::{Flushed, OverTime, RunningFlush, Severity, Tenant};

impl<V: Codec + Clone + Send + Sync + 'static> Invalidator<'_, V> {
    /// Does what [`Persistent::flush_all_over`] does.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::{PersistConfig, Persistent};
    /// use std::time::Duration;
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let over = Duration::from_secs(3600);
    /// assert!(cache.on_behalf_of("alice").flush_all_over(over).is_durable());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flush_all_over(&self, over: impl Into<OverTime>) -> Acknowledged<Flushed> {
        let over = over.into();
        let outcome = self.index().flush_all_over(over);
        self.acknowledge(outcome, Severity::Hard, vec![Scope::AllOver { over }])
    }

    /// Does what [`Persistent::flush_tenant_over`] does.
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::{PersistConfig, Persistent};
    /// use std::time::Duration;
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let tenant = cache.tenant("doc");
    /// let over = Duration::from_secs(3600);
    /// assert!(cache.on_behalf_of("alice").flush_tenant_over(&tenant, over).is_durable());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flush_tenant_over(
        &self,
        tenant: &Tenant,
        over: impl Into<OverTime>,
    ) -> Acknowledged<Flushed> {
        let over = over.into();
        let outcome = self.index().flush_tenant_over(tenant, over);
        let scope = Scope::TenantOver { tenant: tenant.name().to_owned(), over };
        self.acknowledge(outcome, Severity::Hard, vec![scope])
    }
}

impl<V: Codec + Clone + Send + Sync + 'static> Persistent<V> {
    /// Flushes everything, spread over a duration, as
    /// [`CacheIndex::flush_all_over`](cache_index::CacheIndex::flush_all_over) does, and logs it.
    ///
    /// After a restart the flush has ended: all entries that are older than this call are dead, and
    /// fills of the time between are kept if a snapshot has them that was begun after this call.
    /// Snapshots leave out the older entries while the flush runs.
    ///
    /// **Cost:** that of the index, and the wait for the log.
    /// **Locks:** those of the index; none while it waits.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{Lookup, OriginPath, VariantKey};
    /// use cache_index_persist::{PersistConfig, Persistent};
    /// use std::time::Duration;
    ///
    /// let dir = tempfile::tempdir()?;
    /// let birds = OriginPath::from_canonical("a/birds.jpg")?;
    /// let small = VariantKey::from_canonical("?w=200")?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let tenant = cache.tenant("doc");
    /// assert!(cache.insert(&tenant, &birds, &small, 7).is_stored());
    /// assert!(cache.flush_all_over(Duration::from_secs(3600)).is_durable());
    /// assert_eq!(cache.lookup(&tenant, &birds, &small), Lookup::Stale(7));
    /// cache.close()?;
    /// drop(cache);
    ///
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// assert_eq!(cache.lookup(&cache.tenant("doc"), &birds, &small), Lookup::Miss);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flush_all_over(&self, over: impl Into<OverTime>) -> Acknowledged<Flushed> {
        Invalidator::new(self, None).flush_all_over(over)
    }

    /// Flushes a tenant, spread over a duration, as
    /// [`CacheIndex::flush_tenant_over`](cache_index::CacheIndex::flush_tenant_over) does, and logs
    /// it. After a restart, the flush has ended: see [`flush_all_over`](Self::flush_all_over).
    ///
    /// **Cost, locks:** as [`flush_all_over`](Self::flush_all_over).
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{Lookup, OriginPath, VariantKey};
    /// use cache_index_persist::{PersistConfig, Persistent};
    /// use std::time::Duration;
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let tenant = cache.tenant("doc");
    /// let birds = OriginPath::from_canonical("a/birds.jpg")?;
    /// let small = VariantKey::from_canonical("?w=200")?;
    /// assert!(cache.insert(&tenant, &birds, &small, 7).is_stored());
    /// assert!(cache.flush_tenant_over(&tenant, Duration::from_secs(3600)).is_durable());
    /// assert_eq!(cache.lookup(&tenant, &birds, &small), Lookup::Stale(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flush_tenant_over(
        &self,
        tenant: &Tenant,
        over: impl Into<OverTime>,
    ) -> Acknowledged<Flushed> {
        Invalidator::new(self, None).flush_tenant_over(tenant, over)
    }

    /// Returns the flushes over time that are running, as
    /// [`CacheIndex::running_flushes`](cache_index::CacheIndex::running_flushes) does. After a
    /// restart there are none.
    ///
    /// **Cost:** O(running flushes).
    /// **Locks:** no shard; flushes take turns.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::{PersistConfig, Persistent};
    /// use std::time::Duration;
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let tenant = cache.tenant("doc");
    /// assert!(cache.flush_tenant_over(&tenant, Duration::from_secs(3600)).is_durable());
    /// assert_eq!(cache.running_flushes().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn running_flushes(&self) -> Vec<RunningFlush> {
        self.index().running_flushes()
    }
}
