//! The bound of the memory, and the index after a storm: every entry has its object, and every
//! object its entry.

use crate::rig::Rig;
use crate::storage::{key, meta, trace};
use bytes::Bytes;
use cache_index::{Hard, OriginPath, PathPrefix, Soft};
use pingora_cache::{CacheKey, Storage};
use pingora_storage::storage::Indexed;

/// Looks up, and on a miss stores a body of `size` bytes, in two parts. Returns the length of the
/// body that was found.
async fn ask(storage: &'static Indexed, key: &CacheKey, size: usize) -> Option<usize> {
    if let Some((_, mut hit)) = storage.lookup(key, &trace()).await.unwrap() {
        let mut length = 0;
        loop {
            match hit.read_body().await {
                Ok(Some(chunk)) => length += chunk.len(),
                Ok(None) => return Some(length),
                // The fill that it read along with has failed.
                Err(_) => return None,
            }
        }
    }
    let mut miss = storage.get_miss_handler(key, &meta(), &trace()).await.unwrap();
    for part in [size / 2, size - size / 2] {
        miss.write_body(Bytes::from(vec![7; part]), false).await.unwrap();
        tokio::task::yield_now().await;
    }
    // One in sixteen fails.
    if size % 16 == 0 {
        return None;
    }
    miss.finish().await.unwrap();
    None
}

/// The size that every object of `number` has, so that a reader can check it.
fn size(number: usize) -> usize {
    1 + number * 977 % 5000
}

async fn storm(storage: &'static Indexed, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..3000 {
        let number = random.usize(0..400);
        let tenant = ["shop", "news"][number % 2];
        let path = format!("{}/{number}.jpg", number % 7);
        let handle = storage.index().tenant(tenant);
        match random.u32(0..100) {
            0 => drop(storage.index().flush_tenant(&handle, Hard)),
            1 => drop(storage.index().flush_all(Soft)),
            2..=4 => {
                let prefix = PathPrefix::opaque(format!("{}/", number % 7)).unwrap();
                storage.index().purge_prefix(&handle, &prefix, Hard);
            }
            5..=14 => {
                let path = OriginPath::opaque(path).unwrap();
                drop(storage.index().purge(&handle, &path, Hard));
            }
            _ => {
                let variant = format!("?w={}", random.u32(0..3));
                let key = key(storage, tenant, &path, &variant);
                if let Some(found) = ask(storage, &key, size(number)).await {
                    assert_eq!(found, size(number), "a body that is not whole was served as whole");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn storm_leaves_no_dead_entry_and_no_lost_object() {
    const LIMIT: usize = 300_000;
    let storage: &'static Indexed = Box::leak(Box::new(Indexed::new(LIMIT)));
    let storms: Vec<_> = (0..4).map(|seed| tokio::spawn(storm(storage, seed))).collect();
    for storm in storms {
        storm.await.unwrap();
    }
    // The last flush may have been a moment ago.
    for number in 0..400 {
        let tenant = ["shop", "news"][number % 2];
        let key = key(storage, tenant, &format!("{}/{number}.jpg", number % 7), "?w=0");
        ask(storage, &key, size(number)).await;
    }
    storage.reclaim();
    let stats = storage.index().stats();
    assert_eq!((stats.dead, stats.open_leases), (0, 0));
    assert!(stats.live + stats.stale > 30, "{stats:?}");
    assert_eq!(storage.objects(), stats.live + stats.stale);
    assert!(storage.bytes() <= LIMIT, "{}", storage.bytes());
    assert!(storage.places() <= 4 * storage.objects().max(32), "{}", storage.places());
    assert_eq!(storage.unleased(), 0);

    let mut bytes = 0;
    for tenant in ["shop", "news"] {
        let handle = storage.index().tenant(tenant);
        for folder in 0..7 {
            let folder = PathPrefix::opaque(format!("{folder}/")).unwrap();
            for path in storage.index().paths(&handle, &folder) {
                for variant in storage.index().variants(&handle, &path) {
                    let key = key(storage, tenant, path.as_str(), variant.as_str());
                    bytes += ask(storage, &key, 0).await.expect("an entry without an object");
                }
            }
        }
    }
    assert!(bytes <= storage.bytes() && storage.bytes() < bytes + 1000 * storage.objects());
    storage.index().flush_all(Hard);
    storage.reclaim();
    assert_eq!((storage.objects(), storage.bytes()), (0, 0));
}

#[tokio::test]
async fn objects_that_are_asked_for_outlive_those_that_are_not() {
    let storage: &'static Indexed = Box::leak(Box::new(Indexed::new(100_000)));
    let popular = key(storage, "shop", "popular.jpg", "?");
    ask(storage, &popular, 999).await;
    for number in 0..1000 {
        let other = key(storage, "shop", &format!("{number}.jpg"), "?");
        ask(storage, &other, 999).await;
        assert_eq!(ask(storage, &popular, 999).await, Some(999), "after {number} others");
    }
    let first = key(storage, "shop", "0.jpg", "?");
    assert!(storage.lookup(&first, &trace()).await.unwrap().is_none());
    assert!(storage.bytes() <= 100_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn body_that_is_too_long_is_sent_and_not_kept() {
    let rig = Rig::indexed(16 << 20).await;
    let long = vec![7; crate::rig::MAX_BODY + 1];
    rig.origin.set("/long.jpg", long.clone(), &[]);
    for _ in 0..2 {
        assert_eq!(rig.get("/long.jpg").await.body.unwrap(), long);
    }
    assert_eq!(rig.origin.asked("/long.jpg"), 2);
    assert_eq!(rig.index().index().stats().live, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn part_of_a_stored_body_is_sent_without_the_origin() {
    let rig = Rig::indexed(1 << 20).await;
    rig.origin.set("/birds.jpg", "0123456789", &[]);
    rig.get("/birds.jpg").await;
    let range = [("range", "bytes=3-5")];
    let part = crate::rig::client::get(rig.proxy, crate::rig::HOST, "/birds.jpg", &range).await;
    assert_eq!((part.status.as_u16(), part.text()), (206, Ok("345")));
    assert_eq!(rig.origin.asked("/birds.jpg"), 1);
}
