//! The storage by itself, through the trait of Pingora.

use bytes::Bytes;
use cache_index::{OriginPath, Soft, VariantKey};
use pingora_cache::trace::{Span, SpanHandle};
use pingora_cache::{CacheKey, CacheMeta, Storage};
use pingora_http::ResponseHeader;
use pingora_storage::storage::{Indexed, Names, cache_key};
use std::time::{Duration, SystemTime};

pub(crate) fn key(storage: &Indexed, tenant: &str, path: &str, variant: &str) -> CacheKey {
    cache_key(Names {
        tenant: storage.index().tenant(tenant),
        path: OriginPath::opaque(path.to_owned()).unwrap(),
        variant: VariantKey::opaque(variant.to_owned()).unwrap(),
    })
}

pub(crate) fn trace() -> SpanHandle {
    Span::inactive().handle()
}

pub(crate) fn meta() -> CacheMeta {
    let now = SystemTime::now();
    let header = ResponseHeader::build(200, None).unwrap();
    CacheMeta::new(now + Duration::from_secs(600), now, 0, 0, header)
}

fn storage() -> &'static Indexed {
    Box::leak(Box::new(Indexed::new(100_000)))
}

/// Stores a body, after a lookup that has missed.
async fn store(storage: &'static Indexed, key: &CacheKey, body: &'static str) {
    let mut miss = storage.get_miss_handler(key, &meta(), &trace()).await.unwrap();
    miss.write_body(Bytes::from_static(body.as_bytes()), true).await.unwrap();
    miss.finish().await.unwrap();
}

async fn miss(storage: &'static Indexed, key: &CacheKey) {
    assert!(storage.lookup(key, &trace()).await.unwrap().is_none());
}

async fn find(storage: &'static Indexed, key: &CacheKey) -> (CacheMeta, Bytes) {
    let (meta, mut hit) = storage.lookup(key, &trace()).await.unwrap().expect("a hit");
    (meta, hit.read_body().await.unwrap().unwrap())
}

/// Pingora would go on as if the object were gone.
#[tokio::test]
async fn purge_by_hash_is_an_error() {
    use pingora_cache::{PurgeTarget, PurgeType};
    let storage = storage();
    let key = key(storage, "shop", "birds.jpg", "?");
    miss(storage, &key).await;
    store(storage, &key, "a picture").await;
    let target = key.to_compact();
    let target = PurgeTarget::Active(&target);
    assert!(storage.purge(target, PurgeType::Invalidation, &trace()).await.is_err());
    assert!(storage.expire(target, &trace()).await.is_err());
    assert_eq!(find(storage, &key).await.1, "a picture");
}

#[tokio::test]
async fn fill_without_a_lease_is_served_and_not_kept() {
    let storage = storage();
    let key = key(storage, "shop", "birds.jpg", "?");
    let mut miss = storage.get_miss_handler(&key, &meta(), &trace()).await.unwrap();
    let along = storage.lookup_streaming_write(&key, None, &trace()).await.unwrap();
    miss.write_body(Bytes::from_static(b"a picture"), true).await.unwrap();
    miss.finish().await.unwrap();
    assert_eq!(along.unwrap().1.read_body().await.unwrap().unwrap(), "a picture");
    assert_eq!((storage.unleased(), storage.index().stats().live), (1, 0));

    storage.begin_fill(&key).unwrap();
    let miss = storage.get_miss_handler(&key, &meta(), &trace()).await.unwrap();
    miss.finish().await.unwrap();
    assert_eq!(storage.index().stats().live, 1);
}

/// Else an object whose refresh keeps failing would be served stale for ever.
#[tokio::test]
async fn stale_object_keeps_the_time_at_which_it_was_first_found_stale() {
    let storage = storage();
    let key = key(storage, "shop", "birds.jpg", "?");
    miss(storage, &key).await;
    store(storage, &key, "a picture").await;
    storage.index().flush_all(Soft);
    let (first, _) = find(storage, &key).await;
    assert!(!first.is_fresh(SystemTime::now()));
    let (second, _) = find(storage, &key).await;
    assert_eq!(first.fresh_until(), second.fresh_until());
}

/// The header of one answer must not meet the body of another.
#[tokio::test]
async fn confirmed_object_keeps_its_own_body() {
    let storage = storage();
    let (key, other) = (key(storage, "shop", "1.jpg", "?"), key(storage, "shop", "1.jpg", "?"));
    miss(storage, &key).await;
    store(storage, &key, "confirmed").await;
    storage.index().flush_all(Soft);
    // Two requests find it stale. One gets another picture, the other a 304.
    for key in [&key, &other] {
        assert_eq!(find(storage, key).await.1, "confirmed");
    }
    store(storage, &other, "another").await;
    let mut confirmed = meta();
    confirmed.response_header_mut().insert_header("etag", "confirmed").unwrap();
    assert!(storage.update_meta(&key, &confirmed, &trace()).await.unwrap());
    let (meta, body) = find(storage, &key).await;
    assert_eq!(
        (&meta.headers()["etag"], body),
        (&"confirmed".parse().unwrap(), "confirmed".into())
    );
    // A key keeps what its request has found and written.
    drop((key, other));
    assert_eq!(storage.objects(), 1);
}

#[tokio::test]
async fn key_without_names_is_an_error() {
    let storage = storage();
    let key = CacheKey::new("birds.jpg", "");
    let error = storage.lookup(&key, &trace()).await.err().expect("an error");
    assert!(error.to_string().contains("cache key without names: use `cache_key`"), "{error}");
}
