//! Clients, which check each answer, and purgers.

use crate::World;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Time between two purges of one purger.
const PAUSE: Duration = Duration::from_millis(5);

/// Counted by one party, or by all of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) answers: u64,
    pub(crate) too_old: u64,
    pub(crate) purges: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.answers += other.answers;
        self.too_old += other.too_old;
        self.purges += other.purges;
    }
}

type Http = Client<HttpConnector, Empty<Bytes>>;

async fn send(http: &Http, world: &World, method: Method, target: &str) -> Result<Bytes, String> {
    let uri = format!("http://{}{target}", world.args.server);
    let failed = |error: &dyn std::fmt::Display| format!("{method} {target}: {error}");
    let request = Request::builder().method(&method).uri(uri).body(Empty::new());
    let answer = http.request(request.map_err(|error| failed(&error))?).await;
    let answer = answer.map_err(|error| failed(&error))?;
    let status = answer.status();
    let body = answer.into_body().collect().await.map_err(|error| failed(&error))?.to_bytes();
    if !status.is_success() {
        return Err(failed(&format!("{status} {}", String::from_utf8_lossy(&body))));
    }
    Ok(body)
}

/// Requests pictures until the time is over.
pub(crate) async fn client(world: Arc<World>) -> Result<Counts, String> {
    let http = Client::builder(TokioExecutor::new()).build_http();
    let mut counts = Counts::default();
    while Instant::now() < world.until {
        let number = fastrand::usize(..world.pictures.len());
        let target = format!("/{number}.jpg?w={}", fastrand::usize(..world.args.renditions));
        // Read before the request is sent.
        let purged = world.pictures[number].purged.load(Ordering::SeqCst);
        let body = send(&http, &world, Method::GET, &target).await?;
        let version = std::str::from_utf8(&body).ok().and_then(|text| text.parse::<u64>().ok());
        let Some(version) = version else {
            return Err(format!("GET {target}: {body:?}, expected a version"));
        };
        counts.answers += 1;
        counts.too_old += u64::from(version < purged);
    }
    Ok(counts)
}

/// Changes and purges pictures until the time is over.
pub(crate) async fn purger(world: Arc<World>) -> Result<Counts, String> {
    let http = Client::builder(TokioExecutor::new()).build_http();
    let method = Method::from_bytes(b"PURGE").map_err(|error| error.to_string())?;
    let mut counts = Counts::default();
    while Instant::now() < world.until {
        let number = fastrand::usize(..world.pictures.len());
        let picture = &world.pictures[number];
        let version = picture.at_origin.fetch_add(1, Ordering::SeqCst) + 1;
        send(&http, &world, method.clone(), &format!("/{number}.jpg")).await?;
        // The purge has returned.
        picture.purged.fetch_max(version, Ordering::SeqCst);
        counts.purges += 1;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(counts)
}
