//! A soft purge: the old picture is served while one client fetches the new one.
//!
//! ```sh
//! cargo run --example stale_while_refresh
//! ```

use cache_index::{CacheIndex, Hard, Lookup, NameError, OriginPath, Soft, VariantKey};

fn main() -> Result<(), NameError> {
    let index = CacheIndex::default();
    let news = index.tenant("news");
    let (front, key) = (OriginPath::opaque("front-page.jpg")?, VariantKey::opaque("800w")?);
    assert!(index.lease(&news, &front).commit(&key, "version 1").is_stored());

    // The picture has changed. The old one is good enough until the new one is there.
    let softened = index.purge(&news, &front, Soft);
    assert_eq!(softened.len(), 1);

    // Requests are served at once, and distinguished from hits.
    assert_eq!(index.lookup(&news, &front, &key), Lookup::Stale("version 1"));

    // One of them takes a lease and refreshes the picture in the background.
    let lease = index.lease(&news, &front);
    assert_eq!(index.lookup(&news, &front, &key).servable(), Some("version 1"));
    assert!(lease.commit(&key, "version 2").is_stored());
    assert_eq!(index.lookup(&news, &front, &key), Lookup::Live("version 2"));

    // A soft purge overtakes a fetch: it may have read the old version, so it is stored as stale.
    let late = index.lease(&news, &front);
    assert_eq!(index.purge(&news, &front, Soft).overtaken_fills(), 1);
    assert!(late.commit(&key, "version 2 again").is_stored());
    assert_eq!(index.lookup(&news, &front, &key), Lookup::Stale("version 2 again"));

    // If the old version must not be served for one more second, purge hard.
    let purged = index.purge(&news, &front, Hard);
    assert_eq!(purged.len(), 1);
    assert_eq!(index.lookup(&news, &front, &key), Lookup::Miss);
    Ok(())
}
