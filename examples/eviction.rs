//! Eviction: the store decides which objects are evicted, and the index removes only their entries.
//!
//! ```sh
//! cargo run --example eviction
//! ```

use cache_index::{CacheIndex, Hard, Lookup, NameError, OriginPath, Tenant, VariantKey};
use std::collections::VecDeque;

type Names = (OriginPath<'static>, VariantKey<'static>);

/// A store that holds a few objects, the oldest first. A real one has files, and a better policy.
#[derive(Default)]
struct Store {
    objects: VecDeque<(u64, Names)>,
    next_id: u64,
}

impl Store {
    const CAPACITY: usize = 2;

    /// Adds an object. Ids are never reused: an old id must not name a new object.
    fn add(&mut self, names: Names) -> u64 {
        self.next_id += 1;
        self.objects.push_back((self.next_id, names));
        self.next_id
    }

    fn evict(&mut self, index: &CacheIndex<u64>, tenant: &Tenant) {
        while self.objects.len() > Self::CAPACITY {
            let Some((id, (path, key))) = self.objects.pop_front() else { return };
            // Removes the entry only if it still has this object. A newer one stays.
            let _ = index.remove(tenant, &path, &key, &id);
        }
    }
}

fn main() -> Result<(), NameError> {
    let (index, mut store) = (CacheIndex::default(), Store::default());
    let shop = index.tenant("shop");
    let key = VariantKey::opaque("300x200")?;
    let [a, b, c] = ["a.jpg", "b.jpg", "c.jpg"].map(|name| OriginPath::opaque(name).unwrap());

    // Object 1 is replaced by object 2 before it is evicted.
    for path in [&a, &a, &b] {
        let lease = index.lease(&shop, path);
        assert!(lease.commit(&key, store.add((path.clone(), key.clone()))).is_stored());
    }
    store.evict(&index, &shop);
    assert_eq!(index.lookup(&shop, &a, &key), Lookup::Live(2), "evicting 1 leaves 2 alone");

    // The next object pushes out object 2, which is the one of its entry.
    assert!(index.lease(&shop, &c).commit(&key, store.add((c.clone(), key.clone()))).is_stored());
    store.evict(&index, &shop);
    assert_eq!(index.lookup(&shop, &a, &key), Lookup::Miss);
    assert_eq!(index.lookup(&shop, &b, &key), Lookup::Live(3));

    // The values that a purge returns are deleted from the store as well.
    let gone: Vec<u64> = index.purge(&shop, &b, Hard).into_iter().map(|(_, id)| id).collect();
    store.objects.retain(|(id, _)| !gone.contains(id));
    assert_eq!(store.objects.len(), 1);
    Ok(())
}
