//! `Indexed`: Pingora's `Storage`, with the index as its table.

use super::body::Body;
use super::eviction::{Front, Queue};
use super::hit::Hit;
use super::miss::Miss;
use super::names::Asked;
use super::object::{Kept, Memory, Object};
use async_trait::async_trait;
use cache_index::{CacheIndex, Config, Insertion, Lookup, VariantKey, WhenFull};
use pingora_cache::key::CacheHashKey;
use pingora_cache::storage::{HitHandler, MissHandler, PurgeOutcome, PurgeTarget, PurgeType};
use pingora_cache::trace::SpanHandle;
use pingora_cache::{CacheKey, CacheMeta, Storage};
use pingora_core::{Error, ErrorType, Result};
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// Answers that one path may have. An origin that varies by an endless header evicts its own
/// oldest answers, and no others.
const MOST_VARIANTS: usize = 4096;

/// Objects in memory, found through a [`CacheIndex`].
///
/// Purge and flush on [`index`](Self::index). Keys come from [`cache_key`](super::cache_key).
pub struct Indexed {
    index: CacheIndex<Kept>,
    memory: Arc<Memory>,
    limit: usize,
    queue: Queue,
    unleased: AtomicU64,
}

impl Indexed {
    /// Creates an empty storage for objects of `limit` bytes in all.
    ///
    /// # Panics
    /// Never: the settings of its index are constants that are valid.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        let config = Config::builder().max_variants(MOST_VARIANTS, WhenFull::EvictOldest).build();
        let index = CacheIndex::new(config.expect("constants that are valid"));
        let (queue, memory, unleased) = (Queue::default(), Arc::default(), AtomicU64::new(0));
        Self { index, memory, limit, queue, unleased }
    }

    /// Returns the index, to purge and to flush.
    pub fn index(&self) -> &CacheIndex<Kept> {
        &self.index
    }

    /// Returns the bytes that objects take, those included that were purged and are still being
    /// sent.
    pub fn bytes(&self) -> usize {
        self.memory.bytes()
    }

    /// Returns how many objects there are, those included that were purged and are still being
    /// sent.
    pub fn objects(&self) -> usize {
        self.memory.objects()
    }

    /// Returns how many places the queue of the eviction has.
    pub fn places(&self) -> usize {
        self.queue.len()
    }

    /// Returns how many answers were not kept because no lookup had taken a lease for them.
    pub fn unleased(&self) -> u64 {
        self.unleased.load(Ordering::Relaxed)
    }

    /// Frees the objects that a flush or a prefix purge has killed. The index does the same, in
    /// small steps, as it is used.
    pub fn reclaim(&self) {
        while !self.index.reclaim(1000).is_done() {}
    }

    /// Takes a lease for a request whose lookup has found a fresh object, and which asks the origin
    /// nevertheless. Call it in `cache_hit_filter` before you return a forced miss or a forced
    /// expiry; without a lease, the answer is sent and not kept.
    ///
    /// # Errors
    /// If the key is not from [`cache_key`](super::cache_key).
    pub fn begin_fill(&self, key: &CacheKey) -> Result<()> {
        let asked = Asked::of(key)?;
        asked.fill.lock().lease = Some(self.index.lease(&asked.names.tenant, &asked.names.path));
        Ok(())
    }

    /// Counts a finished object in, and evicts others if it does not fit.
    pub(super) fn admit(&self, object: &Kept) {
        self.queue.push(object);
        // Everything twice: the first pass may have to take the second chances away.
        let mut attempts = 2 * self.queue.len();
        while self.bytes() > self.limit && attempts > 0 {
            if !self.index.reclaim(1000).is_done() {
                continue;
            }
            match self.queue.next() {
                Front::Evict(object) => self.remove(&object),
                Front::Passed => {}
                Front::Empty => return,
            }
            attempts -= 1;
        }
    }

    /// Removes the entry of an object, if it is still the entry of this object.
    pub(super) fn remove(&self, object: &Kept) {
        let (names, key) = (&object.0.names, &object.0.key);
        drop(self.index.remove(&names.tenant, &names.path, key, object));
    }

    fn find(&self, asked: &Asked, key: &VariantKey<'_>) -> Result<Option<(CacheMeta, Kept)>> {
        let names = &asked.names;
        let (object, stale) = match self.index.lookup(&names.tenant, &names.path, key) {
            Lookup::Live(object) => (object, false),
            Lookup::Stale(object) => (object, true),
            Lookup::Miss => return Ok(None),
        };
        if object.0.body.has_failed() {
            self.remove(&object);
            return Ok(None);
        }
        let meta = if stale { object.0.stale_meta() } else { object.0.meta() }?;
        Ok(Some((meta, object)))
    }

    /// Stores `object` if a lease of before allows it.
    fn commit(&self, asked: &Asked, object: &Kept) -> bool {
        let Some(lease) = asked.fill.lock().lease.take() else {
            self.unleased.fetch_add(1, Ordering::Relaxed);
            return false;
        };
        match lease.commit(&object.0.key, object.clone()) {
            // A replaced or evicted object is freed here.
            Insertion::Stored(_) => true,
            // Overtaken by an invalidation: the client of this request gets the answer, and no
            // other client does.
            Insertion::Refused(_) => false,
        }
    }
}

impl fmt::Debug for Indexed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Indexed")
            .field("index", &self.index)
            .field("bytes", &self.bytes())
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Storage for Indexed {
    async fn lookup(
        &'static self,
        key: &CacheKey,
        _: &SpanHandle,
    ) -> Result<Option<(CacheMeta, HitHandler)>> {
        let asked = Asked::of(key)?;
        let variance = key.variance_bin();
        let stored = asked.stored_key(variance)?;
        let mut found = self.find(asked, &stored)?;
        let fresh = |(meta, _): &(CacheMeta, Kept)| meta.is_fresh(SystemTime::now());
        // With a variance, Pingora itself may refuse a fresh object, as older than its family.
        if variance.is_some() || !found.as_ref().is_some_and(fresh) {
            self.begin_fill(key)?;
            // Once more: the object to confirm must have been there when the lease was taken. Else
            // a purge in between would not count, and the origin's 304 would bring it back.
            found = self.find(asked, &stored)?;
        }
        let Some((meta, object)) = found else {
            asked.fill.lock().stale = None;
            return Ok(None);
        };
        object.0.used.store(true, Ordering::Relaxed);
        let hit = Box::new(Hit::new(&object.0));
        asked.fill.lock().stale = Some(object);
        Ok(Some((meta, hit)))
    }

    /// Returns the body that the request itself writes, refused or not.
    async fn lookup_streaming_write(
        &'static self,
        key: &CacheKey,
        _: Option<&[u8]>,
        _: &SpanHandle,
    ) -> Result<Option<(CacheMeta, HitHandler)>> {
        let Some(object) = Asked::of(key)?.fill.lock().writing.clone() else { return Ok(None) };
        Ok(Some((object.0.meta()?, Box::new(Hit::new(&object.0)))))
    }

    async fn get_miss_handler(
        &'static self,
        key: &CacheKey,
        meta: &CacheMeta,
        _: &SpanHandle,
    ) -> Result<MissHandler> {
        let asked = Asked::of(key)?;
        let stored = asked.stored_key(key.variance_bin())?;
        let body = Arc::new(Body::new(&self.memory));
        let object = Object::new(&asked.names, stored, meta, body, &self.memory)?;
        let object = Kept(Arc::new(object));
        self.commit(asked, &object);
        asked.fill.lock().writing = Some(object.clone());
        Ok(Box::new(Miss { storage: self, object, size: 0, finished: false }))
    }

    /// Always an error: the target is a hash, from which no name can be read. Purge on
    /// [`index`](Self::index). The storage bounds its memory by itself, so it takes no eviction
    /// manager.
    async fn purge(
        &'static self,
        target: PurgeTarget<'_>,
        _: PurgeType,
        _: &SpanHandle,
    ) -> Result<PurgeOutcome> {
        let text = format!("{target}: purge by name, on the index");
        Error::e_explain(ErrorType::InternalError, text)
    }

    /// Stores the object that the lookup found, with the metadata of the origin's 304.
    async fn update_meta(
        &'static self,
        key: &CacheKey,
        meta: &CacheMeta,
        _: &SpanHandle,
    ) -> Result<bool> {
        let asked = Asked::of(key)?;
        // Not what the index has by now: another body would not belong to this metadata.
        let Some(object) = asked.fill.lock().stale.clone() else { return Ok(false) };
        let Object { names, key, body, .. } = &*object.0;
        let renewed = Object::new(names, key.clone(), meta, Arc::clone(body), &self.memory)?;
        let renewed = Kept(Arc::new(renewed));
        let stored = self.commit(asked, &renewed);
        if stored {
            self.admit(&renewed);
        }
        Ok(stored)
    }

    fn support_streaming_partial_write(&self) -> bool {
        true
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync + 'static) {
        self
    }
}
