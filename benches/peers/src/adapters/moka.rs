//! moka, `sync::Cache`: an entry per variant. Without a bound, as it must not evict here, which
//! also spares it the bookkeeping.

use super::names::{Asked, Name, Named, Store};
use super::variants::Short;
use super::{Room, Shared};
use crate::site::Payload;
use ahash::RandomState;
use moka::sync::Cache;

struct Moka<V>(Cache<Name, V, RandomState>);

pub(super) fn make<V: Payload, S: Short>(room: Room) -> Shared<V> {
    let cache = Cache::builder().initial_capacity(room.entries);
    Box::new(Named::<_, S>::new(Moka(cache.build_with_hasher(RandomState::new())), room))
}

impl<V: Payload> Store<V> for Moka<V> {
    fn get(&self, asked: Asked<'_>) -> Option<V> {
        self.0.get(&asked)
    }

    fn insert(&self, name: Name, value: V) {
        self.0.insert(name, value);
    }

    fn remove(&self, asked: Asked<'_>) -> Option<V> {
        self.0.remove(&asked)
    }

    fn clear(&self) {
        self.0.invalidate_all();
    }

    fn tidy(&self) {
        // A run does a bounded part of the work.
        let mut before = u64::MAX;
        while self.0.entry_count() > 0 && self.0.entry_count() < before {
            before = self.0.entry_count();
            self.0.run_pending_tasks();
        }
    }
}
