//! Objects, and the memory that they take.

use super::body::Body;
use super::names::Names;
use cache_index::VariantKey;
use pingora_cache::CacheMeta;
use pingora_core::Result;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

/// An object as the index keeps it. Two of them are equal if they are the same object.
#[derive(Clone)]
pub struct Kept(pub(super) Arc<Object>);

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kept").field(&self.0.names.path).field(&self.0.key).finish()
    }
}

/// An answer of the origin.
pub(super) struct Object {
    pub(super) names: Arc<Names>,
    /// The key in the index: the variant, perhaps with a mark.
    pub(super) key: VariantKey<'static>,
    /// Pingora's metadata and the header, as `CacheMeta` writes them.
    meta: (Vec<u8>, Vec<u8>),
    /// Shared with the object that this one confirms.
    pub(super) body: Arc<Body>,
    /// When a lookup first found the object stale.
    stale_since: OnceLock<SystemTime>,
    /// Whether the object was served since the eviction last came by.
    pub(super) used: AtomicBool,
    charge: Charge,
}

impl Object {
    pub(super) fn new(
        names: &Arc<Names>,
        key: VariantKey<'static>,
        meta: &CacheMeta,
        body: Arc<Body>,
        memory: &Arc<Memory>,
    ) -> Result<Self> {
        let (names, meta) = (Arc::clone(names), meta.serialize()?);
        let text = names.path.as_str().len() + key.as_str().len();
        let charge = memory.charge(size_of::<Self>() + text + meta.0.len() + meta.1.len());
        memory.objects.fetch_add(1, Ordering::Relaxed);
        let (stale_since, used) = (OnceLock::new(), AtomicBool::new(false));
        Ok(Self { names, key, meta, body, stale_since, used, charge })
    }

    pub(super) fn meta(&self) -> Result<CacheMeta> {
        CacheMeta::deserialize(&self.meta.0, &self.meta.1)
    }

    /// Returns the metadata of an object that a soft purge or flush has made stale. The time during
    /// which it may be served while it is refreshed begins with the first lookup that finds it
    /// stale: the index has no clock.
    pub(super) fn stale_meta(&self) -> Result<CacheMeta> {
        let mut meta = self.meta()?;
        let now = SystemTime::now();
        // Stale also if the clock was set back since. Pingora takes an object that ends right now
        // for fresh.
        let past = now.checked_sub(Duration::from_millis(1)).unwrap_or(SystemTime::UNIX_EPOCH);
        meta.expire_at(past.min(*self.stale_since.get_or_init(|| past)));
        Ok(meta)
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        self.charge.memory.objects.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The memory of all objects: those in the index, and those that are only still being sent.
///
/// Its counters are relaxed: they order nothing, and additions and subtractions are never lost.
#[derive(Default)]
pub(super) struct Memory {
    bytes: AtomicUsize,
    objects: AtomicUsize,
}

/// Bytes that are counted until this is dropped.
pub(super) struct Charge {
    memory: Arc<Memory>,
    bytes: AtomicUsize,
}

impl Memory {
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn objects(&self) -> usize {
        self.objects.load(Ordering::Relaxed)
    }

    pub(super) fn charge(self: &Arc<Self>, bytes: usize) -> Charge {
        let charge = Charge { memory: Arc::clone(self), bytes: AtomicUsize::new(0) };
        charge.add(bytes);
        charge
    }
}

impl Charge {
    pub(super) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.memory.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.memory.bytes.fetch_sub(*self.bytes.get_mut(), Ordering::Relaxed);
    }
}
