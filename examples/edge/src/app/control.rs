//! Control: requests about the server itself, on a separate listener.
//!
//! Invariant: a request that reveals a customer's pictures, or changes what is served, needs that
//! customer's key. Without a key there are only totals. A body that no handler reads is drained,
//! within bounds, or the connection is closed.

use super::accounts::{Account, Host, retry_after};
use super::edge::Edge;
use super::fault::Fault;
use super::inspect::{check, healthz, metrics, stats, variants};
use super::invalidate::{invalidate, invalidation};
use super::page::{facts, page};
use super::purge::purge_or_unknown;
use super::request_id::RequestId;
use super::server::Peer;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use http_body_util::Full;
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;
use tracing::{debug, info};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// All routes of the control listener.
pub(crate) fn routes(edge: Arc<Edge>) -> Router {
    Router::new()
        .route("/", get(page).fallback(get_only))
        .route("/page.json", get(facts).fallback(get_only))
        .route("/invalidate", post(invalidate).fallback(post_only))
        // The path that clients produce from a path or a base that ends in a slash.
        .route("/invalidate/", post(invalidate).fallback(unknown))
        .route("//invalidate", post(invalidate).fallback(unknown))
        .route("/invalidate/{uuid}", get(invalidation).fallback(get_only))
        .route("/variants", get(variants).fallback(get_only))
        .route("/check", get(check).fallback(get_only))
        .route("/healthz", get(healthz).fallback(get_only))
        .route("/metrics", get(metrics).fallback(get_only))
        .route("/stats", get(stats).fallback(get_only))
        .fallback(purge_or_unknown)
        // Bodies are read by hand, within the customer's own limit.
        .layer(DefaultBodyLimit::disable())
        .with_state(edge)
}

async fn get_only() -> Response<Full<Bytes>> {
    not_allowed("GET, HEAD")
}

async fn post_only() -> Response<Full<Bytes>> {
    not_allowed("POST")
}

fn not_allowed(allowed: &'static str) -> Response<Full<Bytes>> {
    let reason = format!("expected {}", allowed.replace(", ", " or "));
    let mut response = Fault::new(StatusCode::METHOD_NOT_ALLOWED, reason).to_json();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

pub(crate) async fn unknown() -> Response<Full<Bytes>> {
    let reason = "no such page; pictures are on the delivery listener";
    Fault::new(StatusCode::NOT_FOUND, reason).to_json()
}

/// Records incoming requests, and marks and logs their answers.
pub(crate) fn receive<B>(edge: &Edge, peer: Peer, request: &mut axum::http::Request<B>) -> Call {
    let call = Call {
        id: edge.request_ids.next(),
        begun: Instant::now(),
        method: request.method().as_str().to_owned(),
        path: request.uri().path().to_owned(),
    };
    request.extensions_mut().insert(peer);
    request.extensions_mut().insert(call.id);
    call
}

/// A request under way.
pub(crate) struct Call {
    id: RequestId,
    begun: Instant,
    method: String,
    path: String,
}

impl Call {
    pub(crate) fn end(self, edge: &Edge, response: &mut Response<Body>) {
        let status = response.status().as_u16();
        if status >= 400 {
            edge.metrics.fault("control", status);
        }
        response.headers_mut().insert(X_REQUEST_ID, self.id.to_header());
        let (id, method, path) = (self.id, self.method.as_str(), self.path.as_str());
        let micros = self.begun.elapsed().as_micros();
        // A page that asks for counters once a second would fill the log.
        if matches!(path, "/stats" | "/metrics" | "/healthz") && status < 400 {
            debug!(%id, method, path, status, micros, "control");
        } else {
            info!(%id, method, path, status, micros, "control");
        }
    }
}

/// The customer whose key the request carries, if they have not asked too often.
pub(crate) fn authorize(edge: &Edge, parts: &Parts) -> Result<Arc<Account>, Fault> {
    let peer = parts.extensions.get::<Peer>().copied().unwrap_or_default();
    let host = Host::of(&parts.uri, &parts.headers);
    let account = edge.accounts.of_control(&parts.headers, host, peer.loopback)?;
    account.take_turn().map_err(|wait| {
        let reason = format!(
            "too many requests: at most {} a second, {} at once",
            account.quota.per_second, account.quota.burst
        );
        Fault {
            retry_after: Some(retry_after(wait)),
            ..Fault::new(StatusCode::TOO_MANY_REQUESTS, reason)
        }
    })?;
    Ok(account)
}

/// Returns the request without a body that no handler reads.
pub(crate) fn head_of(request: Request) -> Parts {
    let (parts, body) = request.into_parts();
    // Dropped unread: then hyper closes the connection after the answer.
    drop(body);
    parts
}

/// A reply as JSON.
pub(crate) fn reply(status: StatusCode, value: &impl Serialize) -> Response<Full<Bytes>> {
    // Text and numbers can always be written. If not, the operation has still been carried out.
    let body = serde_json::to_string_pretty(value).unwrap_or_default() + "\n";
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
