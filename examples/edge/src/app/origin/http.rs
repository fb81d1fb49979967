//! `Http`: a web server that has the pictures.
//!
//! Invariant: only the one configured server is ever requested, and only paths below the configured
//! URL. The path of a client is appended to that URL as one piece of canonical text, and redirects
//! are not followed. An answer is bounded in time and in bytes. Its content type is not trusted:
//! the first bytes decide whether it is a picture, later.

use super::{Fetch, Fetched, Origin, OriginError, Wanted};
use crate::app::freshness::TargetList;
use axum::body::Bytes;
use axum::http::uri::{Authority, Scheme};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header};
use cache_index::canonical::Root;
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::time::Duration;

/// The largest source, in bytes.
const MOST_BYTES: usize = 32 << 20;

/// The time limit for the server to accept a connection. The edge sets the limit for the whole
/// fetch.
const CONNECT_TIME: Duration = Duration::from_secs(5);

/// The time for which an unused connection is kept.
const IDLE_TIME: Duration = Duration::from_secs(30);

/// A web server.
pub(crate) struct Http {
    client: Client<HttpConnector, Empty<Bytes>>,
    authority: Authority,
    /// Begins and ends with a slash.
    folder: String,
    /// The fields that limit how long a picture is kept, if any.
    targets: Option<TargetList>,
}

impl Http {
    /// # Errors
    /// If `url` isn't `http://`, a host, and a path without a query.
    pub(crate) fn new(url: &str) -> Result<Self, String> {
        let wrong = |reason: &str| {
            format!("the origin must be a URL like http://host:port/folder/: {reason}")
        };
        let uri: Uri = url.parse().map_err(|_| wrong("malformed"))?;
        match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => {}
            Some(scheme) if *scheme == Scheme::HTTPS => {
                return Err(wrong("https is not spoken here; a proxy in front of the origin can"));
            }
            _ => return Err(wrong("expected http://")),
        }
        let authority = uri.authority().cloned().ok_or_else(|| wrong("no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("credentials are not supported"));
        }
        if uri.query().is_some() || url.contains('#') {
            return Err(wrong("no query, no fragment"));
        }
        let folder = format!("{}/", uri.path().trim_end_matches('/'));
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIME));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME)
            .build(connector);
        Ok(Self { client, authority, folder, targets: None })
    }

    /// Respects how long the server allows a picture to be kept.
    pub(crate) fn respecting(self, targets: Option<TargetList>) -> Self {
        Self { targets, ..self }
    }

    /// The URL of a picture, if it can be one of this server's.
    fn url(&self, path: &str) -> Option<Uri> {
        // A whole URL names a picture of some other server.
        if path.contains("://") {
            return None;
        }
        let target = format!("{}{path}", self.folder);
        Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(self.authority.clone())
            .path_and_query(target)
            .build()
            .ok()
    }

    async fn ask(&self, url: Uri, known: Option<HeaderValue>) -> Result<Fetched, OriginError> {
        let mut request = Request::get(url)
            .header(header::ACCEPT, "image/jpeg, image/png, image/webp, image/*;q=0.5")
            .header(header::USER_AGENT, "cache-index-edge");
        if let Some(known) = &known {
            request = request.header(header::IF_NONE_MATCH, known);
        }
        let request = request.body(Empty::new()).map_err(|_| OriginError::NotFound)?;
        let answer = self.client.request(request).await.map_err(|error| {
            let what =
                if error.is_connect() { "it can't be reached" } else { "it ended the connection" };
            OriginError::Failed(what.to_owned())
        })?;
        let (parts, body) = answer.into_parts();
        let policy = self.targets.as_ref().and_then(|targets| targets.policy(&parts.headers));
        match parts.status {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED if known.is_some() => {
                return Ok(Fetched::Unchanged { policy });
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => return Err(OriginError::NotFound),
            status if status.is_redirection() => {
                return Err(OriginError::Failed(format!(
                    "it redirects ({}), which is not followed",
                    status.as_u16()
                )));
            }
            status => return Err(OriginError::Answered(status.as_u16())),
        }
        check_encoding(&parts.headers)?;
        let bytes = Limited::new(body, MOST_BYTES).collect().await.map_err(|error| {
            OriginError::Failed(if error.is::<LengthLimitError>() {
                format!("the picture is larger than {MOST_BYTES} bytes")
            } else {
                "the picture ends too early".to_owned()
            })
        })?;
        Ok(Fetched::Picture {
            bytes: bytes.to_bytes(),
            validator: validator(&parts.headers),
            policy: policy.unwrap_or_default(),
        })
    }
}

/// Pictures are already compressed. A server that compresses them again would make the client
/// unpack without a bound.
fn check_encoding(headers: &HeaderMap) -> Result<(), OriginError> {
    match headers.get(header::CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => {
            Err(OriginError::Failed("it sends an encoded body, which was not asked for".to_owned()))
        }
        _ => Ok(()),
    }
}

/// A strong ETag: a weak one may stay while bytes change.
fn validator(headers: &HeaderMap) -> Option<HeaderValue> {
    let etag = headers.get(header::ETAG)?;
    (etag.as_bytes().starts_with(b"\"") && etag.len() <= 200).then(|| etag.clone())
}

impl Origin for Http {
    fn fetch<'a>(&'a self, wanted: Wanted<'a>) -> Fetch<'a> {
        let (url, known) = (self.url(wanted.path.as_str()), wanted.known.cloned());
        Box::pin(async move { self.ask(url.ok_or(OriginError::NotFound)?, known).await })
    }

    fn root(&self) -> Root {
        Root::Path
    }

    fn examples(&self) -> Vec<String> {
        // Its content is not known.
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pictures_are_below_the_configured_url_and_nowhere_else() {
        for (base, path, url) in [
            ("http://origin.example", "a/b.jpg", Some("http://origin.example/a/b.jpg")),
            (
                "http://origin.example:81/x/",
                "a%20b.jpg",
                Some("http://origin.example:81/x/a%20b.jpg"),
            ),
            ("http://origin.example/x", "a.jpg?id=7", Some("http://origin.example/x/a.jpg?id=7")),
            (
                "http://origin.example",
                "//evil.example/a.jpg",
                Some("http://origin.example///evil.example/a.jpg"),
            ),
            (
                "http://origin.example",
                "@evil.example/a.jpg",
                Some("http://origin.example/@evil.example/a.jpg"),
            ),
            ("http://origin.example", "https://evil.example/a.jpg", None),
        ] {
            let found = Http::new(base).unwrap().url(path).map(|url| url.to_string());
            assert_eq!(found.as_deref(), url, "{base} {path}");
        }
    }

    #[tokio::test]
    async fn what_is_no_origin_is_refused() {
        for (url, reason) in [
            ("", "malformed"),
            ("origin.example", "expected http://"),
            ("ftp://origin.example/", "expected http://"),
            (
                "https://origin.example/",
                "https is not spoken here; a proxy in front of the origin can",
            ),
            ("http://user:word@origin.example/", "credentials are not supported"),
            ("http://origin.example/?a", "no query, no fragment"),
        ] {
            let error = Http::new(url).err().unwrap();
            assert!(error.ends_with(reason), "{url}: {error}");
        }
    }
}
