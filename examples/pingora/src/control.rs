//! The control port: purge, flush, statistics.
//!
//! | request | effect |
//! |---|---|
//! | `POST /purge/HOST/PATH` | invalidates a picture, in all its renditions |
//! | `POST /purge/HOST/FOLDER/*` | invalidates everything that begins so |
//! | `POST /flush/HOST` | invalidates a tenant |
//! | `POST /flush` | invalidates everything |
//! | `GET /stats` | counters, one a line |
//!
//! With `?soft` at the end, objects become stale instead: they are confirmed or fetched again.
//!
//! Invariant: when the reply is sent, the invalidation holds for every request that comes later. A
//! request that is not understood changes nothing.

use crate::sites::{Site, Sites};
use crate::storage::Indexed;
use async_trait::async_trait;
use cache_index::canonical::Target;
use cache_index::{Hard, Soft};
use http::{Method, Response, StatusCode};
use pingora_core::apps::http_app::ServeHttp;
use pingora_core::protocols::http::ServerSession;
use std::fmt::Write;
use std::sync::Arc;

/// The application on the control port. It does not ask who calls: do not make the port public.
#[derive(Debug)]
pub struct Control {
    sites: Arc<Sites>,
    storage: &'static Indexed,
}

type Reply = Result<String, (StatusCode, String)>;

#[derive(Clone, Copy)]
enum How {
    Hard,
    Soft,
}

impl Control {
    /// Creates the application.
    pub fn new(sites: Arc<Sites>, storage: &'static Indexed) -> Self {
        Self { sites, storage }
    }

    /// Answers a request.
    ///
    /// # Errors
    /// If the request is not understood: the status and the reason.
    pub fn answer(&self, method: &Method, path: &str, query: Option<&str>) -> Reply {
        let path = path.strip_prefix('/').unwrap_or_default();
        let (verb, target) = path.split_once('/').unwrap_or((path, ""));
        let expected = match verb {
            "purge" | "flush" => Method::POST,
            "stats" if target.is_empty() => Method::GET,
            _ => return fault(StatusCode::NOT_FOUND, "expected /purge, /flush or /stats"),
        };
        if *method != expected {
            return fault(StatusCode::METHOD_NOT_ALLOWED, &format!("expected {expected}"));
        }
        let how = match query {
            None => How::Hard,
            Some("soft") if expected == Method::POST => How::Soft,
            Some(_) => return fault(StatusCode::BAD_REQUEST, "query: expected ?soft or none"),
        };
        match (verb, target) {
            ("stats", _) => Ok(self.stats()),
            ("flush", "") => Ok(self.flush_all(how)),
            ("flush", host) => Ok(self.flush(self.site(host)?, how)),
            (_, target) => {
                let Some((host, entry)) = target.split_once('/') else {
                    return fault(StatusCode::BAD_REQUEST, "expected /purge/HOST/PATH");
                };
                self.purge(self.site(host)?, &format!("/{entry}"), how)
            }
        }
    }

    fn site(&self, host: &str) -> Result<&Site, (StatusCode, String)> {
        let unknown = || (StatusCode::NOT_FOUND, format!("host {host:?} is not served here"));
        self.sites.of(host).ok_or_else(unknown)
    }

    fn purge(&self, site: &Site, entry: &str, how: How) -> Reply {
        let (index, tenant) = (self.storage.index(), site.tenant());
        let bad =
            |error: cache_index::canonical::PathError| (StatusCode::BAD_REQUEST, error.to_string());
        let target = site.purged(entry).map_err(bad)?;
        Ok(match (&target, how) {
            (Target::Path(path), How::Hard) => {
                let gone = index.purge(tenant, path, Hard);
                let (removed, open) = (gone.len(), gone.overtaken_fills());
                format!("{path}: {removed} removed, {open} open fills refused")
            }
            (Target::Path(path), How::Soft) => {
                let stale = index.purge(tenant, path, Soft);
                let (now, open) = (stale.len(), stale.overtaken_fills());
                format!("{path}: {now} made stale, {open} open fills will be stale")
            }
            (Target::Prefix(prefix), How::Hard) => {
                index.purge_prefix(tenant, prefix, Hard);
                self.reclaim();
                format!("{prefix}*: removed")
            }
            (Target::Prefix(prefix), How::Soft) => {
                index.purge_prefix(tenant, prefix, Soft);
                format!("{prefix}*: made stale")
            }
        })
    }

    fn flush(&self, site: &Site, how: How) -> String {
        let index = self.storage.index();
        match how {
            How::Hard => index.flush_tenant(site.tenant(), Hard),
            How::Soft => index.flush_tenant(site.tenant(), Soft),
        };
        self.reclaim();
        format!("{}: flushed", site.host())
    }

    fn flush_all(&self, how: How) -> String {
        match how {
            How::Hard => self.storage.index().flush_all(Hard),
            How::Soft => self.storage.index().flush_all(Soft),
        };
        self.reclaim();
        "everything: flushed".to_owned()
    }

    /// Frees the memory of dead objects, after the reply and beside the requests.
    fn reclaim(&self) {
        let storage = self.storage;
        // Outside of a runtime there is nothing to run beside.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(move || storage.reclaim());
        }
    }

    fn stats(&self) -> String {
        let stats = self.storage.index().stats();
        let mut text = String::new();
        for (name, value) in [
            ("live", stats.live as u64),
            ("stale", stats.stale as u64),
            ("dead", stats.dead as u64),
            ("objects", self.storage.objects() as u64),
            ("bytes", self.storage.bytes() as u64),
            ("index_bytes", stats.bytes as u64),
            ("open_leases", stats.open_leases as u64),
            ("refused_purged", stats.refused_purged),
            ("refused_flushed", stats.refused_flushed),
            ("not_kept_without_lease", self.storage.unleased()),
        ] {
            let _ = writeln!(text, "{name} {value}");
        }
        text.truncate(text.trim_end().len());
        text
    }
}

fn fault<T>(status: StatusCode, text: &str) -> Result<T, (StatusCode, String)> {
    Err((status, text.to_owned()))
}

#[async_trait]
impl ServeHttp for Control {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let request = session.req_header();
        let (path, query) = (request.uri.path(), request.uri.query());
        let answer = self.answer(&request.method, path, query);
        // Nobody reads a body, so what follows on the connection is not taken for a request.
        session.set_keepalive(None);
        let (status, text) = match answer {
            Ok(text) => (StatusCode::OK, text),
            Err((status, text)) => (status, text),
        };
        let body = (text + "\n").into_bytes();
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let length = response.body().len().into();
        response.headers_mut().insert(http::header::CONTENT_LENGTH, length);
        response
    }
}
