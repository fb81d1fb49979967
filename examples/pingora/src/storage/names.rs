//! The names of a rendition, which travel with the request inside of its `CacheKey`.
//!
//! Pingora's key is a hash, from which no name can be read. So the key carries the names beside the
//! hash, and with them the state of the request's fill.

use super::object::Kept;
use cache_index::{FillLease, OriginPath, Tenant, VariantKey};
use parking_lot::Mutex;
use pingora_cache::CacheKey;
use pingora_cache::key::HashBinary;
use pingora_core::{Error, ErrorType, Result};
use std::sync::Arc;

/// The names of one rendition.
#[derive(Clone, Debug)]
pub struct Names {
    /// The customer.
    pub tenant: Tenant,
    /// The picture. All its renditions are purged together.
    pub path: OriginPath<'static>,
    /// The rendition. It begins with `?`, so that answers which differ by `Vary` can be told apart.
    pub variant: VariantKey<'static>,
}

/// Returns the key of a request for [`Indexed`](super::Indexed).
///
/// Its hash serves Pingora's cache lock only; objects are found by their names.
///
/// # Examples
///
/// ```
/// use cache_index::{OriginPath, VariantKey};
/// use pingora_storage::storage::{Indexed, Names, cache_key};
///
/// let storage = Indexed::new(64 << 20);
/// let key = cache_key(Names {
///     tenant: storage.index().tenant("shop"),
///     path: OriginPath::opaque("birds.jpg")?,
///     variant: VariantKey::opaque("?w=300")?,
/// });
/// assert!(!key.primary_key().is_empty());
/// # Ok::<(), cache_index::NameError>(())
/// ```
#[must_use]
pub fn cache_key(names: Names) -> CacheKey {
    let mut primary = Vec::new();
    // With lengths, so that the parts can't be cut in another way.
    for part in [names.tenant.name(), names.path.as_str(), names.variant.as_str()] {
        primary.extend_from_slice(&part.len().to_be_bytes());
        primary.extend_from_slice(part.as_bytes());
    }
    let mut key = CacheKey::new(primary, "");
    key.extensions.insert(Asked { names: Arc::new(names), fill: Arc::default() });
    key
}

/// A request as the storage sees it: its names, and its fill. Clones share the fill.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) names: Arc<Names>,
    pub(super) fill: Arc<Mutex<Fill>>,
}

/// How far the fill of a request has come.
#[derive(Default)]
pub(super) struct Fill {
    /// Taken by the lookup that found no fresh object, before the origin is asked.
    pub(super) lease: Option<FillLease<Kept>>,
    /// The object that the origin is asked to confirm.
    pub(super) stale: Option<Kept>,
    /// The object that the request writes.
    pub(super) writing: Option<Kept>,
}

impl Asked {
    pub(super) fn of(key: &CacheKey) -> Result<&Self> {
        key.extensions.get().ok_or_else(|| {
            Error::explain(ErrorType::InternalError, "cache key without names: use `cache_key`")
        })
    }

    /// Returns the key under which an answer is stored: the variant, with a mark for the answers
    /// that differ by `Vary`.
    pub(super) fn stored_key(&self, variance: Option<HashBinary>) -> Result<VariantKey<'static>> {
        let Some(hash) = variance else { return Ok(self.names.variant.clone()) };
        let mark = format!("{:032x}", u128::from_be_bytes(hash));
        let key = self.names.variant.with_representation(&mark);
        key.map_err(|error| Error::because(ErrorType::InternalError, "answer with `Vary`", error))
    }
}
