//! `Fleet`: a node of a fleet.
//!
//! Invariants: a message is applied under the lock of the state machine, so that a snapshot never
//! sees a position whose message is not applied. An own invalidation is in the outbox before it is
//! applied, and is applied before it is logged or sent.

use crate::config::FleetConfig;
use crate::driver::{self, Shared};
use crate::engine::{Announcements, Engine};
use crate::gate::Admission;
use crate::level::{Invalidated, Level, NotReached};
use crate::stats::FleetStats;
use crate::time::Moment;
use cache_index::invalidation::InvalidationRequest;
use cache_index::{
    FillLease, Lookup, Mode, OriginPath, OverTime, PathPrefix, Reclaimed, Selection, Severity,
    Tenant, VariantKey,
};
use cache_index_persist::{Codec, Durability, PersistError, Persistent, Record, Scope};
use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::task::JoinHandle;

/// A node of a fleet: an index whose invalidations reach all other nodes, and that knows whether it
/// has those of the others.
///
/// Dropping it ends the node as a crash would, and unlocks its directory a moment later; see
/// [`leave`](Self::leave).
///
/// # Examples
///
/// ```
/// use cache_index::{Hard, Lookup, OriginPath, VariantKey};
/// use cache_index_fleet::{Everywhere, Fleet, FleetConfig, MemoryEngine};
/// use cache_index_persist::{PersistConfig, Persistent};
///
/// # tokio::runtime::Builder::new_multi_thread().enable_time().build()?.block_on(async {
/// let engine = MemoryEngine::new();
/// let (here, there) = (tempfile::tempdir()?, tempfile::tempdir()?);
/// let join = |dir: &tempfile::TempDir, name: &str| {
///     let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
///     let config = FleetConfig::builder(name).build()?;
///     Ok::<_, Box<dyn std::error::Error>>(Fleet::join(cache, config, engine.handle()))
/// };
/// let (here, there) = (join(&here, "here")?, join(&there, "there")?);
/// there.serves_fresh().await;
///
/// let birds = OriginPath::from_canonical("sample.li/birds.jpg")?;
/// let small = VariantKey::from_canonical("?w=200")?;
/// let tenant = there.tenant("doc");
/// assert!(there.lease(&tenant, &birds).commit(&small, 7).is_stored());
/// assert_eq!(there.lookup(&tenant, &birds, &small), Lookup::Live(7));
///
/// let purged = here.purge(&here.tenant("doc"), &birds, Hard, Everywhere).await?;
/// assert!(purged.local().is_durable());
/// assert_eq!(there.lookup(&tenant, &birds, &small), Lookup::Miss);
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Fleet<V: Codec + Clone + Send + Sync + 'static, E: Engine + Announcements> {
    pub(crate) shared: Arc<Shared<V, E>>,
    driver: JoinHandle<()>,
}

/// How far this node has followed the stream, for a protocol between caches of two tiers.
///
/// # Examples
///
/// ```
/// use cache_index::Hard;
/// use cache_index_fleet::{Everywhere, Fleet, FleetConfig, MemoryEngine};
/// use cache_index_persist::{PersistConfig, Persistent};
///
/// # tokio::runtime::Builder::new_multi_thread().enable_time().build()?.block_on(async {
/// # let dir = tempfile::tempdir()?;
/// # let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
/// # let config = FleetConfig::builder("pop-1").build()?;
/// let fleet = Fleet::join(cache, config, MemoryEngine::new());
/// fleet.serves_fresh().await;
/// let before = fleet.settled_watermark().ok_or("no stream yet")?;
/// let _ = fleet.flush_all(Hard, Everywhere).await?;
/// let after = fleet.settled_watermark().ok_or("no stream")?;
/// assert_eq!((after.stream, after.begun), (before.stream, after.applied));
/// assert!(after.applied > before.applied);
/// assert_eq!(fleet.watermark(), after);
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// The stream, by its creation.
    pub stream: i128,
    /// The highest message whose application has begun.
    pub begun: u64,
    /// The highest message whose application has ended.
    pub applied: u64,
}

impl<V: Codec + Clone + Send + Sync + 'static, E: Engine + Announcements> Fleet<V, E> {
    /// Joins a fleet. The gate is shut until the node has caught up with the stream.
    ///
    /// The directory of `cache` must always belong to the same node: it contains the invalidations
    /// that the node still has to send.
    ///
    /// # Panics
    /// If there is no tokio runtime with a timer.
    pub fn join(cache: Persistent<V>, config: FleetConfig, engine: E) -> Self {
        let (shared, driver) = driver::start(cache, config, engine);
        Self { shared, driver }
    }

    /// Returns the index of this node. **Its own purges and flushes stay on this node**: use those
    /// of the fleet.
    pub fn local(&self) -> &Persistent<V> {
        self.shared.cache()
    }

    /// Returns the handle of a tenant.
    pub fn tenant(&self, name: &str) -> Tenant {
        self.local().tenant(name)
    }

    /// Returns what the node may serve at a moment.
    ///
    /// **Cost:** one atomic load and a comparison. **Locks:** none.
    #[inline]
    pub fn gate(&self, now: Moment) -> Admission {
        self.shared.gate().admission(now)
    }

    /// Looks up a variant, behind the gate.
    ///
    /// **Cost:** that of the index, and of reading a clock: see [`lookup_at`](Self::lookup_at).
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    pub fn lookup(
        &self,
        tenant: &Tenant,
        path: &OriginPath<'_>,
        variant: &VariantKey<'_>,
    ) -> Lookup<V> {
        self.lookup_at(Moment::now(), tenant, path, variant)
    }

    /// Looks up a variant, behind the gate, at a moment that the caller has read during this
    /// request.
    ///
    /// **Cost:** that of the index, one atomic load and a comparison.
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{Lookup, OriginPath, VariantKey};
    /// use cache_index_fleet::{Fleet, FleetConfig, MemoryEngine, Moment};
    ///
    /// # tokio::runtime::Builder::new_multi_thread().enable_time().build()?.block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let cache = cache_index_persist::Persistent::<u64>::open(dir.path(), Default::default())?;
    /// # let config = FleetConfig::builder("pop-1").build()?;
    /// let fleet = Fleet::join(cache, config, MemoryEngine::new());
    /// let birds = OriginPath::from_canonical("sample.li/birds.jpg")?;
    /// let (doc, small) = (fleet.tenant("doc"), VariantKey::from_canonical("?w=200")?);
    /// // One reading of the clock for all variants of a page.
    /// let now = Moment::now();
    /// assert_eq!(fleet.lookup_at(now, &doc, &birds, &small), Lookup::Miss);
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lookup_at(
        &self,
        now: Moment,
        tenant: &Tenant,
        path: &OriginPath<'_>,
        variant: &VariantKey<'_>,
    ) -> Lookup<V> {
        let admission = self.gate(now);
        admission.admit(self.local().lookup(tenant, path, variant))
    }

    /// Starts a fill.
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    pub fn lease(&self, tenant: &Tenant, path: &OriginPath<'_>) -> FillLease<V> {
        self.local().lease(tenant, path)
    }

    /// Removes dead entries and returns their values, as
    /// [`CacheIndex::reclaim`](cache_index::CacheIndex::reclaim) does.
    ///
    /// **Cost, locks:** those of the index.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::Hard;
    /// use cache_index_fleet::{Fleet, FleetConfig, Local, MemoryEngine};
    ///
    /// # tokio::runtime::Builder::new_multi_thread().enable_time().build()?.block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let cache = cache_index_persist::Persistent::<u64>::open(dir.path(), Default::default())?;
    /// # let config = FleetConfig::builder("pop-1").build()?;
    /// let fleet = Fleet::join(cache, config, MemoryEngine::new());
    /// let _ = fleet.flush_all(Hard, Local).await?;
    /// while !fleet.reclaim(1000).is_done() {}
    /// assert_eq!(fleet.local().stats().dead, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reclaim(&self, limit: usize) -> Reclaimed<V> {
        self.local().reclaim(limit)
    }

    /// Returns the values that invalidations of other nodes have removed since the last call. Empty
    /// unless [`keep_removed`](crate::FleetConfigBuilder::keep_removed) is set.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{Hard, OriginPath, VariantKey};
    /// use cache_index_fleet::{Everywhere, Fleet, FleetConfig, MemoryEngine};
    /// use cache_index_persist::{PersistConfig, Persistent};
    ///
    /// # tokio::runtime::Builder::new_multi_thread().enable_time().build()?.block_on(async {
    /// # let engine = MemoryEngine::new();
    /// # let (here, there) = (tempfile::tempdir()?, tempfile::tempdir()?);
    /// # let join = |dir: &tempfile::TempDir, name: &str| {
    /// #     let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// #     let config = FleetConfig::builder(name).keep_removed(true).build()?;
    /// #     Ok::<_, Box<dyn std::error::Error>>(Fleet::join(cache, config, engine.handle()))
    /// # };
    /// # let (here, there) = (join(&here, "here")?, join(&there, "there")?);
    /// there.serves_fresh().await;
    /// let birds = OriginPath::from_canonical("sample.li/birds.jpg")?;
    /// let small = VariantKey::from_canonical("?w=200")?;
    /// assert!(there.lease(&there.tenant("doc"), &birds).commit(&small, 7).is_stored());
    ///
    /// let _ = here.purge(&here.tenant("doc"), &birds, Hard, Everywhere).await?;
    /// // There, the files of these values can be deleted.
    /// assert_eq!(there.take_removed(), [7]);
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn take_removed(&self) -> Vec<V> {
        self.shared.take_removed()
    }

    /// Purges a path on all nodes.
    ///
    /// **Cost:** that of the index at once, and then the wait for the level.
    ///
    /// # Errors
    /// If the level is not reached in time. The purge is not lost.
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    pub async fn purge<M: Mode, L: Level>(
        &self,
        tenant: &Tenant,
        path: &OriginPath<'_>,
        mode: M,
        level: L,
    ) -> Result<Invalidated<L, V>, NotReached<V>> {
        self.purge_selected(tenant, path, Selection::All, mode, level).await
    }

    /// Purges some variants of a path on all nodes.
    ///
    /// **Cost, errors:** as [`purge`](Self::purge).
    ///
    /// # Errors
    /// As [`purge`](Self::purge).
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{Hard, OriginPath, Selection, VariantKey};
    /// use cache_index_fleet::{Durable, Fleet, FleetConfig, MemoryEngine};
    ///
    /// # tokio::runtime::Builder::new_multi_thread().enable_time().build()?.block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let cache = cache_index_persist::Persistent::<u64>::open(dir.path(), Default::default())?;
    /// # let config = FleetConfig::builder("pop-1").build()?;
    /// let fleet = Fleet::join(cache, config, MemoryEngine::new());
    /// let birds = OriginPath::from_canonical("sample.li/birds.jpg")?;
    /// let keys = [VariantKey::from_canonical("?w=200")?];
    /// let (doc, selected) = (fleet.tenant("doc"), Selection::Keys(&keys));
    /// let purged = fleet.purge_selected(&doc, &birds, selected, Hard, Durable).await?;
    /// assert!(purged.removed().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn purge_selected<M: Mode, L: Level>(
        &self,
        tenant: &Tenant,
        path: &OriginPath<'_>,
        selection: Selection<'_>,
        mode: M,
        level: L,
    ) -> Result<Invalidated<L, V>, NotReached<V>> {
        let scope = Scope::of_path(tenant, path, selection);
        self.invalidate(None, mode.severity(), vec![scope], level).await
    }

    /// Purges all paths that start with `prefix` on all nodes.
    ///
    /// # Errors
    /// As [`purge`](Self::purge).
    ///
    /// # Panics
    /// If `tenant` belongs to another index.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{Hard, PathPrefix};
    /// use cache_index_fleet::{Durable, Fleet, FleetConfig, MemoryEngine};
    ///
    /// # tokio::runtime::Builder::new_multi_thread().enable_time().build()?.block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let cache = cache_index_persist::Persistent::<u64>::open(dir.path(), Default::default())?;
    /// # let config = FleetConfig::builder("pop-1").build()?;
    /// let fleet = Fleet::join(cache, config, MemoryEngine::new());
    /// let avatars = PathPrefix::from_canonical("sample.li/avatars/")?;
    /// let purged = fleet.purge_prefix(&fleet.tenant("doc"), &avatars, Hard, Durable).await?;
    /// assert!(purged.local().is_durable());
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn purge_prefix<M: Mode, L: Level>(
        &self,
        tenant: &Tenant,
        prefix: &PathPrefix<'_>,
        mode: M,
        level: L,
    ) -> Result<Invalidated<L, V>, NotReached<V>> {
        let (tenant, prefix) = (tenant.name().to_owned(), prefix.as_str().to_owned());
        self.invalidate(None, mode.severity(), vec![Scope::Prefix { tenant, prefix }], level).await
    }

    /// Flushes a tenant on all nodes.
    ///
    /// # Errors
    /// As [`purge`](Self::purge).
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::Soft;
    /// use cache_index_fleet::{Everywhere, Fleet, FleetConfig, MemoryEngine};
    ///
    /// # tokio::runtime::Builder::new_multi_thread().enable_time().build()?.block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let cache = cache_index_persist::Persistent::<u64>::open(dir.path(), Default::default())?;
    /// # let config = FleetConfig::builder("pop-1").build()?;
    /// let fleet = Fleet::join(cache, config, MemoryEngine::new());
    /// let flushed = fleet.flush_tenant(&fleet.tenant("doc"), Soft, Everywhere).await?;
    /// assert_eq!(flushed.level(), Everywhere);
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn flush_tenant<M: Mode, L: Level>(
        &self,
        tenant: &Tenant,
        mode: M,
        level: L,
    ) -> Result<Invalidated<L, V>, NotReached<V>> {
        let scope = Scope::Tenant { tenant: tenant.name().to_owned() };
        self.invalidate(None, mode.severity(), vec![scope], level).await
    }

    /// Flushes everything on all nodes.
    ///
    /// # Errors
    /// As [`purge`](Self::purge).
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::Hard;
    /// use cache_index_fleet::{Fleet, FleetConfig, MemoryEngine, Local};
    ///
    /// # tokio::runtime::Builder::new_multi_thread().enable_time().build()?.block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let cache = cache_index_persist::Persistent::<u64>::open(dir.path(), Default::default())?;
    /// # let config = FleetConfig::builder("pop-1").build()?;
    /// let fleet = Fleet::join(cache, config, MemoryEngine::new());
    /// let flushed = fleet.flush_all(Hard, Local).await?;
    /// assert!(flushed.local().is_durable());
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn flush_all<M: Mode, L: Level>(
        &self,
        mode: M,
        level: L,
    ) -> Result<Invalidated<L, V>, NotReached<V>> {
        self.invalidate(None, mode.severity(), vec![Scope::All], level).await
    }

    /// Flushes everything on all nodes, spread over a duration, as
    /// [`Persistent::flush_all_over`] does. Each node begins when it applies the message, and
    /// measures the duration itself. A node that finds the message when it catches up flushes at
    /// once, as it may have begun before a restart.
    ///
    /// The level is reached when the flush has begun, and not when it has ended.
    ///
    /// # Errors
    /// As [`purge`](Self::purge).
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::{Freshness, OverTime};
    /// use cache_index_fleet::{Fleet, FleetConfig, Local, MemoryEngine};
    /// use cache_index_persist::{PersistConfig, Persistent};
    /// use std::time::Duration;
    ///
    /// # tokio::runtime::Builder::new_multi_thread().enable_time().build()?.block_on(async {
    /// let dir = tempfile::tempdir()?;
    /// let cache = Persistent::<u64>::open(dir.path(), PersistConfig::default())?;
    /// let config = FleetConfig::builder("here").build()?;
    /// let fleet = Fleet::join(cache, config, MemoryEngine::new().handle());
    /// let over = OverTime::new(Duration::from_secs(60)).serving(Freshness::Live);
    /// let flushed = fleet.flush_all_over(over, Local).await?;
    /// assert!(flushed.local().is_durable());
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn flush_all_over<L: Level>(
        &self,
        over: impl Into<OverTime>,
        level: L,
    ) -> Result<Invalidated<L, V>, NotReached<V>> {
        let scope = Scope::AllOver { over: over.into() };
        self.invalidate(None, Severity::Hard, vec![scope], level).await
    }

    /// Flushes a tenant on all nodes, spread over a duration: see
    /// [`flush_all_over`](Self::flush_all_over).
    ///
    /// # Errors
    /// As [`purge`](Self::purge).
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_fleet::{Fleet, FleetConfig, MemoryEngine, Local};
    /// use std::time::Duration;
    ///
    /// # tokio::runtime::Builder::new_multi_thread().enable_time().build()?.block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let cache = cache_index_persist::Persistent::<u64>::open(dir.path(), Default::default())?;
    /// # let config = FleetConfig::builder("pop-1").build()?;
    /// let fleet = Fleet::join(cache, config, MemoryEngine::new());
    /// // A new node flushes everything before it serves as fresh.
    /// fleet.serves_fresh().await;
    /// let minute = Duration::from_secs(60);
    /// let _ = fleet.flush_tenant_over(&fleet.tenant("doc"), minute, Local).await?;
    /// assert_eq!(fleet.local().running_flushes().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn flush_tenant_over<L: Level>(
        &self,
        tenant: &Tenant,
        over: impl Into<OverTime>,
        level: L,
    ) -> Result<Invalidated<L, V>, NotReached<V>> {
        let (tenant, over) = (tenant.name().to_owned(), over.into());
        self.invalidate(None, Severity::Hard, vec![Scope::TenantOver { tenant, over }], level).await
    }

    /// Invalidates the targets of a request on all nodes.
    ///
    /// # Errors
    /// As [`purge`](Self::purge).
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::canonical::Rules;
    /// use cache_index::invalidation::InvalidationRequest;
    /// use cache_index_fleet::{Durable, Fleet, FleetConfig, MemoryEngine};
    ///
    /// # tokio::runtime::Builder::new_multi_thread().enable_time().build()?.block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let cache = cache_index_persist::Persistent::<u64>::open(dir.path(), Default::default())?;
    /// # let config = FleetConfig::builder("pop-1").build()?;
    /// let fleet = Fleet::join(cache, config, MemoryEngine::new());
    /// let request = InvalidationRequest::builder(&Rules::default()).original(["/a/birds.jpg"])?;
    /// let purged = fleet.apply(&fleet.tenant("doc"), &request, Durable).await?;
    /// assert!(purged.local().is_durable());
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn apply<L: Level>(
        &self,
        tenant: &Tenant,
        request: &InvalidationRequest,
        level: L,
    ) -> Result<Invalidated<L, V>, NotReached<V>> {
        let scopes = Scope::of_request(tenant, request);
        self.invalidate(None, request.severity(), scopes, level).await
    }

    /// Invalidates scopes on all nodes, on behalf of a person or program whose name the log of this
    /// node keeps.
    ///
    /// If the future is dropped, the invalidation is still sent.
    ///
    /// # Errors
    /// As [`purge`](Self::purge).
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index::Severity;
    /// use cache_index_fleet::{Durable, Fleet, FleetConfig, MemoryEngine};
    /// use cache_index_persist::Scope;
    ///
    /// # tokio::runtime::Builder::new_multi_thread().enable_time().build()?.block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let cache = cache_index_persist::Persistent::<u64>::open(dir.path(), Default::default())?;
    /// # let config = FleetConfig::builder("pop-1").build()?;
    /// let fleet = Fleet::join(cache, config, MemoryEngine::new());
    /// let scopes = vec![Scope::Tenant { tenant: "doc".to_owned() }, Scope::All];
    /// let done = fleet.invalidate(Some("editor"), Severity::Hard, scopes, Durable).await?;
    /// assert_eq!(done.level(), Durable);
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn invalidate<L: Level>(
        &self,
        by: Option<&str>,
        severity: Severity,
        scopes: Vec<Scope>,
        level: L,
    ) -> Result<Invalidated<L, V>, NotReached<V>> {
        let began = Moment::now();
        let record = |scope| Record {
            unix_millis: unix_millis(),
            by: by.map(str::to_owned),
            outbox: None,
            severity,
            scope,
        };
        let records: Vec<Record> = scopes.into_iter().map(record).collect();
        if records.is_empty() {
            let (removed, local) = (Vec::new(), Durability::Durable);
            return Ok(Invalidated { level, removed, local, took: began.since(began) });
        }
        let wanted = L::REACH;
        let (removed, logged, reached) = self.shared.invalidate(records, wanted);
        let (local, reached) = tokio::join!(logged, reached);
        let took = Moment::now().since(began);
        self.shared.note(wanted, reached, took);
        if reached == wanted {
            Ok(Invalidated { level, removed, local, took })
        } else {
            Err(NotReached { wanted, reached, removed, local })
        }
    }

    /// Waits until the node serves as fresh.
    pub async fn serves_fresh(&self) {
        while self.gate(Moment::now()) != Admission::Serve {
            self.shared.changed().await;
        }
    }

    /// Returns how far this node has followed the stream.
    pub fn watermark(&self) -> Watermark {
        self.shared.watermark()
    }

    /// Returns state and counts.
    ///
    /// **Locks:** that of the state machine.
    pub fn stats(&self) -> FleetStats {
        self.shared.stats()
    }

    /// Shuts the gate for good, and tells the other nodes, which then do not wait for this one. It
    /// gives that up after 2 s if no server can be reached. The index stays open: for a caller that
    /// cannot give the fleet away, as [`leave`](Self::leave) needs it.
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_fleet::{Admission, Fleet, FleetConfig, MemoryEngine, Moment};
    ///
    /// # tokio::runtime::Builder::new_multi_thread().enable_time().build()?.block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let cache = cache_index_persist::Persistent::<u64>::open(dir.path(), Default::default())?;
    /// # let config = FleetConfig::builder("pop-1").build()?;
    /// let fleet = Fleet::join(cache, config, MemoryEngine::new());
    /// fleet.serves_fresh().await;
    /// fleet.retire().await;
    /// assert_eq!(fleet.gate(Moment::now()), Admission::ServeStale);
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn retire(&self) {
        self.shared.leave().await;
    }

    /// Leaves the fleet: shuts the gate for good, tells the other nodes, which then do not wait for
    /// this one, and closes the index.
    ///
    /// # Errors
    /// If the last snapshot cannot be written: see [`Persistent::close`].
    ///
    /// # Examples
    ///
    /// ```
    /// use cache_index_fleet::{Fleet, FleetConfig, MemoryEngine};
    ///
    /// # tokio::runtime::Builder::new_multi_thread().enable_time().build()?.block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let cache = cache_index_persist::Persistent::<u64>::open(dir.path(), Default::default())?;
    /// # let config = FleetConfig::builder("pop-1").build()?;
    /// let fleet = Fleet::join(cache, config, MemoryEngine::new());
    /// fleet.serves_fresh().await;
    /// fleet.leave().await?;
    /// // The directory is free for the next process.
    /// let cache = cache_index_persist::Persistent::<u64>::open(dir.path(), Default::default())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn leave(self) -> Result<(), PersistError> {
        self.shared.leave().await;
        self.driver.abort();
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || shared.cache().close()).await.unwrap_or(Ok(()))
    }
}

impl<V: Codec + Clone + Send + Sync + 'static, E: Engine + Announcements> Drop for Fleet<V, E> {
    fn drop(&mut self) {
        self.driver.abort();
        self.shared.gate().shut();
    }
}

impl<V, E> fmt::Debug for Fleet<V, E>
where
    V: Codec + Clone + Send + Sync + 'static,
    E: Engine + Announcements,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet").field("watermark", &self.watermark()).finish_non_exhaustive()
    }
}

/// Returns the time for people to read.
pub(crate) fn unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
