//! The object store: the bytes of renditions by id, up to a number of bytes. They are in memory, or
//! in files with the most requested ones in memory.
//!
//! Invariant: an id is never reused, so a stale id cannot resolve to a different object. If the
//! store is full, quick_cache chooses the object to evict, and keeps objects that are requested
//! often. [`ObjectStore::put`] returns the evicted objects, and the caller removes them from the
//! index.

use super::files::{NotRead, ObjectFiles};
use super::freshness::{Policy, State};
use super::operations::Format;
use super::render::Rendition;
use axum::body::Bytes;
use axum::http::HeaderValue;
use cache_index::{OriginPath, Tenant, VariantKey};
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};
use sha2::{Digest, Sha256};
use std::fmt::{self, Write as _};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The size of an object besides its bytes: names, headers, and its slots in both tables. Roughly
/// measured. It is counted so that a million tiny renditions do not exceed the limit.
const OVERHEAD: u64 = 512;

/// The unit in which a file takes up space.
const FILE_BLOCK: u64 = 4096;

/// A shard must have room for the largest rendition that is worth keeping.
const SHARD_BYTES: u64 = 64 << 20;

/// The value that the index stores for a rendition.
///
/// A crash loses the fills since the last snapshot, with the numbers that they used. So the id also
/// holds the incarnation of the index, and no id is assigned twice. Without files it is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ObjectId {
    pub(crate) incarnation: u64,
    pub(crate) number: u64,
}

impl ObjectId {
    /// Reads an id as it is displayed.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (incarnation, number) = text.split_once('-')?;
        let hex = |digits| u64::from_str_radix(digits, 16).ok();
        let id = Self { incarnation: hex(incarnation)?, number: hex(number)? };
        // Signs and missing zeros are no part of it.
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:016x}", self.incarnation, self.number)
    }
}

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
    /// The limits that the origin sets.
    pub(crate) policy: Policy,
    /// When a refresh that failed may be tried again, in milliseconds since `made`.
    retry_at: AtomicU64,
}

/// Objects by id.
pub(crate) struct ObjectStore {
    /// All objects; if there are files, those that were requested lately.
    memory: Bounded<Arc<Object>>,
    on_disk: Option<OnDisk>,
    incarnation: u64,
    given_out: AtomicU64,
    evicted: AtomicU64,
}

/// The files of objects.
struct OnDisk {
    files: ObjectFiles,
    /// The sizes of the files. Those of earlier incarnations are added while the store is in use.
    sizes: Bounded<FileBytes>,
}

/// An object that made room for others, or found no room itself.
pub(crate) struct Evicted {
    pub(crate) id: ObjectId,
    /// `None` if it is only in a file.
    pub(crate) object: Option<Arc<Object>>,
}

/// Values of objects, up to a number of bytes.
type Bounded<T> = Cache<ObjectId, T, ByBytes, DefaultHashBuilder, HandOver>;

#[derive(Clone)]
struct ByBytes;

/// The size of a file.
#[derive(Clone, Copy)]
struct FileBytes(u64);

impl Weighter<ObjectId, Arc<Object>> for ByBytes {
    fn weight(&self, _: &ObjectId, object: &Arc<Object>) -> u64 {
        object.bytes.len() as u64 + OVERHEAD
    }
}

impl Weighter<ObjectId, FileBytes> for ByBytes {
    fn weight(&self, _: &ObjectId, bytes: &FileBytes) -> u64 {
        bytes.0.next_multiple_of(FILE_BLOCK)
    }
}

/// Collects evicted values while a shard is locked, so that they are handled without a lock.
#[derive(Clone)]
struct HandOver;

impl<T> Lifecycle<ObjectId, T> for HandOver {
    type RequestState = Vec<(ObjectId, T)>;

    fn on_evict(&self, gone: &mut Self::RequestState, id: ObjectId, value: T) {
        gone.push((id, value));
    }
}

fn bounded<T: Clone>(capacity: u64) -> Bounded<T>
where
    ByBytes: Weighter<ObjectId, T>,
{
    let shards = (capacity / SHARD_BYTES).clamp(1, 64).next_power_of_two();
    let options = OptionsBuilder::new()
        .shards(usize::try_from(shards).unwrap_or(1))
        .weight_capacity(capacity)
        .estimated_items_capacity(usize::try_from(capacity / (32 << 10)).unwrap_or(0).max(64))
        .build()
        .expect("both capacities are given");
    Cache::with_options(options, ByBytes, DefaultHashBuilder::default(), HandOver)
}

impl Object {
    pub(crate) fn new(filed: Filed, rendition: Rendition, validator: Option<HeaderValue>) -> Self {
        let Rendition { bytes, format } = rendition;
        let etag = etag(&bytes);
        let (policy, retry_at) = (Policy::default(), AtomicU64::new(0));
        Self { filed, bytes, format, etag, made: Instant::now(), validator, policy, retry_at }
    }

    /// Sets what the origin allows.
    pub(crate) fn with_policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// Returns the same rendition after the origin confirmed that it has no newer version.
    pub(crate) fn confirmed(&self, policy: Option<Policy>) -> Self {
        Self {
            policy: policy.unwrap_or(self.policy.confirmed()),
            filed: self.filed.clone(),
            bytes: self.bytes.clone(),
            format: self.format,
            etag: self.etag.clone(),
            made: Instant::now(),
            validator: self.validator.clone(),
            retry_at: AtomicU64::new(0),
        }
    }

    /// Returns an object that was made earlier, as a file holds it.
    pub(crate) fn restored(
        filed: Filed,
        rendition: Rendition,
        validator: Option<HeaderValue>,
        unix_millis: u64,
    ) -> Self {
        let age = Duration::from_millis(now_in_unix_millis().saturating_sub(unix_millis));
        // A machine that was started after the object was made has no such instant.
        let made = Instant::now().checked_sub(age).unwrap_or_else(Instant::now);
        Self { made, ..Self::new(filed, rendition, validator) }
    }

    /// Returns when the object was made, by the wall clock.
    pub(crate) fn made_in_unix_millis(&self) -> u64 {
        now_in_unix_millis().saturating_sub(age_in_ms(self.made))
    }

    /// Returns the permitted use, apart from invalidations.
    pub(crate) fn state(&self) -> State {
        self.policy.state(self.made.elapsed())
    }

    /// Whether the last failed refresh is long enough ago.
    pub(crate) fn may_refresh(&self) -> bool {
        // Relaxed: one refresh too many, or a moment too late, does no harm.
        age_in_ms(self.made) >= self.retry_at.load(Ordering::Relaxed)
    }

    /// A refresh has failed; the next is to wait for a while.
    pub(crate) fn put_off_refresh(&self, wait: Duration) {
        let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.retry_at.store(age_in_ms(self.made).saturating_add(wait), Ordering::Relaxed);
    }
}

fn age_in_ms(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn now_in_unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
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
    /// A store in memory, for objects of `capacity` bytes together.
    pub(crate) fn new(capacity: u64) -> Self {
        Self {
            memory: bounded(capacity),
            on_disk: None,
            incarnation: 0,
            given_out: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
        }
    }

    /// A store in files of `capacity` bytes together. Objects of `memory` bytes are also in memory.
    pub(crate) fn on_disk(
        files: ObjectFiles,
        incarnation: u64,
        capacity: u64,
        memory: u64,
    ) -> Self {
        let on_disk = Some(OnDisk { files, sizes: bounded(capacity) });
        Self { on_disk, incarnation, ..Self::new(memory) }
    }

    /// Returns whether objects are in files, and so whether calls may wait for a disk.
    pub(crate) fn is_on_disk(&self) -> bool {
        self.on_disk.is_some()
    }

    /// Assigns an id, and writes the file of the object if there are files. The object can be found
    /// when [`put`](Self::put) has returned.
    ///
    /// # Errors
    /// If the file can't be written. Nothing of it remains.
    pub(crate) fn write(&self, object: &Object) -> io::Result<ObjectId> {
        let number = self.given_out.fetch_add(1, Ordering::Relaxed);
        let id = ObjectId { incarnation: self.incarnation, number };
        if let Some(on_disk) = &self.on_disk {
            on_disk.files.write(id, object)?;
        }
        Ok(id)
    }

    /// Keeps a written object, and returns the evicted objects. If it does not fit, it is returned
    /// itself.
    #[must_use = "evicted objects must be taken out of the index"]
    pub(crate) fn put(&self, id: ObjectId, object: &Arc<Object>) -> Vec<Evicted> {
        let mut gone = Vec::new();
        self.memory.insert_with_lifecycle(id, Arc::clone(object), &mut gone);
        if let Some(on_disk) = &self.on_disk {
            return self.count(on_disk, id, object.bytes.len() as u64 + OVERHEAD);
        }
        self.evicted.fetch_add(gone.len() as u64, Ordering::Relaxed);
        gone.into_iter().map(|(id, object)| Evicted { id, object: Some(object) }).collect()
    }

    fn count(&self, on_disk: &OnDisk, id: ObjectId, bytes: u64) -> Vec<Evicted> {
        let mut gone = Vec::new();
        on_disk.sizes.insert_with_lifecycle(id, FileBytes(bytes), &mut gone);
        self.evicted.fetch_add(gone.len() as u64, Ordering::Relaxed);
        let evicted = |(id, _)| Evicted { id, object: self.memory.peek(&id) };
        gone.into_iter().map(evicted).collect()
    }

    /// Counts the file of an earlier incarnation, and returns the evicted objects.
    #[must_use = "evicted objects must be taken out of the index"]
    pub(crate) fn adopt(&self, id: ObjectId) -> Vec<Evicted> {
        let Some(on_disk) = &self.on_disk else { return Vec::new() };
        let Some(bytes) = on_disk.files.byte_len(id) else { return Vec::new() };
        let evicted = self.count(on_disk, id, bytes);
        // `delete` removes the file first. So either it sees the size, or this sees no file.
        if on_disk.files.byte_len(id).is_none() {
            on_disk.sizes.remove(&id);
        }
        evicted
    }

    /// An object in memory that is to be served: it will be kept the longer for that.
    pub(crate) fn get(&self, id: ObjectId) -> Option<Arc<Object>> {
        if let Some(on_disk) = &self.on_disk {
            // Counts as a use of the file.
            let _ = on_disk.sizes.get(&id);
        }
        self.memory.get(&id)
    }

    /// Reads an object from its file and checks that it has these names.
    ///
    /// # Errors
    /// If there is no file, if it is not the file of this object as it was written, or if it can't
    /// be read.
    pub(crate) fn load(&self, id: ObjectId, filed: &Filed) -> Result<Arc<Object>, NotRead> {
        let on_disk = self.on_disk.as_ref().ok_or(NotRead::Gone)?;
        let object = Arc::new(on_disk.files.read(id, filed)?);
        let mut dropped = Vec::new();
        self.memory.insert_with_lifecycle(id, Arc::clone(&object), &mut dropped);
        // A deletion in between has found nothing in memory.
        if on_disk.files.byte_len(id).is_none() {
            self.memory.remove(&id);
        }
        Ok(object)
    }

    /// The files, if objects are in files.
    pub(crate) fn files(&self) -> Option<&ObjectFiles> {
        self.on_disk.as_ref().map(|on_disk| &on_disk.files)
    }

    /// Whether the object is counted, without counting as a use of it.
    pub(crate) fn contains(&self, id: ObjectId) -> bool {
        match &self.on_disk {
            Some(on_disk) => on_disk.sizes.contains_key(&id),
            None => self.memory.contains_key(&id),
        }
    }

    /// Whether the object is there, counted or not.
    pub(crate) fn exists(&self, id: ObjectId) -> bool {
        match &self.on_disk {
            Some(on_disk) => on_disk.files.byte_len(id).is_some(),
            None => self.contains(id),
        }
    }

    /// Deletes objects, and returns how many of them existed.
    pub(crate) fn delete(&self, ids: impl IntoIterator<Item = ObjectId>) -> usize {
        let delete = |id: &ObjectId| match &self.on_disk {
            Some(on_disk) => {
                let existed = on_disk.files.remove(*id);
                on_disk.sizes.remove(id);
                self.memory.remove(id);
                existed
            }
            None => self.memory.remove(id).is_some(),
        };
        ids.into_iter().filter(delete).count()
    }

    /// The ids of all objects, counted or not.
    ///
    /// # Errors
    /// If the folder of the files can't be read.
    pub(crate) fn ids(&self) -> io::Result<Vec<ObjectId>> {
        match &self.on_disk {
            Some(on_disk) => on_disk.files.list(),
            None => Ok(self.memory.iter().map(|(id, _)| id).collect()),
        }
    }

    /// How many objects there are.
    pub(crate) fn len(&self) -> usize {
        self.on_disk.as_ref().map_or_else(|| self.memory.len(), |on_disk| on_disk.sizes.len())
    }

    /// Returns the size of the objects in bytes, including names and tables.
    pub(crate) fn bytes(&self) -> u64 {
        self.on_disk.as_ref().map_or_else(|| self.memory.weight(), |on_disk| on_disk.sizes.weight())
    }

    /// Returns the size of the objects in memory.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory.weight()
    }

    /// Returns the maximum size of the objects.
    pub(crate) fn capacity(&self) -> u64 {
        let on_disk = self.on_disk.as_ref().map(|on_disk| on_disk.sizes.capacity());
        on_disk.unwrap_or_else(|| self.memory.capacity())
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

    fn put(store: &ObjectStore, object: &Arc<Object>) -> (ObjectId, Vec<Evicted>) {
        let id = store.write(object).unwrap();
        (id, store.put(id, object))
    }

    #[test]
    fn what_was_put_can_be_got_until_it_is_deleted() {
        let store = ObjectStore::new(10_000);
        let (id, gone) = put(&store, &object(40));
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
            let (id, evicted) = put(&store, &object(1000));
            known.push(id);
            gone.extend(evicted.into_iter().map(|evicted| evicted.id));
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
        let (small, _) = put(&store, &object(1000));
        let (large, gone) = put(&store, &object(30_000));
        assert_eq!(gone.iter().map(|evicted| evicted.id).collect::<Vec<_>>(), [large]);
        assert!(store.contains(small) && !store.contains(large));
    }

    #[test]
    fn an_id_is_never_given_out_again() {
        let store = ObjectStore::new(10_000);
        let (first, _) = put(&store, &object(1));
        store.delete([first]);
        assert_ne!(put(&store, &object(1)).0, first);
    }

    #[test]
    fn ids_are_read_as_they_are_displayed() {
        let id = ObjectId { incarnation: 7, number: 0xabc };
        assert_eq!(id.to_string(), "0000000000000007-0000000000000abc");
        assert_eq!(ObjectId::parse(&id.to_string()), Some(id));
        for wrong in [
            "",
            "-",
            "7-abc",
            "0000000000000007-0000000000000ABC",
            "+000000000000007-0000000000000abc",
            "0000000000000007-0000000000000abc0",
            "../0000000000007-0000000000000abc",
            "0000000000000007-0000000000000abc.tmp",
        ] {
            assert_eq!(ObjectId::parse(wrong), None, "{wrong}");
        }
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
        object.put_off_refresh(Duration::from_secs(3600));
        assert!(!object.may_refresh());
        object.put_off_refresh(Duration::ZERO);
        assert!(object.may_refresh());
    }
}
