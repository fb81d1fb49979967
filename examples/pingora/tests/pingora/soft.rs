//! Soft purges and flushes: objects become stale, and are confirmed or fetched again.

use crate::rig::origin::{Ending, Point};
use crate::rig::{Rig, eventually};
use std::sync::Arc;

const PATH: &str = "/birds/1.jpg";
const TARGET: &str = "/birds/1.jpg?w=300";
const SCOPES: [&str; 4] = [
    "/purge/shop.example/birds/1.jpg?soft",
    "/purge/shop.example/birds/*?soft",
    "/flush/shop.example?soft",
    "/flush?soft",
];

#[tokio::test(flavor = "multi_thread")]
async fn stale_object_is_confirmed_by_the_origin() {
    for scope in SCOPES {
        let rig = Rig::indexed(1 << 20).await;
        rig.origin.set(PATH, "a picture", &[("etag", "\"1\"")]);
        rig.get(TARGET).await;
        rig.invalidate(scope).await;
        let confirmed = rig.get(TARGET).await;
        assert_eq!(confirmed.text(), Ok("a picture"), "{scope}");
        assert_eq!(confirmed.cache_status(), "pingora; fwd=stale; fwd-status=304", "{scope}");
        assert_eq!(rig.get(TARGET).await.cache_status(), "pingora; hit", "{scope}");
        assert_eq!(rig.origin.statuses(), [200, 304], "{scope}");
        let storage = rig.index();
        eventually("one object is left", || storage.objects() == 1).await;
        assert_eq!(storage.index().stats().live, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_picture_replaces_the_stale_one() {
    for scope in SCOPES {
        let rig = Rig::indexed(1 << 20).await;
        rig.origin.set(PATH, "the old picture", &[("etag", "\"1\"")]);
        rig.get(TARGET).await;
        rig.origin.set(PATH, "the new picture", &[("etag", "\"2\"")]);
        rig.invalidate(scope).await;
        assert_eq!(rig.get(TARGET).await.text(), Ok("the new picture"), "{scope}");
        assert_eq!(rig.get(TARGET).await.cache_status(), "pingora; hit", "{scope}");
        assert_eq!(rig.origin.statuses(), [200, 200], "{scope}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fill_that_a_soft_invalidation_overtakes_is_stored_stale() {
    for scope in SCOPES {
        let rig = Arc::new(Rig::indexed(1 << 20).await);
        rig.origin.set(PATH, "the old picture", &[]);
        let mut held = rig.origin.hold(PATH, Point::BeforeHeader);
        let first = tokio::spawn({
            let rig = Arc::clone(&rig);
            async move { rig.get(TARGET).await }
        });
        held.reached().await;
        rig.origin.set(PATH, "the new picture", &[]);
        rig.invalidate(scope).await;
        held.release(Ending::Whole);
        assert_eq!(first.await.unwrap().text(), Ok("the old picture"), "{scope}");
        assert_eq!(rig.get(TARGET).await.text(), Ok("the new picture"), "{scope}");
        assert_eq!(rig.origin.asked(TARGET), 2, "{scope}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn soft_invalidation_makes_a_growing_object_stale() {
    for scope in SCOPES {
        let rig = Rig::indexed(1 << 20).await;
        rig.origin.set(PATH, "the old picture", &[]);
        let held = rig.origin.hold(PATH, Point::InBody);
        let first = rig.begin(TARGET).await;
        rig.origin.set(PATH, "the new picture", &[]);
        rig.invalidate(scope).await;
        assert_eq!(rig.get(TARGET).await.text(), Ok("the new picture"), "{scope}");
        held.release(Ending::Whole);
        assert_eq!(first.finish().await.as_deref(), Ok("the old picture"), "{scope}");
        assert_eq!(rig.get(TARGET).await.text(), Ok("the new picture"), "{scope}");
        assert_eq!(rig.origin.asked(TARGET), 2, "{scope}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_object_is_served_while_it_is_refreshed_if_the_origin_allows_it() {
    let rig = Rig::indexed(1 << 20).await;
    let control = ("cache-control", "max-age=600, stale-while-revalidate=600");
    rig.origin.set(PATH, "the old picture", &[control]);
    rig.get(TARGET).await;
    rig.origin.set(PATH, "the new picture", &[control]);
    let mut held = rig.origin.hold(PATH, Point::BeforeHeader);
    rig.invalidate("/purge/shop.example/birds/1.jpg?soft").await;
    for _ in 0..3 {
        let stale = rig.get(TARGET).await;
        assert_eq!(stale.text(), Ok("the old picture"));
        assert_eq!(stale.cache_status(), "pingora; hit; detail=stale");
    }
    held.reached().await;
    held.release(Ending::Whole);
    let storage = rig.index();
    eventually("the new picture is stored", || storage.index().stats().stale == 0).await;
    let new = rig.get(TARGET).await;
    assert_eq!((new.text(), new.cache_status()), (Ok("the new picture"), "pingora; hit"));
    assert_eq!(rig.origin.asked(TARGET), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn purge_while_the_origin_confirms_keeps_the_object_away() {
    let rig = Arc::new(Rig::indexed(1 << 20).await);
    rig.origin.set(PATH, "the old picture", &[("etag", "\"1\"")]);
    rig.get(TARGET).await;
    rig.invalidate("/flush?soft").await;
    let mut held = rig.origin.hold(PATH, Point::BeforeHeader);
    let confirmed = tokio::spawn({
        let rig = Arc::clone(&rig);
        async move { rig.get(TARGET).await }
    });
    held.reached().await;
    rig.origin.set(PATH, "the new picture", &[("etag", "\"2\"")]);
    rig.invalidate("/purge/shop.example/birds/1.jpg").await;
    held.release(Ending::Whole);
    assert_eq!(confirmed.await.unwrap().text(), Ok("the old picture"));
    assert_eq!(rig.get(TARGET).await.text(), Ok("the new picture"));
    assert_eq!(rig.origin.statuses(), [200, 304, 200]);
}
