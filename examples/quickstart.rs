//! The index in a minute: a miss, a hit, a purge, and a fetch that the purge overtakes.
//!
//! ```sh
//! cargo run --example quickstart
//! ```

#![allow(clippy::print_stdout, reason = "a program")]

use cache_index::{CacheIndex, Hard, Insertion, Lookup, NameError, OriginPath, VariantKey};

fn main() -> Result<(), NameError> {
    // The value of an entry is up to you. Here it is the number of a stored object.
    let index: CacheIndex<u64> = CacheIndex::default();
    let shop = index.tenant("shop");

    // A picture and two of its renditions. Names are any text.
    let birds = OriginPath::opaque("birds.jpg")?;
    let small = VariantKey::opaque("300x200")?;
    let large = VariantKey::opaque("1200x800")?;

    // A miss: take a lease, then read the source, then commit.
    assert_eq!(index.lookup(&shop, &birds, &small), Lookup::Miss);
    let lease = index.lease(&shop, &birds);
    // ... fetch birds.jpg, resize it, store it as object 17 ...
    assert!(lease.commit(&small, 17).is_stored());
    assert_eq!(index.lookup(&shop, &birds, &small), Lookup::Live(17));

    // Another fetch begins. Before it ends, the picture changes at its source.
    let late = index.lease(&shop, &birds);
    let purged = index.purge(&shop, &birds, Hard);
    assert_eq!((purged.len(), purged.overtaken_fills()), (1, 1));
    let objects: Vec<u64> = purged.into_iter().map(|(_, object)| object).collect();
    assert_eq!(objects, [17], "the objects to delete");

    // The fetch may have read the old picture. It is refused, and returns its value to be deleted.
    match late.commit(&large, 18) {
        Insertion::Refused(refused) => assert_eq!(refused.value, 18),
        Insertion::Stored(_) => panic!("an old picture must not be stored"),
    }
    assert_eq!(index.lookup(&shop, &birds, &large), Lookup::Miss);

    // Whatever changed, a flush of the whole shop takes constant time.
    assert!(index.lease(&shop, &birds).commit(&small, 19).is_stored());
    index.flush_tenant(&shop, Hard);
    assert_eq!(index.lookup(&shop, &birds, &small), Lookup::Miss);

    println!("one purge, one refused fetch, one flush: nothing old is served");
    Ok(())
}
