//! The words of HTTP about caches: `Cache-Status`, `Cache-Control` and its targeted kin, `PURGE`,
//! and `Vary`.
//!
//! No test waits for a picture to get old: the origin sends one that is old already (`Age`).

use crate::app::client::{Answer, Client};
use crate::app::edge::{Edge, Limits};
use crate::app::freshness::{DEFAULT_TARGETS, TargetList};
use crate::app::origin::OriginError;
use crate::app::origin::http::Http;
use crate::app::server::Running;
use crate::harness::{
    BLUE, KEY, PATIENCE, RED, Site, eventually, json, picture, serve_plainly, setup, text,
};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cache_index::Lookup;
use cache_index::canonical::Grouping;
use parking_lot::Mutex;
use pictures::Format;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::timeout;

const BIRDS: &str = "/sample.li/birds.jpg";
const SMALL: &str = "/sample.li/birds.jpg?w=30";

fn status(answer: &Answer) -> &str {
    answer.header("cache-status")
}

/// A web server with one picture, and an edge in front of it that respects its headers.
struct Respecting {
    answer: Arc<Mutex<Scripted>>,
    running: Running,
    client: Client,
}

/// The next answers of the web server.
#[derive(Clone)]
struct Scripted {
    status: StatusCode,
    color: [u8; 3],
    lines: Vec<(&'static str, &'static str)>,
    asked: usize,
}

async fn answer(State(scripted): State<Arc<Mutex<Scripted>>>, request: HeaderMap) -> Response {
    let Scripted { status, color, lines, .. } = {
        let mut scripted = scripted.lock();
        scripted.asked += 1;
        scripted.clone()
    };
    let tag = format!("\"{color:?}\"");
    let mut response = match request.get(header::IF_NONE_MATCH) {
        Some(known) if status == StatusCode::OK && *known == tag => {
            StatusCode::NOT_MODIFIED.into_response()
        }
        _ => (status, [(header::ETAG, tag)], picture(color)).into_response(),
    };
    for (name, value) in lines {
        let name = HeaderName::from_static(name);
        response.headers_mut().append(name, HeaderValue::from_static(value));
    }
    response
}

impl Respecting {
    async fn start(targets: Option<&str>, lines: &[(&'static str, &'static str)]) -> Self {
        let scripted =
            Scripted { status: StatusCode::OK, color: RED, lines: lines.to_vec(), asked: 0 };
        let answer_of = Arc::new(Mutex::new(scripted));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&answer_of));
        tokio::spawn(serve_plainly(listener, router));
        let targets = targets.map(|targets| TargetList::parse(targets).unwrap());
        let http = Http::new(&format!("http://{address}/")).unwrap().respecting(targets);
        let edge = Edge::new(Arc::new(http), setup(Grouping::Grouped, Limits::default())).unwrap();
        let running = Running::start(edge).await.unwrap();
        let client = Client::new(running.delivery, running.control);
        Self { answer: answer_of, running, client }
    }

    fn set(&self, change: impl FnOnce(&mut Scripted)) {
        change(&mut self.answer.lock());
    }

    /// Asks for the picture, and checks `X-Cache` and `Cache-Status`.
    async fn expect(&self, cache: &str, status_of_cache: &str) -> Answer {
        let answer = self.client.get("/a.png?w=30").await.unwrap();
        assert_eq!(answer.status, 200, "{}", text(&answer));
        assert_eq!((answer.cache(), status(&answer)), (cache, status_of_cache));
        answer
    }

    fn asked(&self) -> usize {
        self.answer.lock().asked
    }
}

#[tokio::test]
async fn cache_status_says_what_the_cache_did() {
    let site = Site::start().await;
    let miss = site.expect(SMALL, 200, "MISS").await;
    assert_eq!(status(&miss), "edge; fwd=uri-miss; fwd-status=200; stored");
    assert_eq!(status(&site.expect(SMALL, 200, "HIT").await), "edge; hit");
    let known = [("if-none-match", miss.header("etag"))];
    let same = site.client.send(Method::GET, SMALL, &known, Bytes::new()).await.unwrap();
    assert_eq!((same.status.as_u16(), status(&same)), (304, "edge; hit"));
    assert!(same.header("access-control-expose-headers").contains("Cache-Status"));

    site.soften(&[BIRDS]).await;
    assert_eq!(status(&site.expect(SMALL, 200, "STALE").await), "edge; hit; detail=stale");

    // The edge's own answers are not about a cached one.
    site.script.set("sample.li/boat.jpg", Err(OriginError::Answered(500)));
    for (target, expected) in [
        ("/sample.li/nothing.jpg", 404),
        ("/sample.li/boat.jpg", 502),
        ("/sample.li/birds.jpg?blur=1", 400),
    ] {
        let answer = site.get(target).await;
        assert_eq!((answer.status.as_u16(), status(&answer)), (expected, ""), "{target}");
    }
}

#[tokio::test]
async fn cache_status_tells_a_collapsed_request_and_one_that_a_purge_overtook() {
    let site = Site::start().await;
    let ask = || {
        let client = site.client.clone();
        tokio::spawn(async move { client.get(SMALL).await.unwrap() })
    };
    let mut held = site.gate.hold_next("sample.li/birds.jpg");
    let first = ask();
    timeout(PATIENCE, held.arrived()).await.unwrap();
    let second = ask();
    eventually(|| site.edge().metrics.joined.get() == 1).await;
    drop(held);
    let stored = "edge; fwd=uri-miss; fwd-status=200; stored";
    assert_eq!(status(&first.await.unwrap()), stored);
    assert_eq!(status(&second.await.unwrap()), format!("{stored}; collapsed"));

    site.purge(&[BIRDS]).await;
    let mut held = site.gate.hold_next("sample.li/birds.jpg");
    let overtaken = ask();
    timeout(PATIENCE, held.arrived()).await.unwrap();
    site.purge(&[BIRDS]).await;
    drop(held);
    let overtaken = overtaken.await.unwrap();
    assert_eq!(status(&overtaken), "edge; fwd=uri-miss; fwd-status=200; detail=\"purged\"");
    assert_eq!(overtaken.header("x-not-kept"), "purged");
}

#[tokio::test]
async fn without_the_option_the_origin_limits_nothing() {
    let lines = [("cache-control", "no-store"), ("cdn-cache-control", "max-age=0")];
    let site = Respecting::start(None, &lines).await;
    site.expect("MISS", "edge; fwd=uri-miss; fwd-status=200; stored").await;
    let hit = site.expect("HIT", "edge; hit").await;
    assert_eq!(hit.header("cache-control"), "public, max-age=0, must-revalidate");
    assert_eq!(hit.header("cdn-cache-control"), "");
    assert_eq!(site.asked(), 1);
}

#[tokio::test]
async fn a_targeted_field_wins_and_is_not_passed_on() {
    let site = Respecting::start(
        Some(DEFAULT_TARGETS),
        &[
            ("cache-control", "no-store"),
            ("surrogate-control", "max-age=1"),
            ("cdn-cache-control", "max-age=100000"),
            ("age", "40000"),
        ],
    )
    .await;
    let miss = site.client.get("/a.png?w=30").await.unwrap();
    assert_eq!(status(&miss), "edge; fwd=uri-miss; fwd-status=200; stored; ttl=60000");
    let hit = site.client.get("/a.png?w=30").await.unwrap();
    assert_eq!(hit.cache(), "HIT");
    let ttl: i64 = status(&hit).strip_prefix("edge; hit; ttl=").unwrap().parse().unwrap();
    assert!((59_000..=60_000).contains(&ttl), "{ttl}");
    // Cache-Control is for the other caches.
    assert_eq!(hit.header("cache-control"), "no-store");
    for consumed in ["cdn-cache-control", "surrogate-control"] {
        assert_eq!(hit.header(consumed), "", "{consumed}");
    }
    assert_eq!(site.asked(), 1);

    // An invalid one is ignored.
    site.set(|it| it.lines = vec![("cache-control", "no-store"), ("cdn-cache-control", "a=,")]);
    let body = r#"{"scope":"all"}"#;
    assert_eq!(site.client.invalidate(KEY, body).await.unwrap().status, 201);
    for _ in 0..2 {
        let detail = "detail=\"the origin forbids it\"";
        let miss =
            site.expect("MISS", &format!("edge; fwd=uri-miss; fwd-status=200; {detail}")).await;
        assert_eq!(miss.header("x-not-kept"), "the origin forbids it");
    }
    assert_eq!((site.asked(), site.running.edge.store.len()), (3, 0));
}

#[tokio::test]
async fn what_is_too_old_is_fetched_again_first() {
    let old = [("cdn-cache-control", "max-age=60"), ("age", "60")];
    let site = Respecting::start(Some(DEFAULT_TARGETS), &old).await;
    site.expect("MISS", "edge; fwd=uri-miss; fwd-status=200; stored; ttl=0").await;
    // It has not changed: it isn't made again.
    site.expect("MISS", "edge; fwd=stale; fwd-status=304; stored; ttl=0").await;
    assert_eq!(site.running.edge.metrics.confirmed.get(), 1);
    site.set(|it| it.color = BLUE);
    let lines = vec![("cdn-cache-control", "max-age=60000")];
    site.set(|it| it.lines = lines);
    let new = site.expect("MISS", "edge; fwd=stale; fwd-status=200; stored; ttl=60000").await;
    assert_eq!(pictures::Picture::decode(&new.body).unwrap().color(), Some(BLUE));
    assert_eq!(site.client.get("/a.png?w=30").await.unwrap().cache(), "HIT");
    assert_eq!((site.asked(), site.running.edge.store.len()), (3, 1));
}

#[tokio::test]
async fn what_the_origin_forbids_later_is_dropped() {
    let site = Respecting::start(Some(DEFAULT_TARGETS), &[("cache-control", "no-cache")]).await;
    site.expect("MISS", "edge; fwd=uri-miss; fwd-status=200; stored; ttl=0").await;
    site.set(|it| it.lines = vec![("cache-control", "private")]);
    let detail = "detail=\"the origin forbids it\"";
    site.expect("MISS", &format!("edge; fwd=stale; fwd-status=304; {detail}")).await;
    eventually(|| site.running.edge.store.len() == 0).await;
    site.expect("MISS", &format!("edge; fwd=uri-miss; fwd-status=200; {detail}")).await;
}

#[tokio::test]
async fn stale_while_revalidate_serves_the_old_picture_during_one_refresh() {
    let text = "max-age=60, stale-while-revalidate=40000";
    let site =
        Respecting::start(Some(DEFAULT_TARGETS), &[("cache-control", text), ("age", "70")]).await;
    let miss = site.client.get("/a.png?w=30").await.unwrap();
    assert_eq!(status(&miss), "edge; fwd=uri-miss; fwd-status=200; stored; ttl=-10");
    let told = "public, max-age=0, stale-while-revalidate=40000";
    assert_eq!(miss.header("cache-control"), told);

    site.set(|it| (it.color, it.lines) = (BLUE, vec![("cache-control", "max-age=60000")]));
    let stale = site.client.get("/a.png?w=30").await.unwrap();
    assert_eq!((stale.cache(), &stale.body), ("STALE", &miss.body));
    let ttl: i64 = status(&stale).strip_prefix("edge; hit; ttl=").unwrap().parse().unwrap();
    assert!(ttl <= -10, "{ttl}");
    let edge = &site.running.edge;
    eventually(|| edge.metrics.fills.get() == 2 && edge.fills.len() == 0).await;
    let fresh = site.client.get("/a.png?w=30").await.unwrap();
    assert_eq!(fresh.cache(), "HIT");
    assert_ne!(fresh.body, miss.body);
    assert_eq!((site.asked(), edge.metrics.refreshes.get()), (2, 1));
}

#[tokio::test]
async fn stale_if_error_serves_the_old_picture_when_the_origin_fails() {
    let text = "max-age=60, stale-if-error=40000";
    let old = [("surrogate-control", text), ("cache-control", text), ("age", "70")];
    let site = Respecting::start(Some(DEFAULT_TARGETS), &old).await;
    let miss = site.client.get("/a.png?w=30").await.unwrap();
    assert_eq!(miss.header("cache-control"), "public, max-age=0, stale-if-error=40000");

    site.set(|it| it.status = StatusCode::SERVICE_UNAVAILABLE);
    let stale = site.client.get("/a.png?w=30").await.unwrap();
    assert_eq!((stale.cache(), &stale.body), ("STALE", &miss.body));
    let said = status(&stale);
    assert!(said.starts_with("edge; fwd=stale; fwd-status=503; ttl=-"), "{said}");
    assert!(said.ends_with("; detail=\"the origin failed: it answers 503\""), "{said}");

    // For a while, the origin isn't asked again.
    let edge = &site.running.edge;
    let account = &edge.accounts.all()[0];
    let names = account.filing.delivery("/a.png?w=30").unwrap();
    let found = edge.look_up(&account.tenant, &names.origin, &names.variant);
    let Lookup::Live((_, object)) = found else { panic!("{found:?}") };
    object.put_off_refresh(Duration::from_secs(3600));
    let asked = site.asked();
    let stale = site.client.get("/a.png?w=30").await.unwrap();
    assert_eq!((stale.cache(), &stale.body), ("STALE", &miss.body));
    assert!(status(&stale).starts_with("edge; hit; ttl=-"), "{}", status(&stale));
    assert_eq!(site.asked(), asked);

    // Without such a window, the failure is told.
    site.set(|it| (it.status, it.lines[0].1) = (StatusCode::OK, "max-age=60"));
    let body = r#"{"scope":"all"}"#;
    assert_eq!(site.client.invalidate(KEY, body).await.unwrap().status, 201);
    assert_eq!(site.client.get("/a.png?w=30").await.unwrap().status, 200);
    site.set(|it| it.status = StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(site.client.get("/a.png?w=30").await.unwrap().status, 502);
}

#[tokio::test]
async fn a_soft_invalidation_serves_nothing_stale_that_must_be_revalidated() {
    let text = "max-age=60000, must-revalidate, stale-while-revalidate=60000";
    let site = Respecting::start(Some(DEFAULT_TARGETS), &[("cache-control", text)]).await;
    site.expect("MISS", "edge; fwd=uri-miss; fwd-status=200; stored; ttl=60000").await;
    site.set(|it| it.color = BLUE);
    let body = r#"{"scope":"all","mode":"soft"}"#;
    assert_eq!(site.client.invalidate(KEY, body).await.unwrap().status, 201);
    let new = site.expect("MISS", "edge; fwd=stale; fwd-status=200; stored; ttl=60000").await;
    assert_eq!(pictures::Picture::decode(&new.body).unwrap().color(), Some(BLUE));
}

async fn negotiating() -> Site {
    Site::start_with(Limits { negotiate: true, ..Limits::default() }).await
}

async fn accepting(site: &Site, target: &str, accept: &str) -> Answer {
    let headers = [("accept", accept)];
    site.client.send(Method::GET, target, &headers, Bytes::new()).await.unwrap()
}

#[tokio::test]
async fn accept_decides_between_webp_and_jpeg() {
    let site = negotiating().await;
    let webp = accepting(&site, SMALL, "image/webp,*/*;q=0.8").await;
    assert_eq!((Format::of(&webp.body), webp.cache()), (Some(Format::WebP), "MISS"));
    assert_eq!((webp.header("content-type"), webp.header("vary")), ("image/webp", "Accept"));
    assert_eq!(status(&webp), "edge; fwd=uri-miss; fwd-status=200; stored");

    // The other representation, for a client that rules WebP out.
    let jpeg = accepting(&site, SMALL, "image/webp;q=0, */*").await;
    assert_eq!((Format::of(&jpeg.body), jpeg.cache()), (Some(Format::Jpeg), "MISS"));
    assert_eq!((jpeg.header("content-type"), jpeg.header("vary")), ("image/jpeg", "Accept"));
    assert_eq!(status(&jpeg), "edge; fwd=vary-miss; fwd-status=200; stored");
    assert_ne!(jpeg.header("etag"), webp.header("etag"));

    for (accept, expected) in [("image/webp", &webp), ("*/*", &jpeg), ("text/html", &jpeg)] {
        let hit = accepting(&site, SMALL, accept).await;
        assert_eq!((hit.cache(), &hit.body), ("HIT", &expected.body), "{accept}");
        assert_eq!(hit.header("vary"), "Accept");
    }
    let known = [("accept", "image/webp"), ("if-none-match", webp.header("etag"))];
    let same = site.client.send(Method::GET, SMALL, &known, Bytes::new()).await.unwrap();
    assert_eq!((same.status.as_u16(), same.header("vary")), (304, "Accept"));
    assert_eq!(site.variants("sample.li/birds.jpg"), ["?w=30#jpeg", "?w=30#webp"]);
    site.assert_agreement();
}

#[tokio::test]
async fn all_representations_are_purged_together() {
    let site = negotiating().await;
    let neighbor = "/sample.li/birds.jpg?w=31";
    let bodies = [
        r#"{"scope":"original","urls":["/sample.li/birds.jpg"]}"#,
        r#"{"scope":"original","urls":["/sample.li/birds.jpg"],"transformations":["?w=30"]}"#,
        r#"{"scope":"urls","urls":["/sample.li/birds.jpg?w=30"]}"#,
    ];
    for (body, left) in bodies.iter().zip([0, 2, 2]) {
        for target in [SMALL, neighbor] {
            accepting(&site, target, "image/webp").await;
            accepting(&site, target, "*/*").await;
        }
        assert_eq!(site.variants("sample.li/birds.jpg").len(), 4);
        assert_eq!(site.post(*body).await.status, 201);
        assert_eq!(site.variants("sample.li/birds.jpg").len(), left, "{body}");
        for accept in ["image/webp", "*/*"] {
            assert_eq!(accepting(&site, SMALL, accept).await.cache(), "MISS", "{body}");
        }
    }
    site.assert_agreement();
}

#[tokio::test]
async fn a_stale_representation_is_refreshed_as_the_one_that_it_is() {
    let site = negotiating().await;
    accepting(&site, SMALL, "image/webp").await;
    site.soften(&[BIRDS]).await;
    assert_eq!(accepting(&site, SMALL, "image/webp").await.cache(), "STALE");
    eventually(|| site.edge().index.stats().stale == 0).await;
    let fresh = accepting(&site, SMALL, "image/webp").await;
    assert_eq!((fresh.cache(), Format::of(&fresh.body)), ("HIT", Some(Format::WebP)));
}

#[tokio::test]
async fn what_is_not_made_or_names_its_format_is_not_negotiated() {
    let site = negotiating().await;
    for (target, format) in [
        (BIRDS, Format::Png),
        ("/sample.li/birds.jpg?vh=7", Format::Png),
        ("/sample.li/birds.jpg?w=30&force_format=png", Format::Png),
        ("/sample.li/birds.jpg?w=30&force_format=jpeg", Format::Jpeg),
    ] {
        let answer = accepting(&site, target, "image/webp").await;
        assert_eq!(Format::of(&answer.body), Some(format), "{target}");
        assert_eq!(answer.header("vary"), "", "{target}");
        assert_eq!(accepting(&site, target, "*/*").await.cache(), "HIT", "{target}");
    }
    // And nothing is without the option.
    let plain = Site::start().await;
    let answer = accepting(&plain, SMALL, "image/webp").await;
    assert_eq!((Format::of(&answer.body), answer.header("vary")), (Some(Format::Png), ""));
}

async fn purge(site: &Site, target: &str, headers: &[(&str, &str)]) -> Answer {
    let method = Method::from_bytes(b"PURGE").unwrap();
    site.client.control(method, target, headers, Bytes::new()).await.unwrap()
}

const RIGHT: [(&str, &str); 1] = [("x-client-key", KEY)];

#[tokio::test]
async fn purge_removes_a_picture_in_all_sizes_and_spellings() {
    let site = Site::start().await;
    site.script.set("https://sample.li/birds.jpg", Ok(picture(RED)));
    for target in [BIRDS, SMALL, "/https://sample.li/birds.jpg?w=31", "/sample.li/boat.jpg"] {
        assert_eq!(site.get(target).await.status, 200, "{target}");
    }
    let answer = purge(&site, "/SAMPLE.li/./b%69rds.jpg", &RIGHT).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"));
    let receipt = &json(&answer)["invalidation"];
    let entry = json!({
        "position": 0, "origin": "sample.li/birds.jpg", "outcome": "removed", "variants": 3,
        "overtaken_fills": 0,
    });
    assert_eq!(receipt["entries"], json!([entry]));
    assert_eq!(
        (&receipt["scope"], &receipt["mode"], &receipt["status"]),
        (&json!("original"), &json!("hard"), &json!("DONE"))
    );
    assert_eq!(site.variants("sample.li/birds.jpg"), [""; 0]);
    site.expect("/sample.li/boat.jpg", 200, "HIT").await;
    site.expect(SMALL, 200, "MISS").await;

    // It is remembered as every invalidation is.
    let uuid = receipt["uuid"].as_str().unwrap();
    let later = site.ask(&format!("/invalidate/{uuid}")).await;
    let received = &json(&later)["invalidation"]["urls"]["received"];
    assert_eq!(received, &json!(["/SAMPLE.li/./b%69rds.jpg"]));
    site.assert_agreement();
}

#[tokio::test]
async fn purge_with_operations_removes_this_rendition() {
    let site = Site::start().await;
    let neighbor = "/sample.li/birds.jpg?w=31";
    for target in [SMALL, neighbor] {
        site.expect(target, 200, "MISS").await;
    }
    let answer = purge(&site, "/sample.li/birds.jpg?width=30", &RIGHT).await;
    assert_eq!(answer.status, 200);
    let receipt = &json(&answer)["invalidation"];
    assert_eq!(
        (&receipt["scope"], &receipt["entries"][0]["variant"]),
        (&json!("urls"), &json!("?w=30"))
    );
    site.expect(neighbor, 200, "HIT").await;
    site.expect(SMALL, 200, "MISS").await;
}

#[tokio::test]
async fn purge_needs_the_key_and_a_picture_and_the_control_listener() {
    let site = Site::start().await;
    site.expect(SMALL, 200, "MISS").await;
    let before = site.state();
    for (target, headers, status, reason) in [
        (BIRDS, &[][..], 401, "wrong or missing client key"),
        (BIRDS, &[("x-client-key", "wrong")], 401, "wrong or missing client key"),
        ("/sample.li/../birds.jpg", &RIGHT, 400, "malformed URL: path climbs above its root"),
        ("/sample.li/b%.jpg", &RIGHT, 400, "malformed URL: invalid percent escape"),
        ("/", &RIGHT, 405, "expected GET or HEAD"),
        ("/stats", &RIGHT, 405, "expected GET or HEAD"),
        ("/invalidate", &RIGHT, 405, "expected POST"),
    ] {
        let answer = purge(&site, target, headers).await;
        assert_eq!(answer.status.as_u16(), status, "{target}");
        let told = json(&answer)["msg"].as_str().unwrap().to_owned();
        assert!(told.starts_with(reason), "{target}: {told}");
        assert_eq!(answer.header("allow").is_empty(), status != 405, "{target}");
    }
    let method = Method::from_bytes(b"PURGE").unwrap();
    let answer = site.client.send(method, SMALL, &RIGHT, Bytes::new()).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "GET, HEAD"));
    assert_eq!(site.state(), before);

    // Nothing there is no error, as for every invalidation.
    let answer = purge(&site, "/sample.li/nothing.jpg", &RIGHT).await;
    assert_eq!(answer.status, 200);
    assert_eq!(json(&answer)["invalidation"]["entries"][0]["outcome"], "matched nothing");
}

#[tokio::test]
async fn a_fill_that_a_purge_overtakes_is_not_kept() {
    let site = Site::start().await;
    let mut held = site.gate.hold_next("sample.li/birds.jpg");
    let client = site.client.clone();
    let asking = tokio::spawn(async move { client.get(SMALL).await.unwrap() });
    timeout(PATIENCE, held.arrived()).await.unwrap();
    let answer = purge(&site, BIRDS, &RIGHT).await;
    assert_eq!(json(&answer)["invalidation"]["entries"][0]["overtaken_fills"], 1);
    drop(held);
    assert_eq!(asking.await.unwrap().header("x-not-kept"), "purged");
    site.expect(SMALL, 200, "MISS").await;
}
