//! quick_cache, `sync::Cache`: an entry per variant. Its capacity is twice the number of entries,
//! so that no shard evicts. It needs an expected size, so its tables are presized even if those of
//! the other contestants grow.

use super::names::{Asked, Name, Named, Store};
use super::variants::Short;
use super::{Room, STRIPES, Shared};
use crate::site::Payload;
use ahash::RandomState;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, UnitWeighter};

struct Quick<V>(Cache<Name, V, UnitWeighter, RandomState>);

pub(super) fn make<V: Payload, S: Short>(room: Room) -> Shared<V> {
    let options = OptionsBuilder::new()
        .estimated_items_capacity(room.expected)
        .weight_capacity(2 * room.expected as u64 + 100_000)
        .shards(STRIPES)
        // A memory of evicted keys has no use without evictions.
        .ghost_allocation(0.0)
        .build()
        .expect("good options");
    let cache =
        Cache::with_options(options, UnitWeighter, RandomState::new(), DefaultLifecycle::default());
    Box::new(Named::<_, S>::new(Quick(cache), room))
}

impl<V: Payload> Store<V> for Quick<V> {
    fn get(&self, asked: Asked<'_>) -> Option<V> {
        self.0.get(&asked)
    }

    fn insert(&self, name: Name, value: V) {
        self.0.insert(name, value);
    }

    fn remove(&self, asked: Asked<'_>) -> Option<V> {
        self.0.remove(&asked).map(|(_, value)| value)
    }

    fn clear(&self) {
        self.0.clear();
    }

    // It has no function to shrink its tables.
    fn tidy(&self) {}
}
