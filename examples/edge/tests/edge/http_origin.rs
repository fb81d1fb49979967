//! `--origin http://...`: a web server that may be slow, broken, or up to no good.

use crate::app::client::{Answer, Client};
use crate::app::edge::{Edge, Limits};
use crate::app::origin::http::Http;
use crate::app::server::Running;
use crate::harness::{BLUE, RED, eventually, picture, setup, text};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cache_index::canonical::Grouping;
use futures_util::StreamExt;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::sleep;

/// A web server, and the requests that it received.
struct Origin {
    asked: Arc<Mutex<Vec<String>>>,
    running: Running,
    client: Client,
}

async fn answer(State(asked): State<Arc<Mutex<Vec<String>>>>, request: Request) -> Response {
    let path = request.uri().to_string();
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    asked.lock().push(path.clone());
    match path.as_str() {
        "/pictures/a.png" => picture(RED).into_response(),
        "/pictures/a%20b.png?id=7" => picture(BLUE).into_response(),
        "/pictures/tagged.png" if known.is_some_and(|tag| tag == "\"one\"") => {
            StatusCode::NOT_MODIFIED.into_response()
        }
        "/pictures/tagged.png" => ([(header::ETAG, "\"one\"")], picture(RED)).into_response(),
        "/pictures/liar.png" => {
            ([(header::CONTENT_TYPE, "image/png")], "<script>alert(1)</script>").into_response()
        }
        "/pictures/modest.txt" => {
            ([(header::CONTENT_TYPE, "text/plain")], picture(RED)).into_response()
        }
        "/pictures/moved.png" => (
            StatusCode::FOUND,
            [(header::LOCATION, HeaderValue::from_static("http://127.0.0.1:1/"))],
        )
            .into_response(),
        "/pictures/packed.png" => {
            ([(header::CONTENT_ENCODING, "gzip")], picture(RED)).into_response()
        }
        "/pictures/error.png" => (StatusCode::INTERNAL_SERVER_ERROR, picture(RED)).into_response(),
        "/pictures/half.png" => {
            let half = picture(RED).slice(..40);
            ([(header::CONTENT_LENGTH, "100")], Body::from_stream(broken_off(half))).into_response()
        }
        "/pictures/endless.png" => Body::from_stream(endless()).into_response(),
        "/pictures/slow.png" => {
            sleep(Duration::from_secs(600)).await;
            picture(RED).into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Gives some bytes, and breaks off when they have been sent.
fn broken_off(bytes: Bytes) -> impl futures_util::Stream<Item = Result<Bytes, std::io::Error>> {
    let end = async {
        sleep(Duration::from_millis(50)).await;
        Err(std::io::Error::other("broken off"))
    };
    futures_util::stream::once(async { Ok(bytes) }).chain(futures_util::stream::once(end))
}

fn endless() -> impl futures_util::Stream<Item = Result<Bytes, std::io::Error>> {
    let megabyte = Bytes::from(vec![0; 1 << 20]);
    futures_util::stream::repeat_with(move || Ok(megabyte.clone()))
}

impl Origin {
    async fn start() -> Self {
        Self::start_with(Limits::default()).await
    }

    async fn start_with(limits: Limits) -> Self {
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&asked));
        tokio::spawn(crate::harness::serve_plainly(listener, router));
        let http = Http::new(&format!("http://{address}/pictures/")).unwrap();
        let edge = Edge::new(Arc::new(http), setup(Grouping::Grouped, limits)).unwrap();
        let running = Running::start(edge).await.unwrap();
        let client = Client::new(running.delivery, running.control);
        Self { asked, running, client }
    }

    async fn get(&self, target: &str) -> Answer {
        self.client.get(target).await.unwrap()
    }
}

#[tokio::test]
async fn pictures_come_from_below_the_configured_url() {
    let origin = Origin::start().await;
    let answer = origin.get("/a.png").await;
    assert_eq!((answer.body.clone(), answer.cache()), (picture(RED), "MISS"));
    assert_eq!(origin.get("/a.png").await.cache(), "HIT");
    let encoded = "/a%2520b.png%3Fid%3D7?ci_url_encoded=1";
    assert_eq!(origin.get(encoded).await.body, picture(BLUE));
    assert_eq!(origin.get("/modest.txt").await.header("content-type"), "image/png", "by content");
    assert_eq!(
        *origin.asked.lock(),
        ["/pictures/a.png", "/pictures/a%20b.png?id=7", "/pictures/modest.txt"]
    );
    origin.running.stop().await;
}

#[tokio::test]
async fn what_is_no_picture_is_said_and_never_kept() {
    let origin = Origin::start().await;
    for (target, status, reason) in [
        ("/nothing.png", 404, "the origin has no such picture"),
        ("/error.png", 502, "the origin failed: it answers 500"),
        ("/moved.png", 502, "the origin failed: it redirects (302), which is not followed"),
        (
            "/packed.png",
            502,
            "the origin failed: it sends an encoded body, which was not asked for",
        ),
        ("/liar.png", 502, "the source is no JPEG, PNG or WebP picture"),
        ("/half.png", 502, "the origin failed: the picture ends too early"),
        ("/endless.png", 502, "the origin failed: the picture is larger than 33554432 bytes"),
        ("/https://evil.example/a.png", 404, "the origin has no such picture"),
    ] {
        for _ in 0..2 {
            let answer = origin.get(target).await;
            assert_eq!(
                (answer.status.as_u16(), text(&answer).trim_end()),
                (status, reason),
                "{target}"
            );
            assert_eq!((answer.cache(), answer.header("cache-control")), ("", "no-store"));
        }
    }
    assert_eq!(origin.running.edge.index.stats().live, 0);
    assert!(!origin.asked.lock().iter().any(|asked| asked.contains("evil")));
    origin.running.stop().await;
}

#[tokio::test]
async fn an_origin_that_does_not_answer_is_given_up() {
    let limits = Limits { fetch_time: Duration::from_millis(200), ..Limits::default() };
    let origin = Origin::start_with(limits).await;
    for _ in 0..2 {
        let answer = origin.get("/slow.png").await;
        let seen = (answer.status.as_u16(), text(&answer).trim_end().to_owned());
        assert_eq!(seen, (504, "the origin took too long".to_owned()));
        assert_eq!((answer.cache(), answer.header("cache-control")), ("", "no-store"));
    }
    assert_eq!(origin.running.edge.index.stats().live, 0);
    origin.running.stop().await;
}

#[tokio::test]
async fn a_refresh_asks_whether_there_is_a_newer_version() {
    let origin = Origin::start().await;
    origin.get("/tagged.png?w=30").await;
    let body = r#"{"scope":"all","mode":"soft"}"#;
    assert_eq!(
        origin.client.invalidate(crate::harness::KEY, body).await.unwrap().status.as_u16(),
        201
    );
    assert_eq!(origin.get("/tagged.png?w=30").await.cache(), "STALE");
    let edge = Arc::clone(&origin.running.edge);
    eventually(|| edge.index.stats().stale == 0).await;
    assert_eq!(origin.get("/tagged.png?w=30").await.cache(), "HIT");
    assert_eq!(edge.metrics.confirmed.get(), 1);
    origin.running.stop().await;
}

#[tokio::test]
async fn an_origin_that_cannot_be_reached_is_a_fault_and_not_the_end() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let http = Http::new(&format!("http://{address}")).unwrap();
    let edge = Edge::new(Arc::new(http), setup(Grouping::Grouped, Limits::default())).unwrap();
    let running = Running::start(edge).await.unwrap();
    let answer = Client::new(running.delivery, running.control).get("/a.png").await.unwrap();
    assert_eq!(
        (answer.status.as_u16(), text(&answer).trim_end()),
        (502, "the origin failed: it can't be reached")
    );
    running.stop().await;
}
