//! The object store: the bytes of renditions, in memory, by id.
//!
//! Invariant: an id is given out once and never again, so that an id that somebody still holds can't come to mean another object.
//! It knows nothing of paths, keys or time: what is to be deleted, the index says.

use super::operations::Format;
use super::render::Rendition;
use axum::body::Bytes;
use parking_lot::RwLock;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

/// What the index holds for a rendition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ObjectId(u64);

/// A rendition as it is served.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) bytes: Bytes,
    pub(crate) format: Format,
    /// Strong: half of the SHA-256 of the bytes, in quotation marks.
    pub(crate) etag: String,
    pub(crate) made: Instant,
}

/// Objects by id.
#[derive(Debug)]
pub(crate) struct ObjectStore {
    inner: RwLock<Inner>,
    /// In bytes.
    capacity: usize,
}

#[derive(Debug, Default)]
struct Inner {
    objects: HashMap<ObjectId, Arc<Object>>,
    bytes: usize,
    given_out: u64,
}

impl Object {
    pub(crate) fn new(rendition: Rendition) -> Self {
        let Rendition { bytes, format } = rendition;
        let mut etag = String::from("\"");
        for byte in &Sha256::digest(&bytes)[..16] {
            // Writing to a string can't fail.
            let _ = write!(etag, "{byte:02x}");
        }
        etag.push('"');
        Self { bytes, format, etag, made: Instant::now() }
    }
}

impl ObjectStore {
    /// A store for pictures of `capacity` bytes together.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { inner: RwLock::default(), capacity }
    }

    /// Keeps an object, if there is room.
    pub(crate) fn put(&self, object: Arc<Object>) -> Option<ObjectId> {
        let mut inner = self.inner.write();
        let bytes = inner.bytes.checked_add(object.bytes.len())?;
        if bytes > self.capacity {
            return None;
        }
        inner.bytes = bytes;
        inner.given_out += 1;
        let id = ObjectId(inner.given_out);
        inner.objects.insert(id, object);
        Some(id)
    }

    pub(crate) fn get(&self, id: ObjectId) -> Option<Arc<Object>> {
        self.inner.read().objects.get(&id).cloned()
    }

    /// Deletes objects, and says how many of them were there.
    pub(crate) fn delete(&self, ids: impl IntoIterator<Item = ObjectId>) -> usize {
        // Named before the lock is taken, taken out under it, dropped outside of it.
        let ids: Vec<_> = ids.into_iter().collect();
        let mut gone = Vec::with_capacity(ids.len());
        let mut inner = self.inner.write();
        for id in ids {
            if let Some(object) = inner.objects.remove(&id) {
                inner.bytes -= object.bytes.len();
                gone.push(object);
            }
        }
        drop(inner);
        gone.len()
    }

    /// How many objects there are.
    pub(crate) fn len(&self) -> usize {
        self.inner.read().objects.len()
    }

    /// What they take up, in bytes.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.inner.read().bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(length: usize) -> Arc<Object> {
        let bytes = Bytes::from(vec![7; length]);
        Arc::new(Object::new(Rendition { bytes, format: Format::Png }))
    }

    #[test]
    fn what_was_put_can_be_got_until_it_is_deleted() {
        let store = ObjectStore::new(100);
        let id = store.put(object(40)).unwrap();
        assert_eq!(store.get(id).unwrap().bytes.len(), 40);
        assert_eq!((store.len(), store.bytes()), (1, 40));
        assert_eq!(store.delete([id]), 1);
        assert!(store.get(id).is_none());
        assert_eq!((store.len(), store.bytes()), (0, 0));
        assert_eq!(store.delete([id]), 0);
    }

    #[test]
    fn a_full_store_takes_nothing_more_and_has_room_again_after_a_deletion() {
        let store = ObjectStore::new(100);
        let id = store.put(object(60)).unwrap();
        assert_eq!(store.put(object(41)), None);
        assert_eq!((store.len(), store.bytes()), (1, 60));
        store.delete([id]);
        assert!(store.put(object(41)).is_some());
    }

    #[test]
    fn an_id_is_never_given_out_again() {
        let store = ObjectStore::new(100);
        let first = store.put(object(1)).unwrap();
        store.delete([first]);
        assert_ne!(store.put(object(1)), Some(first));
    }

    #[test]
    fn etags_tell_bytes_apart() {
        assert_eq!(object(3).etag, object(3).etag);
        assert_ne!(object(3).etag, object(4).etag);
    }
}
