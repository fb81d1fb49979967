//! By hand: as `striped`, but a set has a number for each key. The texts are in one table for all
//! paths, behind a lock, and stay there.

use super::stripes::Stripes;
use super::variants::{Short, Variants};
use super::{Peer, Room, Shared};
use crate::site::Payload;
use ahash::RandomState;
use cache_index::{OriginPath, PathPrefix, VariantKey};
use hashbrown::HashMap;
use parking_lot::RwLock;
use std::sync::Arc;

#[derive(Default)]
struct Keys {
    numbers: HashMap<Arc<str>, u32, RandomState>,
    texts: Vec<Arc<str>>,
}

struct Interned<V: Payload, S: Short> {
    paths: Stripes<Variants<V, S, u32>>,
    keys: RwLock<Keys>,
}

pub(super) fn make<V: Payload, S: Short>(room: Room) -> Shared<V> {
    let (paths, keys) = (Stripes::new(room.paths), RwLock::default());
    Box::new(Interned::<V, S> { paths, keys })
}

impl<V: Payload, S: Short> Interned<V, S> {
    fn known(&self, key: &str) -> Option<u32> {
        self.keys.read().numbers.get(key).copied()
    }

    fn number(&self, key: &str) -> u32 {
        self.known(key).unwrap_or_else(|| {
            let mut keys = self.keys.write();
            let next = u32::try_from(keys.texts.len()).expect("few keys");
            let text: Arc<str> = key.into();
            let number = *keys.numbers.entry(Arc::clone(&text)).or_insert(next);
            if number == next {
                keys.texts.push(text);
            }
            number
        })
    }
}

impl<V: Payload, S: Short> Peer<V> for Interned<V, S> {
    fn look_up(&self, path: &OriginPath<'_>, key: &VariantKey<'_>) -> Option<V> {
        let number = self.known(key.as_str())?;
        self.paths.read(path.as_str(), |variants| variants.get(&number))
    }

    fn insert(&self, path: &OriginPath<'_>, key: &VariantKey<'_>, value: V) -> Option<V> {
        let number = self.number(key.as_str());
        self.paths.update(path.as_str(), |variants| variants.insert(&number, value))
    }

    fn purge(&self, path: &OriginPath<'_>, gone: &mut dyn FnMut(&str, V)) {
        if let Some(variants) = self.paths.remove(path.as_str()) {
            let keys = self.keys.read();
            variants.hand_over(|number, value| gone(&keys.texts[*number as usize], value));
        }
    }

    fn purge_prefix(&self, prefix: &PathPrefix<'_>) {
        drop(self.paths.remove_prefix(prefix.as_str()));
    }

    fn flush_all(&self) {
        self.paths.clear();
    }

    fn reclaim(&self) {
        self.paths.shrink();
    }
}
