//! The same race in the same proxy, with Pingora's own `MemCache` and its `PURGE`, recorded as it
//! is in version 0.9.1. If one of these tests fails, the table in README.md is out of date.

use crate::rig::Rig;
use crate::rig::origin::{Ending, Point};
use http::StatusCode;
use std::sync::Arc;

const PATH: &str = "/birds/1.jpg";
const TARGET: &str = "/birds/1.jpg?w=300";

#[tokio::test(flavor = "multi_thread")]
async fn purge_before_the_header_arrives_is_undone_by_the_old_picture() {
    let rig = Arc::new(Rig::mem_cache().await);
    rig.origin.set(PATH, "the old picture", &[]);
    let mut held = rig.origin.hold(PATH, Point::BeforeHeader);
    let first = tokio::spawn({
        let rig = Arc::clone(&rig);
        async move { rig.get(TARGET).await }
    });
    held.reached().await;
    rig.origin.set(PATH, "the new picture", &[]);
    assert_eq!(rig.purge_method(TARGET).await, StatusCode::NOT_FOUND);
    held.release(Ending::Whole);
    assert_eq!(first.await.unwrap().text(), Ok("the old picture"));

    let third = rig.get(TARGET).await;
    assert_eq!(third.text(), Ok("the old picture"));
    assert_eq!(third.cache_status(), "pingora; hit");
    assert_eq!(rig.origin.asked(TARGET), 1);
}

/// The purge removes the record that the fill is about to finish, and the task of the fill panics.
#[tokio::test(flavor = "multi_thread")]
async fn purge_in_the_middle_of_the_body_breaks_the_answer_that_is_under_way() {
    let rig = Rig::mem_cache().await;
    rig.origin.set(PATH, "the old picture", &[]);
    let held = rig.origin.hold(PATH, Point::InBody);
    let first = rig.begin(TARGET).await;
    rig.origin.set(PATH, "the new picture", &[]);
    assert_eq!(rig.purge_method(TARGET).await, StatusCode::OK);
    held.release(Ending::Whole);
    assert!(first.finish().await.is_err());
    assert_eq!(rig.get(TARGET).await.text(), Ok("the new picture"));
}

#[tokio::test(flavor = "multi_thread")]
async fn purge_reaches_one_rendition_and_leaves_the_others() {
    let rig = Rig::mem_cache().await;
    rig.origin.set(PATH, "the old picture", &[]);
    for target in ["/birds/1.jpg?w=300", "/birds/1.jpg?w=600"] {
        rig.get(target).await;
    }
    rig.origin.set(PATH, "the new picture", &[]);
    assert_eq!(rig.purge_method("/birds/1.jpg?w=300").await, StatusCode::OK);
    assert_eq!(rig.purge_method("/birds/1.jpg").await, StatusCode::NOT_FOUND);
    assert_eq!(rig.get("/birds/1.jpg?w=600").await.text(), Ok("the old picture"));
}
