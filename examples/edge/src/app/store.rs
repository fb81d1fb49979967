//! The object store: the bytes of renditions, in memory, by id, up to a number of bytes.
//!
//! Invariant: an id is never reused, so a stale id cannot resolve to a different object. If the
//! store is full, quick_cache chooses the object to evict, and keeps objects that are requested
//! often. [`ObjectStore::put`] returns the evicted objects, and the caller removes them from the
//! index.

use super::operations::Format;
use super::render::Rendition;
use axum::body::Bytes;
use axum::http::HeaderValue;
use cache_index::{OriginPath, Tenant, VariantKey};
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// The size of an object besides its bytes: names, headers, and its slots in both tables. Roughly
/// measured. It is counted so that a million tiny renditions do not exceed the limit.
const OVERHEAD: u64 = 512;

/// A shard must have room for the largest rendition that is worth keeping.
const SHARD_BYTES: u64 = 64 << 20;

/// The value that the index stores for a rendition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ObjectId(u64);

/// The names of an object in the index. They are needed to remove its entry when the object is
/// evicted.
#[derive(Clone, Debug)]
pub(crate) struct Filed {
    pub(crate) tenant: Tenant,
    pub(crate) path: OriginPath<'static>,
    pub(crate) variant: VariantKey<'static>,
}

/// A rendition as it is served.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) filed: Filed,
    pub(crate) bytes: Bytes,
    pub(crate) format: Format,
    /// Strong: half of the SHA-256 of the bytes, in quotation marks.
    pub(crate) etag: HeaderValue,
    pub(crate) made: Instant,
    /// The origin's validator of this version of the source, for a conditional request.
    pub(crate) validator: Option<HeaderValue>,
    /// When a refresh that failed may be tried again, in milliseconds since `made`.
    retry_at: AtomicU64,
}

/// Objects by id.
pub(crate) struct ObjectStore {
    objects: Cache<ObjectId, Arc<Object>, ByBytes, DefaultHashBuilder, HandOver>,
    given_out: AtomicU64,
    evicted: AtomicU64,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<ObjectId, Arc<Object>> for ByBytes {
    fn weight(&self, _: &ObjectId, object: &Arc<Object>) -> u64 {
        object.bytes.len() as u64 + OVERHEAD
    }
}

/// Collects evicted objects while a shard is locked, so that they are handled without a lock.
#[derive(Clone)]
struct HandOver;

impl Lifecycle<ObjectId, Arc<Object>> for HandOver {
    type RequestState = Vec<(ObjectId, Arc<Object>)>;

    fn on_evict(&self, gone: &mut Self::RequestState, id: ObjectId, object: Arc<Object>) {
        gone.push((id, object));
    }
}

impl Object {
    pub(crate) fn new(filed: Filed, rendition: Rendition, validator: Option<HeaderValue>) -> Self {
        let Rendition { bytes, format } = rendition;
        let etag = etag(&bytes);
        let retry_at = AtomicU64::new(0);
        Self { filed, bytes, format, etag, made: Instant::now(), validator, retry_at }
    }

    /// Returns the same rendition after the origin confirmed that it has no newer version.
    pub(crate) fn confirmed(&self) -> Self {
        Self {
            filed: self.filed.clone(),
            bytes: self.bytes.clone(),
            format: self.format,
            etag: self.etag.clone(),
            made: Instant::now(),
            validator: self.validator.clone(),
            retry_at: AtomicU64::new(0),
        }
    }

    /// Whether the last failed refresh is long enough ago.
    pub(crate) fn may_refresh(&self) -> bool {
        // Relaxed: one refresh too many, or a moment too late, does no harm.
        age_in_ms(self.made) >= self.retry_at.load(Ordering::Relaxed)
    }

    /// A refresh has failed; the next is to wait for a while.
    pub(crate) fn put_off_refresh(&self, wait: std::time::Duration) {
        let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.retry_at.store(age_in_ms(self.made).saturating_add(wait), Ordering::Relaxed);
    }
}

fn age_in_ms(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn etag(bytes: &[u8]) -> HeaderValue {
    let mut etag = String::from("\"");
    for byte in &Sha256::digest(bytes)[..16] {
        // Writing to a string can't fail.
        let _ = write!(etag, "{byte:02x}");
    }
    etag.push('"');
    HeaderValue::from_str(&etag).unwrap_or(HeaderValue::from_static("\"\""))
}

impl ObjectStore {
    /// A store for objects of `capacity` bytes together.
    pub(crate) fn new(capacity: u64) -> Self {
        let shards = (capacity / SHARD_BYTES).clamp(1, 64).next_power_of_two();
        let options = OptionsBuilder::new()
            .shards(usize::try_from(shards).unwrap_or(1))
            .weight_capacity(capacity)
            .estimated_items_capacity(usize::try_from(capacity / (32 << 10)).unwrap_or(0).max(64))
            .build()
            .expect("both capacities are given");
        let objects =
            Cache::with_options(options, ByBytes, DefaultHashBuilder::default(), HandOver);
        Self { objects, given_out: AtomicU64::new(0), evicted: AtomicU64::new(0) }
    }

    /// Keeps an object, and returns the evicted objects. If it does not fit, it is returned itself.
    #[must_use = "evicted objects must be taken out of the index"]
    pub(crate) fn put(&self, object: Arc<Object>) -> (ObjectId, Vec<(ObjectId, Arc<Object>)>) {
        let id = ObjectId(self.given_out.fetch_add(1, Ordering::Relaxed));
        let mut gone = Vec::new();
        self.objects.insert_with_lifecycle(id, object, &mut gone);
        self.evicted.fetch_add(gone.len() as u64, Ordering::Relaxed);
        (id, gone)
    }

    /// An object that is to be served: it will be kept the longer for that.
    pub(crate) fn get(&self, id: ObjectId) -> Option<Arc<Object>> {
        self.objects.get(&id)
    }

    /// Whether the object is there, without counting as a use of it.
    pub(crate) fn contains(&self, id: ObjectId) -> bool {
        self.objects.contains_key(&id)
    }

    /// Deletes objects, and returns how many of them existed.
    pub(crate) fn delete(&self, ids: impl IntoIterator<Item = ObjectId>) -> usize {
        ids.into_iter().filter_map(|id| self.objects.remove(&id)).count()
    }

    /// All objects, one shard after the other.
    pub(crate) fn all(&self) -> Vec<(ObjectId, Arc<Object>)> {
        self.objects.iter().collect()
    }

    /// How many objects there are.
    pub(crate) fn len(&self) -> usize {
        self.objects.len()
    }

    /// Returns the size of the objects in bytes, including names and tables.
    pub(crate) fn bytes(&self) -> u64 {
        self.objects.weight()
    }

    /// Returns the maximum size of the objects.
    pub(crate) fn capacity(&self) -> u64 {
        self.objects.capacity()
    }

    /// How many had to make room for others since the start.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cache_index::CacheIndex;

    fn object(length: usize) -> Arc<Object> {
        let filed = Filed {
            tenant: CacheIndex::<()>::default().tenant("doc"),
            path: OriginPath::from_canonical("a.jpg").unwrap(),
            variant: VariantKey::from_canonical("?").unwrap(),
        };
        let bytes = Bytes::from(vec![7; length]);
        Arc::new(Object::new(filed, Rendition { bytes, format: Format::Png }, None))
    }

    #[test]
    fn what_was_put_can_be_got_until_it_is_deleted() {
        let store = ObjectStore::new(10_000);
        let (id, gone) = store.put(object(40));
        assert!(gone.is_empty());
        assert_eq!(store.get(id).unwrap().bytes.len(), 40);
        assert_eq!((store.len(), store.bytes()), (1, 40 + OVERHEAD));
        assert_eq!(store.delete([id]), 1);
        assert!(store.get(id).is_none());
        assert_eq!((store.len(), store.bytes()), (0, 0));
        assert_eq!(store.delete([id]), 0);
    }

    #[test]
    fn a_full_store_hands_over_each_object_that_made_room() {
        let store = ObjectStore::new(20_000);
        let mut known = Vec::new();
        let mut gone = Vec::new();
        for _ in 0..100 {
            let (id, evicted) = store.put(object(1000));
            known.push(id);
            gone.extend(evicted.into_iter().map(|(id, _)| id));
        }
        assert!(store.bytes() <= 20_000 && store.len() > 5, "{} objects", store.len());
        assert_eq!(gone.len() + store.len(), 100);
        assert_eq!(store.evicted(), gone.len() as u64);
        for id in known {
            assert_ne!(store.contains(id), gone.contains(&id), "{id:?}");
        }
    }

    #[test]
    fn an_object_that_does_not_fit_is_handed_over_itself() {
        let store = ObjectStore::new(20_000);
        let (small, _) = store.put(object(1000));
        let (large, gone) = store.put(object(30_000));
        assert_eq!(gone.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [large]);
        assert!(store.contains(small) && !store.contains(large));
    }

    #[test]
    fn an_id_is_never_given_out_again() {
        let store = ObjectStore::new(10_000);
        let (first, _) = store.put(object(1));
        store.delete([first]);
        assert_ne!(store.put(object(1)).0, first);
    }

    #[test]
    fn etags_tell_bytes_apart() {
        assert_eq!(object(3).etag, object(3).etag);
        assert_ne!(object(3).etag, object(4).etag);
    }

    #[test]
    fn a_refresh_that_failed_waits() {
        let object = object(1);
        assert!(object.may_refresh());
        object.put_off_refresh(std::time::Duration::from_secs(3600));
        assert!(!object.may_refresh());
        object.put_off_refresh(std::time::Duration::ZERO);
        assert!(object.may_refresh());
    }
}
