//! Operations for a second log: invalidations as records, applied with or without logging them.

use crate::carried::{Carried, Carrier};
use crate::codec::Codec;
use crate::invalidator::{path_scope, request_scopes};
use crate::outcome::{Acknowledged, Durability};
use crate::persistent::Persistent;
use crate::record::{Record, Scope};
use crate::replay::replay;
use cache_index::invalidation::{InvalidationRequest, Receipt};
use cache_index::{OriginPath, Selection, Tenant};
use std::sync::Arc;

impl Scope {
    /// Returns the scope of [`Persistent::purge_selected`].
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{OriginPath, Selection};
    /// use cache_index_persist::{PersistConfig, Persistent, Scope};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let birds = OriginPath::from_canonical("a/birds.jpg")?;
    /// let scope = Scope::of_path(&cache.tenant("doc"), &birds, Selection::All);
    /// assert_eq!(scope, Scope::Path { tenant: "doc".into(), path: "a/birds.jpg".into() });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of_path(tenant: &Tenant, path: &OriginPath<'_>, selection: Selection<'_>) -> Self {
        path_scope(tenant, path, selection)
    }

    /// Returns the scopes of [`Persistent::apply`].
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::Rules;
    /// use cache_index::invalidation::InvalidationRequest;
    /// use cache_index_persist::{PersistConfig, Persistent, Scope};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let rules = Rules::default();
    /// let request = InvalidationRequest::builder(&rules).original(["/a/1.jpg", "/a/2.jpg"])?;
    /// assert_eq!(Scope::of_request(&cache.tenant("doc"), &request).len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of_request(tenant: &Tenant, request: &InvalidationRequest) -> Vec<Self> {
        request_scopes(tenant, request)
    }
}

impl<V: Codec + Clone + Send + Sync + 'static> Persistent<V> {
    /// Invalidates the scopes of records, logs the records together, and returns the values that
    /// went. Values that the index queues for [`reclaim`](Self::reclaim) are not among them.
    ///
    /// A scope that this index cannot apply exactly is applied as the next broader one.
    ///
    /// **Cost, locks:** as [`purge`](Self::purge), with one wait for all.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::Severity;
    /// use cache_index_persist::{PersistConfig, Persistent, Record, Scope};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let all = Record {
    ///     unix_millis: 0,
    ///     by: None,
    ///     outbox: None,
    ///     severity: Severity::Hard,
    ///     scope: Scope::All,
    /// };
    /// assert!(cache.invalidate(&[all]).is_durable());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn invalidate(&self, records: &[Record]) -> Acknowledged<Vec<V>> {
        let removed = records.iter().flat_map(|record| self.invalidate_unlogged(record)).collect();
        Acknowledged::new(removed, self.append(records))
    }

    /// Invalidates the scope of a record that another log keeps, and returns the values that went.
    /// It is not logged here: after a restart, the caller must apply it again if it is behind the
    /// position that was [carried](Self::carried).
    ///
    /// **Cost, locks:** those of the index.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::Severity;
    /// use cache_index_persist::{PersistConfig, Persistent, Record, Scope};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let all = Record {
    ///     unix_millis: 0,
    ///     by: None,
    ///     outbox: None,
    ///     severity: Severity::Hard,
    ///     scope: Scope::All,
    /// };
    /// assert!(cache.invalidate_unlogged(&all).is_empty());
    /// assert_eq!(cache.persist_stats().log_records, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn invalidate_unlogged(&self, record: &Record) -> Vec<V> {
        let forget = |name: &str| _ = self.forget(&self.tenant(name));
        replay(self.index(), record, forget)
    }

    /// Invalidates the targets of a request without logging them, and returns the receipt. The
    /// caller logs the scopes of the request with [`log_applied`](Self::log_applied).
    ///
    /// **Cost, locks:** as [`CacheIndex::apply`](cache_index::CacheIndex::apply).
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::Rules;
    /// use cache_index::invalidation::InvalidationRequest;
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let request = InvalidationRequest::builder(&Rules::default()).original(["/a/birds.jpg"])?;
    /// assert_eq!(cache.apply_unlogged(&cache.tenant("doc"), &request).variants(), 0);
    /// assert_eq!(cache.persist_stats().log_records, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn apply_unlogged(&self, tenant: &Tenant, request: &InvalidationRequest) -> Receipt<V> {
        self.index().apply(tenant, request)
    }

    /// Logs records together. The caller has applied each with
    /// [`invalidate_unlogged`](Self::invalidate_unlogged): in the reverse order, a snapshot that
    /// begins between the two would contain the purged entries, and count the record as contained.
    ///
    /// **Cost, locks:** the wait for the log.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::Severity;
    /// use cache_index_persist::{PersistConfig, Persistent, Record, Scope};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let all = Record {
    ///     unix_millis: 0,
    ///     by: None,
    ///     outbox: None,
    ///     severity: Severity::Hard,
    ///     scope: Scope::All,
    /// };
    /// drop(cache.invalidate_unlogged(&all));
    /// assert!(cache.log_applied(&[all]).is_durable());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn log_applied(&self, records: &[Record]) -> Durability {
        self.append(records)
    }

    /// Returns whether the tenant has been used since the index was opened, or was loaded with it.
    /// While a snapshot is loaded, which may have any tenant, the result is true.
    ///
    /// **Cost:** O(tenants).
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// assert!(!cache.knows_tenant("doc"));
    /// let tenant = cache.tenant("doc");
    /// assert!(cache.knows_tenant("doc"));
    /// # drop(tenant);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn knows_tenant(&self, name: &str) -> bool {
        self.loading().is_some() || self.tenants().iter().any(|tenant| tenant.name() == name)
    }

    /// Returns the data that the next snapshot will carry. Before [`carry`](Self::carry) was
    /// called, this is the data found on disk: the position of the snapshot, and the outbox of the
    /// snapshot and the log.
    ///
    /// **Cost:** O(length of the data).
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::{Carried, PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// assert_eq!(cache.carried(), Carried::default());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn carried(&self) -> Carried {
        self.snapshotter().carried()
    }

    /// Lets each snapshot carry what `source` returns. It is called after the last record of the
    /// log was noted, and before the entries are read.
    ///
    /// Until this is called, snapshots carry on the data that was found on disk.
    ///
    /// **Cost:** O(1).
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_persist::{Carried, PersistConfig, Persistent};
    ///
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// cache.carry(Carried::default);
    /// cache.snapshot()?;
    /// assert_eq!(cache.carried(), Carried::default());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn carry(&self, source: impl Fn() -> Carried + Send + Sync + 'static) {
        self.snapshotter().carry(Carrier::Source(Arc::new(source)));
    }
}
