//! `Edge`: what every request needs. The index, the objects, the origin, the customer, and the limits on work at a time.
//!
//! Invariant: index and object store agree. Each object in the store is the value of one entry of the index, of one that is dead
//! and not yet reclaimed, or of a fill that is just ending; [`Edge::keep`], [`Edge::purge`] and [`Edge::reclaim`] are the only
//! places that touch both.

use super::client_key::ClientKey;
use super::operations::Operations;
use super::origin::Origin;
use super::render::{self, RenderError, Rendition};
use super::store::{Object, ObjectId, ObjectStore};
use axum::body::Bytes;
use cache_index::canonical::{Delivery, Grouping, Rules};
use cache_index::{
    CacheIndex, Config, DeadValues, FillLease, Flushed, Generation, Hard, Insertion, OriginPath,
    Tenant, VariantKey, WhenFull,
};
use std::error::Error;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio::task;
use tokio::time::timeout;

/// The delivery token: the first label of `doc.cloudimg.io`, the host that pictures are delivered from.
const TOKEN: &str = "doc";

/// How many dead entries are taken out of the index at a time.
const RECLAIM_STEP: usize = 1000;

/// How often the index is asked for dead entries if no flush has asked before.
const RECLAIM_EVERY: Duration = Duration::from_secs(1);

/// What can be set.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// What all renditions in the store may take up together, in bytes.
    pub(crate) store_bytes: usize,
    /// How many renditions a picture may have. The next takes the place of the oldest, so that nobody can fill the store by
    /// asking for all sizes of one picture.
    pub(crate) renditions: usize,
    /// How many renditions there may be of all pictures together: the smallest take more room in the tables than in the store.
    pub(crate) entries: usize,
    /// How many sources are fetched at a time.
    pub(crate) fetches: usize,
    /// How long the origin may take.
    pub(crate) fetch_time: Duration,
    /// How long a client may take for the head of a request, the wait for it included.
    pub(crate) head_time: Duration,
    /// How long a client may take for a body.
    pub(crate) body_time: Duration,
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
        }
    }
}

/// A customer: a delivery token, and who may invalidate what was delivered for it. There is one for now.
pub(crate) struct Account {
    pub(crate) tenant: Tenant,
    /// What a URL names exactly: the picture that is fetched.
    pub(crate) exact: Rules,
    /// The names under which pictures are filed and invalidated: with grouping, the same for all spellings of a picture.
    pub(crate) filing: Rules,
    grouping: Grouping,
    pub(crate) client_key: ClientKey,
}

impl Account {
    /// The names under which to file what `exact` names.
    pub(crate) fn file<'a>(&self, exact: &Delivery<'a>) -> Delivery<'a> {
        match self.grouping {
            Grouping::Grouped => exact.clone().grouped(),
            _ => exact.clone(),
        }
    }
}

/// The state of the server.
pub(crate) struct Edge {
    pub(crate) index: CacheIndex<ObjectId>,
    pub(crate) store: ObjectStore,
    pub(crate) origin: Arc<dyn Origin>,
    pub(crate) account: Account,
    pub(crate) limits: Limits,
    /// Bounds the memory that sources take up.
    pub(crate) fetches: Semaphore,
    /// Decoding and encoding keep a core busy, so there is one permit a core.
    renders: Arc<Semaphore>,
    /// There may be something to reclaim.
    dead: Notify,
}

/// What became of a rendition that was just made.
pub(crate) enum Kept {
    Yes,
    /// It serves the client that asked, and nobody else.
    No(String),
}

/// What the purge of one picture did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PurgeReceipt {
    pub(crate) generation: Generation,
    pub(crate) variants: usize,
    /// Fills that had begun and whose results won't be kept.
    pub(crate) voided_fills: usize,
}

impl PurgeReceipt {
    /// Whether the purge changed nothing: nobody has, or is about to have, that picture.
    pub(crate) fn found_nothing(&self) -> bool {
        self.variants == 0 && self.voided_fills == 0
    }
}

impl Edge {
    /// An empty cache in front of `origin`.
    ///
    /// # Errors
    /// If the index or the rules can't be configured.
    pub(crate) fn new(
        origin: Arc<dyn Origin>,
        client_key: ClientKey,
        grouping: Grouping,
        limits: Limits,
    ) -> Result<Self, Box<dyn Error>> {
        let config = Config::builder()
            // Objects have to be deleted, so the index must hand over the values of what a flush has killed.
            .dead_values(DeadValues::Queue)
            .most_variants(limits.renditions, WhenFull::EvictOldest)
            .most_entries(limits.entries)
            .build()?;
        let index = CacheIndex::new(config);
        let rules = Rules::builder().token(TOKEN).root(origin.root());
        let (exact, filing) = (rules.clone().build()?, rules.grouping(grouping).build()?);
        let account = Account { tenant: index.tenant(TOKEN), exact, filing, grouping, client_key };
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            index,
            store: ObjectStore::new(limits.store_bytes),
            origin,
            account,
            fetches: Semaphore::new(limits.fetches),
            limits,
            renders: Arc::new(Semaphore::new(cores)),
            dead: Notify::new(),
        })
    }

    /// Renders on a thread where that is allowed.
    pub(crate) async fn render(
        &self,
        source: Bytes,
        operations: Operations,
    ) -> Result<Rendition, RenderError> {
        let crashed = |_| RenderError::Operations("rendering failed".to_owned());
        let permit = Arc::clone(&self.renders).acquire_owned().await.map_err(|_| {
            // Nobody closes it; an error is still better than a panic.
            RenderError::Operations("the server is shutting down".to_owned())
        })?;
        let work = move || {
            let rendition = render::render(&source, &operations);
            // Here, and not in the caller, who may have gone away: what counts is when the core is free.
            drop(permit);
            rendition
        };
        task::spawn_blocking(work).await.map_err(crashed)?
    }

    /// Stores a rendition under `lease`, unless an invalidation has overtaken it.
    pub(crate) fn keep(
        &self,
        lease: FillLease<ObjectId>,
        variant: &VariantKey<'_>,
        object: &Arc<Object>,
    ) -> Kept {
        // No await between here and the end, so nothing can be left half done by a client that goes away.
        let Some(id) = self.store.put(Arc::clone(object)) else {
            return Kept::No("store full".to_owned());
        };
        match lease.commit(variant, id) {
            Insertion::Stored(stored) => {
                self.store
                    .delete(stored.replaced.into_iter().chain(stored.evicted.map(|(_, id)| id)));
                Kept::Yes
            }
            Insertion::Refused(refused) => {
                self.store.delete([refused.value]);
                Kept::No(refused.reason.to_string())
            }
        }
    }

    /// Invalidates one picture, with all its renditions.
    pub(crate) fn purge(&self, path: &OriginPath<'_>) -> PurgeReceipt {
        let gone = self.index.purge(&self.account.tenant, path, Hard);
        let receipt = PurgeReceipt {
            generation: gone.generation(),
            variants: gone.len(),
            voided_fills: gone.voided_fills(),
        };
        self.store.delete(gone.into_iter().map(|(_, id)| id));
        receipt
    }

    /// Invalidates all that the customer has. The objects are deleted in the background.
    pub(crate) fn flush(&self) -> Flushed {
        let flushed = self.index.flush_tenant(&self.account.tenant, Hard);
        self.dead.notify_one();
        flushed
    }

    /// Deletes the objects of dead entries, and says how many.
    pub(crate) fn reclaim(&self) -> usize {
        let mut deleted = 0;
        loop {
            let dead = self.index.reclaim(RECLAIM_STEP);
            let done = dead.is_done();
            deleted += self.store.delete(dead.into_iter().map(|entry| entry.value));
            if done {
                return deleted;
            }
        }
    }

    /// Reclaims after each flush, for as long as the server runs.
    pub(crate) async fn keep_reclaiming(self: Arc<Self>) {
        loop {
            // The index may come across a dead entry at any time and queue it a moment after a pass has ended. So there is a pass now
            // and then; with nothing to do it costs next to nothing.
            let _ = timeout(RECLAIM_EVERY, self.dead.notified()).await;
            let edge = Arc::clone(&self);
            let _ = task::spawn_blocking(move || edge.reclaim()).await;
        }
    }
}
