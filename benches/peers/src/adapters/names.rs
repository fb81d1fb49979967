//! What a cache of single variants needs beside it, so that the variants of a path can be found: their names, by path.
//!
//! A name and the cache's key are one text, which both share.

use super::stripes::Stripes;
use super::{Peer, Room};
use crate::site::Payload;
use cache_index::{OriginPath, PathPrefix, VariantKey};
use equivalent::Equivalent;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Path and variant key, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Name {
    text: Arc<str>,
    split: u32,
}

/// The same, not yet written together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    path: &'a str,
    key: &'a str,
}

impl Name {
    fn key(&self) -> &str {
        &self.text[self.split as usize..]
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.split == other.split && self.text == other.text
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (path, key) = self.text.split_at(self.split as usize);
        Asked { path, key }.hash(state);
    }
}

impl Hash for Asked<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.path.as_bytes());
        state.write(self.key.as_bytes());
    }
}

impl Equivalent<Name> for Asked<'_> {
    fn equivalent(&self, name: &Name) -> bool {
        name.split as usize == self.path.len()
            && name.text.strip_prefix(self.path).is_some_and(|key| key == self.key)
    }
}

/// For `get_value_or_guard` and the like only, which some caches' signatures ask for.
impl From<&Asked<'_>> for Name {
    fn from(asked: &Asked<'_>) -> Self {
        let text = [asked.path, asked.key].concat().into();
        Self { text, split: u32::try_from(asked.path.len()).expect("a path of less than 4 GiB") }
    }
}

/// The cache of single variants.
pub(super) trait Store<V> {
    fn get(&self, asked: Asked<'_>) -> Option<V>;
    fn insert(&self, name: Name, value: V);
    fn remove(&self, asked: Asked<'_>) -> Option<V>;
    fn clear(&self);
    fn tidy(&self);
}

pub(super) struct Named<S> {
    store: S,
    names: Stripes<Vec<Name>>,
}

impl<S> Named<S> {
    pub(super) fn new(store: S, room: Room) -> Self {
        Self { store, names: Stripes::new(room.paths) }
    }
}

impl<V: Payload, S: Store<V>> Peer<V> for Named<S> {
    fn look_up(&self, path: &OriginPath<'_>, key: &VariantKey<'_>) -> Option<V> {
        self.store.get(Asked { path: path.as_str(), key: key.as_str() })
    }

    fn insert(&self, path: &OriginPath<'_>, key: &VariantKey<'_>, value: V) -> Option<V> {
        let asked = Asked { path: path.as_str(), key: key.as_str() };
        // Stored while the names are locked: a purge finds the name, and then what it names.
        self.names.update(asked.path, |names| {
            let old = self.store.get(asked);
            let known = old.and_then(|_| names.iter().find(|name| name.key() == asked.key));
            let name = known.cloned().unwrap_or_else(|| {
                let name = Name::from(&asked);
                names.push(name.clone());
                name
            });
            self.store.insert(name, value);
            old
        })
    }

    fn purge(&self, path: &OriginPath<'_>, gone: &mut dyn FnMut(&str, V)) {
        let path = path.as_str();
        for name in self.names.remove(path).unwrap_or_default() {
            if let Some(value) = self.store.remove(Asked { path, key: name.key() }) {
                gone(name.key(), value);
            }
        }
    }

    fn purge_prefix(&self, prefix: &PathPrefix<'_>) {
        for (path, names) in self.names.remove_prefix(prefix.as_str()) {
            for name in names {
                self.store.remove(Asked { path: &path, key: name.key() });
            }
        }
    }

    fn flush_all(&self) {
        self.names.clear();
        self.store.clear();
    }

    fn reclaim(&self) {
        self.store.tidy();
        self.names.shrink();
    }
}
