//! Answers that differ by a header of the request.

use crate::rig::{HOST, Rig, client};

const PATH: &str = "/birds/1.jpg";
const TARGET: &str = "/birds/1.jpg?w=300";

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_vary_are_kept_apart_and_purged_together() {
    let rig = Rig::indexed(1 << 20).await;
    let get = async |accept| client::get(rig.proxy, HOST, TARGET, &[("accept", accept)]).await;
    rig.origin.set(PATH, "a WebP", &[("vary", "Accept")]);
    assert_eq!(get("image/webp").await.text(), Ok("a WebP"));
    rig.origin.set(PATH, "a JPEG", &[("vary", "Accept")]);
    assert_eq!(get("image/jpeg").await.text(), Ok("a JPEG"));
    for (accept, body) in [("image/webp", "a WebP"), ("image/jpeg", "a JPEG")] {
        let hit = get(accept).await;
        assert_eq!((hit.text(), hit.cache_status()), (Ok(body), "pingora; hit"));
    }
    let purged = rig.invalidate("/purge/shop.example/birds/1.jpg").await;
    assert!(purged.starts_with("birds/1.jpg: 2 removed, "), "{purged}");
    rig.origin.set(PATH, "new", &[("vary", "Accept")]);
    for accept in ["image/webp", "image/jpeg"] {
        assert_eq!(get(accept).await.text(), Ok("new"));
    }
}

/// Pingora stores the first answer of a path in a place of its own, and takes what is older than
/// that for outdated. The answers must be kept again after that.
#[tokio::test(flavor = "multi_thread")]
async fn answers_are_kept_again_when_the_origin_varies_by_another_header() {
    let rig = Rig::indexed(1 << 20).await;
    let get = async |accept, lang| {
        let headers = [("accept", accept), ("accept-language", lang)];
        client::get(rig.proxy, HOST, TARGET, &headers).await
    };
    let allowed = ("cache-control", "max-age=0");
    rig.origin.set(PATH, "1", &[("vary", "Accept"), allowed]);
    get("image/webp", "en").await;
    rig.origin.set(PATH, "2", &[("vary", "Accept"), ("cache-control", "max-age=600")]);
    get("image/jpeg", "en").await;
    // The first answer, stale at once, is fetched again, and now varies by the language.
    rig.origin.set(PATH, "3", &[("vary", "Accept-Language"), ("cache-control", "max-age=600")]);
    assert_eq!(get("image/webp", "en").await.text(), Ok("3"));
    assert_eq!(get("image/jpeg", "en").await.text(), Ok("3"));
    assert_eq!(get("image/jpeg", "de").await.text(), Ok("3"));
    assert_eq!(get("image/jpeg", "de").await.cache_status(), "pingora; hit");
    assert_eq!(rig.index().unleased(), 0);
}
