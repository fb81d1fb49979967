//! Inspection: the cached renditions of a picture, the agreement of index and store, and counters.
//!
//! Invariant: this module does not change what is served.

use super::control::{authorize, head_of, reply};
use super::edge::Edge;
use super::fault::Fault;
use super::metrics::Metrics;
use super::store::{Filed, ObjectId};
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use cache_index::canonical::Target;
use cache_index::{Lookup, OriginPath, PathPrefix, Tenant};
use http_body_util::Full;
use prometheus_client::encoding::prometheus_text;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::io;
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
        Ok((account.tenant.clone(), path.into_owned()))
    });
    match answer {
        Ok((tenant, path)) => {
            let list = cached(&edge, &tenant, &path).await;
            reply(StatusCode::OK, &json!({ "origin": path.as_str(), "variants": list }))
        }
        Err(fault) => fault.to_json(),
    }
}

async fn cached(edge: &Arc<Edge>, tenant: &Tenant, path: &OriginPath<'_>) -> Vec<Value> {
    let mut variants = edge.index.variants(tenant, path);
    variants.sort();
    let mut list = Vec::new();
    for variant in variants {
        let (state, object) = match edge.find(tenant, path, &variant).await {
            Lookup::Live((_, object)) => ("live", object),
            Lookup::Stale((_, object)) => ("stale", object),
            Lookup::Miss => continue,
        };
        list.push(json!({
            "variant": variant.as_str(),
            "state": state,
            "age": object.made.elapsed().as_secs(),
            "bytes": object.bytes.len(),
            "content_type": object.format.content_type(),
            "etag": object.etag.to_str().unwrap_or_default(),
        }));
    }
    list
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
    let failed = |reason| Fault::new(StatusCode::INTERNAL_SERVER_ERROR, reason).to_json();
    match task::spawn_blocking(move || agreement(&checking)).await {
        Ok(Ok(agreement)) => {
            let status = if agreement.agree { StatusCode::OK } else { StatusCode::CONFLICT };
            reply(status, &agreement)
        }
        Ok(Err(error)) => failed(format!("the check failed: {error}")),
        Err(_) => failed("the check failed".to_owned()),
    }
}

/// Compares index and store while they are in use. An apparent difference may only be in transit.
/// So it is checked again after dead objects have been deleted.
///
/// # Errors
/// If the objects are in files whose folder can't be read.
pub(crate) fn agreement(edge: &Edge) -> io::Result<Agreement> {
    edge.reclaim();
    let filed = entries(edge);
    let lost: Vec<_> = filed.iter().filter(|entry| !edge.store.exists(entry.id)).collect();
    let objects = edge.store.ids()?;
    let named = ids(edge, &entries(edge));
    let left_over: Vec<_> = objects.iter().filter(|id| !named.contains(id)).collect();
    let mut objects_without_entry = 0;
    if !left_over.is_empty() {
        edge.reclaim();
        let named = ids(edge, &entries(edge));
        let is_left_over = |id: &&&ObjectId| edge.store.exists(***id) && !named.contains(**id);
        objects_without_entry = left_over.iter().filter(is_left_over).count();
    }
    let entries_without_object = lost.iter().filter(|entry| entry.is_lost(edge)).count();
    Ok(Agreement {
        agree: entries_without_object == 0 && objects_without_entry == 0,
        entries: filed.len(),
        objects: objects.len(),
        entries_without_object,
        objects_without_entry,
    })
}

/// The ids that entries name, also those of tenants that this start does not know.
fn ids(edge: &Edge, entries: &[Entry]) -> HashSet<ObjectId> {
    entries.iter().map(|entry| entry.id).chain(edge.index.values()).collect()
}

struct Entry {
    filed: Filed,
    id: ObjectId,
}

impl Entry {
    /// Whether the index still holds an object that isn't there.
    fn is_lost(&self, edge: &Edge) -> bool {
        let Filed { tenant, path, variant } = &self.filed;
        let held = edge.index.lookup(tenant, path, variant).servable();
        held == Some(self.id) && !edge.store.exists(self.id)
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
                found.push(Entry { filed: Filed { tenant, path, variant }, id });
            }
        }
    }
    found
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
        "data": data(&edge),
        "fleet": fleet(&edge),
    });
    reply(StatusCode::OK, &answer)
}

/// The state of the fleet; null outside of one.
fn fleet(edge: &Edge) -> Option<Value> {
    match &edge.index {
        #[cfg(feature = "fleet")]
        super::index::Index::Fleet(member) => {
            let shield = edge.shield.as_ref().map(|shield| &shield.counters);
            Some(super::fleet::report(member, shield))
        }
        _ => None,
    }
}

/// The state of the data in the directory; null if they are in memory alone.
fn data(edge: &Edge) -> Option<Value> {
    let state = edge.index.durable_state()?;
    Some(json!({
        "described": state.recovery.describe(),
        "incarnation": state.incarnation,
        "recovery": state.recovery,
        "log": state.log,
        "snapshots": state.snapshots,
        "orphans": { "deleted": edge.orphans.deleted(), "done": edge.orphans.is_done() },
        "files": {
            "read": edge.metrics.files.read.get(),
            "bad": edge.metrics.files.bad.get(),
            "not_written": edge.metrics.files.not_written.get(),
        },
        "memory_bytes": edge.store.memory_bytes(),
    }))
}
