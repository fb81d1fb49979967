//! The names of the variants by path. A cache of single variants needs them, so that the variants
//! of a path can be found.
//!
//! The cache's key and the name share their texts, and the names of one path its text.

use super::stripes::Stripes;
use super::variants::Short;
use super::{Peer, Room};
use crate::site::Payload;
use cache_index::{OriginPath, PathPrefix, VariantKey};
use equivalent::Equivalent;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    path: Arc<str>,
    key: Arc<str>,
}

/// The same, borrowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    path: &'a str,
    key: &'a str,
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Asked { path: &self.path, key: &self.key }.hash(state);
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
        *name.path == *self.path && *name.key == *self.key
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

pub(super) struct Named<C, S: Short> {
    store: C,
    names: Stripes<S::List<Name>>,
}

impl<C, S: Short> Named<C, S> {
    pub(super) fn new(store: C, room: Room) -> Self {
        Self { store, names: Stripes::new(room.paths) }
    }
}

impl<V: Payload, C: Store<V>, S: Short> Peer<V> for Named<C, S> {
    fn look_up(&self, path: &OriginPath<'_>, key: &VariantKey<'_>) -> Option<V> {
        self.store.get(Asked { path: path.as_str(), key: key.as_str() })
    }

    fn insert(&self, path: &OriginPath<'_>, key: &VariantKey<'_>, value: V) -> Option<V> {
        let asked = Asked { path: path.as_str(), key: key.as_str() };
        // Stored while the names are locked: a purge finds the name, and then what it names.
        self.names.update(asked.path, |names| {
            let old = self.store.get(asked);
            let known = old.and_then(|_| names.iter().find(|name| *name.key == *asked.key));
            let name = known.cloned().unwrap_or_else(|| {
                let path =
                    names.first().map_or_else(|| asked.path.into(), |name| name.path.clone());
                let name = Name { path, key: asked.key.into() };
                S::push(names, name.clone());
                name
            });
            self.store.insert(name, value);
            old
        })
    }

    fn purge(&self, path: &OriginPath<'_>, gone: &mut dyn FnMut(&str, V)) {
        let path = path.as_str();
        for name in self.names.remove(path).unwrap_or_default() {
            if let Some(value) = self.store.remove(Asked { path, key: &name.key }) {
                gone(&name.key, value);
            }
        }
    }

    fn purge_prefix(&self, prefix: &PathPrefix<'_>) {
        for (path, names) in self.names.remove_prefix(prefix.as_str()) {
            for name in names {
                self.store.remove(Asked { path: &path, key: &name.key });
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
