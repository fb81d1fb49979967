//! `Edge`, the state that every request needs: the index, the objects, the origin, the customers,
//! and the limits on concurrent work.
//!
//! Invariant: index and object store agree. Each object in the store is the value of one entry of
//! the index, of one that is dead and not yet reclaimed, or of a fill that is just ending; each
//! entry's object is in the store, or just about to be noticed as evicted. [`Edge::keep`],
//! [`Edge::forget`], [`Edge::apply`] and [`Edge::reclaim`] are the only places that touch both, and
//! [`super::orphans`] after a start with data of an earlier one.

use super::accounts::{Account, AccountSettings, Accounts, Unnamed};
use super::files::{NotRead, ObjectFiles};
use super::fill::Fills;
#[cfg(feature = "fleet")]
use super::fleet::Membership;
use super::flights::Flights;
use super::index::{DataSettings, Index, Safety};
use super::level::Level;
use super::metrics::{Metrics, seconds};
use super::operations::Operations;
use super::origin::Origin;
use super::orphans::Orphans;
use super::receipt::Summary;
use super::render::{self, RenderError, Rendition};
use super::request_id::RequestIds;
use super::shield::Shield;
use super::store::{Evicted, Filed, Object, ObjectId, ObjectStore};
use axum::body::Bytes;
use cache_index::canonical::{Grouping, Target};
use cache_index::invalidation::{InvalidationRequest, InvalidationScope};
use cache_index::{
    Config, DeadValues, FillLease, Freshness, Insertion, Lookup, OriginPath, OverTime, Refusal,
    Severity, Tenant, VariantKey, WhenFull,
};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, Semaphore};
use tokio::task;
use tokio::time::timeout;
use tracing::warn;

/// The number of dead entries that are removed from the index at a time.
const RECLAIM_STEP: usize = 1000;

/// How often the index is asked for dead entries if no flush has asked before.
const RECLAIM_EVERY: Duration = Duration::from_secs(1);

/// How many files of objects are read at a time.
const MOST_READS: usize = 64;

/// The settings.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// The maximum size of all renditions in the store, in bytes.
    pub(crate) store_bytes: u64,
    /// The maximum number of renditions of a picture. The next one replaces the oldest, so that no
    /// client can fill the store by requesting all sizes of one picture.
    pub(crate) renditions: usize,
    /// How many renditions there may be of all pictures together: the smallest take more room in
    /// the tables than in the store.
    pub(crate) entries: usize,
    /// How many sources are fetched at a time.
    pub(crate) fetches: usize,
    /// How long the origin may take, and how long a fill may wait for its turn.
    pub(crate) fetch_time: Duration,
    /// How long a client may take for the head of a request, the wait for it included.
    pub(crate) head_time: Duration,
    /// How long a client may take for a body.
    pub(crate) body_time: Duration,
    /// How long a client may take to read some of the answer.
    pub(crate) write_time: Duration,
    /// Whether `Accept` decides between WebP and JPEG.
    pub(crate) negotiate: bool,
    /// The clock of flushes over time.
    #[cfg(test)]
    pub(crate) clock: Option<cache_index::ManualClock>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            store_bytes: 512 << 20,
            renditions: 256,
            entries: 1 << 20,
            fetches: 64,
            fetch_time: Duration::from_secs(30),
            head_time: Duration::from_secs(15),
            body_time: Duration::from_secs(10),
            write_time: Duration::from_secs(30),
            negotiate: false,
            #[cfg(test)]
            clock: None,
        }
    }
}

/// The customers, and how they are identified.
pub(crate) struct Setup {
    pub(crate) accounts: Vec<AccountSettings>,
    pub(crate) unnamed: Unnamed,
    pub(crate) grouping: Grouping,
    pub(crate) limits: Limits,
    /// Where data are kept. Without it they are in memory alone.
    pub(crate) data: Option<DataSettings>,
}

/// The state of the server.
pub(crate) struct Edge {
    pub(crate) index: Index,
    pub(crate) store: ObjectStore,
    /// The objects that no entry names any more.
    pub(crate) orphans: Orphans,
    pub(crate) origin: Arc<dyn Origin>,
    /// Another edge, which is asked before the origin.
    pub(crate) shield: Option<Shield>,
    pub(crate) accounts: Accounts,
    pub(crate) limits: Limits,
    pub(crate) fills: Arc<Fills>,
    pub(crate) metrics: Metrics,
    pub(crate) request_ids: RequestIds,
    pub(crate) started: Instant,
    /// A key that was made up at the start and printed, for the page to use.
    pub(crate) shown_key: Option<String>,
    delivery_port: u16,
    /// Bounds the memory that sources take up.
    pub(crate) fetches: Semaphore,
    /// Decoding and encoding keep a core busy, so there is one permit a core.
    renders: Arc<Semaphore>,
    /// Bounds the number of open files.
    reads: Semaphore,
    /// A check visits everything; one is enough.
    pub(crate) checks: Semaphore,
    /// Holds a fill between its lease and its number.
    #[cfg(test)]
    pub(crate) stall: super::stall::Stall,
    /// There may be something to reclaim.
    dead: Notify,
    lag: Mutex<Lag>,
    /// One pass at a time: a second pass would end before the first has deleted the objects that it
    /// took from the index.
    reclaiming: Mutex<()>,
}

/// When the oldest flush was whose dead entries are not deleted yet.
#[derive(Default)]
struct Lag {
    /// The start of the oldest request that the current pass handles.
    passing: Option<Instant>,
    /// The start of the oldest request that arrived after the pass had begun.
    waiting: Option<Instant>,
}

/// The fate of a new rendition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    Live,
    /// A soft invalidation has overtaken it.
    Stale,
    /// It serves only the clients that waited.
    Refused(Refusal),
    /// It was evicted before it had an entry: the store is too small for it.
    NoRoom,
    /// A shield has not proven that it is new. It serves only the clients that waited.
    Unproven,
    /// It was made past the cache, for an edge that knows more than its shield.
    Past,
    /// Its file could not be written. It serves only the clients that waited.
    NotWritten,
    /// The origin does not allow it.
    Forbidden,
}

/// The objects that a commit has left without an entry.
#[derive(Default)]
pub(crate) struct Leftover {
    evicted: Vec<Evicted>,
    unused: Vec<ObjectId>,
}

impl Kept {
    /// Returns whether the commit was accepted: no hard invalidation has overtaken the fill.
    pub(crate) fn is_stored(self) -> bool {
        let served_only = [Self::NotWritten, Self::Forbidden, Self::Unproven, Self::Past];
        !matches!(self, Self::Refused(_)) && !served_only.contains(&self)
    }
}

impl Edge {
    /// A cache in front of `origin`: empty, or with the data of an earlier start.
    ///
    /// # Errors
    /// If the index or the rules can't be configured, or the data can't be used.
    pub(crate) fn new(origin: Arc<dyn Origin>, setup: Setup) -> Result<Self, String> {
        let Setup { accounts, unnamed, grouping, limits, data } = setup;
        let (index, store) = index_and_store(&limits, data)?;
        let accounts = Accounts::new(accounts, unnamed, origin.root(), grouping, &index)?;
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            orphans: Orphans::default(),
            index,
            store,
            origin,
            shield: None,
            accounts,
            fetches: Semaphore::new(limits.fetches),
            limits,
            fills: Arc::new(Flights::new()),
            metrics: Metrics::new(),
            request_ids: RequestIds::new(),
            started: Instant::now(),
            shown_key: None,
            delivery_port: 0,
            renders: Arc::new(Semaphore::new(cores)),
            reads: Semaphore::new(MOST_READS),
            checks: Semaphore::new(1),
            #[cfg(test)]
            stall: super::stall::Stall::default(),
            dead: Notify::new(),
            lag: Mutex::default(),
            reclaiming: Mutex::default(),
        })
    }

    /// Joins a fleet, in which invalidations reach all edges.
    ///
    /// # Errors
    /// If the index isn't in a directory.
    #[cfg(feature = "fleet")]
    pub(crate) fn join(&mut self, membership: Membership) -> Result<(), String> {
        let empty = Index::in_memory(Config::default());
        self.index = std::mem::replace(&mut self.index, empty).join(membership)?;
        Ok(())
    }

    /// Says where pictures are delivered, once that is known.
    ///
    /// # Errors
    /// If the rules of a customer contradict that.
    pub(crate) fn listens_on(&mut self, delivery_port: u16) -> Result<(), String> {
        self.delivery_port = delivery_port;
        self.accounts.listens_on(delivery_port)
    }

    pub(crate) fn delivery_port(&self) -> u16 {
        self.delivery_port
    }

    /// Looks for a rendition in memory. Between the index and the store it may be invalidated or
    /// evicted: then this is a miss.
    pub(crate) fn look_up(
        &self,
        tenant: &Tenant,
        path: &OriginPath<'_>,
        variant: &VariantKey<'_>,
    ) -> Lookup<(ObjectId, Arc<Object>)> {
        let found = |id| self.store.get(id).map(|object| (id, object));
        match self.index.lookup(tenant, path, variant) {
            Lookup::Live(id) => found(id).map_or(Lookup::Miss, Lookup::Live),
            Lookup::Stale(id) => found(id).map_or(Lookup::Miss, Lookup::Stale),
            Lookup::Miss => Lookup::Miss,
        }
    }

    /// Looks for a rendition in memory and in files. It waits only if there is a file to read.
    pub(crate) async fn find(
        self: &Arc<Self>,
        tenant: &Tenant,
        path: &OriginPath<'_>,
        variant: &VariantKey<'_>,
    ) -> Lookup<(ObjectId, Arc<Object>)> {
        let found = self.look_up(tenant, path, variant);
        if !matches!(found, Lookup::Miss) || !self.store.is_on_disk() {
            return found;
        }
        let looked_up = self.index.lookup(tenant, path, variant);
        let (Lookup::Live(id) | Lookup::Stale(id)) = looked_up else { return Lookup::Miss };
        let (path, variant) = (path.clone().into_owned(), variant.clone().into_owned());
        let filed = Filed { tenant: tenant.clone(), path, variant };
        // Nobody closes the semaphore, so there always is a permit.
        let _permit = self.reads.acquire().await.ok();
        let edge = Arc::clone(self);
        let read = task::spawn_blocking(move || edge.read(id, &filed)).await;
        match (read, looked_up) {
            (Ok(Some(object)), Lookup::Stale(_)) => Lookup::Stale((id, object)),
            (Ok(Some(object)), _) => Lookup::Live((id, object)),
            _ => Lookup::Miss,
        }
    }

    /// Reads an object from its file. A file that is missing or bad is forgotten.
    pub(crate) fn read(&self, id: ObjectId, filed: &Filed) -> Option<Arc<Object>> {
        match self.store.load(id, filed) {
            Ok(object) => {
                self.metrics.files.read.inc();
                return Some(object);
            }
            // It was evicted or replaced after the entries were saved.
            Err(NotRead::Gone) => self.forget(id, filed),
            Err(NotRead::Bad(reason)) => {
                self.metrics.files.bad.inc();
                warn!(%id, path = filed.path.as_str(), reason, "bad file of an object, deleted");
                self.forget(id, filed);
            }
            Err(NotRead::Failed(error)) => warn!(%id, %error, "a file could not be read"),
        }
        None
    }

    /// Renders on a thread where that is allowed.
    pub(crate) async fn render(
        &self,
        source: Bytes,
        operations: Operations,
    ) -> Result<Rendition, RenderError> {
        let crashed = |_| RenderError::Source("rendering failed".to_owned());
        let permit = Arc::clone(&self.renders).acquire_owned().await.map_err(|_| {
            // Nobody closes it; an error is still better than a panic.
            RenderError::Source("the server is shutting down".to_owned())
        })?;
        let work = move || {
            let rendition = render::render(&source, &operations);
            // Released here and not in the caller, which may have gone away: the core is free now.
            drop(permit);
            rendition
        };
        task::spawn_blocking(work).await.map_err(crashed)?
    }

    /// Stores a rendition under `lease`, unless an invalidation has overtaken it. The caller passes
    /// the rest to [`discard`](Self::discard).
    pub(crate) fn keep(
        &self,
        lease: FillLease<ObjectId>,
        id: ObjectId,
        object: &Arc<Object>,
    ) -> (Kept, Leftover) {
        // There is no await between here and the end, so a client that goes away cannot leave a
        // half-finished operation. The object comes first, then its entry: a thread that finds the
        // entry also finds the object.
        let mut evicted = self.store.put(id, object);
        let (kept, unused) = match lease.commit(&object.filed.variant, id) {
            Insertion::Stored(stored) => {
                let room = stored.evicted.map(|(_, id)| id);
                let kept = match stored.freshness {
                    _ if !self.store.contains(id) => {
                        // It was evicted before it had an entry: the evicting thread, if it was
                        // another one, has found no entry to remove.
                        evicted.push(Evicted { id, object: Some(Arc::clone(object)) });
                        Kept::NoRoom
                    }
                    Freshness::Live => Kept::Live,
                    Freshness::Stale => Kept::Stale,
                };
                (kept, stored.replaced.into_iter().chain(room).collect())
            }
            Insertion::Refused(refused) => (Kept::Refused(refused.reason), vec![refused.value]),
        };
        (kept, Leftover { evicted, unused })
    }

    /// Deletes the objects that a commit has left without an entry.
    pub(crate) fn discard(&self, leftover: Leftover) {
        for evicted in leftover.evicted {
            self.evict(evicted);
        }
        self.store.delete(leftover.unused);
    }

    /// Drops an object that made room for others.
    pub(crate) fn evict(&self, evicted: Evicted) {
        let Evicted { id, object } = evicted;
        if let Some(object) = object {
            self.unfile(id, &object.filed);
        } else if let Some(names) = self.store.files().and_then(|files| files.names(id)) {
            let path = OriginPath::from_canonical(&names.path);
            let variant = VariantKey::from_canonical(&names.variant);
            if let (Ok(path), Ok(variant)) = (path, variant) {
                let tenant = self.index.tenant(&names.tenant);
                // The removed value is the id, whose object is about to go.
                let _ = self.index.remove(&tenant, &path, &variant, &id);
            }
        }
        // Without files it is gone already.
        if self.store.is_on_disk() {
            self.store.delete([id]);
        }
    }

    /// Drops one rendition, if it is still this one.
    pub(crate) fn forget(&self, id: ObjectId, filed: &Filed) {
        self.unfile(id, filed);
        self.store.delete([id]);
    }

    /// Takes the entry of an object that is gone out of the index. An entry that holds another
    /// object by now stays.
    fn unfile(&self, id: ObjectId, filed: &Filed) {
        // The removed value is the id, whose object is gone. If the entry was dead, `remove`
        // returns nothing, and a reclaim returns the id.
        let _ = self.index.remove(&filed.tenant, &filed.path, &filed.variant, &id);
    }

    /// Carries out a request to invalidate. Objects that went are deleted before this returns,
    /// those under a prefix and of everything in the background. With an index in a directory this
    /// waits for a sync. In a fleet it waits for the level.
    pub(crate) fn apply(
        &self,
        account: &Account,
        request: &InvalidationRequest,
        level: Level,
    ) -> Summary {
        let begun = Instant::now();
        let (receipt, safety, reached) =
            self.index.apply(&account.tenant, request, account.token(), level);
        self.metrics.purge_seconds.observe(seconds(begun.elapsed()));
        // Only so that no client waits in vain: an overtaken fill is refused anyway.
        self.overtake(account, request);
        for widened in receipt.entries().iter().filter_map(|entry| entry.widened()) {
            // Not revealed to the sender: it may be another tenant.
            warn!(tenant = widened.name(), "all of it invalidated, to make room for a wildcard");
        }
        self.note(&safety);
        let summary = Summary::of(&receipt, request).with_safety(safety).with_reached(reached);
        if request.severity() == Severity::Hard && summary.is_broad() {
            self.lag.lock().waiting.get_or_insert(begun);
            self.dead.notify_one();
        }
        self.store.delete(receipt.into_removed().map(|(_, id)| id));
        summary
    }

    /// Flushes everything of a customer, spread over a duration. Objects are deleted in the
    /// background, as their entries die. Waits as [`apply`](Self::apply) does.
    pub(crate) fn flush_over(&self, account: &Account, over: OverTime, level: Level) -> Summary {
        let begun = Instant::now();
        let (generation, safety, reached) =
            self.index.flush_over(&account.tenant, over, account.token(), level);
        self.metrics.purge_seconds.observe(seconds(begun.elapsed()));
        self.fills.overtake(|(number, _, _)| *number == account.number);
        self.note(&safety);
        Summary::of_flush_over(generation, over).with_safety(safety).with_reached(reached)
    }

    fn note(&self, safety: &Safety) {
        if let Safety::NotDurable(reason) = safety {
            self.metrics.not_durable.inc();
            warn!(reason, "an invalidation is not durable");
        }
    }

    fn overtake(&self, account: &Account, request: &InvalidationRequest) {
        if self.fills.len() == 0 {
            return;
        }
        let all = request.scope() == InvalidationScope::All;
        let (mut paths, mut prefixes) = (HashSet::new(), Vec::new());
        for entry in request.entries() {
            match entry.target() {
                Target::Path(path) => drop(paths.insert(path.as_str())),
                Target::Prefix(prefix) => prefixes.push(prefix),
            }
        }
        self.fills.overtake(|(number, path, _)| {
            let named = || {
                paths.contains(path.as_str()) || prefixes.iter().any(|prefix| prefix.contains(path))
            };
            *number == account.number && (all || named())
        });
    }

    /// Deletes the objects of dead entries, and returns their number. When it returns, all objects
    /// are deleted whose entries were dead when it began.
    pub(crate) fn reclaim(&self) -> usize {
        let _pass = self.reclaiming.lock();
        let since = {
            let mut lag = self.lag.lock();
            lag.passing = lag.waiting.take();
            lag.passing
        };
        // Other edges of the fleet have invalidated them.
        let mut deleted = self.store.delete(self.index.take_removed());
        loop {
            let dead = self.index.reclaim(RECLAIM_STEP);
            let done = dead.is_done();
            deleted += self.store.delete(dead.into_iter().map(|entry| entry.value));
            if done {
                break;
            }
        }
        self.lag.lock().passing = None;
        self.metrics.reclaimed.inc_by(deleted as u64);
        if let Some(since) = since {
            self.metrics.reclaim_seconds.observe(seconds(since.elapsed()));
        }
        deleted
    }

    /// How long ago the oldest flush was whose dead are not yet deleted.
    pub(crate) fn reclaim_lag(&self) -> Duration {
        let lag = self.lag.lock();
        lag.passing.or(lag.waiting).map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Saves all entries, if they are kept in a directory. Nothing may be served after this.
    ///
    /// # Errors
    /// If they can't be saved; the text contains the reason.
    pub(crate) fn close(&self) -> Result<(), String> {
        self.index.close()
    }

    /// Reclaims after each flush, for as long as the server runs.
    pub(crate) async fn keep_reclaiming(self: Arc<Self>) {
        loop {
            // The index may find a dead entry at any time and queue it right after a pass has
            // ended. So there is a pass at intervals; with an empty queue it costs next to nothing.
            let _ = timeout(RECLAIM_EVERY, self.dead.notified()).await;
            let edge = Arc::clone(&self);
            let _ = task::spawn_blocking(move || edge.reclaim()).await;
        }
    }
}

/// The index and the objects, in memory or in a directory.
fn index_and_store(
    limits: &Limits,
    data: Option<DataSettings>,
) -> Result<(Index, ObjectStore), String> {
    let builder = Config::builder();
    #[cfg(test)]
    let builder = match &limits.clock {
        Some(clock) => builder.manual_clock(clock),
        None => builder,
    };
    let config = builder
        // The server must delete objects, so the index must return the values that a flush has
        // killed.
        .dead_values(DeadValues::Queue)
        .max_variants(limits.renditions, WhenFull::EvictOldest)
        .max_entries(limits.entries)
        .build()
        .map_err(|error| error.to_string())?;
    let Some(DataSettings { dir, snapshot_every, memory_bytes }) = data else {
        return Ok((Index::in_memory(config), ObjectStore::new(limits.store_bytes)));
    };
    // First, as it locks the directory.
    let index = Index::open(&dir.join("index"), snapshot_every, config)?;
    let files = ObjectFiles::open(&dir.join("objects"))
        .map_err(|error| format!("can't use the objects in {}: {error}", dir.display()))?;
    // Without the index, the incarnations of earlier objects are unknown, and so are free ids.
    if index.durable_state().is_some_and(|state| state.recovery.state == "new") {
        super::orphans::delete_all(&files)
            .map_err(|error| format!("can't delete old objects in {}: {error}", dir.display()))?;
    }
    let store = ObjectStore::on_disk(files, index.incarnation(), limits.store_bytes, memory_bytes);
    Ok((index, store))
}
