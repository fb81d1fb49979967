//! The proxy: which requests and which answers are cached.
//!
//! Invariants:
//! - Only a `200` without `Set-Cookie` is stored.
//! - The origin is asked by the names under which its answer is stored.
//!
//! The proxy works with any storage of Pingora. The tests run it with `MemCache`, too.

use crate::sites::{Sites, origin_target};
use crate::storage::{Names, cache_key};
use async_trait::async_trait;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, SET_COOKIE, VARY};
use http::{Method, StatusCode, Uri};
use pingora_cache::cache_control::CacheControl;
use pingora_cache::filters::resp_cacheable;
use pingora_cache::key::HashBinary;
use pingora_cache::lock::{CacheKeyLockImpl, CacheLock};
use pingora_cache::predictor::{CacheablePredictor, Predictor};
use pingora_cache::{
    CacheKey, CacheMeta, CacheMetaDefaults, CachePhase, NoCacheReason, RespCacheable, Storage,
    VarianceBuilder,
};
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorSource, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{ProxyHttp, Session};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long an answer without `Cache-Control` and without `Expires` is fresh. An answer may be
/// served stale only if the origin allows it.
const DEFAULTS: CacheMetaDefaults =
    CacheMetaDefaults::new(|_| Some(Duration::from_secs(3600)), 0, 0);

/// How long requests wait for one of them to ask the origin, before they ask themselves.
const MOST_WAIT: Duration = Duration::from_secs(30);

/// A caching proxy before one origin.
pub struct Proxy {
    sites: Arc<Sites>,
    origin: SocketAddr,
    storage: &'static (dyn Storage + Sync),
    lock: &'static CacheKeyLockImpl,
    predictor: &'static (dyn CacheablePredictor + Sync),
    /// The length of the longest body that is stored.
    max_body: usize,
    /// Whether `PURGE` is passed to the storage. Storages without a control port need it.
    purge_method: bool,
}

/// A request that the proxy can't serve, with the reason.
struct Rejected(StatusCode, String);

impl Proxy {
    /// Creates a proxy. It lives as long as the program, as its storage does.
    pub fn new(
        sites: Arc<Sites>,
        origin: SocketAddr,
        storage: &'static (dyn Storage + Sync),
        max_body: usize,
    ) -> Self {
        let lock = Box::leak(CacheLock::new_boxed(MOST_WAIT));
        let predictor = Box::leak(Box::new(Predictor::<32>::new(1000, None)));
        Self { sites, origin, storage, lock, predictor, max_body, purge_method: false }
    }

    /// Passes `PURGE` on to the storage. Everybody who reaches the proxy may then purge.
    #[must_use]
    pub fn with_purge_method(self) -> Self {
        Self { purge_method: true, ..self }
    }

    fn is_purge(&self, request: &RequestHeader) -> bool {
        self.purge_method && request.method.as_str() == "PURGE"
    }

    fn asked(&self, request: &RequestHeader) -> Result<Asked, Rejected> {
        let reject = |status, text: &str| Err(Rejected(status, text.to_owned()));
        if !matches!(request.method, Method::GET | Method::HEAD) && !self.is_purge(request) {
            return reject(StatusCode::METHOD_NOT_ALLOWED, "expected GET or HEAD");
        }
        let mut hosts = request.headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return reject(StatusCode::BAD_REQUEST, "expected one Host");
        };
        if request.uri.authority().is_some_and(|named| named.as_str().as_bytes() != host) {
            return reject(StatusCode::BAD_REQUEST, "expected the Host that the target names");
        }
        let Some(site) = host.to_str().ok().and_then(|host| self.sites.of(host)) else {
            return reject(StatusCode::MISDIRECTED_REQUEST, "Host is not served here");
        };
        let target = request.uri.path_and_query().map_or("/", |target| target.as_str());
        let bad = |error: String| Rejected(StatusCode::BAD_REQUEST, error);
        let names = site.names(target).map_err(|error| bad(error.to_string()))?;
        let target = origin_target(&names).parse();
        let target = target.map_err(|error: http::uri::InvalidUri| bad(error.to_string()))?;
        Ok(Asked { host: site.host().to_owned(), target, names })
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Proxy");
        debug.field("sites", &self.sites).field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// The names in a request, and the request to the origin that they make.
#[derive(Debug)]
pub struct Asked {
    host: String,
    target: Uri,
    names: Names,
}

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = Option<Asked>;

    fn new_ctx(&self) -> Self::CTX {
        None
    }

    async fn request_filter(&self, session: &mut Session, asked: &mut Self::CTX) -> Result<bool> {
        let asking = self.asked(session.req_header());
        // The key does not hold a body, so an origin that reads one would answer for others, too.
        let bodiless = session.as_mut().is_body_empty();
        let rejected = || Rejected(StatusCode::BAD_REQUEST, "expected no body".to_owned());
        match asking.and_then(|asking| bodiless.then_some(asking).ok_or_else(rejected)) {
            Ok(names) => {
                *asked = Some(names);
                Ok(false)
            }
            Err(Rejected(status, text)) => {
                session.set_keepalive(None);
                let body = Bytes::from(text + "\n");
                session.respond_error_with_body(status.as_u16(), body).await?;
                Ok(true)
            }
        }
    }

    fn request_cache_filter(&self, session: &mut Session, _: &mut Self::CTX) -> Result<()> {
        let (predictor, lock) = (Some(self.predictor), Some(self.lock));
        session.cache.enable(self.storage, None, predictor, lock, None);
        session.cache.set_max_file_size_bytes(self.max_body);
        Ok(())
    }

    fn cache_key_callback(&self, _: &Session, asked: &mut Self::CTX) -> Result<CacheKey> {
        let asked = asked.as_ref().ok_or_else(|| Error::new(ErrorType::InternalError))?;
        Ok(cache_key(asked.names.clone()))
    }

    fn is_purge(&self, session: &Session, _: &Self::CTX) -> bool {
        self.is_purge(session.req_header())
    }

    async fn upstream_peer(&self, _: &mut Session, _: &mut Self::CTX) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.origin, false, String::new())))
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        upstream: &mut RequestHeader,
        asked: &mut Self::CTX,
    ) -> Result<()> {
        let asked = asked.as_ref().ok_or_else(|| Error::new(ErrorType::InternalError))?;
        upstream.set_uri(asked.target.clone());
        upstream.insert_header(HOST, &asked.host)
    }

    fn response_cache_filter(
        &self,
        session: &Session,
        answer: &ResponseHeader,
        _: &mut Self::CTX,
    ) -> Result<RespCacheable> {
        let varies_by_all = vary(answer).any(|name| name == "*");
        let sets_cookie = answer.headers.contains_key(SET_COOKIE);
        if answer.status != StatusCode::OK || sets_cookie || varies_by_all {
            return Ok(RespCacheable::Uncacheable(NoCacheReason::OriginNotCache));
        }
        let authorized = session.req_header().headers.contains_key(AUTHORIZATION);
        let control = CacheControl::from_resp_headers(answer);
        Ok(resp_cacheable(control.as_ref(), answer.clone(), authorized, &DEFAULTS))
    }

    fn cache_vary_filter(
        &self,
        meta: &CacheMeta,
        _: &mut Self::CTX,
        request: &RequestHeader,
    ) -> Option<HashBinary> {
        let mut variance = VarianceBuilder::new();
        for name in vary(meta.response_header()) {
            let values = request.headers.get_all(&name);
            let values: Vec<_> = values.iter().map(http::HeaderValue::as_bytes).collect();
            variance.add_owned_name_value(name, values.join(&b","[..]));
        }
        variance.finalize()
    }

    /// Stale answers are served if the origin allows it: while they are refreshed, and instead of
    /// an error of the origin.
    fn should_serve_stale(
        &self,
        _: &mut Session,
        _: &mut Self::CTX,
        error: Option<&Error>,
    ) -> bool {
        error.is_none_or(|error| error.esource() == &ErrorSource::Upstream)
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        answer: &mut ResponseHeader,
        _: &mut Self::CTX,
    ) -> Result<()> {
        answer.insert_header("Cache-Status", cache_status(session.cache.phase()))
    }
}

/// Returns the names in `Vary`, in lower case.
fn vary(answer: &ResponseHeader) -> impl Iterator<Item = String> {
    let lines = answer.headers.get_all(VARY).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(|name| name.trim().to_ascii_lowercase())
}

/// Returns the text of `Cache-Status` (RFC 9211).
fn cache_status(phase: CachePhase) -> &'static str {
    match phase {
        CachePhase::Hit => "pingora; hit",
        CachePhase::Stale | CachePhase::StaleUpdating => "pingora; hit; detail=stale",
        CachePhase::Revalidated | CachePhase::RevalidatedNoCache(_) => {
            "pingora; fwd=stale; fwd-status=304"
        }
        CachePhase::Expired => "pingora; fwd=stale",
        CachePhase::Miss => "pingora; fwd=uri-miss",
        _ => "pingora; fwd=bypass",
    }
}
