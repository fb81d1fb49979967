//! Delivery: `GET /<origin>?<operations>`.
//!
//! Invariant: a cached picture is delivered without a wait, a log line or a copy of its body. A
//! stale picture is served as it is, and fetched again in the background. Only a picture is ever
//! kept: see [`fill`].

use super::accept::Negotiated;
use super::accounts::{Account, Host};
use super::cache_status::{CacheStatus, Forwarded, Why};
use super::edge::{Edge, Kept};
use super::fault::Fault;
use super::fill::{self, Filling, Job, Stale};
use super::freshness::State;
use super::operations::Operations;
use super::request_id::RequestId;
use super::server::Peer;
use super::store::{Filed, Object};
use super::tier::Tier;
use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header,
};
use cache_index::canonical::Delivery;
use cache_index::{Lookup, VariantKey};
use http_body_util::Full;
use hyper::body::Body;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;
use tracing::{Level, debug, enabled, info, warn};

/// Pages of other sites may read the pictures, as they may show them, and the cache's headers about
/// them.
const ANYBODY: HeaderValue = HeaderValue::from_static("*");
const EXPOSED: HeaderValue =
    HeaderValue::from_static("Age, Cache-Status, ETag, X-Cache, X-Not-Kept, X-Request-Id");

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const X_CACHE: HeaderName = HeaderName::from_static("x-cache");
const X_NOT_KEPT: HeaderName = HeaderName::from_static("x-not-kept");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A rendition on its way to the client.
struct Served {
    object: Arc<Object>,
    cache: Cache,
    status: CacheStatus,
    /// Whether `Accept` has decided.
    is_negotiated: bool,
}

/// A rendition that a request names.
struct Asked<'a> {
    account: &'a Arc<Account>,
    exact: Delivery<'a>,
    filed: Delivery<'a>,
    negotiated: Option<Negotiated>,
}

/// The role of the cache in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cache {
    Hit,
    /// As it was before a soft invalidation, or older than the origin allows. A refresh runs, or
    /// has failed.
    Stale,
    Miss,
    /// A miss whose result could not be kept, and why.
    MissNotKept(Kept),
}

impl Cache {
    /// Whether it is as new as the invalidations that were applied before the cache was looked at.
    fn is_proven(self) -> bool {
        !matches!(self, Self::Stale | Self::MissNotKept(Kept::Unproven))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Hit => "HIT",
            Self::Stale => "STALE",
            Self::Miss | Self::MissNotKept(_) => "MISS",
        }
    }
}

/// Answers a request to the delivery listener.
pub(crate) async fn deliver<B: Body>(
    edge: Arc<Edge>,
    peer: Peer,
    request: Request<B>,
) -> Response<Full<Bytes>> {
    let begun = Instant::now();
    let id = edge.request_ids.next();
    let has_body = !request.body().is_end_stream();
    let (parts, body) = request.into_parts();
    // Nobody reads it. Whatever follows on the connection is not to be taken for a request.
    drop(body);
    // Before the cache is looked at.
    let tier = Tier::of(&edge, &parts.headers).await;
    let served = serve(&edge, peer, &parts, &tier).await;
    let mut response = match &served {
        Ok(served) => picture(&parts, served),
        Err(fault) => {
            edge.metrics.fault("delivery", fault.status.as_u16());
            refusal(fault)
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANYBODY);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    headers.insert(X_REQUEST_ID, id.to_header());
    tier.echo(headers, served.as_ref().is_ok_and(|served| served.cache.is_proven()));
    if has_body {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    log(id, begun, &parts, &served);
    response
}

/// Hits are logged only at the level `debug`.
fn log(id: RequestId, begun: Instant, parts: &Parts, served: &Result<Served, Fault>) {
    let hit = matches!(served, Ok(Served { cache: Cache::Hit | Cache::Stale, .. }));
    if hit && !enabled!(Level::DEBUG) {
        return;
    }
    let (micros, method) = (begun.elapsed().as_micros(), parts.method.as_str());
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    match served {
        Ok(Served { cache, .. }) if hit => {
            debug!(%id, method, target, cache = cache.name(), micros, "served");
        }
        Ok(Served { cache, .. }) => {
            info!(%id, method, target, cache = cache.name(), micros, "served");
        }
        Err(fault) => {
            let (status, reason) = (fault.status.as_u16(), fault.reason.as_str());
            if fault.status.is_server_error() {
                warn!(%id, method, target, status, reason, micros, "failed");
            } else {
                info!(%id, method, target, status, reason, micros, "refused");
            }
        }
    }
}

async fn serve(edge: &Arc<Edge>, peer: Peer, parts: &Parts, tier: &Tier) -> Result<Served, Fault> {
    if parts.method != Method::GET && parts.method != Method::HEAD {
        let reason = "pictures answer to GET and HEAD; invalidations go to the control listener";
        return Err(Fault::new(StatusCode::METHOD_NOT_ALLOWED, reason));
    }
    let account = edge.accounts.of_delivery(Host::of(&parts.uri, &parts.headers), peer.loopback)?;
    let target = target(&parts.uri);
    if target.trim_start_matches('/').is_empty() {
        let reason = "no picture is named; the page for the browser is on the control listener";
        return Err(Fault::new(StatusCode::NOT_FOUND, reason));
    }
    let exact = account
        .exact
        .request_target(target.as_ref())
        .map_err(|error| Fault::bad_request(format!("malformed URL: {error}")))?;
    let mut filed = account.file(&exact);
    let mut negotiated = None;
    if edge.limits.negotiate {
        negotiated = Negotiated::choose(&filed.variant, &parts.headers);
    }
    if let Some(Negotiated { variant, .. }) = &negotiated {
        filed.variant = variant.clone();
    }
    let is_negotiated = negotiated.is_some();
    let asked = Asked { account, exact, filed, negotiated };
    let served = match tier {
        Tier::Past(_) => {
            edge.metrics.misses.inc();
            let made = fill::fill_past(edge, &job(asked)?).await?;
            forwarded(Filling::Own(made), Why::UriMiss)
        }
        _ => find(edge, asked, tier).await?,
    };
    Ok(Served { is_negotiated, ..served })
}

async fn find(edge: &Arc<Edge>, asked: Asked<'_>, tier: &Tier) -> Result<Served, Fault> {
    let mut found =
        edge.find(&asked.account.tenant, &asked.filed.origin, &asked.filed.variant).await;
    if tier.is_edge() && matches!(found, Lookup::Stale(_)) {
        // The edge would keep it as fresh.
        found = Lookup::Miss;
    }
    let (stale, permitted, is_softened) = match found {
        Lookup::Live((id, object)) => {
            let permitted = object.state();
            (Stale { id, object }, permitted, false)
        }
        Lookup::Stale((id, object)) => {
            let permitted = object.policy.state_when_softened(object.made.elapsed());
            (Stale { id, object }, permitted, true)
        }
        Lookup::Miss => {
            let why = match &asked.negotiated {
                Some(negotiated) if has(edge, &asked, &negotiated.other) => Why::VaryMiss,
                _ => Why::UriMiss,
            };
            let job = job(asked)?;
            edge.metrics.misses.inc();
            let filling = fill::fill(edge, &job, None).await?;
            return Ok(forwarded(filling, why));
        }
    };
    let object = Arc::clone(&stale.object);
    match permitted {
        State::Fresh => {
            edge.metrics.hits.inc();
            Ok(hit(object, Cache::Hit, is_softened))
        }
        State::WhileRevalidate => {
            edge.metrics.stale_hits.inc();
            // The stored rendition was made by these operations, so they can be read.
            fill::refresh(edge, stale, || job(asked).ok());
            Ok(hit(object, Cache::Stale, is_softened))
        }
        // The origin has failed a moment ago.
        State::Expired { if_error: true } if !object.may_refresh() => {
            edge.metrics.stale_hits.inc();
            Ok(hit(object, Cache::Stale, is_softened))
        }
        State::Expired { if_error } => revalidate(edge, &job(asked)?, stale, if_error).await,
    }
}

/// Whether there is another representation.
fn has(edge: &Edge, asked: &Asked<'_>, variant: &VariantKey<'_>) -> bool {
    let Asked { account, filed, .. } = asked;
    !matches!(edge.index.lookup(&account.tenant, &filed.origin, variant), Lookup::Miss)
}

fn hit(object: Arc<Object>, cache: Cache, is_softened: bool) -> Served {
    let ttl = object.policy.ttl(object.made.elapsed());
    Served { object, cache, status: CacheStatus::Hit { ttl, is_softened }, is_negotiated: false }
}

/// Fetches a rendition again that is older than the origin allows. It is served once more if that
/// fails, and the origin allows this (RFC 5861, 4).
async fn revalidate(
    edge: &Arc<Edge>,
    job: &Job,
    stale: Stale,
    if_error: bool,
) -> Result<Served, Fault> {
    let object = Arc::clone(&stale.object);
    match fill::fill(edge, job, Some(stale)).await {
        Ok(filling) => {
            edge.metrics.misses.inc();
            Ok(forwarded(filling, Why::Stale))
        }
        Err(fault) if if_error && fault.status.is_server_error() => {
            edge.metrics.stale_hits.inc();
            let status = CacheStatus::Forwarded(Forwarded {
                why: Why::Stale,
                status: fault.origin_status,
                is_stored: false,
                is_collapsed: false,
                ttl: object.policy.ttl(object.made.elapsed()),
                detail: Some(fault.reason),
            });
            Ok(Served { object, cache: Cache::Stale, status, is_negotiated: false })
        }
        Err(fault) => {
            edge.metrics.misses.inc();
            Err(fault)
        }
    }
}

/// The request target as it was sent: with a host if the client treats this server as a proxy.
fn target(uri: &Uri) -> Cow<'_, str> {
    match (uri.authority(), uri.path_and_query()) {
        (None, Some(target)) => Cow::Borrowed(target.as_str()),
        _ => Cow::Owned(uri.to_string()),
    }
}

fn job(asked: Asked<'_>) -> Result<Job, Fault> {
    let Asked { account, exact, filed, negotiated } = asked;
    let mut operations = Operations::parse(&exact.variant).map_err(Fault::bad_request)?;
    if let Some(Negotiated { format, .. }) = negotiated {
        operations.format = Some(format);
    }
    let Delivery { origin, variant } = filed.into_owned();
    let filed = Filed { tenant: account.tenant.clone(), path: origin, variant };
    let origin = exact.origin.into_owned();
    Ok(Job { account: Arc::clone(account), origin, filed, operations })
}

fn forwarded(filling: Filling, why: Why) -> Served {
    let is_collapsed = !matches!(filling, Filling::Own(_));
    let (filled, cache) = match filling {
        Filling::Own(filled) | Filling::Shared(filled) => match filled.kept {
            Kept::Live | Kept::Stale => (filled, Cache::Miss),
            kept => (filled, Cache::MissNotKept(kept)),
        },
        // It had begun before this request came; a soft invalidation in between may have been meant
        // for it.
        Filling::Joined(filled) if filled.kept == Kept::Stale => (filled, Cache::Stale),
        Filling::Joined(filled) => (filled, Cache::Miss),
    };
    let object = filled.object;
    let detail = match cache {
        Cache::MissNotKept(kept) => Some(not_kept(kept)),
        _ => None,
    };
    let status = CacheStatus::Forwarded(Forwarded {
        why,
        status: Some(filled.origin_status.as_u16()),
        is_stored: matches!(filled.kept, Kept::Live | Kept::Stale),
        is_collapsed,
        ttl: object.policy.ttl(object.made.elapsed()),
        detail,
    });
    Served { object, cache, status, is_negotiated: false }
}

fn picture(parts: &Parts, served: &Served) -> Response<Full<Bytes>> {
    let object = &served.object;
    let mut response = Response::new(Full::default());
    if is_known(&parts.headers, &object.etag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        if parts.method != Method::HEAD {
            *response.body_mut() = Full::new(object.bytes.clone());
        }
        let headers = response.headers_mut();
        let content_type = HeaderValue::from_static(object.format.content_type());
        headers.insert(header::CONTENT_TYPE, content_type);
        headers.insert(header::CONTENT_LENGTH, object.bytes.len().into());
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, object.policy.cache_control());
    headers.insert(header::ETAG, object.etag.clone());
    headers.insert(X_CACHE, HeaderValue::from_static(served.cache.name()));
    headers.insert(CACHE_STATUS, served.status.to_header());
    if served.is_negotiated {
        headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    }
    match served.cache {
        Cache::Hit | Cache::Stale => {
            headers.insert(header::AGE, object.made.elapsed().as_secs().into());
        }
        Cache::MissNotKept(kept) => {
            if let Ok(reason) = HeaderValue::from_str(&not_kept(kept)) {
                headers.insert(X_NOT_KEPT, reason);
            }
        }
        Cache::Miss => {}
    }
    response
}

fn not_kept(kept: Kept) -> String {
    match kept {
        Kept::Refused(reason) => reason.to_string(),
        Kept::NotWritten => "its file could not be written".to_owned(),
        Kept::Forbidden => "the origin forbids it".to_owned(),
        Kept::Unproven => "the shield may be behind".to_owned(),
        Kept::Past => "this shield was behind".to_owned(),
        _ => "no room in the store".to_owned(),
    }
}

fn refusal(fault: &Fault) -> Response<Full<Bytes>> {
    let mut response = fault.to_text();
    if fault.status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

/// Whether the client has these bytes already: `If-None-Match`, compared weakly, as RFC 9110 13.1.2
/// wants it.
fn is_known(request: &HeaderMap, etag: &HeaderValue) -> bool {
    let known = |tag: &str| tag == "*" || etag == tag.strip_prefix("W/").unwrap_or(tag);
    request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| known(tag.trim()))
}
