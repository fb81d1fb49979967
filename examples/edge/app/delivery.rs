//! Delivery: `GET /<origin>?<operations>`.
//!
//! Invariant: what is kept was made under a lease that was taken *before* the source was read, and only a picture is ever kept; an
//! error is answered and forgotten. Not here: several clients that miss the same rendition at the same time each have it made.

use super::edge::{Edge, Kept};
use super::fault::Fault;
use super::operations::Operations;
use super::origin::OriginError;
use super::render::RenderError;
use super::store::Object;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use cache_index::canonical::Delivery;
use cache_index::{Lookup, OriginPath};
use std::borrow::Cow;
use std::sync::Arc;
use tokio::time::timeout;

/// Browsers and caches further down may keep a picture but must ask before they show it again: an invalidation doesn't reach
/// them. Asking costs them a 304 without a body.
const CACHE_CONTROL: &str = "public, max-age=0, must-revalidate";

/// A rendition on its way to the client.
struct Served {
    object: Arc<Object>,
    cache: CacheStatus,
}

enum CacheStatus {
    Hit,
    Miss,
    /// A miss whose result could not be kept, and why.
    MissNotKept(String),
}

/// Answers every GET and HEAD that no other route does.
pub(crate) async fn deliver(
    State(edge): State<Arc<Edge>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    if method != Method::GET && method != Method::HEAD {
        let fault = Fault::new(StatusCode::METHOD_NOT_ALLOWED, "pictures answer to GET and HEAD");
        return ([(header::ALLOW, "GET, HEAD")], fault).into_response();
    }
    match serve(&edge, &target(&uri)).await {
        Ok(served) => answer(&method, &headers, &served),
        Err(fault) => fault.into_response(),
    }
}

/// The request target as it was sent: with a host if the client treats this server as a proxy.
fn target(uri: &Uri) -> Cow<'_, str> {
    match (uri.authority(), uri.path_and_query()) {
        (None, Some(target)) => Cow::Borrowed(target.as_str()),
        _ => Cow::Owned(uri.to_string()),
    }
}

async fn serve(edge: &Edge, target: &str) -> Result<Served, Fault> {
    let exact = edge
        .account
        .exact
        .delivery(target)
        .map_err(|error| Fault::bad_request(format!("malformed URL: {error}")))?;
    // Checked before the look-up, so that a bad request is told so whether or not it could be answered.
    let operations = Operations::parse(&exact.variant).map_err(Fault::bad_request)?;
    let filed = edge.account.file(&exact);
    match look_up(edge, &filed) {
        Some(object) => Ok(Served { object, cache: CacheStatus::Hit }),
        None => fill(edge, &exact.origin, &filed, operations).await,
    }
}

fn look_up(edge: &Edge, filed: &Delivery<'_>) -> Option<Arc<Object>> {
    match edge.index.lookup(&edge.account.tenant, &filed.origin, &filed.variant) {
        // Between the look-up and this line the object may be invalidated and deleted: then this is a miss.
        Lookup::Live(id) => edge.store.get(id),
        // Nothing here makes entries stale. If something did: made anew while the client waits.
        Lookup::Stale(_) | Lookup::Miss => None,
    }
}

/// Fetches the picture by its exact name, renders it, and keeps it under the name by which it is filed.
async fn fill(
    edge: &Edge,
    origin: &OriginPath<'_>,
    filed: &Delivery<'_>,
    operations: Operations,
) -> Result<Served, Fault> {
    let closed = |_| Fault::new(StatusCode::SERVICE_UNAVAILABLE, "the server is shutting down");
    let _permit = edge.fetches.acquire().await.map_err(closed)?;

    // Before the source is read: from here on, an invalidation of this picture is noticed when the lease is committed. If anything
    // fails on the way, or the client goes away, the lease is dropped and nothing is kept.
    let lease = edge.index.lease(&edge.account.tenant, &filed.origin);
    let source = fetch(edge, origin).await?;
    let rendition = edge.render(source, operations).await.map_err(render_fault)?;

    let object = Arc::new(Object::new(rendition));
    let cache = match edge.keep(lease, &filed.variant, &object) {
        Kept::Yes => CacheStatus::Miss,
        Kept::No(reason) => CacheStatus::MissNotKept(reason),
    };
    Ok(Served { object, cache })
}

async fn fetch(edge: &Edge, origin: &OriginPath<'_>) -> Result<Bytes, Fault> {
    match timeout(edge.limits.fetch_time, edge.origin.fetch(origin)).await {
        Ok(Ok(source)) => Ok(source),
        Ok(Err(OriginError::NotFound)) => {
            Err(Fault::new(StatusCode::NOT_FOUND, "the origin has no such picture"))
        }
        Ok(Err(OriginError::Failed(reason))) => {
            Err(Fault::new(StatusCode::BAD_GATEWAY, format!("the origin failed: {reason}")))
        }
        Err(_) => Err(Fault::new(StatusCode::GATEWAY_TIMEOUT, "the origin took too long")),
    }
}

fn render_fault(error: RenderError) -> Fault {
    match error {
        RenderError::Source(reason) => Fault::new(StatusCode::BAD_GATEWAY, reason),
        RenderError::Operations(reason) => Fault::bad_request(reason),
    }
}

fn answer(method: &Method, request: &HeaderMap, served: &Served) -> Response {
    let object = &served.object;
    let mut response = if is_known(request, &object.etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let body =
            if method == Method::HEAD { Body::empty() } else { Body::from(object.bytes.clone()) };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(object.format.content_type()));
        headers.insert(header::CONTENT_LENGTH, object.bytes.len().into());
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(CACHE_CONTROL));
    if let Ok(etag) = HeaderValue::from_str(&object.etag) {
        headers.insert(header::ETAG, etag);
    }
    mark(headers, served);
    response
}

/// What the cache had to do with the answer.
fn mark(headers: &mut HeaderMap, served: &Served) {
    let hit = matches!(served.cache, CacheStatus::Hit);
    headers.insert("x-cache", HeaderValue::from_static(if hit { "HIT" } else { "MISS" }));
    if hit {
        headers.insert(header::AGE, served.object.made.elapsed().as_secs().into());
    }
    if let CacheStatus::MissNotKept(reason) = &served.cache {
        if let Ok(reason) = HeaderValue::from_str(reason) {
            headers.insert("x-not-kept", reason);
        }
    }
}

/// Whether the client has these bytes already: `If-None-Match`, compared weakly, as RFC 9110 13.1.2 wants it.
fn is_known(request: &HeaderMap, etag: &str) -> bool {
    let known = |tag: &str| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag;
    request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| known(tag.trim()))
}
