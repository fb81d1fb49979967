//! `Store`: the job that each contestant does, and the data of it.

use crate::Outcome;
use cache_index::{OriginPath, VariantKey};
use std::path::Path;

/// The variants of each picture.
const KEYS: [&str; 6] = ["?", "?w=200", "?w=400", "?h=100&w=200", "?h=400&w=600", "?w=800"];

pub(crate) const TENANT: &str = "doc";

/// The state of an entry after a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Absent,
    Live(u64),
}

/// An index that survives a crash.
pub(crate) trait Store: Sync + Sized {
    const NAME: &'static str;

    /// Opens the store in a directory. `None` if it refuses its data and starts empty.
    fn open(dir: &Path) -> Outcome<Option<Self>>;

    /// Stores an entry in memory.
    fn insert(&self, path: &OriginPath<'_>, key: &VariantKey<'_>, value: u64);

    fn look_up(&self, path: &OriginPath<'_>, key: &VariantKey<'_>) -> Entry;

    /// Purges a path. The purge is durable when this returns.
    fn purge(&self, path: &OriginPath<'_>) -> Outcome<()>;

    /// Purges a path. Callers that wait at the same time share a sync.
    fn purge_together(&self, path: &OriginPath<'_>) -> Outcome<()>;

    /// Saves all entries. Earlier purges need no longer be kept.
    fn save(&self) -> Outcome<()>;
}

/// Picture number `number`.
pub(crate) fn path(number: u64) -> OriginPath<'static> {
    format!("sample.li/shop/pictures/{number}.jpg").parse().expect("the path is canonical")
}

pub(crate) fn keys() -> Vec<VariantKey<'static>> {
    KEYS.map(|key| VariantKey::from_canonical(key).expect("the key is canonical")).to_vec()
}

/// Stores about so many entries, six for each picture.
pub(crate) fn fill(store: &impl Store, entries: u64) {
    let keys = keys();
    let mut value = 0;
    for number in 0..entries.div_ceil(keys.len() as u64) {
        let path = path(number);
        for key in &keys {
            store.insert(&path, key, value);
            value += 1;
        }
    }
}
