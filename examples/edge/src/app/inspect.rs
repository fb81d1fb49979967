//! Inspection: the cached renditions of a picture, the agreement of index and store, and counters.
//!
//! Invariant: this module does not change what is served.

use super::control::{authorize, head_of, reply};
use super::edge::Edge;
use super::fault::Fault;
use super::metrics::Metrics;
use super::store::ObjectId;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use cache_index::canonical::Target;
use cache_index::{Lookup, PathPrefix};
use http_body_util::Full;
use prometheus_client::encoding::prometheus_text;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::task;
use url::form_urlencoded;

/// Answers `GET /variants?origin=...` with the cached renditions of a picture.
pub(crate) async fn variants(
    State(edge): State<Arc<Edge>>,
    request: Request,
) -> Response<Full<Bytes>> {
    let parts = head_of(request);
    let answer = authorize(&edge, &parts).and_then(|account| {
        let origin = origin(parts.uri.query().unwrap_or_default())?;
        let path = match account.filing.invalidation(&origin) {
            Ok(Target::Path(path)) => path,
            Ok(_) => {
                return Err(Fault::unprocessable("origin must name one picture, without a star"));
            }
            Err(error) => {
                return Err(Fault::unprocessable(format!("origin names no picture: {error}")));
            }
        };
        let mut variants = edge.index.variants(&account.tenant, &path);
        variants.sort();
        let list = variants.iter().filter_map(|variant| {
            let (state, object) = match edge.look_up(&account.tenant, &path, variant) {
                Lookup::Live((_, object)) => ("live", object),
                Lookup::Stale((_, object)) => ("stale", object),
                Lookup::Miss => return None,
            };
            Some(json!({
                "variant": variant.as_str(),
                "state": state,
                "age": object.made.elapsed().as_secs(),
                "bytes": object.bytes.len(),
                "content_type": object.format.content_type(),
                "etag": object.etag.to_str().unwrap_or_default(),
            }))
        });
        let list: Vec<Value> = list.collect();
        Ok(json!({ "origin": path.as_str(), "variants": list }))
    });
    match answer {
        Ok(answer) => reply(StatusCode::OK, &answer),
        Err(fault) => fault.to_json(),
    }
}

fn origin(query: &str) -> Result<String, Fault> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    match (pairs.next(), pairs.next()) {
        (Some((name, value)), None) if name == "origin" => Ok(value.into_owned()),
        _ => Err(Fault::bad_request("expected exactly one query parameter: origin")),
    }
}

/// Whether each entry of the index has its object, and each object in the store its entry.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Agreement {
    pub(crate) agree: bool,
    pub(crate) entries: usize,
    pub(crate) objects: usize,
    pub(crate) entries_without_object: usize,
    pub(crate) objects_without_entry: usize,
}

/// Answers `GET /check`. It visits everything, so there is one at a time.
pub(crate) async fn check(State(edge): State<Arc<Edge>>) -> Response<Full<Bytes>> {
    let checking = Arc::clone(&edge);
    let Ok(_turn) = edge.checks.try_acquire() else {
        let reason = "a check is under way";
        return Fault::new(StatusCode::TOO_MANY_REQUESTS, reason).to_json();
    };
    match task::spawn_blocking(move || agreement(&checking)).await {
        Ok(agreement) => {
            let status = if agreement.agree { StatusCode::OK } else { StatusCode::CONFLICT };
            reply(status, &agreement)
        }
        Err(_) => Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "the check failed").to_json(),
    }
}

/// Compares index and store while they are in use. An apparent difference may only be in transit.
/// So it is checked again after dead objects have been deleted.
pub(crate) fn agreement(edge: &Edge) -> Agreement {
    edge.reclaim();
    let filed = entries(edge);
    let lost: Vec<_> = filed.iter().filter(|entry| !edge.store.contains(entry.id)).collect();
    let left_over: Vec<_> =
        edge.store.all().into_iter().filter(|(id, object)| !is_filed(edge, *id, object)).collect();
    let objects = edge.store.len();
    if !left_over.is_empty() {
        edge.reclaim();
    }
    let entries_without_object = lost.iter().filter(|entry| entry.is_lost(edge)).count();
    let still_there = |(id, object): &&(ObjectId, Arc<super::store::Object>)| {
        edge.store.contains(*id) && !is_filed(edge, *id, object)
    };
    let objects_without_entry = left_over.iter().filter(still_there).count();
    Agreement {
        agree: entries_without_object == 0 && objects_without_entry == 0,
        entries: filed.len(),
        objects,
        entries_without_object,
        objects_without_entry,
    }
}

struct Entry {
    filed: super::store::Filed,
    id: ObjectId,
}

impl Entry {
    /// Whether the index still holds an object that isn't there.
    fn is_lost(&self, edge: &Edge) -> bool {
        let super::store::Filed { tenant, path, variant } = &self.filed;
        let held = edge.index.lookup(tenant, path, variant).servable();
        held == Some(self.id) && !edge.store.contains(self.id)
    }
}

/// All entries that may be served.
fn entries(edge: &Edge) -> Vec<Entry> {
    let Ok(everything) = PathPrefix::from_canonical("") else { return Vec::new() };
    let mut found = Vec::new();
    for account in edge.accounts.all() {
        let tenant = &account.tenant;
        for path in edge.index.paths(tenant, &everything) {
            for variant in edge.index.variants(tenant, &path) {
                let Some(id) = edge.index.lookup(tenant, &path, &variant).servable() else {
                    continue;
                };
                let (tenant, path) = (tenant.clone(), path.clone());
                found.push(Entry { filed: super::store::Filed { tenant, path, variant }, id });
            }
        }
    }
    found
}

fn is_filed(edge: &Edge, id: ObjectId, object: &super::store::Object) -> bool {
    let filed = &object.filed;
    let held = edge.index.lookup(&filed.tenant, &filed.path, &filed.variant).servable();
    held == Some(id)
}

/// Answers `GET /healthz`.
pub(crate) async fn healthz() -> Response<Full<Bytes>> {
    reply(StatusCode::OK, &json!({ "status": "ok" }))
}

/// Answers `GET /metrics`.
pub(crate) async fn metrics(State(edge): State<Arc<Edge>>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(Metrics::render(&edge))));
    let content_type = HeaderValue::from_static(prometheus_text::CONTENT_TYPE);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

/// Answers `GET /stats`: some of the metrics, for a page that asks again and again.
pub(crate) async fn stats(State(edge): State<Arc<Edge>>) -> Response<Full<Bytes>> {
    let stats = edge.index.stats();
    let metrics = &edge.metrics;
    let answer = json!({
        "uptime": edge.started.elapsed().as_secs_f64(),
        "hits": metrics.hits.get(),
        "stale_hits": metrics.stale_hits.get(),
        "misses": metrics.misses.get(),
        "fills": metrics.fills.get(),
        "fills_refused": stats.refused_purged + stats.refused_flushed,
        "evictions": edge.store.evicted(),
        "entries": { "live": stats.live, "stale": stats.stale, "dead": stats.dead },
        "pictures": stats.paths,
        "objects": edge.store.len(),
        "store_bytes": edge.store.bytes(),
        "store_capacity_bytes": edge.store.capacity(),
        "index_bytes": stats.bytes,
        "purges": stats.purges,
        "prefix_purges": stats.prefix_purges,
        "flushes": stats.tenant_flushes + stats.flushes,
        "reclaim_lag": edge.reclaim_lag().as_secs_f64(),
    });
    reply(StatusCode::OK, &answer)
}
