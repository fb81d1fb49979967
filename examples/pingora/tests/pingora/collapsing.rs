//! Many requests for one picture: one asks the origin, the others wait and read along.

use crate::rig::origin::{Ending, NO_LENGTH, Point};
use crate::rig::{Rig, eventually};
use http::StatusCode;
use std::sync::Arc;
use tokio::task::JoinSet;

const PATH: &str = "/birds/1.jpg";
const TARGET: &str = "/birds/1.jpg?w=300";

/// On one thread: Pingora looks up and then locks. On several, the fetch of another request can end
/// in between, and the request fetches once more.
#[tokio::test]
async fn parallel_misses_make_one_fetch() {
    const CLIENTS: usize = 20;
    let rig = Arc::new(Rig::indexed(1 << 20).await);
    rig.origin.set(PATH, "a picture", &[]);
    let mut held = rig.origin.hold(PATH, Point::BeforeHeader);
    let mut answers = JoinSet::new();
    for _ in 0..CLIENTS {
        let rig = Arc::clone(&rig);
        answers.spawn(async move { rig.get(TARGET).await });
    }
    held.reached().await;
    // Each request that has missed holds a lease, and on this thread it waits for the lock, too.
    let storage = rig.index();
    eventually("all are waiting", || storage.index().stats().open_leases == CLIENTS).await;
    held.release(Ending::Whole);
    while let Some(answer) = answers.join_next().await {
        assert_eq!(answer.unwrap().text(), Ok("a picture"));
    }
    assert_eq!(rig.origin.asked(TARGET), 1);
    eventually("leases are closed", || storage.index().stats().open_leases == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn second_request_reads_along_while_the_body_grows() {
    let rig = Rig::indexed(1 << 20).await;
    rig.origin.set(PATH, "first half, second", &[]);
    let held = rig.origin.hold(PATH, Point::InBody);
    let first = rig.begin(TARGET).await;
    let second = rig.begin(TARGET).await;
    assert_eq!(second.headers["cache-status"], "pingora; hit");
    assert_eq!(second.first, "first hal", "the half that the origin has sent");
    held.release(Ending::Whole);
    assert_eq!(second.finish().await.as_deref(), Ok("first half, second"));
    assert_eq!(first.finish().await.as_deref(), Ok("first half, second"));
    assert_eq!(rig.origin.asked(TARGET), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_fill_is_an_error_for_all_its_readers_and_leaves_nothing() {
    let rig = Rig::indexed(1 << 20).await;
    // Without a length, only the end of the chunks says that a body is whole.
    rig.origin.set(PATH, "a picture", &[(NO_LENGTH, "1")]);
    let held = rig.origin.hold(PATH, Point::InBody);
    let first = rig.begin(TARGET).await;
    let second = rig.begin(TARGET).await;
    held.release(Ending::Broken);
    assert!(first.finish().await.is_err());
    assert!(second.finish().await.is_err());

    let third = rig.get(TARGET).await;
    assert_eq!((third.status, third.text()), (StatusCode::OK, Ok("a picture")));
    assert_eq!(rig.origin.asked(TARGET), 2);
    let storage = rig.index();
    eventually("one object is left", || storage.objects() == 1).await;
    assert_eq!(storage.index().stats().live, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_cookies_and_private_answers_are_not_stored() {
    let rig = Rig::indexed(1 << 20).await;
    rig.origin.set("/cookie.jpg", "a picture", &[("set-cookie", "a=b")]);
    rig.origin.set("/private.jpg", "a picture", &[("cache-control", "private")]);
    rig.origin.set("/any.jpg", "a picture", &[("vary", "*")]);
    for target in ["/none.jpg", "/cookie.jpg", "/private.jpg", "/any.jpg"] {
        rig.get(target).await;
        rig.get(target).await;
        assert_eq!(rig.origin.asked(target), 2, "{target}");
    }
    assert_eq!(rig.index().index().stats().live, 0);
}
