//! `Shield`: another edge, which is asked for pictures instead of the origin: `--shield`.
//!
//! Invariant: the number of the last invalidation that has begun here is read *after* the lease was
//! taken. A larger number then refuses the lease, and a smaller or equal one was applied by the
//! shield before it looked into its cache. An answer without the echo is served and not kept.

use super::edge::Edge;
use super::fill::Job;
use super::origin::Fetched;
use super::tier::CACHE_WATERMARK;
use axum::body::Bytes;
use axum::http::uri::{Authority, Scheme};
use axum::http::{HeaderMap, Request, StatusCode, Uri, header};
use cache_index_watermark::Watermark;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use std::time::Duration;
use url::form_urlencoded;

/// How long an edge waits until its own invalidations have numbers. Longer in tests, so that they
/// hold on a slow machine.
const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 2000 } else { 100 });

/// The largest source, in bytes.
const MOST_BYTES: usize = 32 << 20;

const CONNECT_TIME: Duration = Duration::from_secs(2);

/// Another edge.
pub(crate) struct Shield {
    client: Client<HttpConnector, Empty<Bytes>>,
    authority: Authority,
    pub(crate) counters: ShieldCounters,
}

/// How often the shield was asked, by result.
#[derive(Default)]
pub(crate) struct ShieldCounters {
    kept: Counter,
    unproven: Counter,
    unnumbered: Counter,
    failed: Counter,
}

/// The answer of a shield.
pub(crate) struct Answer {
    pub(crate) fetched: Fetched,
    /// Whether it may be kept.
    pub(crate) is_proven: bool,
}

impl ShieldCounters {
    pub(crate) fn report(&self) -> Value {
        json!({
            "proven": self.kept.get(),
            "unproven": self.unproven.get(),
            "unnumbered": self.unnumbered.get(),
            "failed": self.failed.get(),
        })
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("shield");
        for (name, help, counter) in [
            ("proven", "Answers with an echo, which may be kept", &self.kept),
            ("unproven", "Answers without an echo, which are not kept", &self.unproven),
            ("unnumbered", "Fetches from the origin: an own invalidation has no number yet", {
                &self.unnumbered
            }),
            ("failed", "Fetches from the origin: the shield has failed", &self.failed),
        ] {
            registry.register(name, help, counter.clone());
        }
    }
}

impl Shield {
    /// # Errors
    /// If `url` isn't `http://` and a host.
    pub(crate) fn new(url: &str) -> Result<Self, String> {
        let wrong = || format!("the shield must be a URL like http://host:port, got {url:?}");
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let is_plain = uri.scheme() == Some(&Scheme::HTTP)
            && matches!(uri.path(), "" | "/")
            && uri.query().is_none();
        let authority = uri.authority().filter(|it| is_plain && !it.as_str().contains('@'));
        let authority = authority.cloned().ok_or_else(wrong)?;
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIME));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .build(connector);
        Ok(Self { client, authority, counters: ShieldCounters::default() })
    }

    /// Asks for a source. `None`: ask the origin.
    pub(crate) async fn ask(&self, job: &Job, sent: &Watermark) -> Option<Answer> {
        let answer = self.get(&target(job)?, sent).await;
        let counters = &self.counters;
        let counter = match &answer {
            Some(Answer { is_proven: true, .. }) => &counters.kept,
            Some(_) => &counters.unproven,
            None => &counters.failed,
        };
        counter.inc();
        answer
    }

    async fn get(&self, target: &str, sent: &Watermark) -> Option<Answer> {
        let url = Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(self.authority.clone())
            .path_and_query(target)
            .build()
            .ok()?;
        let request = Request::get(url)
            .header(header::USER_AGENT, "cache-index-edge")
            .header(CACHE_WATERMARK, sent.to_string())
            .body(Empty::new())
            .ok()?;
        let (parts, body) = self.client.request(request).await.ok()?.into_parts();
        if parts.status != StatusCode::OK {
            return None;
        }
        let bytes = Limited::new(body, MOST_BYTES).collect().await.ok()?.to_bytes();
        let is_proven = sent.allows_keeping(echo(&parts.headers).as_ref());
        Some(Answer { fetched: Fetched::from(bytes), is_proven })
    }
}

/// The number for the shield, if there is one. The lease of the fill must have been taken before.
/// `None`: ask the origin.
pub(crate) async fn number(edge: &Edge) -> Option<Watermark> {
    let shield = edge.shield.as_ref()?;
    let number = edge.index.begun(PATIENCE).await;
    if number.is_none() {
        shield.counters.unnumbered.inc();
    }
    number
}

/// The echo, if there is exactly one that can be read.
fn echo(headers: &HeaderMap) -> Option<Watermark> {
    let mut values = headers.get_all(CACHE_WATERMARK).iter();
    let echo = values.next()?.to_str().ok()?.parse().ok()?;
    values.next().is_none().then_some(echo)
}

/// The request target by which a shield knows the source, if there is one.
fn target(job: &Job) -> Option<String> {
    let path = job.origin.as_str();
    let target = if path.contains(['?', '#']) {
        let encoded: String = form_urlencoded::byte_serialize(path.as_bytes()).collect();
        format!("/{encoded}?ci_url_encoded=1")
    } else {
        format!("/{path}")
    };
    // The shield must read the same name.
    let read = job.account.exact.request_target(&target).ok()?;
    (read.origin == job.origin && read.variant.as_str() == "?").then_some(target)
}
