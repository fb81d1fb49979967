//! The race: an invalidation returns while the origin still sends the old picture.

use crate::rig::origin::{Ending, Point};
use crate::rig::{HOST, Rig, client};
use std::sync::Arc;

const PATH: &str = "/birds/1.jpg";
const TARGET: &str = "/birds/1.jpg?w=300";

/// Each scope that covers the picture, as the control port names it.
const SCOPES: [&str; 4] = [
    "/purge/shop.example/birds/1.jpg",
    "/purge/shop.example/birds/*",
    "/flush/shop.example",
    "/flush",
];

fn ask(rig: &Arc<Rig>) -> tokio::task::JoinHandle<client::Answer> {
    let rig = Arc::clone(rig);
    tokio::spawn(async move { rig.get(TARGET).await })
}

#[tokio::test(flavor = "multi_thread")]
async fn invalidation_before_the_header_arrives_refuses_the_old_picture() {
    for scope in SCOPES {
        let rig = Arc::new(Rig::indexed(1 << 20).await);
        rig.origin.set(PATH, "the old picture", &[]);
        let mut held = rig.origin.hold(PATH, Point::BeforeHeader);
        let first = ask(&rig);
        held.reached().await;
        rig.origin.set(PATH, "the new picture", &[]);
        rig.invalidate(scope).await;
        // Waits for the first request, as both want the same, and then asks the origin itself.
        let second = ask(&rig);
        held.release(Ending::Whole);
        // It was sent before the purge.
        assert_eq!(first.await.unwrap().text(), Ok("the old picture"), "{scope}");
        assert_eq!(second.await.unwrap().text(), Ok("the new picture"), "{scope}");

        let third = rig.get(TARGET).await;
        assert_eq!(third.text(), Ok("the new picture"), "{scope}");
        assert_eq!(third.cache_status(), "pingora; hit", "{scope}");
        assert_eq!(rig.origin.asked(TARGET), 2, "{scope}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invalidation_in_the_middle_of_the_body_removes_the_old_picture() {
    for scope in SCOPES {
        let rig = Rig::indexed(1 << 20).await;
        rig.origin.set(PATH, "the old picture", &[]);
        let held = rig.origin.hold(PATH, Point::InBody);
        let first = rig.begin(TARGET).await;
        assert_eq!(first.first, "the old");
        rig.origin.set(PATH, "the new picture", &[]);
        rig.invalidate(scope).await;

        // The old body is still on its way.
        let second = rig.get(TARGET).await;
        assert_eq!(second.text(), Ok("the new picture"), "{scope}");
        held.release(Ending::Whole);
        assert_eq!(first.finish().await.as_deref(), Ok("the old picture"), "{scope}");

        let third = rig.get(TARGET).await;
        assert_eq!(third.text(), Ok("the new picture"), "{scope}");
        assert_eq!(third.cache_status(), "pingora; hit", "{scope}");
        assert_eq!(rig.origin.asked(TARGET), 2, "{scope}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invalidation_of_something_else_lets_the_fill_be_kept() {
    let others =
        ["/purge/shop.example/birds/2.jpg", "/purge/shop.example/boats/*", "/flush/news.example"];
    for scope in others {
        let rig = Arc::new(Rig::indexed(1 << 20).await);
        rig.origin.set(PATH, "the picture", &[]);
        let mut held = rig.origin.hold(PATH, Point::BeforeHeader);
        let first = ask(&rig);
        held.reached().await;
        rig.invalidate(scope).await;
        held.release(Ending::Whole);
        assert_eq!(first.await.unwrap().text(), Ok("the picture"), "{scope}");
        assert_eq!(rig.get(TARGET).await.cache_status(), "pingora; hit", "{scope}");
        assert_eq!(rig.origin.asked(TARGET), 1, "{scope}");
    }
    for scope in others {
        let rig = Rig::indexed(1 << 20).await;
        rig.origin.set(PATH, "the picture", &[]);
        let held = rig.origin.hold(PATH, Point::InBody);
        let first = rig.begin(TARGET).await;
        rig.invalidate(scope).await;
        held.release(Ending::Whole);
        assert_eq!(first.finish().await.as_deref(), Ok("the picture"), "{scope}");
        assert_eq!(rig.get(TARGET).await.cache_status(), "pingora; hit", "{scope}");
        assert_eq!(rig.origin.asked(TARGET), 1, "{scope}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_do_not_share_pictures() {
    let rig = Rig::indexed(1 << 20).await;
    rig.origin.set(PATH, "a picture", &[]);
    rig.get(TARGET).await;
    let other = client::get(rig.proxy, "news.example", TARGET, &[]).await;
    assert_eq!(other.cache_status(), "pingora; fwd=uri-miss");
    rig.invalidate("/flush/news.example").await;
    let kept = client::get(rig.proxy, HOST, TARGET, &[]).await;
    assert_eq!(kept.cache_status(), "pingora; hit");
}
